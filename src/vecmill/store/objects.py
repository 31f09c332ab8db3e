"""What is put, read and deleted in one folder of a bucket, and how its refusals are worded."""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from itertools import chain
from typing import Any

from vecmill.errors import StoreError
from vecmill.store.bucket import Bucket
from vecmill.store.refusal import is_final, knows_no_checksum, refusal
from vecmill.store.sending import Budget, PartPool, cut
from vecmill.store.spool import Memory, Room, usual_room
from vecmill.store.transfer import PUT_ATTEMPTS, Transfer

log = logging.getLogger(__name__)

_MAX_PARTS = 10_000  # S3's limit for one object
_CHECKSUM = "crc64nvme"  # name of the attribute; Azure takes no hyphen in it


def join_key(*parts: str) -> str:
    """Return the key that parts make, any of which may be empty."""
    return "/".join(filter(None, parts))


class Client:
    """The store client of one bucket, made when it is first asked for. For several threads.

    ``checksum``: whether data are sent with checksums: until the store refuses them.
    """

    def __init__(self, bucket: Bucket, transfer: Transfer) -> None:
        self.bucket = bucket
        self.transfer = transfer
        self.checksum = bucket.takes_checksum and transfer.checksum is not None
        self._store: Any = None
        self._lock = threading.Lock()

    @property
    def store(self) -> Any:
        """The store that data are sent with."""
        with self._lock:
            if self._store is None:
                self._store = self.bucket.store(self.transfer, checksum=self.checksum)
            return self._store

    def hasty_store(self) -> Any:
        """Return a store that gives up soon; see `Bucket.hasty_store`."""
        return self.bucket.hasty_store(self.transfer, checksum=self.checksum)

    def forget_checksum(self, refused: StoreError) -> None:
        """Send without checksums from now on."""
        log.info("%s: %s; sending without checksums", self.bucket.url, refused.reason)
        with self._lock:
            self.checksum, self._store = False, None


