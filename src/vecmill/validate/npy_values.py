"""The values of an NPY column, block by block: what headers cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vecmill._native import half, scan, text
from vecmill.blobs import BLOCK_BYTES, walk
from vecmill.validate.context import Context
from vecmill.validate.findings import Findings
from vecmill.validate.sparse_form import FLOAT32_LIMIT
from vecmill.validate.texts import TextChecks, check_texts

if TYPE_CHECKING:
    from vecmill.validate.npy import NpyColumn

Array = NDArray[Any]


def scan_values(column: NpyColumn, context: Context, findings: Findings) -> None:
    """Look at the rows that the level asks for, as far as the file has them."""
    check = _check_for(column, findings)
    if check is None:
        return
    step = max(1, BLOCK_BYTES // column.row_bytes) * column.row_bytes
    blob = column.entry.blob
    assert blob is not None  # only such are given
    for first, last in context.ranges(column.present):
        start, stop = (column.start + row * column.row_bytes for row in (first, last))
        for place, block in walk(blob, start, stop, step):
            check(np.frombuffer(block, np.uint8), (place - column.start) // column.row_bytes)


def _check_for(column: NpyColumn, findings: Findings) -> Any:
    kind, descr = column.plan.kind, column.descr
    if descr.is_text:
        return _Texts(column, findings)
    if descr.kind in ("f4", "f8") and column.row_bytes:
        return _Floats(column, findings)
    if kind in ("float16_vector", "bfloat16_vector"):
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
        narrowed = dtype.itemsize == 8 and column.plan.kind != "double"
        if finite(values) < 0 and not (narrowed and np.abs(values).max(initial=0) >= FLOAT32_LIMIT):
            return
        matrix = values.reshape(-1, column.row_bytes // dtype.itemsize)
        wrong = ~np.isfinite(matrix)
        rule = "value-nan-vector" if column.plan.is_vector else "value-nan"
        words = "finite values" if column.plan.is_vector else "a finite value"
        self._add(rule, np.flatnonzero(wrong.any(axis=1)), first, words, matrix, wrong)
        if narrowed:
            wrong = np.isfinite(matrix) & (np.abs(matrix) >= FLOAT32_LIMIT)
            rows = np.flatnonzero(wrong.any(axis=1))
            self._add("value-vector-overflow", rows, first, "values within float32", matrix, wrong)


class _Halves(_Values):
    """float16 and bfloat16 vectors as bytes: finite."""

    def __call__(self, block: Array, first: int) -> None:
        bits = block[: len(block) // 2 * 2].view(np.uint16)
        is_float16 = self._column.plan.kind == "float16_vector"
        if (half.float16_finite if is_float16 else half.bfloat16_finite)(bits) < 0:
            return
        matrix = bits.reshape(-1, self._column.plan.dim)
        top = 0x7C00 if is_float16 else 0x7F80
        wrong = (matrix & top) == top
        rows = np.flatnonzero(wrong.any(axis=1))
        self._add("value-nan-half", rows, first, "finite values", matrix, wrong)


class _Texts(_Values):
    """Text: what the server drops or replaces, and its bytes; then what the field asks of it."""

    def __init__(self, column: NpyColumn, findings: Findings) -> None:
        super().__init__(column, findings)
        checks = TextChecks(column.plan, column.entry.name, findings, column.plan.name)
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
                self._findings.add_rows(
                    rule,
                    np.flatnonzero(flags & flag),
                    lambda _row, got=got: got,  # type: ignore[misc]
                    file=self._column.entry.name,
                    field=self._column.plan.name,
                    expected=expected,
                    first=first,
                )
        if not self._checks.reads_text:
            self._checks.lengths(n_bytes, np.arange(first, first + len(points)))
            return
        if not flags.any() and n_bytes.sum():
            out = np.empty(int(n_bytes.sum()), np.uint8)
            offsets = np.empty(len(points) + 1, np.int32)
            text.utf8_from_ucs4_into(points, offsets, out, False)
            check_texts(self._checks, offsets, out, np.arange(first, first + len(points)))
            return
        texts = [
            "" if flag & scan.NOT_TEXT else row.tobytes().decode("utf-32-le").replace("\0", "")
            for row, flag in zip(points, flags, strict=True)
        ]
        self._check([text.encode() for text in texts], first)

    def _bytes(self, block: Array, first: int) -> None:
        width = self._column.descr.itemsize
        rows = block.reshape(-1, width)
        empty = rows[:, 0] == 0
        if empty.any():
            self._findings.add_rows(
                "npy-bytes-empty",
                np.flatnonzero(empty),
                lambda _row: "an empty one",
                file=self._column.entry.name,
                field=self._column.plan.name,
                expected="a value",
                first=first,
            )
        # To the first NUL: that is where the server cuts.
        self._check([row.tobytes().partition(b"\0")[0] for row in rows], first)

    def _check(self, values: list[bytes], first: int) -> None:
        offsets = np.zeros(len(values) + 1, np.int32)
        np.cumsum([len(value) for value in values], out=offsets[1:])
        rows = np.arange(first, first + len(values))
        check_texts(self._checks, offsets, np.frombuffer(b"".join(values), np.uint8), rows)
