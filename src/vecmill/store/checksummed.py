"""The checksum of a file that is looked at anyway: of every byte when it is first read."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from vecmill._native.crc64 import crc64nvme, crc64nvme_combine
from vecmill.store.blob import BLOCK_BYTES, Blob, WrappedBlob, walk

PREFIX = "crc64nvme:"


@dataclass(slots=True)
class _Piece:
    start: int
    stop: int
    crc: int


class ChecksummedBlob(WrappedBlob):
    """A blob that knows the checksum of what was read from it. For one thread at a time."""

    def __init__(self, blob: Blob) -> None:
        super().__init__(blob)
        self._pieces: list[_Piece] = []  # in their order, without overlap

    def read(self, start: int, stop: int) -> bytes:
        """Return a range."""
        found = self.blob.read(start, stop)
        self._take(start, found)
        return found

    def read_into(self, start: int, out: memoryview) -> int:
        """Fill ``out``."""
        got = self.blob.read_into(start, out)
        self._take(start, out[:got])
        return got

    def checksum(self) -> str:
        """Return the checksum of the whole file, as manifests tell it. What nobody has read is read now."""
        at = 0
        for piece in [*self._pieces, _Piece(self.size, self.size, 0)]:
            for _ in walk(self, at, piece.start, BLOCK_BYTES):
                pass
            at = piece.stop
        crc = 0
        for piece in self._pieces:
            crc = crc64nvme_combine(crc, piece.crc, piece.stop - piece.start)
        return f"{PREFIX}{crc:016x}"

    def _take(self, start: int, data: Any) -> None:
        """Add what is new of bytes that were read from ``start`` on."""
        view = memoryview(data)
        at, stop = start, start + len(view)
        while at < stop:
            i = bisect_right(self._pieces, at, key=lambda piece: piece.start)
            before = self._pieces[i - 1] if i else None
            if before is not None and before.stop > at:
                at = before.stop
                continue
            end = min(stop, self._pieces[i].start) if i < len(self._pieces) else stop
            part = view[at - start : end - start]
            if before is not None and before.stop == at:
                before.crc, before.stop = crc64nvme(part, before.crc), end
            else:
                self._pieces.insert(i, _Piece(at, end, crc64nvme(part)))
            at = end
