"""Files that are looked at by several threads, until somebody has had enough."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event

from vecmill.store.blob import Blob


class Stopped(Exception):  # noqa: N818  a signal to the threads, which nobody sees
    """Nobody waits for the findings any more."""


@dataclass(frozen=True, slots=True)
class StoppableBlob:
    """A blob like the one that is given, of which nothing is read after ``stop`` is set: that raises Stopped."""

    blob: Blob
    stop: Event

    @property
    def name(self) -> str:
        """The name of the blob."""
        return self.blob.name

    @property
    def size(self) -> int:
        """Bytes."""
        return self.blob.size

    def read(self, start: int, stop: int) -> bytes:
        """Return a range."""
        self._go_on()
        return self.blob.read(start, stop)

    def read_into(self, start: int, out: memoryview) -> int:
        """Fill ``out``."""
        self._go_on()
        return self.blob.read_into(start, out)

    def close(self) -> None:
        """Close the blob."""
        self.blob.close()

    def _go_on(self) -> None:
        if self.stop.is_set():
            raise Stopped
