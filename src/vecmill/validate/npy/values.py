"""Checks of the values of an NPY column, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmill._native import half, text
from vecmill._native import scan_check as scan
from vecmill.encode.dense import HALF_KERNELS
from vecmill.encode.plan import ColumnPlan
from vecmill.store.blob import BLOCK_BYTES, walk
from vecmill.types.kind import FLOAT64
from vecmill.validate.context import Context
from vecmill.validate.entries import Entry
from vecmill.validate.findings import Findings
from vecmill.validate.npy.header import Descr
from vecmill.validate.text.columns import TextChecks, check_texts

Array = NDArray[Any]
_STEP_BYTES = 4 * BLOCK_BYTES  # within the cache that the cores share


@dataclass(frozen=True, slots=True)
class NpyColumn:
    """A file of a set that can be read. ``rows``: as in the header; ``present``: rows that the file has bytes for."""

    entry: Entry
    plan: ColumnPlan
    descr: Descr
    start: int
    rows: int
    present: int
    row_bytes: int


def scan_values(column: NpyColumn, context: Context, findings: Findings) -> None:
    """Check the rows of the context's level, as far as the file has them."""
    check = _check_for(column, context, findings)
    if check is None:
        return
    step = max(1, _STEP_BYTES // column.row_bytes) * column.row_bytes
    blob = column.entry.blob
    assert blob is not None  # only such are given
    for first, last in context.ranges(column.present):
        at, stop = (column.start + row * column.row_bytes for row in (first, last))
        for place, block in walk(blob, at, stop, step):
            at = place + len(block)
            whole = len(block) - len(block) % column.row_bytes
            check(np.frombuffer(block[:whole], np.uint8), (place - column.start) // column.row_bytes)
            if whole < len(block):
                break
        if at < stop:
            findings.add(
                "npy-text-truncated" if column.descr.is_text else "npy-truncated",
                file=column.entry.name,
                field=column.plan.name,
                offset=at,
                expected=f"{blob.size} bytes, as there were at first",
                got=f"{at} bytes: it has become shorter",
            )
            return


def _check_for(column: NpyColumn, context: Context, findings: Findings) -> Any:
    descr = column.descr
    if descr.is_text:
        return _Texts(column, context, findings)
    if descr.kind in ("f4", "f8") and column.row_bytes:
        return _Floats(column, findings)
    if column.plan.kind.is_half:
        return _Halves(column, findings)
    return None


class _Values:
    def __init__(self, column: NpyColumn, findings: Findings) -> None:
        self._column, self._findings = column, findings

    def _add(self, rule: str, rows: Array, first: int, expected: str, matrix: Array, wrong: Array) -> None:
        def got(i: int) -> str:
            row = rows[i]
            at = int(np.argmax(wrong[row]))
            return f"{matrix[row][at]!s} at position {at}" if self._column.plan.is_vector else f"{matrix[row][0]!s}"

        self._findings.add_rows(
            rule,
            rows,
            got,
            file=self._column.entry.name,
            field=self._column.plan.name,
            expected=expected,
            first=first,
        )


class _Floats(_Values):
    """FLOAT, DOUBLE and float vectors: finite, and small enough where they are narrowed."""

    def __call__(self, block: Array, first: int) -> None:
        column = self._column
        dtype = np.dtype(f"{'>' if column.descr.big else '<'}{column.descr.kind}")
        values = block[: len(block) // dtype.itemsize * dtype.itemsize].view(dtype)
        if column.descr.big:
            values = values.astype(dtype.newbyteorder("="))
        finite = half.float32_finite if dtype.itemsize == 4 else half.float64_finite
        floats = column.plan.kind.floats or FLOAT64
        limit = np.inf if floats.name == f"float{8 * dtype.itemsize}" else floats.overflow
        if finite(values) < 0 and (limit == np.inf or np.abs(values).max(initial=0) < limit):
            return
        matrix = values.reshape(-1, column.row_bytes // dtype.itemsize)
        wrong = ~np.isfinite(matrix)
        rule = "value-nan-vector" if column.plan.is_vector else "value-nan"
        words = "finite values" if column.plan.is_vector else "a finite value"
        self._add(rule, np.flatnonzero(wrong.any(axis=1)), first, words, matrix, wrong)
        wrong = np.isfinite(matrix) & (np.abs(matrix) >= limit)
        rows = np.flatnonzero(wrong.any(axis=1))
        self._add("value-vector-overflow", rows, first, f"values within {floats.name}", matrix, wrong)


class _Halves(_Values):
    """Vectors of 16-bit floats as bytes: finite."""

    def __call__(self, block: Array, first: int) -> None:
        bits = block[: len(block) // 2 * 2].view(np.uint16)
        floats = self._column.plan.kind.floats
        if floats is None or HALF_KERNELS[floats].finite(bits) < 0:
            return
        matrix = bits.reshape(-1, self._column.plan.dim)
        wrong = (matrix & floats.exponent) == floats.exponent
        rows = np.flatnonzero(wrong.any(axis=1))
        self._add("value-nan-half", rows, first, "finite values", matrix, wrong)


class _Texts(_Values):
    """Text: what the server drops or replaces, and its bytes; then what the field asks of it."""

    def __init__(self, column: NpyColumn, context: Context, findings: Findings) -> None:
        super().__init__(column, findings)
        checks = TextChecks(column.plan, column.entry.name, findings, column.plan.name, context.field_names)
        # The server does not measure text of type S.
        self._checks = checks if column.descr.kind == "U" else checks.with_rule("value-text-length", "npy-bytes-length")

    def __call__(self, block: Array, first: int) -> None:
        if self._column.descr.kind == "U":
            self._unicode(block, first)
        else:
            self._bytes(block, first)

    def _unicode(self, block: Array, first: int) -> None:
        width = self._column.descr.itemsize // 4
        points = block[: len(block) // 4 * 4].view(">u4" if self._column.descr.big else "<u4").reshape(-1, width)
        points = np.ascontiguousarray(points, np.uint32)
        n_bytes, flags = np.empty(len(points), np.int64), np.empty(len(points), np.uint8)
        if scan.scan_ucs4(points, n_bytes, flags):
            for rule, flag, expected, got in (
                ("npy-text-nul", scan.HAS_NUL, "text without U+0000", "U+0000 before its end"),
                ("npy-text-code", scan.NOT_TEXT, "code points that are characters", "a surrogate, or no code point"),
            ):  # fmt: skip
                self._tell(rule, flags & flag, first, expected, got)
        if not self._checks.reads_text:
            self._checks.lengths(n_bytes, np.arange(first, first + len(points)))
            return
        if not flags.any() and n_bytes.sum():
            out = np.empty(int(n_bytes.sum()), np.uint8)
            offsets = np.empty(len(points) + 1, np.int32)
            text.utf8_from_ucs4_into(points, offsets, out, False)
            check_texts(self._checks, offsets, out, np.arange(first, first + len(points)))
            return
        # As the server does: what is no character becomes U+FFFD, a U+0000 nothing.
        texts = [row.tobytes().decode("utf-32-le", "replace").replace("\0", "") for row in points]
        self._check([text.encode() for text in texts], first)

    def _bytes(self, block: Array, first: int) -> None:
        rows = block.reshape(-1, self._column.descr.itemsize)
        filled = rows != 0
        # To the first NUL: that is where the server cuts, if it is not the first byte.
        kept = np.logical_and.accumulate(filled, axis=1)
        n_bytes = kept.sum(axis=1)
        n_filled = filled.sum(axis=1)
        for rule, wrong, expected, got in (
            ("npy-bytes-empty", n_filled == 0, "a value", "an empty one"),
            ("npy-text-nul", n_filled != n_bytes, "text without U+0000", "U+0000 before its end"),
        ):  # fmt: skip
            self._tell(rule, wrong, first, expected, got)
        offsets = np.zeros(len(rows) + 1, np.int32)
        np.cumsum(n_bytes, out=offsets[1:])
        check_texts(self._checks, offsets, rows[kept], np.arange(first, first + len(rows)))

    def _tell(self, rule: str, wrong: Array, first: int, expected: str, got: str) -> None:
        self._findings.add_rows(
            rule,
            np.flatnonzero(wrong),
            lambda _row: got,
            file=self._column.entry.name,
            field=self._column.plan.name,
            expected=expected,
            first=first,
        )

    def _check(self, values: list[bytes], first: int) -> None:
        offsets = np.zeros(len(values) + 1, np.int32)
        np.cumsum([len(value) for value in values], out=offsets[1:])
        rows = np.arange(first, first + len(values))
        check_texts(self._checks, offsets, np.frombuffer(b"".join(values), np.uint8), rows)
