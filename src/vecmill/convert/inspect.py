"""Describes a source or an output: columns, sizes, nulls, ranges, norms, first rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vecmill.convert.opening import Input, check_text_options, open_inputs, resolved
from vecmill.convert.outputs import open_output, output_of
from vecmill.convert.rejects import value_text
from vecmill.convert.reshape import length
from vecmill.convert.vectors import rows_as_matrix
from vecmill.errors import DataError
from vecmill.manifest import Manifest
from vecmill.schema.reading import as_schema
from vecmill.sources import TextOptions
from vecmill.sources.base import Column, Source
from vecmill.types.kind import Kind

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Progress = Callable[[int, int], object]

SAMPLE_ROWS = 100_000
"""Rows that are read unless more are asked for."""

_BINS = 16
_KEPT = 1 << 16


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """Facts about one column, from the rows that were read.

    Attributes
    ----------
    name: name of the column.
    type: Arrow type; of an output, the type of the field.
    nulls: rows without a value.
    measure: "value", "norm" of a vector, "bytes" of a text, "items" of a list; "" if nothing is measured.
    least, most, mean: of the measure, without NaN and infinity. None: no row has a measure.
    odd: rows with NaN or infinity.
    dims: least and most elements of a vector or list. None for other types.
    histogram: rows in 16 equal steps from least to most; of a sample if there are very many rows.
    """

    name: str
    type: str
    nulls: int
    measure: str
    least: float | None
    most: float | None
    mean: float | None
    odd: int
    dims: tuple[int, int] | None
    histogram: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What `inspect` found.

    Attributes
    ----------
    kind: "output" for a folder that vecmill wrote, else "source".
    rows: all rows. None: the source does not know, and was not read to the end.
    rows_read: rows that the facts are taken from.
    files, segments: their number in an output.
    first_rows: shortened texts by column.
    """

    path: str
    kind: str
    rows: int | None
    rows_read: int
    n_bytes: int
    columns: tuple[ColumnFacts, ...]
    first_rows: tuple[dict[str, str | None], ...]
    file_type: str | None = None
    segments: int | None = None
    files: int | None = None
    schema: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, fit for JSON."""
        return dataclasses.asdict(self)


def inspect(
    src: Input,
    *,
    limit: int | None = SAMPLE_ROWS,
    n_first: int = 3,
    kind: str | None = None,
    text: TextOptions | None = None,
    progress: Progress | None = None,
) -> Inspection:
    """Describe a source, or a folder that vecmill wrote, from its first ``limit`` rows. None: all rows.

    Raises DataError and StoreError as `open_source` does.
    """
    manifest: Manifest | None = None
    src = resolved(src)
    if (output := output_of(src)) is not None:
        check_text_options(text, (src,), kind)
        manifest = output[1]
        source = open_output(*output, text)
    else:
        source = open_inputs(src, kind=kind, text=text)
    types = _field_types(manifest)
    gathered = [_Gathered(column, types.get(column.name)) for column in source.columns]
    first: list[dict[str, str | None]] = []
    n_rows, ended = _read(source, gathered, first, n_first, limit, progress)
    found = Inspection(
        path=str(src),
        kind="source" if manifest is None else "output",
        rows=n_rows if ended else source.n_rows,
        rows_read=n_rows,
        n_bytes=source.n_bytes,
        columns=tuple(one.facts() for one in gathered),
        first_rows=tuple(first),
    )
    if manifest is None:
        return found
    return dataclasses.replace(
        found, file_type=manifest.file_type, n_bytes=manifest.n_bytes, segments=len(manifest.segments),
        files=len(manifest.files), schema=dict(manifest.schema),
    )  # fmt: skip


def _field_types(manifest: Manifest | None) -> dict[str, Kind]:
    if manifest is None:
        return {}
    return {field.name: field.kind for field in as_schema(manifest.schema).written_fields()}


def _read(
    source: Source,
    gathered: Sequence[_Gathered],
    first: list[dict[str, str | None]],
    n_first: int,
    limit: int | None,
    progress: Progress | None,
) -> tuple[int, bool]:
    import pyarrow as pa

    n_rows = n_bytes = 0
    batches = source.batches()
    while limit is None or n_rows < limit:
        batch = next(batches, None)
        if batch is None:
            return n_rows, True
        n = length(batch) if limit is None else min(length(batch), limit - n_rows)
        for row in range(min(n, n_first - len(first))):
            first.append({name: value_text(values, row) for name, values in batch.items()})
        for one in gathered:
            one.add(batch[one.column.name][:n] if one.column.name in batch else pa.nulls(n))
        n_rows += n
        n_bytes += sum(values.nbytes for values in batch.values())
        if progress is not None:
            progress(n_rows, n_bytes)
    return n_rows, n_rows == source.n_rows


class _Gathered:
    """Collects the facts of one column, batch by batch."""

    def __init__(self, column: Column, kind: Kind | None) -> None:
        self.column = column
        self._kind = kind
        self._measure = ""
        self._nulls = self._odd = self._count = 0
        self._sum = 0.0
        self._least: float | None = None
        self._most: float | None = None
        self._dims: tuple[int, int] | None = None
        self._kept: list[Array] = []
        self._n_kept, self._stride = 0, 1

    def add(self, values: Any) -> None:
        """Add the values of one batch."""
        import numpy as np

        self._nulls += getattr(values, "null_count", 0)
        measure, measured, dims = measured_values(values, self._kind)
        self._measure = measure or self._measure
        if dims is not None:
            self._dims = dims if self._dims is None else (min(self._dims[0], dims[0]), max(self._dims[1], dims[1]))
        if measured is None:
            return
        good = measured[np.isfinite(measured)]
        self._odd += len(measured) - len(good)
        if not len(good):
            return
        low, high = float(good.min()), float(good.max())
        self._least = low if self._least is None else min(self._least, low)
        self._most = high if self._most is None else max(self._most, high)
        self._sum += float(good.sum())
        self._count += len(good)
        self._kept.append(good[:: self._stride])
        self._n_kept += len(self._kept[-1])
        if self._n_kept > 2 * _KEPT:  # half of them is enough for a histogram
            self._kept = [np.concatenate(self._kept)[::2]]
            self._n_kept, self._stride = len(self._kept[0]), self._stride * 2

    def facts(self) -> ColumnFacts:
        """Return the facts collected so far."""
        import numpy as np

        histogram: tuple[int, ...] = ()
        if self._kept and self._least is not None and self._most is not None and self._least < self._most:
            counts, _ = np.histogram(np.concatenate(self._kept), bins=_BINS, range=(self._least, self._most))
            histogram = tuple(counts.tolist())
        return ColumnFacts(
            name=self.column.name,
            type=self._kind.dtype.name if self._kind is not None else str(self.column.type),
            nulls=self._nulls,
            measure=self._measure,
            least=self._least,
            most=self._most,
            mean=self._sum / self._count if self._count else None,
            odd=self._odd,
            dims=self._dims,
            histogram=histogram,
        )


def measured_values(values: Any, kind: Kind | None = None) -> tuple[str, Array | None, tuple[int, int] | None]:
    """Return the measure of every row (see `ColumnFacts`; float64), and the least and most dims.

    ``kind``: kind of the field, needed to unpack bytes. None: no schema is known.
    """
    import numpy as np
    import pyarrow.types as t

    from vecmill.encode.arrow import plain_storage
    from vecmill.encode.dense import numbers_of_bytes

    if isinstance(values, np.ndarray):
        if kind is not None and kind.is_bytes and values.dtype == np.uint8:
            values = numbers_of_bytes(kind, values)
        if values.ndim == 1:
            is_number = values.dtype.kind in "biuf"
            return ("value", values.astype(np.float64), None) if is_number else ("", None, None)
        return _measured_matrix(values)
    values = plain_storage(values).drop_null()
    packed = _packed(values, kind)
    if packed is not None:
        return _measured_matrix(packed)
    arrow = values.type
    if t.is_list(arrow) or t.is_large_list(arrow) or t.is_fixed_size_list(arrow):
        return _measured_lists(values)
    return (*_measured_scalars(values), None)


def _measured_matrix(matrix: Array) -> tuple[str, Array, tuple[int, int]]:
    import numpy as np

    wide = matrix.astype(np.float64)
    return "norm", np.sqrt(np.einsum("ij,ij->i", wide, wide)), (matrix.shape[1], matrix.shape[1])


def _measured_lists(values: Any) -> tuple[str, Array, tuple[int, int] | None]:
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.types as t

    element = values.type.value_type
    lengths = pc.list_value_length(values).to_numpy(zero_copy_only=False)
    dims = (int(lengths.min()), int(lengths.max())) if len(lengths) else None
    is_numbers = t.is_integer(element) or t.is_floating(element)
    if not is_numbers or dims is None or dims[0] != dims[1] or not dims[0]:
        return "items", lengths.astype(np.float64), dims
    return _measured_matrix(rows_as_matrix(values))


def _measured_scalars(values: Any) -> tuple[str, Array | None]:
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.types as t

    arrow = values.type
    if t.is_boolean(arrow):
        return "value", values.cast("uint8").to_numpy().astype(np.float64)
    if t.is_integer(arrow) or t.is_floating(arrow):
        return "value", values.to_numpy(zero_copy_only=False).astype(np.float64)
    if t.is_string(arrow) or t.is_large_string(arrow):
        return "bytes", pc.binary_length(values).to_numpy(zero_copy_only=False).astype(np.float64)
    return "", None


def _packed(values: Any, kind: Kind | None) -> Array | None:
    """Return the vectors of a column of packed bytes as a matrix of numbers. None: it is another column."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.types as t

    from vecmill.encode.dense import numbers_of_bytes

    is_bytes = t.is_binary(values.type) or t.is_large_binary(values.type) or t.is_fixed_size_binary(values.type)
    if kind is None or not kind.is_bytes or not is_bytes or not len(values):
        return None
    rows = values.cast(pa.large_binary()).to_pylist()
    if len({len(row) for row in rows}) != 1:
        raise DataError(expected="vectors of one length", got="several")
    return numbers_of_bytes(kind, np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1))
