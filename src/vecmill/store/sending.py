"""Bytes on their way to an object: gathered in part buffers, and handed to a thread that sends them.

The store client reads a buffer whenever it likes until its request has ended, so a buffer is used again only when the
client has let go of it: what is handed over is a view, and the end of the view gives the buffer back.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmill.errors import StoreError

Buffer = NDArray[np.uint8]


class Part:
    """A buffer that is filled from its start."""

    __slots__ = ("memory", "pooled", "used")

    def __init__(self, memory: Buffer, *, pooled: bool) -> None:
        self.memory = memory
        self.pooled = pooled
        self.used = 0

    @property
    def is_full(self) -> bool:
        """Whether nothing more fits."""
        return self.used == len(self.memory)

    def fill(self, data: memoryview) -> int:
        """Copy as much as fits; return how much."""
        n = min(data.nbytes, len(self.memory) - self.used)
        self.memory[self.used : self.used + n] = np.frombuffer(data[:n], np.uint8)
        self.used += n
        return n

    def view(self) -> Buffer:
        """Return what was filled."""
        return self.memory[: self.used]


class PartPool:
    """At most ``n_parts`` buffers of ``part_bytes``, made when first needed: what bounds the memory of all uploads.

    An open file holds one buffer that is not full; it waits for its next one only after it has handed that over. So
    with more buffers than files that stand still (a full segment of a batch that is not whole; segments that wait to
    be sealed: five in all), some are always free or on their way.
    """

    def __init__(self, part_bytes: int, n_parts: int) -> None:
        self.part_bytes = part_bytes
        # Unlike a Queue's, this put may be called by whatever thread drops the last reference, whatever that holds.
        self._free: SimpleQueue[Buffer | None] = SimpleQueue()
        for _ in range(n_parts):
            self._free.put(None)

    @property
    def n_free(self) -> int:
        """Buffers that nobody holds."""
        return self._free.qsize()

    def take(self) -> Part:
        """Return an empty part; wait until there is one."""
        memory = self._free.get()
        return Part(np.empty(self.part_bytes, np.uint8) if memory is None else memory, pooled=True)

    def extra(self) -> Part:
        """Return an empty part that does not count."""
        return Part(np.empty(self.part_bytes, np.uint8), pooled=False)

    def give_back(self, part: Part) -> None:
        """Return a part that is not handed over."""
        if part.pooled:
            self._free.put(part.memory)

    def lend(self, part: Part) -> Buffer:
        """Return the bytes of a part; when they are gone, its buffer is free again."""
        view = part.view()
        if part.pooled:
            weakref.finalize(view, self._free.put, part.memory).atexit = False
        return view


class Budget:
    """Time that the store may take for one object. What it takes to make the bytes does not count."""

    def __init__(self, seconds: float, name: str) -> None:
        self._seconds = seconds
        self._name = name
        self._spent = 0.0

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count the time that the body takes."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._spent += time.monotonic() - began

    def check(self) -> None:
        """Raise StoreError if nothing is left."""
        if self._spent > self._seconds:
            raise StoreError(f"given up: the store took more than {self._seconds:g} s for it", path=self._name)

    def parts(self, parts: Iterable[Any]) -> Iterator[Any]:
        """Yield the parts for the client, which asks for one when there is room for its request.

        Raises StoreError, out of which the client aborts the upload, when nothing is left.
        """
        for part in parts:
            began = time.monotonic()
            yield part
            del part  # else this frame holds it while it waits for the next
            self._spent += time.monotonic() - began
            self.check()


def cut(data: Any, part_bytes: int) -> Iterator[memoryview]:
    """Yield a buffer in parts."""
    view = memoryview(data)
    for start in range(0, len(view), part_bytes):
        yield view[start : start + part_bytes]


class UploadAborted(Exception):  # noqa: N818  no error: somebody has asked for it
    """Raised out of the stream of parts to make the client abort the upload."""


class PartStream:
    """The parts of one object, as the iterator that the client reads in a thread of its own.

    ``send`` is called there with the iterator. The thread is a daemon: of a writer that is never closed it must not
    keep the process from ending. Its result is in the future that ``end`` and ``abort`` read.
    """

    def __init__(self, send: Callable[[Iterator[Buffer]], object], name: str) -> None:
        self._queue: SimpleQueue[Buffer | UploadAborted | None] = SimpleQueue()
        self._future: Future[None] = Future()
        self._lock = threading.Lock()
        self._ended = False
        threading.Thread(target=self._run, args=(send,), name=name, daemon=True).start()

    def _run(self, send: Callable[[Iterator[Buffer]], object]) -> None:
        error: BaseException | None = None
        try:
            send(self._parts())
        except BaseException as caught:
            error = caught
        with self._lock:  # what comes now is dropped, so that its buffer is free again
            self._ended = True
            while not self._queue.empty():
                self._queue.get()
        if error is None:
            self._future.set_result(None)
        else:
            self._future.set_exception(error)

    def _parts(self) -> Iterator[Buffer]:
        while True:
            part = self._queue.get()
            if part is None:
                return
            if isinstance(part, UploadAborted):
                raise part
            yield part
            del part  # else this frame holds it while it waits for the next

    def put(self, part: Buffer) -> None:
        """Send a part. Raises what the upload has failed with, if it has."""
        with self._lock:
            if not self._ended:
                self._queue.put(part)
                return
        self._future.result()
        raise AssertionError("the upload has ended before its parts")

    def end(self) -> None:
        """Complete the object; wait for it. Raises what the upload has failed with."""
        self._queue.put(None)
        self._future.result()

    def abort(self) -> BaseException | None:
        """Remove what was sent; wait for it. Return what the upload had failed with before that."""
        self._queue.put(UploadAborted())
        error: Any = self._future.exception()
        return None if isinstance(error, UploadAborted) else error
