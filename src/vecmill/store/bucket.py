"""A bucket that can be reached, and how data are sent to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from vecmill.store.refusal import lacks_credentials, refusal

if TYPE_CHECKING:
    from obstore.store import ObjectStore

MB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """How objects are sent.

    Attributes
    ----------
    part_bytes: size of a part, at least 5 MiB. Larger where an object would have more than 10,000 parts.
    n_parts: parts that are gathered or under way at any time, of all objects together: what memory is bounded by.
    concurrency: parts of one object that are under way at the same time.
    part_seconds: after so long, a request counts as lost.
    retry_seconds, max_retries: a request that was lost, or answered with 429 or 5xx, is sent again until one of these
        is reached, with exponential backoff and jitter.
    file_seconds: after so long, one object is given up, whatever retries its requests still have; what the writer takes
        to make its bytes does not count. A request that is under way then is waited for: at most ``part_seconds`` and
        ``retry_seconds`` more.
    spool_bytes: memory for NPY segments, which are sent when they are whole; what does not fit waits in ``TMPDIR``.
        None is an eighth of the memory of the machine, or of what the process may have, but at least 512 MiB.
    unsigned_payload: on S3, sign the header of a request and not its bytes: hashing them takes a multiple of the time.
    checksum: of every part, checked by S3: "CRC64NVME", "SHA256", or None. A store that refuses it gets none.
    """

    part_bytes: int = 16 * MB
    n_parts: int = 10
    concurrency: int = 4
    part_seconds: float = 120
    retry_seconds: float = 60
    max_retries: int = 10
    file_seconds: float = 3600
    spool_bytes: int | None = None
    unsigned_payload: bool = True
    checksum: str | None = "CRC64NVME"

    def __post_init__(self) -> None:
        if self.part_bytes < 5 * MB:
            raise ValueError(f"part_bytes must be at least 5 MiB, the least that S3 takes; got {self.part_bytes}")
        if self.n_parts < 6:
            raise ValueError(f"n_parts must be at least 6, got {self.n_parts}")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket that can be reached.

    ``url`` is for messages. ``prefix`` begins all keys, as the bucket has them; ``hidden_prefix`` is what the store
    itself puts before that. ``secrets`` are not to be told.
    """

    url: str
    prefix: str
    _make: Callable[[Mapping[str, Any]], ObjectStore] = field(repr=False)
    secrets: Collection[str] = field(default=(), repr=False)
    takes_checksum: bool = False
    hidden_prefix: str = ""
    keeps_attributes: bool = True
    keeps_buffers: bool = False  # what is put stays a view of the caller's memory
    asks_machine: bool = False  # nothing gives credentials but the metadata service of the machine, if it has one

    def store(self, transfer: Transfer, *, checksum: bool = True) -> ObjectStore:
        """Return the store for sending data. Here, and nowhere else, it is said what is tried again and how often.

        Where only the machine can give credentials, it is asked first whether it does: most do not answer, for which a
        store that tries again needs a minute. Raises StoreError, also for what no store can be made of.
        """
        if self.asks_machine:
            self._check_machine(transfer)
        return self._open(
            transfer,
            checksum,
            seconds=min(transfer.part_seconds, transfer.file_seconds),
            retry_seconds=min(transfer.retry_seconds, transfer.file_seconds),
            max_retries=transfer.max_retries,
        )

    def hasty_store(self, transfer: Transfer, *, checksum: bool = True) -> ObjectStore:
        """Return a store that gives up after 5 s: to find out whether the bucket can be reached at all."""
        return self._open(transfer, checksum, seconds=4, retry_seconds=1, max_retries=5)

    def _check_machine(self, transfer: Transfer) -> None:
        try:
            self.hasty_store(transfer).head("vecmill")
        except Exception as error:  # whatever else it is, the first request will meet it again
            if lacks_credentials(error):
                raise refusal(error, self.url, self.secrets) from None

    def _open(
        self, transfer: Transfer, checksum: bool, *, seconds: float, retry_seconds: float, max_retries: int
    ) -> ObjectStore:
        options: dict[str, Any] = {
            "client_options": {
                "timeout": timedelta(seconds=seconds),
                "connect_timeout": timedelta(seconds=min(5, seconds)),
            },
            "retry_config": {"max_retries": max_retries, "retry_timeout": timedelta(seconds=retry_seconds)},
        }
        if self.takes_checksum:
            options["unsigned_payload"] = transfer.unsigned_payload
            if checksum and transfer.checksum is not None:
                options["checksum_algorithm"] = transfer.checksum
        try:
            return self._make(options)
        except Exception as error:
            raise refusal(error, self.url, self.secrets) from None
