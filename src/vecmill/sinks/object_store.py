"""Files in a bucket: parts leave while they are written; an object is there when it is whole, or not at all.

No store can rename, so an object has its final key from the start, and is complete when its file is finished. What
publishes it is the manifest: an object that it does not list is not part of the output, whole as it may be.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from contextlib import ExitStack
from typing import Any

from vecmill.errors import StoreError
from vecmill.sinks.base import MANIFEST_NAME, SinkFile
from vecmill.sinks.local import OutputFile
from vecmill.sinks.object_files import SpooledFile, StreamFile
from vecmill.sinks.objects import Objects
from vecmill.sinks.refusal import code_of, knows_no_conditions
from vecmill.sinks.spool import spool_file

log = logging.getLogger(__name__)

_OWN_KEY = re.compile(r"[1-9][0-9]*(\.[a-z]+|/[^/]+)")
_MANIFEST_ATTEMPTS = 3


class ObjectFolder:
    """The objects of one segment, ``<token>/<name>`` or ``<token><suffix>``: the token is their number."""

    def __init__(self, objects: Objects, token: int, streams: set[StreamFile]) -> None:
        self._objects = objects
        self._token = token
        self._streams = streams
        self._files: list[StreamFile | SpooledFile] = []
        self._share: int | None = None
        self._suffix = ""
        self._published = False

    def create(self, name: str, header_bytes: int = 0) -> SinkFile:
        """Open an object of a set; one with a header waits until that is known."""
        path = f"{self._token}/{name}"
        if header_bytes:
            file = SpooledFile(self._objects, path, self._spool(name, header_bytes))
            self._files.append(file)
            return file
        return self._stream(path, gaps=False)

    def create_single(self, suffix: str, *, gaps: bool = False) -> SinkFile:
        """Open the only object of the segment."""
        self._suffix = suffix
        return self._stream(f"{self._token}{suffix}", gaps=gaps)

    def _stream(self, path: str, *, gaps: bool) -> StreamFile:
        file = StreamFile(self._objects, path, gaps=gaps)
        self._files.append(file)
        self._streams.add(file)
        return file

    def scratch(self, name: str) -> OutputFile:
        """Open a file that is never sent."""
        return self._spool(name, 0)

    def _spool(self, name: str, header_bytes: int) -> OutputFile:
        if self._share is None:
            self._share = self._objects.room.take(self._objects.largest_bytes)
        return spool_file(name, header_bytes, in_memory=self._share > 0)

    def publish(self, number: int) -> str:
        """Do nothing: the objects are there, and the manifest is about to list them. Their number is the token's."""
        del number
        self._published = True
        self._let_go()
        return f"{self._token}{self._suffix}"

    def withdraw(self) -> None:
        """Do nothing: a manifest that seems not to be replaced may have been, and only the answer was lost."""

    def drop(self) -> None:
        """Abort what is under way and delete what was completed, unless it was published."""
        with ExitStack() as stack:  # all of it, whatever a part of it raises
            if not self._published:
                stack.callback(self._objects.delete, [file.path for file in self._files])
            stack.callback(self._let_go)
            for file in self._files:
                stack.callback(file.close)

    def _let_go(self) -> None:
        self._streams.difference_update(file for file in self._files if isinstance(file, StreamFile))
        if self._share is not None:
            self._objects.room.give_back(self._share)
        self._share = 0 if self._share is not None else None


