"""What a conversion did, as a value."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vecmill.validate.report import ValidationReport


@dataclass(frozen=True, slots=True)
class Report:
    """What a conversion did.

    Attributes
    ----------
    rows: rows written.
    rows_read: rows read from the source; always ``rows + rows_rejected``.
    rows_rejected: rows left out, because they did not fit or repeated a primary key.
    rows_resumed: rows of these that an earlier run had written already.
    rejects: the JSON Lines file that names each of them and why, None when there are none.
    bytes_in, bytes_out: bytes of the files read, and of the files written.
    files: paths written; one inner list per import file, as ``bulk_import(files=...)`` takes it.
    data_path: the folder that holds them.
    seconds: wall time, schema inference included.
    rows_per_s, mb_per_s: rows, and 10^6 bytes, written per second; without what was resumed.
    schema: the schema, as ``CollectionSchema.to_dict()`` gives it.
    inferred: whether the schema was inferred from the data.
    notes: when it was, one line per column that says what was chosen; and one for every column that was left out,
        because it has no value.
    validation: what `vecmill.validate` found in what was written, if that was asked for: its ``rows``, its
        ``warnings``. It took its own ``seconds``, which those of the conversion do not count.
    """

    rows: int
    bytes_in: int
    bytes_out: int
    files: list[list[str]]
    data_path: str
    seconds: float
    rows_per_s: float
    mb_per_s: float
    schema: dict[str, Any]
    inferred: bool
    notes: tuple[str, ...] = ()
    rows_read: int = 0
    rows_rejected: int = 0
    rows_resumed: int = 0
    rejects: str | None = None
    validation: ValidationReport | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, fit for JSON."""
        plain = dataclasses.asdict(dataclasses.replace(self, validation=None)) | {"notes": list(self.notes)}
        return plain | {"validation": self.validation.to_dict() if self.validation is not None else None}
