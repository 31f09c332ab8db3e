"""Files wherever they lie, read by ranges: on disk or in a bucket."""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Protocol

from vecmill.errors import StoreError
from vecmill.store.bucket import Bucket
from vecmill.store.refusal import refusal

BLOCK_BYTES = 1024 * 1024
_AHEAD_BYTES = 4 << 20
_BLOCKS_KEPT = 16  # 64 MiB: a few columns of a Parquet file are read in turns
_BLOCKS_AHEAD = 3
_SMALL_BYTES = 1 << 16


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


class WrappedBlob:
    """A blob that is read through this one: what adds something to the reading of any blob begins here."""

    def __init__(self, blob: Blob) -> None:
        self.blob = blob

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
        return self.blob.read(start, stop)

    def read_into(self, start: int, out: memoryview) -> int:
        """Fill ``out``."""
        return self.blob.read_into(start, out)

    def close(self) -> None:
        """Close the blob; a later read opens it again."""
        self.blob.close()


class TailBlob(WrappedBlob):
    """A blob of which the last ``n_bytes`` are read at once, and once."""

    def __init__(self, blob: Blob, n_bytes: int) -> None:
        super().__init__(blob)
        self._start = max(0, blob.size - n_bytes)
        self._tail: bytes | None = None

    def read(self, start: int, stop: int) -> bytes:
        """Return a range."""
        if start < self._start:
            return self.blob.read(start, stop)
        if self._tail is None:
            self._tail = self.blob.read(self._start, self.size)
        return self._tail[start - self._start : stop - self._start]

    def read_into(self, start: int, out: memoryview) -> int:
        """Fill ``out``."""
        if start < self._start:
            return self.blob.read_into(start, out)
        found = self.read(start, start + len(out))
        out[: len(found)] = found
        return len(found)


class Stopped(Exception):  # noqa: N818  a signal to threads, which no caller sees
    """No thread waits for what is read any more."""


class StoppableBlob(WrappedBlob):
    """A blob of which nothing is read once ``stop`` is set: that raises Stopped. For several threads."""

    def __init__(self, blob: Blob, stop: Event) -> None:
        super().__init__(blob)
        self._stop = stop

    def read(self, start: int, stop: int) -> bytes:
        """Return a range."""
        self._go_on()
        return self.blob.read(start, stop)

    def read_into(self, start: int, out: memoryview) -> int:
        """Fill ``out``."""
        self._go_on()
        return self.blob.read_into(start, out)

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise Stopped


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


class AheadFile(BlobFile):
    """An object as a file that is fetched ahead, since a request to a bucket takes long before its first byte.

    It keeps blocks. Behind one that is read in order the next ones are under way. A short look at some place (a header,
    a footer) is a request of its own. For one thread.
    """

    def __init__(self, blob: BucketBlob) -> None:
        super().__init__(blob)
        self._object = blob
        self._blocks: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._pool: ThreadPoolExecutor | None = None
        self._end = -1  # of the last read

    def readinto(self, out: Any) -> int:
        """Fill ``out``. Raises StoreError."""
        view = memoryview(out).cast("B")
        start, stop = self._at, min(self._at + len(view), self._object.size)
        if start >= stop:
            return 0
        in_order = start == self._end
        if not in_order and stop - start <= _SMALL_BYTES and start // _AHEAD_BYTES not in self._blocks:
            view[: stop - start] = self._whole(self._object.read(start, stop), stop - start)
        else:
            at = start
            while at < stop:
                number, offset = divmod(at, _AHEAD_BYTES)
                piece = memoryview(self._block(number, in_order or at > start))[offset : offset + stop - at]
                view[at - start : at - start + len(piece)] = piece
                at += len(piece)
        self._at = self._end = stop
        return stop - start

    def _block(self, number: int, in_order: bool) -> bytes:
        ahead = _BLOCKS_AHEAD if in_order or number - 1 in self._blocks else 0
        for one in range(number, number + ahead + 1):
            if one not in self._blocks and one * _AHEAD_BYTES < self._object.size:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(_BLOCKS_AHEAD, thread_name_prefix="vecmill-fetch")
                self._blocks[one] = self._pool.submit(self._object.read, one * _AHEAD_BYTES, (one + 1) * _AHEAD_BYTES)
        self._blocks.move_to_end(number)
        while len(self._blocks) > _BLOCKS_KEPT:
            self._blocks.popitem(last=False)[1].cancel()
        n_bytes = min(_AHEAD_BYTES, self._object.size - number * _AHEAD_BYTES)
        return self._whole(self._blocks[number].result(), n_bytes)

    def _whole(self, data: bytes, n_bytes: int) -> bytes:
        if len(data) != n_bytes:
            raise StoreError(f"is shorter than its {self._object.size} bytes", path=self._object.name)
        return data

    def close(self) -> None:
        """Let go of the blocks."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._blocks.clear()
        super().close()


def walk(blob: Blob, start: int, stop: int, step: int) -> Iterator[tuple[int, memoryview]]:
    """Yield (place, bytes) of a range in steps, in one buffer that is used again."""
    buffer = memoryview(bytearray(min(step, max(stop - start, 0))))
    while start < stop:
        got = blob.read_into(start, buffer[: min(step, stop - start)])
        if got == 0:
            return
        yield start, buffer[:got]
        start += got
