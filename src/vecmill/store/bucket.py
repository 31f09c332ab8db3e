"""A bucket that can be reached, and how data are sent to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from vecmill.store.refusal import lacks_credentials, refusal
from vecmill.store.transfer import Transfer

if TYPE_CHECKING:
    from obstore.store import ObjectStore


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
