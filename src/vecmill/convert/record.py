"""What a conversion was asked for, kept beside its files as ``convert.json``: the ground for a resume."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vecmill.errors import StoreError
from vecmill.sources import Source
from vecmill.sources.base import one_line
from vecmill.sources.places import expand

RECORD_NAME = "convert.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Record:
    """One conversion: what it reads and how, and whether it came to its end.

    ``asked`` holds what decides which rows are written and in which order: two runs that ask the same are the same
    conversion. ``rows_read`` and ``rows_rejected`` count once it is ``complete``. Of one that is split among processes,
    ``range_size`` is the length of a range, in rows, or in bytes of files where rows cannot be counted, and ``began``
    the time in seconds since 1970.
    """

    asked: Mapping[str, Any]
    complete: bool = False
    rows_read: int = 0
    rows_rejected: int = 0
    range_size: int = 0
    began: float = 0

    def to_json(self) -> str:
        """Return the text of ``convert.json``."""
        return json.dumps({"vecmill_convert": FORMAT_VERSION, **asdict(self)}, ensure_ascii=False, indent=1)

    def write(self, folder: Path) -> None:
        """Put the record into ``folder``, whole or not at all. Raises StoreError."""
        path = folder / RECORD_NAME
        fresh = folder / f".{RECORD_NAME}.tmp"
        try:
            fresh.write_text(self.to_json(), encoding="utf-8")
            fresh.replace(path)
        except OSError as err:
            raise StoreError((err.strerror or one_line(err)).lower(), path=str(path), errno=err.errno) from err


def read_record(folder: Path) -> Record | None:
    """Return the record in ``folder``; None when there is none, or one of another release."""
    try:
        return parse_record((folder / RECORD_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def parse_record(text: str) -> Record | None:
    """Return the record that a text holds; None when it holds none, or one of another release."""
    try:
        raw = json.loads(text)
        if raw.pop("vecmill_convert") != FORMAT_VERSION:
            return None
        return Record(**raw)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def find_begun(dst: Path, asked: Mapping[str, Any]) -> tuple[Path, Record] | None:
    """Return the folder in ``dst`` where this very conversion was begun last, and its record; None if nowhere is."""
    wanted = json.loads(json.dumps(asked))
    try:
        folders = [entry for entry in dst.iterdir() if (entry / RECORD_NAME).is_file()]
        folders.sort(key=lambda folder: (folder / RECORD_NAME).stat().st_mtime_ns, reverse=True)
    except OSError:
        return None
    found = ((folder, read_record(folder)) for folder in folders)
    return next(((folder, record) for folder, record in found if record and record.asked == wanted), None)


def describe_inputs(inputs: Sequence[Any], source: Source, kind: str | None = None) -> dict[str, Any]:
    """Return what tells whether data are the same as before: files with size and time, columns, number of rows."""
    return {
        "inputs": [_stamp(one, kind) for one in inputs],
        "columns": [[column.name, column.source, str(column.type)] for column in source.columns],
        "rows": source.n_rows,
        "bytes": source.n_bytes,
    }


def _stamp(one: Any, kind: str | None) -> Any:
    """Return the files that a path stands for, as [path, bytes, time of change]; a word for what is no path."""
    if isinstance(one, str | os.PathLike):
        path = Path(one)
        if os.fspath(one) == "-":
            return "-"
        files = path.rglob("*") if path.is_dir() else [place.path for place in expand(one, kind)]
        found = sorted(file for file in files if file.is_file())
        return [[str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns] for file in found]
    if isinstance(one, Sequence):
        return [_stamp(inner, kind) for inner in one]
    return type(one).__name__
