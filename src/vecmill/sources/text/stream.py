"""The bytes of a text file, packed or not, or of standard input, in blocks that a thread reads ahead."""

from __future__ import annotations

import shutil
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vecmill.errors import DataError, StoreError
from vecmill.sources.base import one_line
from vecmill.sources.remote import AnyPath, ObjectPath

MAX_ROW_BYTES = 64 << 20
"""Largest text of one row, which bounds the memory. The widest vector that Milvus takes has less than 1 MiB."""

STDIN = "-"
_HEADROOM = 1 << 20
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
# A zstd stream may begin with a skippable frame (pzstd writes one): magic 0x184D2A50 to 0x184D2A5F.
_SKIPPABLE = b"\x2a\x4d\x18"
_BOM = b"\xef\xbb\xbf"

Bytes = NDArray[np.uint8]
NOTHING: Bytes = np.empty(0, np.uint8)


class _Replay:
    """Standard input as a file that can be looked at before it is read: bytes are kept while ``keeps`` is True."""

    closed = False

    def __init__(self) -> None:
        self.kept = bytearray()
        self.position = 0
        self.keeps = True
        self.used = False

    def read(self, n: int = -1) -> bytes:
        if self.position < len(self.kept):
            piece = bytes(self.kept[self.position : self.position + n] if n >= 0 else self.kept[self.position :])
            self.position += len(piece)
            if not self.keeps and self.position == len(self.kept):
                self.kept, self.position = bytearray(), 0
            return piece
        piece = sys.stdin.buffer.read(n)
        if self.keeps:
            self.kept += piece
            self.position += len(piece)
        return piece

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return False

    def close(self) -> None:
        """Leave standard input open: it is not ours."""

    def flush(self) -> None:
        """Do nothing; pyarrow asks for it."""


class TextInput:
    """A file, an object in a bucket, or standard input (``-``); gzip and zstd are unpacked.

    ``spool``: copy standard input to a temporary file first, so that it can be read more than once. Otherwise it can be
    looked at, and then read once.
    """

    def __init__(self, path: str | AnyPath, *, spool: bool = True) -> None:
        self.name = str(path)
        self._object = path if isinstance(path, ObjectPath) else None
        self._replay: _Replay | None = None
        self._spooled: Any = None
        self.n_bytes = 0
        self.has_lines = True
        if self._object is not None:
            self.n_bytes = self._object.stat().st_size
        elif self.name != STDIN:
            try:
                self.n_bytes = Path(self.name).stat().st_size
            except OSError as err:
                raise self._store_error(err) from err
        elif spool:
            self._spooled = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the source)
            try:
                shutil.copyfileobj(sys.stdin.buffer, self._spooled, 1 << 20)
                self._spooled.flush()  # it is read through another descriptor
            except OSError as err:
                raise self._store_error(err) from err
            self.n_bytes = self._spooled.tell()
        else:
            self._replay = _Replay()

    def read_all(self, most: int) -> Bytes | None:
        """Return the whole text, unpacked. None: it has more than ``most`` bytes. Raises DataError, StoreError."""
        with Blocks(self, block_bytes=_HEADROOM) as blocks:
            text, final = bytearray(), False
            while not final and len(text) <= most:
                data, final = blocks.next(NOTHING)
                text += data.tobytes()
        return None if len(text) > most else np.frombuffer(text, np.uint8)

    def put_in_place(self, file: IO[bytes]) -> None:
        """Read the rows from this file from now on, which was made of the input: it has no lines of its own."""
        self._spooled, self._object, self._replay, self.has_lines = file, None, None, False

    def _store_error(self, err: OSError) -> StoreError:
        return StoreError((err.strerror or one_line(err)).lower(), path=self.name, errno=err.errno)

    def open(self, *, look: bool = False) -> Any:
        """Return a pyarrow file at the first decompressed byte. ``look``: more will be read later, from the beginning.

        Raises StoreError, also when standard input was read before.
        """
        import pyarrow as pa

        try:
            if self._replay is not None:
                replay = self._replay
                if replay.used:
                    raise StoreError("standard input can be read only once", path=self.name)
                replay.used = not look
                replay.position = 0
                replay.keeps = True
                magic = replay.read(4)
                replay.position = 0
                replay.keeps = look
                raw = pa.PythonFile(replay, "r")
            elif self._spooled is not None:
                # A descriptor of its own, so that two readers do not move each other's place.
                raw = pa.OSFile(f"/proc/self/fd/{self._spooled.fileno()}")
                magic = raw.read(4)
                raw.seek(0)
            else:
                raw = pa.OSFile(self.name) if self._object is None else pa.PythonFile(self._object.open(), "r")
                magic = raw.read(4)
                raw.seek(0)
        except StoreError:
            raise
        except OSError as err:
            raise self._store_error(err) from err
        if magic[:2] == _GZIP:
            return pa.CompressedInputStream(raw, "gzip")
        if magic == _ZSTD or (magic[1:] == _SKIPPABLE and 0x50 <= magic[0] < 0x60):
            return pa.CompressedInputStream(raw, "zstd")
        return raw


