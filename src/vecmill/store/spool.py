"""Files without a name, in memory or in TMPDIR: where a segment waits whose first bytes are known last.

An NPY header holds the row count, and no store takes the beginning of an object last. So the columns of a segment are
gathered, and sent when they are whole. In memory, as long as segments of the full size fit into the room; beyond that
in TMPDIR, and from a mapping. Either way nothing is left when the process ends, however that comes.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
from numpy.typing import NDArray

from vecmill._native.crc64 import crc64nvme
from vecmill.errors import StoreError
from vecmill.store.growing import GrowingFile
from vecmill.store.local import OutputFile, store_errors

BLOCK_BYTES = 8 * 1024 * 1024
"""A file in memory is a list of these."""

_POPULATE = getattr(mmap, "MAP_POPULATE", 0)  # Linux

Buffer = NDArray[np.uint8]

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


class Memory:
    """Blocks of memory that are used again: fresh ones cost more than what is copied into them.

    The store client reads a buffer whenever it likes until its request has ended, so a block that was lent is free
    again only when the last view of it is gone.
    """

    def __init__(self) -> None:
        # As of the parts: this put may be called by whatever thread drops the last reference, whatever that holds.
        self._free: SimpleQueue[Buffer] = SimpleQueue()
        self._is_kept = True

    @property
    def n_free(self) -> int:
        """Blocks that nobody holds."""
        return self._free.qsize()

    def take(self) -> Buffer:
        """Return a block of `BLOCK_BYTES`, with anything in it."""
        try:
            return self._free.get_nowait()
        except Empty:
            # All pages at once instead of a fault for each. Huge ones are slower where a host takes free memory back.
            fresh = mmap.mmap(-1, BLOCK_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _POPULATE)
            return np.frombuffer(fresh, np.uint8)

    def give_back(self, block: Buffer) -> None:
        """Take a block back that nobody reads."""
        if self._is_kept:
            self._free.put(block)

    def lend(self, block: Buffer, n_bytes: int) -> Buffer:
        """Return the first bytes of a block; when they are gone, it is given back."""
        view = block[:n_bytes]
        weakref.finalize(view, self.give_back, block).atexit = False
        return view

    def release(self) -> None:
        """Keep no blocks from now on."""
        self._is_kept = False
        with suppress(Empty):
            while True:
                self._free.get_nowait()


class MemoryFile(GrowingFile):
    """A file in blocks of memory."""

    def __init__(self, memory: Memory, header_bytes: int) -> None:
        super().__init__(header_bytes)
        self._memory = memory
        self._blocks: list[Buffer] = []

    def views(self, n_bytes: int) -> list[Buffer]:
        """Return the bytes of the completed file, which is empty then."""
        blocks, self._blocks = self._blocks, []
        sizes = [min(BLOCK_BYTES, max(0, n_bytes - i * BLOCK_BYTES)) for i in range(len(blocks))]
        return [self._memory.lend(block, size) for block, size in zip(blocks, sizes, strict=True)]

    def read(self, start: int, n_bytes: int) -> bytes:
        """Read back from the body of the file."""
        places = self._places(self._header_bytes + start, n_bytes)
        return b"".join(block[low:high].tobytes() for block, low, high in places)

    def close(self) -> None:
        """Let go of the bytes. Safe to call twice."""
        while self._blocks:
            self._memory.give_back(self._blocks.pop())

    def _reserve(self, end: int) -> None:
        while len(self._blocks) * BLOCK_BYTES < end:
            self._blocks.append(self._memory.take())

    def _write(self, parts: list[memoryview], start: int, size: int) -> None:
        del size
        for part in parts:
            done = 0
            for block, low, high in self._places(start, part.nbytes):
                block[low:high] = np.frombuffer(part[done : done + high - low], np.uint8)
                done += high - low
            start += done

    def _places(self, start: int, n_bytes: int) -> Iterator[tuple[Buffer, int, int]]:
        end = start + n_bytes
        while start < end:
            number, low = divmod(start, BLOCK_BYTES)
            high = min(BLOCK_BYTES, low + end - start)
            yield self._blocks[number], low, high
            start += high - low

    def _cut_off(self, size: int) -> None:
        while (len(self._blocks) - 1) * BLOCK_BYTES >= max(size, 1):
            self._memory.give_back(self._blocks.pop())


class DiskFile(OutputFile):
    """A file without a name in TMPDIR. ``name`` is for messages."""

    def __init__(self, name: str, header_bytes: int) -> None:
        where = Path(tempfile.gettempdir())
        with store_errors(where):
            file = tempfile.TemporaryFile(buffering=0, prefix="vecmill-")  # noqa: SIM115  closed with this object
        super().__init__(where / name, header_bytes, file=file)

    def views(self, n_bytes: int) -> list[memoryview]:
        """Return the bytes of the completed file. They stay where they are until the last view of them is gone."""
        with store_errors(self.path):
            return [memoryview(mmap.mmap(self.fileno(), n_bytes, access=mmap.ACCESS_READ))] if n_bytes else []


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
