"""What was written where: the record that an import, a resume or a check starts from.

``manifest.json`` lists every published file with its rows, bytes and checksum, and the schema. It is replaced
atomically after each published segment, so that it is true at any moment: all that it lists is there, whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from vecmill.output_formats import check_separator

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file: ``path`` relative to the manifest's folder (POSIX), rows, bytes, checksum; NPY: its ``field``.

    ``checksum`` is ``crc64nvme:`` and 16 hex digits: the CRC that S3 computes for a whole object.
    """

    path: str
    rows: int
    bytes: int
    checksum: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """The files that were published together: one Parquet file, or one NPY file a field."""

    number: int
    rows: int
    files: tuple[FileEntry, ...]


@dataclass(slots=True)
class Manifest:
    """All segments of one writer, with the schema and the format they were written in.

    ``import_options``: what an import of the files has to be told (CSV: ``sep`` and ``nullkey``). ``told_rows``: what
    the head of the text said that all segments have, where this was read.
    """

    uuid: str
    file_type: str
    schema: Mapping[str, Any]
    segments: list[Segment] = field(default_factory=list)
    import_options: Mapping[str, str] = field(default_factory=dict)
    told_rows: int | None = field(default=None, compare=False)
    # Segments never change: each is encoded once, though the text is written anew for every segment.
    _lines: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Every published file, in the order of the segments."""
        return tuple(entry for segment in self.segments for entry in segment.files)

    @property
    def n_rows(self) -> int:
        """Published rows."""
        return sum(segment.rows for segment in self.segments)

    @property
    def n_bytes(self) -> int:
        """Published bytes."""
        return sum(entry.bytes for entry in self.files)

    @property
    def is_of_tasks(self) -> bool:
        """Whether the files are those of tasks, in folders of theirs (`vecmill.writer.tasks`), and not numbered."""
        return any(not re.match("[0-9]+[./]", entry.path) for entry in self.files)

    @property
    def last_number(self) -> int:
        """The largest number that begins a published path, 0 if nothing is published. Not for files of tasks."""
        return max((int(re.split("[./]", entry.path)[0]) for entry in self.files), default=0)

    def to_json(self, *more: Segment) -> str:
        """Return the text of ``manifest.json``, with ``more`` segments after its own. One segment a line."""
        del self._lines[len(self.segments) :]
        self._lines += map(_line, self.segments[len(self._lines) :])
        head = {
            "vecmill_manifest": FORMAT_VERSION,
            "uuid": self.uuid,
            "file_type": self.file_type,
            "import_options": self.import_options,
            "rows": self.n_rows + sum(segment.rows for segment in more),
            "bytes": self.n_bytes + sum(entry.bytes for segment in more for entry in segment.files),
            "schema": self.schema,
        }
        lines = ",\n".join([*self._lines, *map(_line, more)])
        return f'{json.dumps(head, ensure_ascii=False, indent=1)[:-2]},\n "segments": [\n{lines}\n]\n}}'

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read the text of a ``manifest.json``. Raises ValueError for one that this release does not know."""
        raw = json.loads(text)
        if not isinstance(raw, dict) or raw.get("vecmill_manifest") != FORMAT_VERSION:
            raise ValueError(f"not a vecmill manifest of version {FORMAT_VERSION}")
        options = raw.get("import_options", {})
        if not isinstance(options, dict) or not isinstance(raw["schema"], dict):
            raise ValueError("a schema or import options that are no objects")
        if "sep" in options:
            check_separator(options["sep"])
        if not isinstance(options.get("nullkey", ""), str):
            raise ValueError("a nullkey that is no text")
        return cls(
            uuid=raw["uuid"],
            file_type=raw["file_type"],
            schema=raw["schema"],
            segments=[_segment(one) for one in raw["segments"]],
            import_options=options,
            told_rows=raw.get("rows"),
        )


def _line(segment: Segment) -> str:
    return json.dumps(asdict(segment), ensure_ascii=False)


def _segment(raw: Mapping[str, Any]) -> Segment:
    files: Sequence[Mapping[str, Any]] = raw["files"]
    entries = tuple(FileEntry(**entry) for entry in files)
    numbers = [raw["number"], raw["rows"], *(number for entry in entries for number in (entry.rows, entry.bytes))]
    texts = [text for entry in entries for text in (entry.path, entry.checksum, entry.field or "")]
    if any(type(number) is not int or number < 0 for number in numbers) or any(type(text) is not str for text in texts):
        raise ValueError("a segment whose numbers or names are none")
    if raw["rows"] and not entries:
        raise ValueError(f"a segment of {raw['rows']} rows without files")
    return Segment(number=raw["number"], rows=raw["rows"], files=entries)
