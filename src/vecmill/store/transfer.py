"""How objects are sent: size of parts, memory, time limits, and how often what fails is tried again."""

from __future__ import annotations

from dataclasses import dataclass

MB = 1024 * 1024
PUT_ATTEMPTS = 2
"""Puts of an object from memory; each of its requests has the attempts of `Transfer` beside that."""
MANIFEST_ATTEMPTS = 3
"""Puts of a manifest, which are sent once each: between them it is read back."""


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
