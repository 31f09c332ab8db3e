"""A file that is read from its beginning to its end, of which a piece is in memory."""

from __future__ import annotations

import re

from vecmill.store.blob import BLOCK_BYTES, Blob

_MAX_MARK = 4096
_BLANKS = re.compile(rb"[ \t\r\n]*")


class Window:
    """``data[at:]`` is what is in memory of the bytes not taken yet; ``data[0]`` is byte ``base`` of the file."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._next = 0
        self.data = b""
        self.at = 0
        self.base = 0

    @property
    def offset(self) -> int:
        """The place in the file."""
        return self.base + self.at

    def grow(self) -> bool:
        """Read on, as much again as there is; False at the end of the file."""
        rest = self.data[self.at :]
        size = max(4 * BLOCK_BYTES, len(rest))
        more = self._blob.read(self._next, self._next + size)
        self._next += len(more)
        self.base += self.at
        self.data, self.at = rest + more, 0
        return bool(more)

    def peek(self, n: int) -> bytes:
        """Return the next bytes, fewer at the end of the file."""
        while len(self.data) - self.at < n and self.grow():
            pass
        return self.data[self.at : self.at + n]

    def take(self, n: int) -> bytes:
        """Return the next bytes and go behind them."""
        found = self.peek(n)
        self.at += len(found)
        return found

    def skip_blanks(self) -> bool:
        """Go to the next byte that is no blank of JSON; False at the end of the file."""
        while True:
            found = _BLANKS.match(self.data, self.at)
            assert found is not None  # nothing is a match too
            self.at = found.end()
            if self.at < len(self.data):
                return True
            if not self.grow():
                return False

    def skip_to(self, mark: re.Pattern[bytes]) -> bool:
        """Go behind the next match of what is short; False when there is none up to the end of the file."""
        start = self.at
        while True:
            found = mark.search(self.data, start)
            if found is not None:
                self.at = found.end()
                return True
            self.at = max(self.at, len(self.data) - _MAX_MARK)
            start = 0
            if not self.grow():
                return False
