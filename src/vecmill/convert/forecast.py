"""A forecast of a conversion: what it would read and write, before it begins."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vecmill.convert.casts import cast_words
from vecmill.convert.pump import Pump
from vecmill.convert.rejects import Rejects
from vecmill.convert.reshape import Sliced
from vecmill.schema.fields import FieldSchema
from vecmill.store.local_place import LocalPlace
from vecmill.store.notes import REJECTS_NAME
from vecmill.writer.api import BulkWriter

if TYPE_CHECKING:
    from vecmill.convert.job import Plan

_SAMPLE_ROWS = 4096


@dataclass(frozen=True, slots=True)
class ColumnForecast:
    """One column: its source, its field, and the changes made to its values."""

    field: str
    source: str
    source_type: str
    field_type: str
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a conversion would read and write.

    Attributes
    ----------
    rows: rows of the source. None: they can only be counted by reading.
    bytes_out, segments: estimates from a sample of the first rows, which were converted. None if ``rows`` is None.
    sample_rows, rejected_of_sample: rows in the sample, and those of them that did not fit.
    """

    rows: int | None
    bytes_in: int
    bytes_out: int | None
    segments: int | None
    segment_size: int
    file_type: str
    columns: tuple[ColumnForecast, ...]
    sample_rows: int
    rejected_of_sample: int
    inferred: bool
    notes: tuple[str, ...]
    schema: dict[str, object]

    def to_dict(self) -> dict[str, object]:
        """Return plain values, fit for JSON."""
        return dataclasses.asdict(self)


def forecast(plan: Plan) -> Forecast:
    """Return what `run` would do. The first 4,096 rows are converted to a temporary folder, to measure their size.

    Raises DataError if one of these rows does not fit, unless bad rows are skipped.
    """

    source, options = plan.source, plan.options
    fields = {field.name: field for field in plan.schema.written_fields()}
    words = cast_words(source, plan.schema, options.cast, options.normalize, options.scale)
    columns = tuple(
        ColumnForecast(
            field=column.name,
            source=column.source,
            source_type=str(column.type),
            field_type=_field_text(fields[column.name]) if column.name in fields else "in the dynamic field",
            changes=tuple(words[column.name]),
        )
        for column in source.columns
    )
    with tempfile.TemporaryDirectory() as folder:
        whole = dataclasses.replace(options.writer, segment_size=1 << 40)
        with BulkWriter(plan.schema, LocalPlace(Path(folder, "sample")), "sample", whole) as writer:
            sample = Sliced(source, 0, _SAMPLE_ROWS)
            rejects = Rejects(Path(folder) / REJECTS_NAME, sample)
            pump = Pump(sample, plan.casts, writer, rejects, skip=options.skips)
            pump.run()
            rejects.close()
        written = writer.manifest
    n_bytes = segments = None
    if source.n_rows is not None:
        n_bytes = round(written.n_bytes / written.n_rows * source.n_rows) if written.n_rows else 0
        segments = -(-n_bytes // options.writer.segment_size)
    return Forecast(
        rows=source.n_rows,
        bytes_in=source.n_bytes,
        bytes_out=n_bytes,
        segments=segments,
        segment_size=options.writer.segment_size,
        file_type=options.writer.file_type.name,
        columns=columns,
        sample_rows=pump.row,
        rejected_of_sample=rejects.n_rows,
        inferred=plan.inferred,
        notes=plan.notes,
        schema=plan.schema.to_dict(),
    )


def _field_text(field: FieldSchema) -> str:
    return " ".join([field.kind.dtype.name, *(f"{name} {value}" for name, value in field.params.items())])
