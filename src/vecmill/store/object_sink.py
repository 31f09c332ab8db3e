"""Files in a bucket: parts leave while they are written; an object is there when it is whole, or not at all.

No store can rename, so an object has its final key from the start, and is complete when its file is finished. What
publishes it is the manifest: an object that it does not list is not part of the output, whole as it may be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from contextlib import ExitStack

from vecmill.errors import StoreError
from vecmill.store.bucket_manifest import BucketManifest
from vecmill.store.object_files import SpooledFile, StreamFile
from vecmill.store.objects import Objects, join_key
from vecmill.store.sink import ScratchFile, SinkFile
from vecmill.store.spool import DiskFile, MemoryFile

_OWN_KEY = re.compile(r"[1-9][0-9]*(\.[a-z]+|/[^/]+)")


class ObjectFolder:
    """The objects of one segment, ``<token>/<name>`` or ``<token><suffix>``: the token is their number."""

    def __init__(self, sink: ObjectSink, objects: Objects, token: int) -> None:
        self._sink = sink
        self._objects = objects
        self._token = token
        self._files: list[StreamFile | SpooledFile] = []
        self._share: int | None = None  # of the room, for files whose size is not known
        self._shares: list[int] = []  # for those whose size is
        self._suffix = ""
        self._published = False

    def create(self, name: str, header_bytes: int = 0) -> SinkFile:
        """Open an object of a set; one with a header waits until that is known."""
        path = f"{self._token}/{name}"
        if header_bytes:
            file = SpooledFile(self._objects, path, self._spool(name, header_bytes), self._sink.manifest.check_is_mine)
            self._files.append(file)
            return file
        return self._stream(path, gaps=False)

    def create_known(self, name: str, header: bytes, n_bytes: int) -> SinkFile:
        """Open an object of a set: one of several parts leaves while it is written, if not too many do already."""
        path = f"{self._token}/{name}"
        file: StreamFile | SpooledFile
        n_bytes += len(header)
        if n_bytes > self._objects.part_bytes and self._objects.slots.acquire(blocking=False):
            file = self._stream(path, gaps=True, on_close=self._objects.slots.release)
        else:
            file = SpooledFile(self._objects, path, self._spool(name, 0, n_bytes), self._sink.manifest.check_is_mine)
            self._files.append(file)
        file.append(header)
        return file

    def create_single(self, suffix: str, *, gaps: bool = False) -> SinkFile:
        """Open the only object of the segment."""
        self._suffix = suffix
        return self._stream(f"{self._token}{suffix}", gaps=gaps)

    def _stream(self, path: str, *, gaps: bool, on_close: Callable[[], object] = lambda: None) -> StreamFile:
        file = StreamFile(self._objects, path, self._sink.manifest.check_is_mine, gaps=gaps, on_close=on_close)
        self._files.append(file)
        self._sink.streams.add(file)
        return file

    def scratch(self, name: str, n_bytes: int | None = None) -> ScratchFile:
        """Open a file that is never sent."""
        return self._spool(name, 0, n_bytes)

    def _spool(self, name: str, header_bytes: int, n_bytes: int | None = None) -> MemoryFile | DiskFile:
        if n_bytes is not None:
            share = self._objects.room.take(n_bytes)
            self._shares.append(share)
        elif self._share is None:
            share = self._share = self._objects.room.take(self._objects.largest_bytes)
        else:
            share = self._share
        return MemoryFile(self._objects.memory, header_bytes) if share > 0 else DiskFile(name, header_bytes)

    def publish(self, number: int) -> str:
        """Do nothing: the objects are there, and the manifest is about to list them. Their number is the token's."""
        del number
        self._published = True
        self._let_go()
        return f"{self._token}{self._suffix}"

    def withdraw(self) -> None:
        """Let ``drop`` delete the objects, unless the manifest may list them all the same."""
        self._published = self._sink.manifest.is_unsure

    def drop(self) -> None:
        """Abort what is under way and delete what was completed, unless it was published."""
        with ExitStack() as stack:  # all of it, whatever a part of it raises
            if not self._published:
                stack.callback(self._objects.delete, [file.path for file in self._files if file.is_there])
            stack.callback(self._let_go)
            for file in self._files:
                stack.callback(file.close)

    def _let_go(self) -> None:
        self._sink.streams.difference_update(file for file in self._files if isinstance(file, StreamFile))
        if self._share is not None:
            self._objects.room.give_back(self._share)
        self._share = 0 if self._share is not None else None
        while self._shares:
            self._objects.room.give_back(self._shares.pop())


class ObjectSink:
    """A folder of a bucket. The first request of all claims it with a manifest that lists nothing."""

    hold_bytes = 32 * 1024 * 1024
    keeps_headless = True

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.manifest = BucketManifest(objects)
        self.streams: set[StreamFile] = set()  # open ones

    @property
    def where(self) -> str:
        """The folder, as a URL."""
        return self._objects.where

    def address(self, path: str) -> str:
        """Return the key of an object, as the bucket has it."""
        return join_key(self._objects.address_prefix, path)

    @property
    def manifest_name(self) -> str:
        """The URL of the manifest."""
        return self.manifest.name

    def open_segment(self, token: int) -> ObjectFolder:
        """Return a place for the objects of a segment. Nothing is sent yet."""
        return ObjectFolder(self, self._objects, token)

    def begin(self, manifest: str) -> None:
        """Put the manifest if none was found. Raises StoreError within 10 s if the bucket does not take it."""
        if self.manifest.text is None:
            self.manifest.begin(manifest)

    def replace_manifest(self, text: str) -> None:
        """Replace the manifest if it is still the one that this writer knows."""
        self.manifest.replace(text)

    def read_manifest(self) -> str | None:
        """Return the manifest that is there, if there is one. Raises StoreError within 10 s if nobody answers."""
        return self.manifest.read()

    def hold(self, n_bytes: int) -> bool:
        """Hold back what is appended to open objects that cannot have gaps, if there are any and it is not too much."""
        streams = [stream for stream in list(self.streams) if stream.must_hold]
        if streams and n_bytes > self.hold_bytes:
            return False
        for stream in streams:
            stream.hold()
        return True

    def release(self) -> None:
        """Send what was held back."""
        for stream in list(self.streams):
            stream.release()

    def clear(self, listed: Collection[str]) -> None:
        """Delete objects of a writer that the manifest does not list. Raises StoreError if there is no manifest."""
        import obstore

        folder = self._objects.key("")
        try:
            found = [
                one["path"].removeprefix(folder)
                for batch in obstore.list(self._objects.store, folder.rstrip("/") or None)
                for one in batch
            ]
        except Exception as error:
            raise self._objects.refusal(error, "") from None
        left = [path for path in found if _OWN_KEY.fullmatch(path) and path not in listed]
        if left and self.manifest.text is None:
            raise StoreError("is there, but no manifest lists it; delete it first", path=self._objects.name(left[0]))
        self._objects.delete(left)

    def end(self, *, is_empty: bool) -> None:
        """Delete the manifest if it lists nothing, for sure; keep no memory."""
        self._objects.memory.release()
        if is_empty:
            self.manifest.delete()
