"""Checks of the values of Parquet columns, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmill._native import half
from vecmill.encode.arrow import list_layout, text_from_arrow
from vecmill.encode.dense import HALF_KERNELS
from vecmill.encode.plan import ColumnPlan
from vecmill.types.kind import FLOAT32
from vecmill.validate.context import Context
from vecmill.validate.findings import Findings
from vecmill.validate.text.columns import TextChecks, check_texts
from vecmill.validate.text.sparse import sparse_problem

Array = NDArray[Any]
PaArray = Any
_BATCH_BYTES = 2 * 1024 * 1024
_MAX_BATCH_ROWS = 65_536
_MOST_BATCH_BYTES = 16 * 1024 * 1024  # of what files hold beside what their fields say


def scan_columns(
    file: Any,
    group_rows: Sequence[int],
    plans: Sequence[ColumnPlan],
    widths: Mapping[str, int],
    name: str,
    context: Context,
    findings: Findings,
) -> None:
    """Check the rows of the context's level, one column after another.

    ``group_rows``: rows of each row group; ``widths``: bytes of a row in memory, by column.
    """
    import pyarrow as pa

    starts = np.cumsum([0, *group_rows])
    groups = _groups(context, starts)
    for plan in plans:
        check = ColumnCheck(plan, name, findings, taken=context.field_names)
        try:
            for first, array in _batches(file, plan, widths[plan.name], groups, starts, context):
                array.validate()
                check(array, first)
        except (pa.ArrowException, OSError, ValueError, OverflowError, NotImplementedError) as err:
            got = " ".join(str(err).split()) or type(err).__name__
            changed = "checksum verification failed" in got
            findings.add(
                "parquet-checksum" if changed else "parquet-pages",
                file=name,
                field=plan.name,
                expected="pages with the checksums that they tell" if changed else "pages that can be decoded",
                got=got,
            )


def _groups(context: Context, starts: Array) -> list[int]:
    n = len(starts) - 1
    if context.level == "full" or starts[-1] <= context.sample_rows:
        return list(range(n))
    wanted = {0, n // 2, n - 1}
    return sorted(wanted)


def _batches(
    file: Any, plan: ColumnPlan, row_bytes: int, groups: list[int], starts: Array, context: Context
) -> Iterator[tuple[int, PaArray]]:
    width = max(plan.dim * 4, plan.capacity * 4, 64)
    rows = max(1, min(_MAX_BATCH_ROWS, _BATCH_BYTES // width, _MOST_BATCH_BYTES // row_bytes))
    sampled = context.level == "sample" and starts[-1] > context.sample_rows
    share = max(1, context.sample_rows // max(len(groups), 1))
    for group in groups:
        at = 0
        for batch in file.iter_batches(rows, row_groups=[group], columns=[plan.name]):
            if sampled and at >= share:
                break
            taken = batch.column(0)
            yield int(starts[group]) + at, taken[: share - at] if sampled else taken
            at += len(taken)
        if not sampled and at != starts[group + 1] - starts[group]:
            raise ValueError(f"{at} values for the {starts[group + 1] - starts[group]} rows of row group {group}")


class ColumnCheck:
    """Checks one column of one file."""

    def __init__(
        self,
        plan: ColumnPlan,
        file: str,
        findings: Findings,
        *,
        label: str = "",
        inside: bool = False,
        taken: frozenset[str] = frozenset(),
    ) -> None:
        self._plan, self._file, self._findings = plan, file, findings
        self._label = label or plan.name
        self._inside = inside  # an array: a null is a null element
        self._texts = TextChecks(plan, file, findings, self._label, taken)

    def __call__(self, array: PaArray, first: int) -> None:
        """Check the rows of ``array``, numbered from ``first``."""
        self._check(array, np.arange(first, first + len(array)))

    def _check(self, array: PaArray, rows: Array) -> None:
        """Check values; ``rows``: (n,) the row number of each."""
        import pyarrow.types as pt

        if array.null_count:
            valid = np.asarray(array.is_valid())
            self._nulls(rows[~valid])
            array, rows = array.drop_null(), rows[valid]
        if len(array) == 0:
            return
        plan, kind = self._plan, array.type
        if pt.is_struct(kind):
            self._sparse_struct(array, rows)
        elif plan.kind.group == "struct":
            self._struct(array, rows)
        elif plan.kind.group == "array":
            self._array(array, rows)
        elif plan.is_vector:
            self._vector(array, rows)
        elif pt.is_string(kind):
            offsets, data = text_from_arrow(plan, array)
            check_texts(self._texts, np.ascontiguousarray(offsets, np.int32), data, rows)
        elif pt.is_floating(kind):
            self._floats(np.asarray(array.to_numpy(zero_copy_only=False)), rows)

    def _add(self, rule: str, rows: Array, got: Callable[[int], str], expected: str) -> None:
        # A row is told of once, however many of its elements are wrong.
        if len(rows):
            unique, where = np.unique(rows, return_index=True)
            self._findings.add_rows(
                rule, unique, lambda i: got(int(where[i])), file=self._file, field=self._label, expected=expected
            )

    def _nulls(self, rows: Array) -> None:
        plan = self._plan
        if self._inside:
            self._add("value-null-element", rows, lambda _i: "a null", "no null in it")
        elif not plan.nullable and plan.field.default_value is None:
            self._add("value-null", rows, lambda _i: "null", "a value: the field is not nullable")

    def _floats(self, values: Array, rows: Array) -> None:
        self._finite(values, rows, "value-nan", "a finite value")
        if values.dtype == np.float64 and self._plan.kind.floats is FLOAT32:
            wrong = np.flatnonzero(np.isfinite(values) & (np.abs(values) >= FLOAT32.overflow))
            self._add("value-range", rows[wrong], lambda i: str(values[wrong[i]]), "a value within float32")

    def _finite(self, values: Array, rows: Array, rule: str, expected: str) -> None:
        """Check that numbers are finite. ``values``: k for each row, k = len(values) // len(rows)."""
        finite = half.float32_finite if values.dtype == np.float32 else half.float64_finite
        flat = np.ascontiguousarray(values).reshape(-1)
        if flat.dtype not in (np.float32, np.float64) or finite(flat) < 0:
            return
        wrong = np.flatnonzero(~np.isfinite(flat))
        of = rows[wrong // max(1, len(flat) // max(1, len(rows)))]
        self._add(rule, of, lambda i: str(flat[wrong[i]]), expected)

    # -- vectors

    def _vector(self, array: PaArray, rows: Array) -> None:
        import pyarrow.types as pt

        plan = self._plan
        width, floats = plan.kind.n_elements(plan.dim), plan.kind.floats
        if pt.is_binary(array.type):
            self._byte_vectors(array, rows, width)
            return
        element = str(array.type.value_type)
        if plan.kind.is_bytes and element != "uint8":
            width = plan.dim
        starts, lengths, values = list_layout(array)
        wrong = np.flatnonzero(lengths != width)
        self._add("value-dim", rows[wrong], lambda i: f"{lengths[wrong[i]]}", f"{width} values")
        flat, of = _elements(starts, lengths, values, rows)
        if flat.null_count:
            self._add("value-null-element", of[np.asarray(flat.is_null())], lambda _i: "a null", "no null in it")
            flat = flat.fill_null(0)
        numbers = np.asarray(flat.to_numpy(zero_copy_only=False))
        if len(wrong):  # the others lie evenly
            even = np.repeat(lengths == width, lengths)
            numbers, of, rows = numbers[even], of[even], rows[lengths == width]
        if plan.kind.is_half and element == "uint8":
            self._halves(numbers, rows)
        elif element in ("float", "double") and floats is not None:
            self._finite(numbers, rows, "value-nan-vector", "finite values")
            if floats is not FLOAT32 or element == "double":
                over = np.flatnonzero(np.isfinite(numbers) & (np.abs(numbers) >= floats.overflow))
                expected = f"values within {floats.name}"
                self._add("value-vector-overflow", of[over], lambda i: str(numbers[over[i]]), expected)

    def _byte_vectors(self, array: PaArray, rows: Array, width: int) -> None:
        buffers = array.buffers()
        offsets = np.frombuffer(buffers[1], np.int32, len(array) + 1, array.offset * 4)
        lengths = np.diff(offsets)
        wrong = np.flatnonzero(lengths != width)
        rule = "value-dim" if self._plan.nullable else "value-bytes-dim"
        self._add(rule, rows[wrong], lambda i: f"{lengths[wrong[i]]}", f"{width} bytes")
        if self._plan.kind.is_bits or buffers[2] is None:
            return
        data = np.frombuffer(buffers[2], np.uint8)[offsets[0] : offsets[-1]]
        if len(wrong):
            data, rows = data[np.repeat(lengths == width, lengths)], rows[lengths == width]
        self._halves(data, rows)

    def _halves(self, data: Array, rows: Array) -> None:
        bits = np.ascontiguousarray(data).view(np.uint16)
        floats = self._plan.kind.floats
        if floats is None or HALF_KERNELS[floats].finite(bits) < 0:
            return
        wrong = np.flatnonzero((bits & floats.exponent) == floats.exponent)
        self._add(
            "value-nan-half", rows[wrong // self._plan.dim], lambda i: f"bits {bits[wrong[i]]:04x}", "finite values"
        )

    # -- arrays, structs

    def _count(self, array: PaArray, lengths: Array, rows: Array) -> None:
        """Check the lengths of lists."""
        import pyarrow.types as pt

        plan = self._plan
        if plan.nullable and not pt.is_fixed_size_list(array.type):
            empty = np.flatnonzero(lengths == 0)
            self._add("value-empty-list", rows[empty], lambda _i: "an empty list", "a list that is not empty")
        long = np.flatnonzero(lengths > plan.capacity)
        self._add("value-capacity", rows[long], lambda i: f"{lengths[long[i]]}", f"at most {plan.capacity} elements")

    def _array(self, array: PaArray, rows: Array) -> None:
        plan = self._plan
        starts, lengths, values = list_layout(array)
        self._count(array, lengths, rows)
        flat, of = _elements(starts, lengths, values, rows)
        self._part(plan.items[0], plan.name, flat, of)

    def _part(self, item: ColumnPlan, name: str, values: PaArray, rows: Array) -> None:
        ColumnCheck(item, self._file, self._findings, label=name, inside=True)._check(values, rows)

    def _struct(self, array: PaArray, rows: Array) -> None:
        plan = self._plan
        starts, lengths, values = list_layout(array)
        self._count(array, lengths, rows)
        flat, of = _elements(starts, lengths, values, rows)
        if flat.null_count:
            valid = np.asarray(flat.is_valid())
            self._add("value-null-element", of[~valid], lambda _i: "a null", "no null in it")
            flat, of = flat.drop_null(), of[valid]
        members = flat.flatten()
        for item in plan.items:
            self._part(item, f"{plan.name}[{item.name}]", members[flat.type.get_field_index(item.name)], of)

    def _sparse_struct(self, array: PaArray, rows: Array) -> None:
        for row, value in zip(rows.tolist(), array.to_pylist(), strict=True):
            if value["indices"] is None or value["values"] is None:
                self._add("value-null-element", rows[rows == row], lambda _i: "a null", "both indices and values")
                continue
            problem = sparse_problem(value)
            if problem is not None:
                rule, expected, got = problem
                # Wider integers are cut to 32 bits; of what is left, the largest one is refused.
                cut = rule == "value-sparse" and "at most" in expected and int(got) > 0xFFFFFFFF
                self._findings.add(
                    "value-sparse-index" if cut else rule,
                    file=self._file, field=self._label, row=row, expected=expected, got=got,
                )  # fmt: skip


def _elements(starts: Array, lengths: Array, values: PaArray, rows: Array) -> tuple[PaArray, Array]:
    """Return the elements of all lists in order, and the row number of each."""
    if len(starts) == 0 or lengths.sum() == 0:
        return values[:0], rows[:0]
    first, last = int(starts.min()), int((starts + lengths).max())
    if last - first == lengths.sum():
        return values[first:last], np.repeat(rows, lengths)
    import pyarrow as pa

    picked = np.concatenate([np.arange(s, s + n) for s, n in zip(starts.tolist(), lengths.tolist(), strict=True)])
    return values.take(pa.array(picked)), np.repeat(rows, lengths)
