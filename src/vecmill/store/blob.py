"""Files wherever they lie, read by ranges: on disk or in a bucket."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from vecmill.errors import StoreError
from vecmill.store.bucket import Bucket
from vecmill.store.refusal import refusal

BLOCK_BYTES = 1024 * 1024


class Blob(Protocol):
    """A file: ``name`` for messages, ``base`` its name without folders, ``size`` in bytes. Raises StoreError."""

    @property
    def name(self) -> str: ...  # noqa: D102 - see above

    @property
    def size(self) -> int: ...  # noqa: D102

    def read(self, start: int, stop: int) -> bytes:
        """Return a range; less at the end of the file."""

    def read_into(self, start: int, out: memoryview) -> int:
        """Fill ``out`` from ``start`` on; return how many bytes there were."""

    def close(self) -> None:
        """Let go of the file."""


@dataclass(slots=True)
class LocalBlob:
    """A file on disk, opened when it is first read."""

    path: Path
    size: int
    _fd: int = -1

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def read(self, start: int, stop: int) -> bytes:
        """Return a range."""
        stop = min(stop, self.size)
        pieces: list[bytes] = []
        with self._refused():
            while start < stop:
                pieces.append(os.pread(self._opened(), stop - start, start))
                if not pieces[-1]:
                    break
                start += len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_into(self, start: int, out: memoryview) -> int:
        """Fill ``out``."""
        done = 0
        with self._refused():
            while done < len(out):
                got = os.preadv(self._opened(), [out[done:]], start + done)
                if got == 0:
                    break
                done += got
        return done

    def _opened(self) -> int:
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        return self._fd

    @contextmanager
    def _refused(self) -> Iterator[None]:
        try:
            yield
        except OSError as err:
            raise StoreError((err.strerror or str(err)).lower(), path=self.name, errno=err.errno) from err

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@dataclass(frozen=True, slots=True)
class BucketBlob:
    """An object. ``key`` is what its store knows it by. With an ``e_tag`` another version of it is refused."""

    bucket: Bucket
    key: str
    size: int
    store: Any = field(repr=False)
    e_tag: str | None = None

    @property
    def name(self) -> str:
        """The URL."""
        return f"{self.bucket.url}/{'/'.join(filter(None, (self.bucket.hidden_prefix, self.key)))}"

    def read(self, start: int, stop: int) -> bytes:
        """Return a range, by one request."""
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        try:
            options = {"range": (start, stop)} | ({"if_match": self.e_tag} if self.e_tag else {})
            return bytes(self.store.get(self.key, options=options).bytes())
        except Exception as err:
            raise refusal(err, self.name, self.bucket.secrets) from None

    def read_into(self, start: int, out: memoryview) -> int:
        """Fill ``out``, by one request."""
        found = self.read(start, start + len(out))
        out[: len(found)] = found
        return len(found)

    def close(self) -> None:
        """Nothing is held."""


class TailBlob:
    """A blob like the one that is given, of which the last ``n_bytes`` are read at once, and once."""

    def __init__(self, blob: Blob, n_bytes: int) -> None:
        self._blob, self._start = blob, max(0, blob.size - n_bytes)
        self._tail: bytes | None = None

    @property
    def name(self) -> str:
        """The name of the blob."""
        return self._blob.name

    @property
    def size(self) -> int:
        """Bytes."""
        return self._blob.size

    def read(self, start: int, stop: int) -> bytes:
        """Return a range."""
        if start < self._start:
            return self._blob.read(start, stop)
        if self._tail is None:
            self._tail = self._blob.read(self._start, self.size)
        return self._tail[start - self._start : stop - self._start]

    def read_into(self, start: int, out: memoryview) -> int:
        """Fill ``out``."""
        if start < self._start:
            return self._blob.read_into(start, out)
        found = self.read(start, start + len(out))
        out[: len(found)] = found
        return len(found)

    def close(self) -> None:
        """Close the blob."""
        self._blob.close()


@contextmanager
def closing(blob: Blob) -> Iterator[Blob]:
    """Close the file at the end of a block."""
    try:
        yield blob
    finally:
        blob.close()


class BlobFile(io.RawIOBase):
    """A blob as a file object, for libraries that seek and read."""

    def __init__(self, blob: Blob) -> None:
        super().__init__()
        self._blob = blob
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._blob.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, out: Any) -> int:
        """Fill ``out``."""
        got = self._blob.read_into(self._at, memoryview(out).cast("B"))
        self._at += got
        return got


def walk(blob: Blob, start: int, stop: int, step: int) -> Iterator[tuple[int, memoryview]]:
    """Yield (place, bytes) of a range in steps, in one buffer that is used again."""
    buffer = memoryview(bytearray(min(step, max(stop - start, 0))))
    while start < stop:
        got = blob.read_into(start, buffer[: min(step, stop - start)])
        if got == 0:
            return
        yield start, buffer[:got]
        start += got
