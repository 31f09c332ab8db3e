"""Checks of NPY column sets: names, headers, sizes and rows; `values` checks the values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from vecmill.encode.plan import ColumnPlan
from vecmill.store.blob import closing
from vecmill.types.kind import HALVES_CAST
from vecmill.validate.context import Context
from vecmill.validate.entries import Entry, ImportFile
from vecmill.validate.findings import Findings, Unreadable
from vecmill.validate.npy.header import Descr, NpyHeader, parse_descr, read_header
from vecmill.validate.npy.values import NpyColumn, scan_values

# Wider than any value that a field may have, in code points; what is wider cannot be looked at in bounded memory.
MAX_TEXT_WIDTH = 4_194_304


@dataclass(frozen=True, slots=True)
class _Told:
    """The row count in a header that was read."""

    entry: Entry
    plan: ColumnPlan
    rows: int


def check_set(file: ImportFile, context: Context, findings: Findings, pool: Executor) -> int | None:
    """Check one set. Return its row count. None: no header could be read."""
    named: dict[str, Entry] = {}
    # Of names with another ending, which are told of, something is meant too.
    given = {entry.base.removesuffix(entry.ending) for entry in file.entries}
    for entry in file.entries:
        name = entry.base.removesuffix(".npy")
        if entry.ending != ".npy":
            continue
        if name in named:
            findings.add("column-twice", file=entry.name, field=name, expected="one file a field", got="a second one")
        elif context.knows(name, given, entry.name, findings) and entry.blob is not None:
            named[name] = entry
    context.require(given, file.entries[0].name.removesuffix(file.entries[0].base) or ".", findings)

    def one(name: str) -> tuple[_Told | None, Findings]:
        own = findings.like()
        entry = named[name]
        assert entry.blob is not None  # only such were taken
        with closing(entry.blob):
            told, column = _column(entry, context.plans[name], own)
            if column is not None and context.level != "headers":
                scan_values(column, context, own)
        return told, own

    # In the schema's order, whatever order they were named in.
    results = _run(pool, one, [name for name in context.plans if name in named])
    columns: list[_Told] = []
    for told, own in results:
        findings.merge(own)
        if told is not None:
            columns.append(told)
    _compare_rows(columns, findings)
    for told in columns:
        listed = told.entry.listed
        if listed is not None and listed.rows != told.rows:
            findings.add(
                "manifest-rows",
                file=told.entry.name,
                field=told.plan.name,
                expected=f"{listed.rows} rows",
                got=f"{told.rows}",
            )
    return min((told.rows for told in columns), default=None)


def _run(
    pool: Executor, act: Callable[[str], tuple[_Told | None, Findings]], names: Sequence[str]
) -> Iterable[tuple[_Told | None, Findings]]:
    return list(pool.map(act, names)) if len(names) > 1 else [act(name) for name in names]


def _compare_rows(columns: Sequence[_Told], findings: Findings) -> None:
    if len({column.rows for column in columns}) > 1:
        counts = [column.rows for column in columns]
        usual = max(counts, key=counts.count)
        like = next(column for column in columns if column.rows == usual)
        for column in columns:
            if column.rows != usual:
                findings.add(
                    "npy-rows",
                    file=column.entry.name,
                    field=column.plan.name,
                    expected=f"{usual} rows, as in {like.entry.base}",
                    got=f"{column.rows}",
                )
    elif columns and columns[0].rows == 0:
        findings.add("file-no-rows", file=columns[0].entry.name, expected="rows", got="none")


def _column(entry: Entry, plan: ColumnPlan, findings: Findings) -> tuple[_Told | None, NpyColumn | None]:
    """Check a header. Return (row count, column); None: it has no shape, its values cannot be read."""
    blob = entry.blob
    assert blob is not None
    if blob.size == 0:
        findings.add("file-empty", file=entry.name, field=plan.name, expected="an NPY file", got="0 bytes")
        return None, None
    try:
        header = read_header(blob)
    except Unreadable as wrong:
        findings.add(
            wrong.rule, file=entry.name, field=plan.name, offset=wrong.offset, expected=wrong.expected, got=wrong.got
        )
        return None, None
    told = _Told(entry, plan, header.shape[0]) if header.shape else None
    descr = parse_descr(header.descr)
    if descr is None:
        findings.add(
            "npy-descr", file=entry.name, field=plan.name, expected=f"the type {_wanted(plan)}", got=repr(header.descr)
        )
    elif not _is_type_of(plan, descr, header, entry, findings):
        descr = None
    if not _is_shape_of(plan, descr, header, entry, findings) or descr is None:
        return told, None
    return told, _measured(entry, plan, descr, header, findings)


def _wanted(plan: ColumnPlan) -> str:
    order = {"b1": "|", "i1": "|", "u1": "|"}
    kinds = plan.kind.npy
    names = [f"{kind}<n>" if kind in ("U", "S") else f"{order.get(kind, '<')}{kind}" for kind in kinds]
    return " or ".join(repr(name) for name in names) or "of another format"


def _is_type_of(plan: ColumnPlan, descr: Descr, header: NpyHeader, entry: Entry, findings: Findings) -> bool:
    half_floats = plan.kind.is_half and descr.kind in ("f4", "f8")
    if descr.kind not in plan.kind.npy:
        older = [line for line in findings.lines if line < HALVES_CAST or not half_floats]
        before = findings.counts["npy-dtype"]
        if older:
            findings.add(
                "npy-dtype",
                file=entry.name,
                field=plan.name,
                expected=f"the type {_wanted(plan)} for {plan.field.dtype.name}",
                got=repr(header.descr),
                lines=older,
            )
        if findings.counts["npy-dtype"] > before or not half_floats:
            return False
    if descr.is_text and not 0 < descr.itemsize <= MAX_TEXT_WIDTH * (4 if descr.kind == "U" else 1):
        findings.add(
            "npy-text-width",
            file=entry.name,
            field=plan.name,
            expected=f"a width from 1 to {MAX_TEXT_WIDTH}",
            got=repr(header.descr),
        )
        return False
    return True


def _is_shape_of(plan: ColumnPlan, descr: Descr | None, header: NpyHeader, entry: Entry, findings: Findings) -> bool:
    """Check shape and order. ``descr`` None: the type is wrong already."""
    if len(header.shape) != (2 if plan.is_vector else 1):
        expected = f"(n, {_width(plan, descr)})" if plan.is_vector else "(n,)"
        findings.add(
            "npy-shape", file=entry.name, field=plan.name, expected=f"the shape {expected}", got=str(header.shape)
        )
        return False
    if not plan.is_vector:
        return True
    fits = True
    # How many bytes of what a dimension would be is not known of another type.
    if header.shape[1] != _width(plan, descr) and (descr is not None or not plan.kind.is_bytes):
        findings.add(
            "value-dim",
            file=entry.name,
            field=plan.name,
            expected=f"the shape (n, {_width(plan, descr)}) for {plan.dim} dimensions",
            got=str(header.shape),
        )
        fits = False
    if header.fortran and min(header.shape) > 1:
        findings.add(
            "npy-fortran", file=entry.name, field=plan.name, expected="fortran_order False", got="fortran_order True"
        )
        fits = False
    return fits


def _width(plan: ColumnPlan, descr: Descr | None) -> int:
    return plan.kind.n_elements(plan.dim) if descr is None or descr.kind in plan.kind.npy else plan.dim


def _measured(entry: Entry, plan: ColumnPlan, descr: Descr, header: NpyHeader, findings: Findings) -> NpyColumn:
    n = header.shape[0]
    row_bytes = descr.itemsize * (header.shape[1] if plan.is_vector else 1)
    end = header.data_start + n * row_bytes
    column = NpyColumn(entry, plan, descr, header.data_start, n, n, row_bytes)
    if end > entry.size:
        findings.add(
            "npy-text-truncated" if descr.is_text else "npy-truncated",
            file=entry.name,
            field=plan.name,
            offset=entry.size,
            expected=f"{end} bytes for {n} rows",
            got=f"{entry.size} bytes",
        )
        return replace(column, present=(entry.size - header.data_start) // row_bytes)
    if end < entry.size:
        findings.add(
            "npy-trailing",
            file=entry.name,
            field=plan.name,
            offset=end,
            expected=f"{end} bytes for {n} rows",
            got=f"{entry.size - end} bytes more",
        )
    return column
