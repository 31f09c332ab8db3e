"""The record of a conversion, ``convert.json`` in the notes of its output, which a resume compares."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vecmill.convert.reshape import length, row_hashes
from vecmill.sources import Source, open_source
from vecmill.sources.places import expand
from vecmill.sources.remote import AnyPath, ObjectPath, has_pattern
from vecmill.store.notes import RECORD_NAME, is_notes, noted_name
from vecmill.store.opening import open_place
from vecmill.store.place import Place
from vecmill.store.url import disk_path, is_url

log = logging.getLogger(__name__)

FORMAT_VERSION = 1
_EDGE_ROWS = 64


@dataclass(frozen=True, slots=True)
class Record:
    """One conversion: what it reads and how, and whether it is complete.

    Attributes
    ----------
    asked: everything that decides which rows are written, and in which order. Runs with equal values are the same
        conversion.
    rows_read, rows_rejected: valid once it is ``complete``.
    range_size: length of a range if it is split among processes: in rows, or in bytes of files whose rows cannot be
        counted.
    began: start time, in seconds since 1970.
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

    def write(self, place: Place) -> None:
        """Put the record into the notes of an output, whole or not at all. Raises StoreError."""
        place.notes.put_text(RECORD_NAME, self.to_json())


def parse_record(text: str) -> Record | None:
    """Return the record in a text. None: there is none, or it is of another release."""
    try:
        raw = json.loads(text)
        if raw.pop("vecmill_convert") != FORMAT_VERSION:
            return None
        return Record(**raw)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def find_begun(dst: Place, asked: Mapping[str, Any]) -> tuple[str, Record] | None:
    """Return the folder in ``dst`` of the last run of the same conversion, and its record.

    None: there is no such run. If a run had the same inputs but other options, the log says which options differ.
    """
    wanted = json.loads(json.dumps(asked))
    found: list[tuple[float, str, Record]] = []
    for notes in filter(is_notes, dst.folders()):
        record = parse_record(dst.child(notes).read_text(RECORD_NAME) or "")
        if record is not None:
            found.append((record.began, noted_name(notes), record))
    same = [one for one in found if one[2].asked == wanted]
    if same:
        return max(same, key=lambda one: one[:2])[1:]
    names = _input_names(wanted)
    alike = [one for one in found if _input_names(one[2].asked) == names]
    if alike:
        _, name, record = max(alike, key=lambda one: one[:2])
        differ = ", ".join(_differing(record.asked, wanted))
        log.warning("%s: the conversion in %s is another one (%s differ); a new one begins", dst.where, name, differ)
    return None


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in {*one, *other} if one.get(key) != other.get(key))


def _input_names(asked: Mapping[str, Any]) -> list[str]:
    return [str(stamp[0]) for stamp in _flat(asked.get("inputs", []))]


def describe_inputs(inputs: Sequence[Any], source: Source, kind: str | None = None) -> dict[str, Any]:
    """Return what identifies the data of the inputs: files with size and time, tables, columns, rows."""
    return {
        "inputs": [_stamp(one, kind) for one in inputs],
        "columns": [[column.name, column.source, str(column.type)] for column in source.columns],
        "rows": source.n_rows,
        "bytes": source.n_bytes,
    }


def file_sizes(inputs: Sequence[Any], kind: str | None = None) -> str:
    """Return names and sizes of all input files as JSON. Times are left out: they differ between machines."""
    found = [stamp for one in inputs for stamp in _flat(_stamp(one, kind))]
    return json.dumps([[Path(name).name, size] for name, size, _ in found])


def _flat(stamps: Any) -> Iterator[Any]:
    """Yield the files in nested lists of stamps."""
    if isinstance(stamps, list):
        if len(stamps) == 3 and isinstance(stamps[0], str):
            yield stamps
        else:
            for one in stamps:
                yield from _flat(one)


def _stamp(one: Any, kind: str | None) -> Any:
    """Return the files at a path, as [path, bytes, time of change]. For a table in memory, return a description."""
    if isinstance(one, str | os.PathLike):
        if os.fspath(one) == "-":
            return "-"
        if not (is_url(one) and has_pattern(os.fspath(one))):
            path = disk_path(one)
            place = open_place(one if path is None else path.absolute())
            stamps = [[place.name(file.path), file.size, file.version] for file in place.walk(links=True)]
            if stamps:
                return sorted(stamps)
        return sorted(_file_stamp(place.path) for place in expand(one, kind))
    if isinstance(one, Sequence):
        return [_stamp(inner, kind) for inner in one]
    return " ".join([type(one).__name__, *_edges(one)])


def _edges(table: Any) -> Iterator[str]:
    """Yield what identifies a table in memory at little cost: its number of rows, hashes of the first and last ones.

    Yield nothing for tables that are costly to read or can be read only once (queries, streams).
    """
    if not hasattr(table, "__len__") or type(table).__module__.partition(".")[0] in ("duckdb", "_duckdb"):
        return
    n_rows = len(table)
    yield str(n_rows)
    for start in sorted({0, max(0, n_rows - _EDGE_ROWS)}):
        part = _rows_of(table, start, min(n_rows, start + _EDGE_ROWS))
        if part is None:
            return
        for batch in open_source(part).batches():
            names = sorted(batch)
            columns = [batch[name] for name in names]
            types = [str(values.type if hasattr(values, "type") else values.dtype) for values in columns]
            state = hashlib.blake2b(repr((names, types)).encode(), digest_size=8)
            state.update(b"".join(row_hashes(columns, length(batch))))
            yield state.hexdigest()


def _rows_of(table: Any, start: int, stop: int) -> Any:
    """Return some rows of a table, as a table of the same kind. None: that cannot be done cheaply."""
    if hasattr(table, "iloc"):  # pandas, which has its columns as attributes as well
        return table.iloc[start:stop]
    if hasattr(table, "slice"):  # pyarrow, Polars
        return table.slice(start, stop - start)
    if hasattr(table, "with_format") and hasattr(table, "select"):  # datasets
        return table.select(range(start, stop))
    return None


def _file_stamp(file: AnyPath) -> list[Any]:
    if isinstance(file, ObjectPath):
        return [str(file), file.stat().st_size, file.version]
    found = file.stat()
    return [str(file.absolute()), found.st_size, str(found.st_mtime_ns)]
