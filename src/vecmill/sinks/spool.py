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
from io import FileIO
from pathlib import Path

from vecmill.sinks.local import OutputFile, store_errors


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
