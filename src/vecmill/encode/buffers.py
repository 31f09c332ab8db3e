"""Column buffers of the kernel, made from a plan and filled from lists of Python values."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecmill._native import columns as kernel
from vecmill.encode.blocks import Bytes
from vecmill.encode.misfit import Misfit, describe
from vecmill.encode.plan import ColumnPlan
from vecmill.encode.values import normalise


def column_buffer(
    plan: ColumnPlan,
    capacity: int,
    values: Bytes,
    offsets: Any = None,
    validity: Bytes | None = None,
    room: int | None = None,
) -> kernel.ColumnBuffer:
    """Return the buffer of a column over memory of the caller's; see ColumnBuffer for what that must be."""
    return kernel.ColumnBuffer(
        name=plan.name, kind=plan.kind, capacity=capacity, values=values, width=plan.width,
        dim=plan.dim or plan.capacity, offsets=offsets, validity=validity, max_bytes=plan.max_bytes,
        refuse_nul=plan.refuse_nul, refuse_crlf=plan.refuse_crlf, null_text=plan.null_text, room=room,
        refuse_empty=plan.refuse_empty, default=plan.default,
        encode=plan.encode, items=[_item_buffer(item) for item in plan.items],
    )  # fmt: skip


def _item_buffer(plan: ColumnPlan) -> kernel.ColumnBuffer:
    """Return the buffer for one element of an array, on its way into the array's."""
    values = np.empty(plan.width or plan.max_bytes, np.uint8)
    return column_buffer(plan, 1, values, np.zeros(2, np.int32) if plan.is_variable else None)


def fill_list(buffer: kernel.ColumnBuffer, plan: ColumnPlan, values: list[Any], start: int, stop: int, row: int) -> int:
    """Put ``values[start:stop]`` into a column buffer from ``row`` on; return how many fitted."""
    taken = 0
    while True:
        k, status = buffer.fill(values, start + taken, stop, row + taken)
        taken += k
        if status in (kernel.OK, kernel.FULL):
            return taken
        if status == kernel.MISSING:
            raise Misfit(plan.expected_not_null, "None", start + taken)
        value = values[start + taken]
        try:
            plain = normalise(plan, value)
        except Misfit as misfit:
            raise Misfit(misfit.expected, misfit.got, start + taken) from misfit.__cause__
        k, status = buffer.fill([plain], 0, 1, row + taken)
        if status == kernel.FULL:
            return taken
        if status != kernel.OK:
            raise Misfit(plan.expected, describe(value), start + taken)
        taken += 1
