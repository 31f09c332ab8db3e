"""Parquet pages of arrays and struct arrays.

Levels of an optional list of optional elements (Dremel; Parquet's LogicalTypes.md, "Lists"): a null list 0, an empty
one 1, an element 3; within a struct, which is optional too, 4, and of a vector there, a list of its own, 6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecmill._native.pages import list_levels, struct_part_into, text_counts_into
from vecmill.encode.blocks import Bytes, FixedBlock, VariableBlock
from vecmill.encode.plan import ColumnPlan
from vecmill.formats.parquet.values import PageBody, as_indexes, plain_values


def nested_nbytes(plan: ColumnPlan, n_bytes: int) -> int:
    """Return the most bytes that ``n_bytes`` of packed values take in pages, without the part that rows add."""
    widest = max(4 // min(item.width, 4) if item.width and not item.is_vector else 1 for item in plan.items)
    vectors = sum(item.is_vector for item in plan.items)
    one = sum(item.width or 4 for item in plan.items)
    return n_bytes * widest + n_bytes // one * vectors * 16


def nested_page(plan: ColumnPlan, leaf: int, block: VariableBlock) -> PageBody:
    """Return the page of one leaf (a sub-field of a struct array; 0 of an array) for the rows of a block."""
    if plan.kind.group == "array":
        item = plan.items[0]
        counts, packed = _array_part(item, block)
        return _page(item, 3, counts, block.validity, packed, 0)
    item = plan.items[leaf]
    widths = np.array([one.width for one in plan.items], np.int64)
    counts = np.empty(block.n_rows, np.int64)
    packed = np.empty(block.n_bytes, np.uint8)
    used = struct_part_into(block.offsets, block.data, block.validity, widths, leaf, counts, packed)
    # Elements of the inner list: of a vector of bytes, its bytes.
    dim = item.width // item.element.itemsize if item.is_vector else 0
    return _page(item, 6 if item.is_vector else 4, counts, block.validity, packed[:used], dim)


def _array_part(item: ColumnPlan, block: VariableBlock) -> tuple[NDArray[np.int64], Bytes]:
    data = block.data[int(block.offsets[0]) : int(block.offsets[-1])]
    if item.is_variable:
        counts = np.empty(block.n_rows, np.int64)
        text_counts_into(block.offsets, block.data, counts)
        return counts, data
    return np.diff(block.offsets).astype(np.int64) // item.width, data


def _page(
    item: ColumnPlan, max_def: int, counts: NDArray[np.int64], validity: Bytes | None, packed: Bytes, dim: int
) -> PageBody:
    levels = list_levels(counts, validity, dim, max_def)
    without = int(np.count_nonzero(counts == 0))
    n_values = int(counts.sum()) * max(1, dim) + without
    if item.kind.parquet_nested.dictionary:
        return PageBody(n_values, without, [levels, *as_indexes(packed)])
    if item.is_variable or item.is_vector:
        return PageBody(n_values, without, [levels, packed])
    return PageBody(n_values, without, [levels, plain_values(item, FixedBlock(packed.reshape(-1, item.width)))])