class ObjectSink:
    """A folder of a bucket. The first request of all claims it with a manifest that lists nothing."""

    hold_bytes = 32 * 1024 * 1024

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._streams: set[StreamFile] = set()
        self._manifest: str | None = None  # as it is in the bucket
        self._version: dict[str, str] | None = None  # of that; None: replace it whatever it is

    @property
    def where(self) -> str:
        """The folder, as a URL."""
        return self._objects.where

    def address(self, path: str) -> str:
        """Return the key of an object, as the bucket has it."""
        return "/".join(filter(None, (self._objects.address_prefix, path)))

    def open_segment(self, token: int) -> ObjectFolder:
        """Return a place for the objects of a segment. Nothing is sent yet."""
        return ObjectFolder(self._objects, token, self._streams)

    # -- the manifest

    def begin(self, manifest: str) -> None:
        """Put the manifest if there is none. Raises StoreError within 10 s if the bucket does not take it."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        key, data = self._objects.key(MANIFEST_NAME), manifest.encode()
        if self._manifest is not None:  # found by read_manifest
            return
        try:
            try:
                done = self._objects.reached(
                    MANIFEST_NAME, lambda store: obstore.put(store, key, data, mode="create", use_multipart=False)
                )
            except Exception as error:
                if not knows_no_conditions(error):
                    raise
                log.info("%s knows no conditional put", self.where)
                done = self._objects.reached(
                    MANIFEST_NAME, lambda store: obstore.put(store, key, data, use_multipart=False)
                )
        except AlreadyExistsError:
            name = self._objects.name(MANIFEST_NAME)
            raise StoreError("is there already; resume=True goes on from it", path=name) from None
        except Exception as error:
            raise self._objects.refusal(error, MANIFEST_NAME) from None
        self._note(manifest, done)

    def _note(self, text: str, done: Any) -> None:
        self._manifest = text
        self._version = {name: done[name] for name in ("e_tag", "version") if done.get(name) is not None} or None

    def replace_manifest(self, text: str) -> None:
        """Replace the manifest if it is still the one that this writer knows.

        A request whose answer was lost may have been done. So after any failure it is read back, which tells.
        """
        import obstore

        objects, before = self._objects, self._manifest
        for attempt in range(_MANIFEST_ATTEMPTS):
            mode: Any = "overwrite" if self._version is None else self._version
            try:
                key = objects.key(MANIFEST_NAME)
                self._note(text, obstore.put(objects.store, key, text.encode(), mode=mode, use_multipart=False))
                return
            except Exception as error:
                if self._version is not None and knows_no_conditions(error):
                    self._version = None
                    continue
                refused = objects.refusal(error, MANIFEST_NAME)
            try:
                found = self._get(objects.store)
            except Exception as error:
                refused.add_note(f"and it cannot be read back: {objects.refusal(error, MANIFEST_NAME).reason}")
                raise refused from None
            if found == text:
                return
            if found != before:
                raise StoreError("another writer has replaced it meanwhile", path=objects.name(MANIFEST_NAME))
            if attempt == _MANIFEST_ATTEMPTS - 1:
                raise refused

    def hold(self, n_bytes: int) -> bool:
        """Hold back what is appended to open objects that cannot have gaps, if there are any and it is not too much."""
        streams = [stream for stream in self._streams if stream.must_hold]
        if streams and n_bytes > self.hold_bytes:
            return False
        for stream in streams:
            stream.hold()
        return True

    def release(self) -> None:
        """Send what was held back."""
        for stream in list(self._streams):
            stream.release()

    def read_manifest(self) -> str | None:
        """Return the manifest that is there, if there is one. Raises StoreError within 10 s if nobody answers."""
        found: str | None
        try:
            found = self._objects.reached(MANIFEST_NAME, self._get)
        except Exception as error:
            raise self._objects.refusal(error, MANIFEST_NAME) from None
        self._manifest = found
        return found

    def _get(self, store: Any) -> str | None:
        import obstore

        try:
            reply = obstore.get(store, self._objects.key(MANIFEST_NAME))
            text = bytes(reply.bytes()).decode()
        except FileNotFoundError as error:
            if code_of(error) in ("NoSuchBucket", "ContainerNotFound"):
                raise
            return None
        self._note(text, reply.meta)
        return text

    # -- what others left

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
        if left and self._manifest is None:
            raise StoreError("is there, but no manifest lists it; delete it first", path=self._objects.name(left[0]))
        self._objects.delete(left)

    def end(self, *, is_empty: bool) -> None:
        """Delete the manifest if it lists nothing."""
        if is_empty and self._manifest is not None:
            self._objects.delete([MANIFEST_NAME])
