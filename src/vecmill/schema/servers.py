"""Servers that import files: release lines, limits of a request, and since when they read what. The one table.

Sources: milvus configure_datacoord.md and configure_datanode.md (maxImportFileNumPerReq, maxImportJobNum,
maxImportFileSizeInGB), internal/util/importutilv2, and docs.zilliz.com, "Import data via RESTful API" and the pages on
JSON, Parquet and NumPy, as of 2026-11. Zilliz does not define its units; the smaller ones are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vecmill.types.kind import Line

TARGETS: Mapping[str, Line] = {
    "2.3": (2, 3),
    "2.4": (2, 4),
    "2.5": (2, 5),
    "2.6": (2, 6),
    "3.0": (3, 0),
    # Zilliz Cloud follows the newest 2.6.
    "cloud": (2, 6),
}
"""The release lines by the names that ``target`` has. A release line means its latest patch release."""

KEYS_SINCE = "2.6.24, 3.0.2"
"""The first releases that remember the Idempotency-Key of a create request."""

# The first release line that ... (what it reads of a single type stands in the row of that type)
MANY_FILES: Line = (2, 4)  # takes more than one import file in a request
DEFAULTS_FILLED: Line = (2, 5)  # fills in the default value of a field that a file lacks
SPARSE_STRUCTS: Line = (2, 5)  # reads sparse vectors from a Parquet struct of indices and values
NULLABLE_NPY: Line = (2, 6)  # reads NPY sets of collections with nullable fields
FIXED_SIZE_LISTS: Line = (2, 6)  # reads fixed-size lists of Parquet
NULLABLE_FIXED_SIZE_LISTS: Line = (3, 0)  # reads fixed-size lists of Parquet for a nullable field
STRUCT_TYPES_HELD: Line = (3, 0)  # refuses narrower types in a STRUCT, where earlier lines read zeros

GIB = 1 << 30
GB = 10**9


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server takes. An NPY set is one import file, with the bytes of all its columns.

    Attributes
    ----------
    files: import files in a request. file_bytes: bytes of an import file. request_bytes: bytes of a request.
    jobs: jobs in progress at the same time.
    """

    files: int
    file_bytes: int
    request_bytes: int
    jobs: int


SERVICES: dict[str, Limits] = {
    "milvus": Limits(files=1_024, file_bytes=16 * GIB, request_bytes=1_024 * 16 * GIB, jobs=1_024),
    "cloud": Limits(files=1_000, file_bytes=10 * GB, request_bytes=1_000 * GB, jobs=10_000),
    "cloud-free": Limits(files=1_000, file_bytes=1 * GB, request_bytes=1 * GB, jobs=10_000),
}
"""The limits of Milvus, of Zilliz Cloud and of its free plan."""


def limits_of(target: str | None = None, service: str = "") -> Limits:
    """Return the limits of a server.

    ``target``: a key of TARGETS; None: any release line since 2.4. ``service``: a key of SERVICES; "": Zilliz Cloud for
    the target "cloud", else Milvus. Raises ValueError for an unknown name.
    """
    check_target_name(target)
    service = service or ("cloud" if target == "cloud" else "milvus")
    if service not in SERVICES:
        raise ValueError(f"service {service!r} is not one of {', '.join(SERVICES)}")
    limits = SERVICES[service]
    if service == "milvus" and target is not None and TARGETS[target] < MANY_FILES:
        return replace(limits, files=1, request_bytes=limits.file_bytes)
    return limits


def check_target_name(target: str | None) -> None:
    """Raise ValueError for a target that is not a key of TARGETS; None is fine."""
    if target is not None and target not in TARGETS:
        raise ValueError(f"target {target!r} is not one of {', '.join(TARGETS)}")


def bytes_text(n_bytes: int) -> str:
    """Return a limit in bytes as it is written in texts.

    >>> bytes_text(16 * GIB), bytes_text(10 * GB), bytes_text(1_000 * GB)
    ('16 GiB', '10 GB', '1 TB')
    """
    for unit, size in (("TiB", GIB << 10), ("GiB", GIB), ("TB", 1_000 * GB), ("GB", GB)):
        if n_bytes % size == 0:
            return f"{n_bytes // size:,} {unit}"
    return f"{n_bytes:,} bytes"
