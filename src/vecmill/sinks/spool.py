"""Files without a name, in memory or in TMPDIR: where a segment waits whose first bytes are known last.

An NPY header holds the row count, and no store takes the beginning of an object last. So the columns of a segment are
gathered, and sent from a mapping when they are whole. In memory, as long as segments of the full size fit into the
room; beyond that in TMPDIR. Either way nothing is left when the process ends, however that comes.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from vecmill._native.crc64 import crc64nvme
from vecmill.errors import StoreError
from vecmill.sinks.local import OutputFile, store_errors

_LEAST_ROOM = 512 * 1024 * 1024
_SHARE = 8  # of the memory
_CGROUP = Path("/sys/fs/cgroup/memory.max")


def usual_room() -> int:
    """Return the memory that files may take where nobody has said: a part of what there is, or may be had."""
    n_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if _CGROUP.is_file():
        limit = _CGROUP.read_text().strip()
        n_bytes = min(n_bytes, int(limit)) if limit.isdigit() else n_bytes
    return max(_LEAST_ROOM, n_bytes // _SHARE)


class Room:
    """Memory for segments that wait, in bytes: who has a share keeps its files in memory."""

    def __init__(self, n_bytes: int) -> None:
        self._free = n_bytes
        self._lock = threading.Lock()

    def take(self, n_bytes: int) -> int:
        """Return the share: all that was asked for, or 0."""
        with self._lock:
            if n_bytes > self._free:
                return 0
            self._free -= n_bytes
            return n_bytes

    def give_back(self, n_bytes: int) -> None:
        """Return a share to the room."""
        with self._lock:
            self._free += n_bytes


def spool_file(name: str, header_bytes: int = 0, *, in_memory: bool) -> OutputFile:
    """Open an empty file without a name. ``name`` is for messages."""
    where = Path("memory" if in_memory else tempfile.gettempdir())
    with store_errors(where):
        if in_memory:
            file = FileIO(os.memfd_create("vecmill", os.MFD_CLOEXEC), "r+b")
        else:
            file = tempfile.TemporaryFile(buffering=0, prefix="vecmill-")  # noqa: SIM115  closed with the OutputFile
    return OutputFile(where / name, header_bytes, file=file)


def mapped(file: OutputFile, n_bytes: int) -> memoryview:
    """Return the bytes of a completed file. They stay where they are until the last view of them is gone."""
    with store_errors(file.path):
        return memoryview(mmap.mmap(file.fileno(), n_bytes, access=mmap.ACCESS_READ))


def mapped_file(path: Path) -> memoryview:
    """Return the bytes of a file on disk. Raises StoreError."""
    with store_errors(path), path.open("rb") as file:
        n_bytes = os.fstat(file.fileno()).st_size
        return memoryview(mmap.mmap(file.fileno(), n_bytes, access=mmap.ACCESS_READ) if n_bytes else b"")


def checksum_of(data: memoryview) -> str:
    """Return the checksum as manifests have it."""
    return f"crc64nvme:{crc64nvme(data) if len(data) else 0:016x}"


def checked_parts(data: memoryview, checksum: str, part_bytes: int, path: Path) -> Iterator[memoryview]:
    """Cut into parts. Raises StoreError before the last one if the whole does not have the checksum."""
    crc = 0
    for start in range(0, len(data), part_bytes):
        part = data[start : start + part_bytes]
        crc = crc64nvme(part, crc)
        if start + part_bytes >= len(data) and f"crc64nvme:{crc:016x}" != checksum:
            raise StoreError(f"is not what its manifest says: its checksum is not {checksum}", path=str(path))
        yield part
