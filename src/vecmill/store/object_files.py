"""Objects while they are written: their bytes leave as parts, or wait where the first of them is known last."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from itertools import chain
from typing import Any

import numpy as np

from vecmill._native.crc64 import crc64nvme
from vecmill.store.objects import Objects
from vecmill.store.sending import Buffer, Part, PartStream
from vecmill.store.sink import Mark
from vecmill.store.spool import DiskFile, MemoryFile

log = logging.getLogger(__name__)


class StreamFile:
    """An object whose bytes leave as parts while it is written."""

    def __init__(
        self,
        objects: Objects,
        path: str,
        check: Callable[[], None],
        *,
        gaps: bool,
        on_close: Callable[[], object] = lambda: None,
    ) -> None:
        self.path = path
        self.is_there = False  # whole, in the bucket
        self._objects = objects
        self._check = check  # called before the object is completed
        self._gaps = gaps
        self._on_close: Callable[[], object] | None = on_close
        self._n_bytes = 0
        self._crc = 0
        self._part: Part | None = None  # the last one, not full
        self._held: list[Part] | None = None  # full ones that may have to be taken back
        self._stream: PartStream | None = None
        self._lock = threading.Lock()  # a segment may be sealed while another thread wants files to hold back
        self._is_finishing = False

    @property
    def n_bytes(self) -> int:
        """Bytes so far."""
        return self._n_bytes

    def append(self, *views: Any) -> None:
        """Copy buffers into parts; send those that are full."""
        for view in views:
            if not len(view):
                continue
            rest = memoryview(view).cast("B")
            self._crc = crc64nvme(rest, self._crc)
            self._n_bytes += rest.nbytes
            while rest.nbytes:
                if self._part is None:
                    # What is held back must not keep other files from going on.
                    pool = self._objects.pool
                    self._part = pool.take() if self._held is None else pool.extra()
                rest = rest[self._part.fill(rest) :]
                if self._part.is_full:
                    self._send()

    def append_lasting(self, view: Any) -> None:
        """Send a buffer from where it is."""
        if self._held is not None or not len(view):
            self.append(view)
            return
        self._send()
        data = np.frombuffer(memoryview(view).cast("B"), np.uint8)
        self._crc = crc64nvme(data, self._crc)
        self._n_bytes += data.nbytes
        self._put(data)

    def append_both(
        self, first: Iterable[Any], first_bytes: int, second: Iterable[Any], second_bytes: int, helper: Executor
    ) -> None:
        """Append one after the other."""
        del first_bytes, second_bytes, helper
        for view in chain(first, second):
            self.append(view)

    def _send(self) -> None:
        part, self._part = self._part, None
        if part is not None and self._held is None:
            self._put(self._objects.pool.lend(part))
        elif part is not None and self._held is not None:
            self._held.append(part)

    def _put(self, part: Buffer) -> None:
        if self._stream is None:
            self._stream = PartStream(self._upload, f"vecmill-upload-{self.path}")
        try:
            self._stream.put(part)
        except Exception as error:
            raise self._objects.refusal(error, self.path) from None

    def _upload(self, parts: Iterator[Buffer]) -> None:
        self._objects.put(self.path, self._objects.budget(self.path).parts(parts))

    def mark(self) -> Mark:
        """Return the end of the file as it is now."""
        return Mark(self._n_bytes, self._crc)

    @property
    def must_hold(self) -> bool:
        """Whether what is sent could not be taken back."""
        return not (self._gaps or self._is_finishing)

    def hold(self) -> None:
        """From now on send nothing, so that ``rollback`` can take it back; until ``release``."""
        with self._lock:
            if self.must_hold and self._held is None:
                self._held = []

    def release(self) -> None:
        """Send what was held back."""
        held, self._held = self._held, None
        for part in held or ():
            self._put(self._objects.pool.lend(part))

    def rollback(self, mark: Mark) -> None:
        """Forget what was appended since ``mark``; of a file that may have gaps, leave it where it is."""
        if self._gaps:
            return
        back = self._n_bytes - mark.n_bytes
        while back:
            if self._part is None:
                assert self._held, "bytes that have left cannot be taken back"
                self._part = self._held.pop()
            n = min(back, self._part.used)
            self._part.used -= n
            back -= n
            if back:
                self._objects.pool.give_back(self._part)
                self._part = None
        self._n_bytes, self._crc = mark.n_bytes, mark.crc

    def finish(self, header: bytes = b"") -> tuple[int, str]:
        """Send the rest, wait until the object is there."""
        assert not header
        with self._lock:
            self._is_finishing = True
        self.release()
        self._check()
        if self._stream is None:
            rest = [] if self._part is None else [self._part.view()]
            self._objects.put_again(self.path, rest, self._n_bytes)
        else:
            self._send()
            try:
                self._stream.end()
            except Exception as error:
                refused = self._objects.refusal(error, self.path)
                if not self._objects.is_whole(self.path, self._n_bytes):
                    raise refused from None
        self._stream = None
        self.is_there = True
        self.close()
        return self._n_bytes, f"crc64nvme:{self._crc:016x}"

    def close(self) -> None:
        """Abort the upload if it is not finished."""
        for part in (*(self._held or ()), self._part):
            if part is not None:
                self._objects.pool.give_back(part)
        self._held = self._part = None
        if self._on_close is not None:
            self._on_close()
            self._on_close = None
        stream, self._stream = self._stream, None
        if stream is not None:
            error = stream.abort()
            if error is not None:  # raised already, by the call that met it
                log.info("%s: %s", self._objects.name(self.path), self._objects.refusal(error, self.path).reason)


class SpooledFile:
    """An object that is gathered in memory or in TMPDIR, and sent when it is whole."""

    def __init__(self, objects: Objects, path: str, body: MemoryFile | DiskFile, check: Callable[[], None]) -> None:
        self.path = path
        self.is_there = False  # whole, in the bucket
        self._objects = objects
        self._body = body
        self._check = check
        self.append = body.append
        self.append_lasting = body.append
        self.append_both = body.append_both
        self.mark = body.mark
        self.rollback = body.rollback
        self.close = body.close

    @property
    def n_bytes(self) -> int:
        """Bytes so far, without the header."""
        return self._body.n_bytes

    def finish(self, header: bytes = b"") -> tuple[int, str]:
        """Write the header, send the object."""
        n_bytes, checksum = self._body.complete(header)
        self._check()
        self._objects.put_again(self.path, self._body.views(n_bytes), n_bytes)
        self.is_there = True
        self.close()
        return n_bytes, checksum
