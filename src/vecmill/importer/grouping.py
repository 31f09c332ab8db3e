"""Group the import files of an output into requests, within the limits of the server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vecmill.errors import DataError
from vecmill.output.opening import ImportFile
from vecmill.schema.servers import Limits


@dataclass(frozen=True, slots=True)
class FileGroup:
    """The import files of one request; ``number`` counts the requests of an output from 1."""

    number: int
    files: tuple[ImportFile, ...]

    @property
    def rows(self) -> int:
        """Rows of all files together."""
        return sum(file.rows for file in self.files)

    @property
    def n_bytes(self) -> int:
        """Bytes of all files together."""
        return sum(file.n_bytes for file in self.files)

    @property
    def paths(self) -> list[list[str]]:
        """The files, as `bulk_import` takes them: one inner list per import file."""
        return [list(file.paths) for file in self.files]


def group_files(files: Iterable[ImportFile], limits: Limits) -> list[FileGroup]:
    """Group import files into as few requests as the limits allow, in their order.

    Empty files are left out: versions of the server differ in what they make of them. Raises DataError for a file that
    no request can hold.
    """
    groups: list[list[ImportFile]] = []
    room_bytes = 0
    for file in files:
        if not file.rows:
            continue
        most_bytes = min(limits.file_bytes, limits.request_bytes)
        if file.n_bytes > most_bytes:
            raise DataError(
                file=file.folder or file.paths[0],
                expected=f"at most {most_bytes:,} bytes in an import file of this server",
                got=f"{file.n_bytes:,}; convert again with a smaller segment size",
            )
        if not groups or len(groups[-1]) == limits.files or file.n_bytes > room_bytes:
            groups.append([])
            room_bytes = limits.request_bytes
        groups[-1].append(file)
        room_bytes -= file.n_bytes
    return [FileGroup(i, tuple(one)) for i, one in enumerate(groups, 1)]
