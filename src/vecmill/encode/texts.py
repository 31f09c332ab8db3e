"""Text columns of a batch: NumPy strings and Arrow strings -> UTF-8 with offsets, checked."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from vecmill._native import text as text_kernel
from vecmill.encode.blocks import Bytes, VariableBlock
from vecmill.encode.dense import native
from vecmill.encode.misfit import NOT_UTF8, Misfit
from vecmill.encode.plan import ColumnPlan
from vecmill.encode.values import normalise

TEXT_ROWS = 64 * 1024
# Offsets beyond this are counted anew: adding the size of a page to an offset must not overflow int32.
_FAR = 2**30


class NumpyText:
    """NumPy strings: ``<U`` or ``S`` (UTF-8)."""

    def __init__(self, plan: ColumnPlan, array: NDArray[Any]) -> None:
        self._plan = plan
        self._array = array

    def take(self, start: int, stop: int, max_bytes: int) -> VariableBlock:
        """See VariableSource."""
        plan = self._plan
        stop = min(stop, start + TEXT_ROWS)
        part = self._array[start:stop]
        try:
            units = native(part if part.dtype.kind == "U" else decoded(part))
        except Misfit as misfit:
            raise shifted(misfit, start) from None
        rows = units.view(np.uint32).reshape(len(units), -1)
        data = np.empty(max(max_bytes, 4 * rows.shape[1], 1), np.uint8)
        offsets = np.zeros(len(rows) + 1, np.int32)
        n, reason = text_kernel.utf8_from_ucs4_into(rows, offsets, data, plan.text_rules.refuse_nul)
        if reason == text_kernel.SURROGATE:
            wrong = ((rows[n] >= 0xD800) & (rows[n] < 0xE000)) | (rows[n] > 0x10FFFF)
            at = int(np.argmax(wrong))
            raise Misfit("text in Unicode", f"U+{int(rows[n, at]):04X}, no character, at position {at}", start + n)
        if n < len(rows) and not (reason == text_kernel.NO_ROOM and n > 0):
            refuse_text(plan, str(units[n]), start + n)
        return checked(plan, VariableBlock(offsets[: n + 1], data), start)


class ArrowText:
    """An Arrow string column: its own memory, once lengths and UTF-8 are checked."""

    def __init__(self, plan: ColumnPlan, offsets: NDArray[Any], data: Bytes, validity: Bytes | None) -> None:
        self._plan = plan
        self._offsets = offsets
        self._data = data
        self._validity = validity

    def take(self, start: int, stop: int, max_bytes: int) -> VariableBlock:
        """See VariableSource."""
        return checked(self._plan, self.cut(start, stop, max_bytes), start)

    def cut(self, start: int, stop: int, max_bytes: int) -> VariableBlock:
        """Return the rows from ``start`` on that fit in ``max_bytes``, at least one. They are not checked."""
        first = int(self._offsets[start])
        ends = self._offsets[start + 1 : min(stop, start + TEXT_ROWS) + 1]
        n = max(1, int(np.searchsorted(ends, first + max_bytes, side="right")))
        offsets = self._offsets[start : start + n + 1]
        data = self._data
        if offsets.dtype != np.int32 or offsets[-1] > _FAR:
            data = data[first : max(first, int(offsets[-1]))]
            offsets = (offsets - first).astype(np.int32)
        validity = None if self._validity is None else self._validity[start : start + n]
        return VariableBlock(offsets, data, validity)


def refuse_text(plan: ColumnPlan, value: str, row: int) -> NoReturn:
    """Raise the Misfit for a text value that a kernel refused."""
    try:
        normalise(plan, value)
    except Misfit as misfit:
        raise Misfit(misfit.expected, misfit.got, row) from None
    raise AssertionError(f"field {plan.name!r}, row {row}: a kernel refused text that Python takes")


def checked(plan: ColumnPlan, block: VariableBlock, first: int) -> VariableBlock:
    """Return a block of text. Raises Misfit for a value that the file cannot carry; ``first`` is its first row."""
    row, reason = text_kernel.check_text(block.offsets, block.data, plan.max_bytes, plan.text_rules, block.validity)
    if row < 0:
        return block
    raw = block.data[block.offsets[row] : block.offsets[row + 1]].tobytes()
    if reason == text_kernel.NOT_UTF8:
        raise Misfit(*NOT_UTF8, first + row)
    refuse_text(plan, raw.decode(), first + row)


def decoded(array: NDArray[Any]) -> NDArray[Any]:
    """Return bytes (n,) as strings. Raises Misfit for what is not UTF-8."""
    for row, raw in enumerate(array.tolist()):
        try:
            raw.decode()
        except UnicodeDecodeError:
            raise Misfit(*NOT_UTF8, row) from None
    return np.char.decode(array, "utf-8")


def shifted(misfit: Misfit, by: int) -> Misfit:
    """Return a Misfit whose rows are counted from ``by`` rows before."""
    return Misfit(misfit.expected, misfit.got, by if misfit.row is None else by + misfit.row)
