"""Data for sources, and reading a source whole."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from vecmill.errors import DataError
from vecmill.sources import open_source


def vectors(n: int, dim: int = 4, start: int = 0) -> np.ndarray:
    return np.arange(start * dim, (start + n) * dim, dtype=np.float32).reshape(n, dim)


def table(n: int, start: int = 0, dim: int = 4) -> pa.Table:
    return pa.table(
        {
            "id": np.arange(start, start + n),
            "text": [f"text {i}" for i in range(start, start + n)],
            "vector": pa.array(list(vectors(n, dim, start)), pa.list_(pa.float32())),
        }
    )


def collect(source, names=None, batch_rows=None, start_row=0) -> dict[str, list]:
    out: dict[str, list] = {}
    for batch in source.batches(names, batch_rows=batch_rows, start_row=start_row):
        lengths = {len(values) for values in batch.values()}
        assert len(lengths) == 1
        assert 0 < lengths.pop() <= (batch_rows or 1 << 16)
        for name, values in batch.items():
            out.setdefault(name, []).extend(values.tolist() if isinstance(values, np.ndarray) else values.to_pylist())
    return out


def check_restarts(path, expected: dict[str, list], *, batch_rows=(None, 1, 7), **options) -> None:
    """Open ``path``, and compare what is read from several rows on, in batches of several sizes, with ``expected``."""
    source = open_source(path, **options)
    n_rows = len(next(iter(expected.values())))
    assert source.n_rows in (None, n_rows)
    for size in batch_rows:
        for row in sorted({0, 1, n_rows // 3, n_rows - 1, n_rows, n_rows + 1} - {-1}):
            got = collect(source, batch_rows=size, start_row=row)
            assert got == ({name: values[row:] for name, values in expected.items()} if row < n_rows else {}), row


def refused(path, *words: str, row: int | None = None, **options) -> DataError:
    """Open and read ``path``: there is one DataError, which names the file, and the row, and has all ``words``."""
    with pytest.raises(DataError) as caught:
        collect(open_source(path, **options))
    error = caught.value
    assert error.file is not None
    assert error.file.startswith(str(path)) or str(path).startswith(error.file), error
    assert error.row == row, error
    for word in words:
        assert word in str(error), error
    return error