class Objects:
    """One folder of a bucket: what is put, read and deleted there, and how refusals are worded. For several threads.

    Folders that are opened from this one share its client and its memory.
    """

    def __init__(self, bucket: Bucket, folder: str, transfer: Transfer, largest_bytes: int) -> None:
        self.bucket = bucket
        self.transfer = transfer
        self._client = Client(bucket, transfer)
        # An object may become somewhat larger than the segment it holds: one row is always taken.
        self.part_bytes = max(transfer.part_bytes, 2 * largest_bytes // _MAX_PARTS)
        self.pool = PartPool(self.part_bytes, transfer.n_parts)
        # Columns of NPY sets that leave while they are written: each may stand still with a part that is not full.
        self.slots = threading.BoundedSemaphore(transfer.n_parts // 2)
        self.room = Room(usual_room() if transfer.spool_bytes is None else transfer.spool_bytes)
        self.memory = Memory()
        self.largest_bytes = largest_bytes
        self._key = ""
        self._go_to(join_key(bucket.prefix, folder))

    def _go_to(self, key: str) -> None:
        self._key = key
        self.address_prefix = join_key(self.bucket.hidden_prefix, key)
        self.where = f"{self.bucket.url}/{self.address_prefix}"

    def below(self, folder: str) -> Objects:
        """Return a folder in this one."""
        return self._at(join_key(self._key, folder))

    def beside(self, other_name: Callable[[str], str]) -> Objects:
        """Return the folder beside this one whose name ``other_name`` makes of the name of this one."""
        above, slash, name = self._key.rpartition("/")
        return self._at(f"{above}{slash}{other_name(name)}")

    def above(self) -> tuple[Objects, str]:
        """Return the folder that this one is in, and the name that it has there."""
        folder, _, name = self._key.rpartition("/")
        return self._at(folder), name

    def _at(self, key: str) -> Objects:
        other = copy.copy(self)
        other._go_to(key)
        return other

    @property
    def store(self) -> Any:
        """The store that data are sent with."""
        return self._client.store

    def key(self, path: str) -> str:
        """Return the key of a path in the folder, as the store takes it."""
        return f"{self._key}/{path}" if self._key else path

    def name(self, path: str) -> str:
        """Return a path for messages."""
        return f"{self.where}/{path}"

    def refusal(self, error: BaseException, path: str) -> StoreError:
        """Return the StoreError for an error of the client."""
        return refusal(error, self.name(path), self.bucket.secrets)

    def reached(self, call: Callable[[Any], Any], until: float) -> Any:
        """Call with a hasty store, for the first requests. Raises StoreError if there is no answer ``until`` then.

        If the store does not know the checksum, no object gets one.
        """
        while True:
            future: Future[Any] = Future()
            store = self._client.hasty_store()
            threading.Thread(target=_resolve, args=(future, lambda s=store: call(s)), daemon=True).start()
            try:
                return future.result(max(0, until - time.monotonic()))
            except TimeoutError:
                raise StoreError("no answer in time", path=self.where) from None
            except Exception as error:
                if not (self._client.checksum and knows_no_checksum(error)):
                    raise
                self._client.forget_checksum(self.refusal(error, ""))

    def put(self, path: str, data: Any, **options: Any) -> dict[str, Any]:
        """Put an object as a whole. Returns its e_tag and version."""
        import obstore

        if self.bucket.keeps_buffers:
            data = map(bytes, data) if isinstance(data, Iterator) else bytes(data)
        return dict(
            obstore.put(
                self.store, self.key(path), data,
                chunk_size=self.part_bytes, max_concurrency=self.transfer.concurrency, **options,
            )
        )  # fmt: skip

    def budget(self, path: str) -> Budget:
        """Return the time that the store may take for an object."""
        return Budget(self.transfer.file_seconds, self.name(path))

    def put_again(self, path: str, views: Sequence[Any], n_bytes: int) -> None:
        """Put an object from memory; once more, if that fails in a way that may pass. Raises StoreError.

        ``views``: its ``n_bytes`` in pieces of any size.
        """
        budget = self.budget(path)
        attempt = 0
        while True:
            try:
                if n_bytes > self.part_bytes:
                    self.put(path, budget.parts(chain.from_iterable(cut(view, self.part_bytes) for view in views)))
                else:
                    with budget.spending():
                        self.put(path, views[0] if len(views) == 1 else b"".join(views))
                return
            except Exception as error:
                refused = self.refusal(error, path)
                if self.is_whole(path, n_bytes):
                    return
                if self._client.checksum and knows_no_checksum(error):
                    self._client.forget_checksum(refused)
                    continue
                attempt += 1
                if is_final(error) or attempt == PUT_ATTEMPTS:
                    raise refused from None
                budget.check()

    def holds(self, path: str, n_bytes: int, checksum: str) -> bool:
        """Whether an object is there that was sent with this size and checksum. Raises StoreError."""
        import obstore

        try:
            found = obstore.get(self.store, self.key(path), options={"head": True})
        except FileNotFoundError:
            return False
        except Exception as error:
            raise self.refusal(error, path) from None
        return bool(found.meta["size"] == n_bytes and found.attributes.get(_CHECKSUM) == checksum)

    def send(self, path: str, data: Iterator[Any] | bytes, checksum: str) -> None:
        """Put an object with its checksum beside it, where the store has room for that. Raises StoreError."""
        if isinstance(data, Iterator):
            data = self.budget(path).parts(data)
        try:
            self.put(path, data, **({"attributes": {_CHECKSUM: checksum}} if self.bucket.keeps_attributes else {}))
        except Exception as error:
            raise self.refusal(error, path) from None

    def is_whole(self, path: str, n_bytes: int) -> bool:
        """Whether an object of so many bytes is there: for when the last answer of an upload was lost."""
        import obstore

        try:
            return bool(obstore.head(self.store, self.key(path))["size"] == n_bytes)
        except Exception as error:
            log.info("%s: %s", self.name(path), self.refusal(error, path).reason)
            return False

    def delete(self, paths: Collection[str]) -> None:
        """Delete objects. Raises StoreError."""
        import obstore

        for path in paths:  # one by one: not every store can do more, and there are few
            try:
                obstore.delete(self.store, self.key(path))
            except FileNotFoundError:
                continue
            except Exception as error:
                raise self.refusal(error, path) from None


def _resolve(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)