class Blocks:
    """The bytes of a `TextInput` in blocks of ``block_bytes``; the next block is read and unpacked while one is parsed.

    Two buffers take turns. The caller hands back the rest of a block, which stands before the bytes of the next one.
    ``look``: the file will be read again, from its beginning.
    """

    def __init__(self, source: TextInput, *, block_bytes: int, look: bool = False) -> None:
        self._name = source.name
        self._stream = source.open(look=look)
        self._size = block_bytes
        self._look = look
        self._headroom = min(_HEADROOM, block_bytes)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="vecmill-text")
        self._buffers = [np.empty(self._headroom + block_bytes, np.uint8) for _ in range(2)]
        # The first is smaller, so that parsing begins early.
        self._asked = block_bytes if look else -(-block_bytes // 8)
        self._coming: Future[int] = self._pool.submit(self._fill, self._buffers[0], self._asked)
        self._first = True

    def __enter__(self) -> Blocks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Not waited for: reading that was broken off may end here out of the garbage collector, at any place, also one
        # that holds a lock of `threading` which joining takes: a deadlock. The thread ends after its block. (Who only
        # looks does not end there, and reads the same input again.)
        self._pool.shutdown(wait=self._look, cancel_futures=True)
        if self._coming.done() and self._name != STDIN:
            self._stream.close()  # else with the last reference, which the thread has

    def next(self, tail: Bytes) -> tuple[Bytes, bool]:
        """Return ``tail`` with the next bytes behind it, and whether these are the last. Valid until the call after.

        Raises DataError for damaged or truncated compressed data, StoreError when the file cannot be read.
        """
        n = self._read()
        buffer = self._buffers[0]
        low = self._headroom
        if len(tail) > low:
            data = np.concatenate([tail, buffer[low : low + n]])
        else:
            buffer[low - len(tail) : low] = tail
            data = buffer[low - len(tail) : low + n]
        final = n < self._asked
        self._buffers.reverse()
        if not final:
            self._asked = self._size
            self._coming = self._pool.submit(self._fill, self._buffers[0], self._asked)
        if self._first:
            self._first = False
            data = self._without_mark(data)
        return data, final

    def _fill(self, buffer: Bytes, n_bytes: int) -> int:
        body = buffer[self._headroom : self._headroom + n_bytes]
        n = 0
        while n < len(body):
            more = self._stream.readinto(body[n:])
            if not more:
                break
            n += more
        return n

    def _read(self) -> int:
        try:
            return self._coming.result()
        except OSError as err:
            if err.errno is None:  # pyarrow's word for damaged data
                raise DataError(file=self._name, expected="whole compressed data", got=one_line(err)) from err
            raise StoreError((err.strerror or one_line(err)).lower(), path=self._name, errno=err.errno) from err

    def _without_mark(self, data: Bytes) -> Bytes:
        head = data[:3].tobytes()
        if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise DataError(file=self._name, expected="text in UTF-8", got="a file that begins as UTF-16 does")
        return data[3:] if head == _BOM else data
