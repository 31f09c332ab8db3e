"""Changes to the values of vectors: normalized, scaled, rounded, made into bits; packed bits from numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vecmill.errors import DataError

Change = Callable[[Any], Any]

_NULL_ELEMENT = "an element that is null"


def on_matrix(name: str, change: Change) -> Change:
    """Return a cast of a column that applies ``change`` to its vectors, an (n, dim) ndarray. Null vectors stay null.

    ``change`` may raise DataError with a row of its matrix. The cast raises DataError, with the row, for vectors of
    different lengths.
    """

    def changed(values: Any) -> Any:
        import numpy as np

        if isinstance(values, np.ndarray):
            if values.ndim != 2:
                raise DataError(field=name, expected="vectors", got=f"an array of shape {values.shape}")
            return change(values)
        matrix, rows = _matrix(name, values)
        try:
            done = change(matrix)
        except DataError as err:
            if rows is None or err.row is None:
                raise
            raise DataError(field=name, row=int(rows[err.row]), expected=err.expected, got=err.got) from err
        return done if rows is None else _with_nulls(done, rows, len(values))

    return changed


def _matrix(name: str, values: Any) -> tuple[Any, Any]:
    """Return the vectors that are not null as (n, dim), and their rows. None: all rows."""
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.types as t

    kind = values.type
    while hasattr(kind, "storage_type"):
        values = values.storage
        kind = values.type
    if not (t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind)):
        raise DataError(field=name, expected="vectors", got=f"Arrow values of type {kind}")
    rows = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False)) if values.null_count else None
    if rows is not None:
        values = values.drop_null()
    lengths = pc.list_value_length(values).to_numpy(zero_copy_only=False)
    dim = int(lengths[0]) if len(lengths) else 0
    if (lengths != dim).any():
        bad = int(np.argmax(lengths != dim))
        raise DataError(
            field=name, row=int(rows[bad]) if rows is not None else bad,
            expected=f"{dim} values, as before it", got=f"{lengths[bad]} values",
        )  # fmt: skip
    flat = values.flatten()
    if flat.null_count:
        bad = int(np.argmin(flat.is_valid().to_numpy(zero_copy_only=False))) // dim
        row = int(rows[bad]) if rows is not None else bad
        raise DataError(field=name, row=row, expected=f"{dim} values", got=_NULL_ELEMENT)
    return flat.to_numpy(zero_copy_only=False).reshape(len(lengths), dim), rows


def _with_nulls(matrix: Any, rows: Any, n_rows: int) -> Any:
    """Return a pyarrow Array with the vectors of ``matrix`` at ``rows``, and nulls in all other rows."""
    import numpy as np
    import pyarrow as pa

    sizes = np.zeros(n_rows + 1, np.int64)
    sizes[rows + 1] = matrix.shape[1]
    null = np.ones(n_rows + 1, bool)
    null[rows] = False
    null[-1] = False
    offsets = pa.array(np.cumsum(sizes), pa.int64(), mask=null)
    return pa.LargeListArray.from_arrays(offsets, pa.array(matrix.reshape(-1)))


def rows_as_matrix(values: Any) -> Any:
    """Return a pyarrow Array of lists of one length as (n, dim); null elements as NaN or 0. No list may be null."""
    import pyarrow.types as t

    flat = values.flatten()
    if flat.null_count:
        flat = flat.fill_null(float("nan") if t.is_floating(flat.type) else 0)
    return flat.to_numpy(zero_copy_only=False).reshape(len(values), -1)


def from_bfloat16(values: Any) -> Any:
    """Return bfloat16 values, (n, 2 * dim) bytes, as float32 (n, dim); exact."""
    from vecmill.encode.dense import float32_of_bfloat16

    return float32_of_bfloat16(values)


def normalized(name: str) -> Change:
    """Return a function that scales every vector to length 1, in float32 (lengths are summed in float64).

    It raises DataError for a vector without a direction: of length 0, or with NaN or infinity in it.
    """

    def change(matrix: Any) -> Any:
        import numpy as np

        norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
        good = np.isfinite(norms) & (norms > 0)
        if not good.all():
            row = int(np.argmin(good))
            raise DataError(field=name, row=row, expected="a vector of a length to divide by", got=f"{norms[row]:g}")
        return (matrix / norms[:, None]).astype(np.float32)

    return on_matrix(name, change)


def scaled(name: str, factor: float) -> Change:
    """Return a function that multiplies every value by ``factor``, in float32."""

    def change(matrix: Any) -> Any:
        import numpy as np

        return (matrix.astype(np.float64) * factor).astype(np.float32)

    return on_matrix(name, change)


def rounded(name: str, limits: tuple[int, int], dtype: str) -> Change:
    """Return a function that rounds to the nearest integer within ``limits``, half to even, as NumPy ``dtype``.

    It raises DataError for NaN.
    """

    def change(matrix: Any) -> Any:
        import numpy as np

        if matrix.dtype.kind == "f":
            nan = np.isnan(matrix).any(axis=1)
            if nan.any():
                raise DataError(field=name, row=int(np.argmax(nan)), expected="numbers to round", got="nan")
        return np.clip(np.rint(matrix), *limits).astype(dtype)

    return on_matrix(name, change)


def signs(name: str) -> Change:
    """Return a function that packs bits, 1 for values above 0, one bit per dimension. It raises DataError for NaN."""

    def change(matrix: Any) -> Any:
        import numpy as np

        nan = np.isnan(matrix).any(axis=1)
        if nan.any():
            raise DataError(field=name, row=int(np.argmax(nan)), expected="numbers with a sign", got="nan")
        return (matrix > 0).astype(np.uint8)

    return on_matrix(name, change)
