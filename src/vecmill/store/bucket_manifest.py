"""The manifest of a folder in a bucket: put and replaced on the condition that no other writer has done so."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from vecmill.errors import StoreError
from vecmill.store.notes import MANIFEST_NAME, notes_name
from vecmill.store.objects import Objects
from vecmill.store.refusal import code_of, is_final, knows_no_conditions, status_of
from vecmill.store.transfer import MANIFEST_ATTEMPTS

log = logging.getLogger(__name__)

_REACH_SECONDS = 9.5
_NOT_MINE = "another writer has put it; to go on where one has ended, open it with resume=True"

_Call = Callable[[Any], Any]


class BucketManifest:
    """The manifest of the folder ``objects``, as one writer knows it. All methods raise StoreError.

    Attributes
    ----------
    text: the manifest in the bucket. None: there is none, or nobody has asked.
    is_unsure: whether the bucket may have another manifest than ``text``.
    """

    def __init__(self, objects: Objects) -> None:
        self._notes = objects.beside(notes_name)
        self.name = self._notes.name(MANIFEST_NAME)
        self.text: str | None = None
        self.is_unsure = False
        self._version: dict[str, str] | None = None  # of the text; None: replace the manifest whatever it is
        self._putting = threading.Lock()  # held while the manifest is replaced

    def read(self) -> str | None:
        """Return the manifest, None if there is none. Raises StoreError within 10 s if nobody answers."""
        try:
            self.text = self._soon()(self._get)
        except Exception as error:
            raise self._notes.refusal(error, MANIFEST_NAME) from None
        return self.text

    def begin(self, text: str) -> None:
        """Put the manifest where none is. Raises StoreError within 10 s if the bucket does not take it."""
        self._put(text, {"mode": "create"}, self._soon())

    def create(self, text: str) -> None:
        """Put the manifest where none is, with all the patience of a transfer."""
        with self._putting:
            self._put(text, {"mode": "create"}, self._patiently)

    def replace(self, text: str) -> None:
        """Replace the manifest if it is still the one that this writer knows."""
        with self._putting:
            self._put(text, {} if self._version is None else {"mode": self._version}, self._patiently)

    def delete(self) -> None:
        """Delete the manifest if it is still the one that this writer knows."""
        if self.text is None or self.is_unsure:
            return
        with self._putting:
            if self._is_as_known():  # else another writer goes on here
                self._notes.delete([MANIFEST_NAME])

    def check_is_mine(self) -> None:
        """Raise StoreError if another writer has taken over: its objects may have the keys that are to be written now.

        No lock: between this and the next request it could still happen. But a writer that was paused, taken for dead
        and continued by another finds out before it does harm.
        """
        if self._is_as_known():
            return
        with self._putting:  # the one that was found may be our own, which another thread was putting meanwhile
            if not self._is_as_known():
                self.is_unsure = True
                raise StoreError(_NOT_MINE, path=self.name)

    def _put(self, text: str, options: dict[str, Any], reached: Callable[[_Call], Any]) -> None:
        """Put the manifest, on the condition that ``options`` say.

        Such a request is sent once: had it been done and its answer been lost, the condition would refuse it the
        second time. So after a failure the manifest is read back, which tells whether to send it again.
        """
        import obstore

        before, key, data = self.text, self._notes.key(MANIFEST_NAME), text.encode()
        refused = StoreError("could not be put", path=self.name)
        for attempt in range(MANIFEST_ATTEMPTS):
            try:
                put = partial(obstore.put, path=key, file=data, use_multipart=False, **options)
                self._remember(text, reached(put))
                return
            except StoreError:
                raise
            except Exception as error:
                refused = self._notes.refusal(error, MANIFEST_NAME)
                if options and knows_no_conditions(error):
                    log.info("%s: %s; put without a condition", self.name, refused.reason)
                    options = {}
                    continue
                if is_final(error):
                    raise refused from None
            found = self._read_back(reached, refused)
            if found == text:
                return
            if found != before:
                self.is_unsure = True
                raise StoreError(_NOT_MINE, path=self.name)
            if attempt == MANIFEST_ATTEMPTS - 1:
                raise refused
            if options and options["mode"] != "create":
                options = {"mode": self._version}  # of what was just read: some stores give an old one a new version
        raise refused

    def _read_back(self, reached: Callable[[_Call], Any], refused: StoreError) -> str | None:
        """Return the manifest after a put that failed as ``refused`` tells. Raises that error if nobody answers."""
        try:
            found: str | None = reached(self._get)
            return found
        except Exception as error:
            self.is_unsure = True
            second = self._notes.refusal(error, MANIFEST_NAME).reason
            if second != refused.reason:
                refused.add_note(f"and it cannot be read back: {second}")
            raise refused from None

    def _get(self, store: Any) -> str | None:
        import obstore

        try:
            reply = obstore.get(store, self._notes.key(MANIFEST_NAME))
            text = bytes(reply.bytes()).decode()
        except FileNotFoundError as error:
            if code_of(error) in ("NoSuchBucket", "ContainerNotFound"):
                raise
            return None
        self._remember(text, reply.meta)
        return text

    def _remember(self, text: str, found: Mapping[str, Any]) -> None:
        """Keep what the manifest is now, and its version, where the store has such."""
        self.text = text
        version = {name: found[name] for name in ("e_tag", "version") if found.get(name) is not None}
        self._version = version or None

    def _is_as_known(self) -> bool:
        import obstore

        known = (self._version or {}).get("e_tag")
        if known is None:
            return True
        try:
            return bool(obstore.head(self._notes.store, self._notes.key(MANIFEST_NAME))["e_tag"] == known)
        except FileNotFoundError:
            return False
        except Exception as error:
            if status_of(error) != 403:
                raise self._notes.refusal(error, MANIFEST_NAME) from None
            log.info("%s", self._notes.refusal(error, MANIFEST_NAME))  # may write, but not read
            return True

    def _soon(self) -> Callable[[_Call], Any]:
        return partial(self._notes.reached, until=time.monotonic() + _REACH_SECONDS)

    def _patiently(self, call: _Call) -> Any:
        return call(self._notes.store)
