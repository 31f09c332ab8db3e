"""From a manifest to requests: the limits of the targets in one table, and the import files grouped under them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vecmill.errors import DataError, SchemaError
from vecmill.output.opening import ImportFile

GIB = 1 << 30
GB = 10**9


@dataclass(frozen=True, slots=True)
class Limits:
    """What one target takes. An NPY set is one import file, of the bytes of all its columns.

    Attributes
    ----------
    files: import files of a request. file_bytes: bytes of an import file. request_bytes: bytes of a request.
    jobs: jobs that are not over, at the same time.
    """

    files: int
    file_bytes: int
    request_bytes: int
    jobs: int


# Milvus: maxImportFileNumPerReq and maxImportJobNum of dataCoord.import, maxImportFileSizeInGB of dataNode.import
# (configure_datacoord.md, configure_datanode.md); 2.2 and 2.3 take one import file a task. Zilliz Cloud:
# docs.zilliz.com, "Import data via RESTful API" and the pages on JSON, Parquet and NumPy, as of 2026-11; its units are
# not said, so they are taken as the smaller ones.
LIMITS = {
    "milvus": Limits(files=1024, file_bytes=16 * GIB, request_bytes=1024 * 16 * GIB, jobs=1024),
    "milvus-2.3": Limits(files=1, file_bytes=16 * GIB, request_bytes=16 * GIB, jobs=1024),
    "cloud": Limits(files=1_000, file_bytes=10 * GB, request_bytes=1_000 * GB, jobs=10_000),
    "cloud-free": Limits(files=1_000, file_bytes=1 * GB, request_bytes=1 * GB, jobs=10_000),
}


def limits_of(target: str) -> Limits:
    """Return the limits of a target by name. Raises SchemaError for one that is not in the table."""
    if target not in LIMITS:
        raise SchemaError(f"unknown target {target!r}, expected one of {', '.join(LIMITS)}")
    return LIMITS[target]


@dataclass(frozen=True, slots=True)
class Batch:
    """The import files of one request, number ``number`` (from 1) of its plan."""

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
        """The files, as `bulk_import` takes them."""
        return [list(file.paths) for file in self.files]


def plan(files: Iterable[ImportFile], limits: Limits) -> list[Batch]:
    """Group import files into as few requests as the limits allow, in their order.

    Empty files are left out: versions of the server differ in what they make of them. Raises DataError for a file that
    no request can hold.
    """
    batches: list[list[ImportFile]] = []
    room_bytes = 0
    for file in files:
        if not file.rows:
            continue
        most_bytes = min(limits.file_bytes, limits.request_bytes)
        if file.n_bytes > most_bytes:
            raise DataError(
                file=file.folder or file.paths[0],
                expected=f"at most {most_bytes:,} bytes in an import file of this target",
                got=f"{file.n_bytes:,}; convert again with a smaller segment size",
            )
        if not batches or len(batches[-1]) == limits.files or file.n_bytes > room_bytes:
            batches.append([])
            room_bytes = limits.request_bytes
        batches[-1].append(file)
        room_bytes -= file.n_bytes
    return [Batch(i, tuple(one)) for i, one in enumerate(batches, 1)]
