"""Values of a Parquet page, nulls left out: PLAIN, or bytes that are indexes into a dictionary of all bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vecmill._native import text as kernel
from vecmill.encode.blocks import Bytes, FixedBlock
from vecmill.encode.plan import ColumnPlan
from vecmill.formats.parquet.thrift import varint


class PageBody(NamedTuple):
    """The body of a page: how many level entries it has, how many of them without a value; levels, then values."""

    n_entries: int
    n_nulls: int
    parts: Sequence[bytes | Bytes]


def count_nulls(validity: Bytes | None) -> int:
    """Return how many rows are null."""
    return 0 if validity is None else len(validity) - int(np.count_nonzero(validity))


def valid_rows(block: FixedBlock) -> Bytes:
    """Return the rows that are not null."""
    return block.values if block.validity is None else block.values[block.validity.astype(bool)]


def plain_values(plan: ColumnPlan, block: FixedBlock) -> Bytes:
    """Return the values as in a page; a view where the block has that form."""
    form = plan.kind.parquet
    if form.physical == "BOOLEAN":
        return np.packbits(valid_rows(block).reshape(-1), bitorder="little")
    if form.physical == "BYTE_ARRAY":
        n, width = block.values.shape
        out = np.empty(n * (4 + width), np.uint8)
        return out[: kernel.fixed_byte_array_into(block.values, block.validity, out)]
    if form.physical == "INT32" and not form.dictionary and plan.width < 4:
        # Narrow integers have no physical type of their own.
        return valid_rows(block).view(plan.element).astype("<i4").view(np.uint8).reshape(-1)
    return valid_rows(block).reshape(-1)


def as_indexes(values: Bytes) -> list[bytes | Bytes]:
    """Return bytes as indexes into a dictionary: their width, one bit-packed run of groups of 8, zeros to its end."""
    n_groups = -(-len(values) // 8)
    run = varint(n_groups << 1 | 1) if n_groups else b""
    return [b"\x08" + run, values, bytes(8 * n_groups - len(values))]
