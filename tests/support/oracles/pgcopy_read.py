"""Twins of native/pgcopy_read.pyx: rows of PostgreSQL's binary COPY."""

from __future__ import annotations

import struct


def copy_rows(data: bytes) -> list[list[bytes | None]]:
    """``split_rows``: the fields of every row of binary COPY behind its header."""
    rows: list[list[bytes | None]] = []
    at = 0
    while True:
        (n,) = struct.unpack_from(">h", data, at)
        at += 2
        if n == -1:
            return rows
        row: list[bytes | None] = []
        for _ in range(n):
            (size,) = struct.unpack_from(">i", data, at)
            at += 4
            row.append(None if size < 0 else data[at : at + size])
            at += max(size, 0)
        rows.append(row)


def gathered(spans: list[bytes | None], skip: int, width: int, size: int) -> list[bytes]:
    """``gather_into``: ``size`` bytes of each span behind ``skip``, every number of ``width`` bytes turned around."""
    rows = []
    for span in spans:
        raw = bytes(size) if span is None else span[skip : skip + size]
        rows.append(b"".join(raw[i : i + width][::-1] for i in range(0, size, width)))
    return rows
