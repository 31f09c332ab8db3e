"""What files that grow at their end share, wherever their bytes are kept: two runs at a time, checksums, going back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from concurrent.futures import Executor, wait
from typing import Any

from vecmill._native.crc64 import crc64nvme, crc64nvme_combine
from vecmill.store.sink import Mark


class GrowingFile(ABC):
    """A file that grows at its end. ``header_bytes`` at its start are left free and written last, by ``complete``."""

    def __init__(self, header_bytes: int) -> None:
        self._header_bytes = header_bytes
        self._n_bytes = 0
        self._crc = 0

    @abstractmethod
    def _reserve(self, end: int) -> None:
        """Make room up to byte ``end`` of the file."""

    @abstractmethod
    def _write(self, parts: list[memoryview], start: int, size: int) -> None:
        """Write buffers of ``size`` bytes together from byte ``start`` on, where there is room."""

    @abstractmethod
    def _cut_off(self, size: int) -> None:
        """Forget what is behind byte ``size``."""

    @property
    def n_bytes(self) -> int:
        """Bytes so far, without the header."""
        return self._n_bytes

    def append(self, *views: Any) -> None:
        """Write C-contiguous buffers one after another. Raises StoreError; what was there before stays."""
        crc, size = self._crc, 0
        parts = []
        for view in views:
            part = memoryview(view).cast("B") if len(view) else None
            if part is not None:
                crc = crc64nvme(part, crc)
                size += part.nbytes
                parts.append(part)
        start = self._header_bytes + self._n_bytes
        self._reserve(start + size)
        self._write(parts, start, size)
        self._n_bytes += size
        self._crc = crc

    def append_lasting(self, view: Any) -> None:
        """Write a buffer, as ``append``."""
        self.append(view)

    def append_both(
        self, first: Iterable[Any], first_bytes: int, second: Iterable[Any], second_bytes: int, helper: Executor
    ) -> None:
        """Write two runs of buffers, one behind the other in the file, at the same time: ``second`` in the helper.

        The sizes must be those of the runs. Making the buffers (checking, converting) is what gains: the kernel lets
        one thread at a time into a file. If both fail, the error is that of ``first``.
        """
        start = self._header_bytes + self._n_bytes
        self._reserve(start + first_bytes + second_bytes)
        other = helper.submit(self._write_run, second, start + first_bytes)
        try:
            first_crc = self._write_run(first, start)
        finally:
            wait([other])
        crc = crc64nvme_combine(self._crc, first_crc, first_bytes)
        self._crc = crc64nvme_combine(crc, other.result(), second_bytes)
        self._n_bytes += first_bytes + second_bytes

    def _write_run(self, views: Iterable[Any], at: int) -> int:
        """Write buffers from ``at`` on. Return their checksum."""
        crc = 0
        for view in views:
            part = memoryview(view).cast("B")
            crc = crc64nvme(part, crc)
            self._write([part], at, part.nbytes)
            at += part.nbytes
        return crc

    def mark(self) -> Mark:
        """Return the end of the file as it is now."""
        return Mark(self._n_bytes, self._crc)

    def rollback(self, mark: Mark) -> None:
        """Forget what was appended since ``mark``: it will be written over, or cut off when the file is complete."""
        self._n_bytes, self._crc = mark.n_bytes, mark.crc

    def complete(self, header: bytes) -> tuple[int, str]:
        """Write the header and cut the file to its length. Return (bytes, checksum) of the whole file."""
        if len(header) != self._header_bytes:
            raise ValueError(f"the header has {len(header)} bytes, {self._header_bytes} were left free")
        if header:
            self._reserve(len(header))
            self._write([memoryview(header)], 0, len(header))
        self._cut_off(len(header) + self._n_bytes)
        crc = crc64nvme_combine(crc64nvme(header), self._crc, self._n_bytes) if header else self._crc
        return len(header) + self._n_bytes, f"crc64nvme:{crc:016x}"
