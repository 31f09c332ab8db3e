"""Checks of Parquet files: footer, columns and types; `values` checks the values."""

from __future__ import annotations

from collections import Counter
from typing import Any

from vecmill.encode.plan import ColumnPlan
from vecmill.store.blob import Blob, BlobFile, TailBlob, closing
from vecmill.types.kind import Line
from vecmill.validate.context import Context
from vecmill.validate.entries import Entry
from vecmill.validate.findings import Findings
from vecmill.validate.parquet.footer import MAX_ITEMS, Chunk, Footer, WrongFooter, read_footer
from vecmill.validate.parquet.pages import check_encodings, check_pages
from vecmill.validate.parquet.types import type_rule
from vecmill.validate.parquet.values import scan_columns

MAX_FOOTER_BYTES = 64 * 1024 * 1024
MAX_GROUP_BYTES = 1 << 30
_TAIL_BYTES = 64 * 1024  # as much as Arrow reads for a footer
_BUFFER_BYTES = 4 * 1024 * 1024  # a request to a bucket should be worth its round trip
_CODECS = ("UNCOMPRESSED", "SNAPPY", "GZIP", "BROTLI", "ZSTD")
# arrow-go reads these as bytes, whatever Arrow makes of them.
_NOT_TEXT = ("JSON", "ENUM", "BSON")


def check_parquet(entry: Entry, context: Context, findings: Findings) -> int | None:
    """Check one file. Return its row count. None: the footer cannot be read."""
    blob = entry.blob
    assert blob is not None  # only such are given
    with closing(TailBlob(blob, _TAIL_BYTES)) as blob:
        opened = _open(entry, blob, findings)
        if opened is None:
            return None
        footer, file = opened
        try:
            return _check(footer, file, entry, blob, context, findings)
        finally:
            file.close()


def _open(entry: Entry, blob: Blob, findings: Findings) -> tuple[Footer, Any] | None:
    def broken(expected: str, got: str, offset: int) -> None:
        findings.add("parquet-footer", file=entry.name, expected=expected, got=got, offset=max(offset, 0))

    if blob.size == 0:
        findings.add("file-empty", file=entry.name, expected="a Parquet file", got="0 bytes")
        return None
    tail = blob.read(max(0, blob.size - 8), blob.size)
    if blob.size < 12 or tail[-4:] != b"PAR1" or blob.read(0, 4) != b"PAR1":
        broken("PAR1 at both ends", repr(tail[-4:])[1:], blob.size - 4)
        return None
    length = int.from_bytes(tail[:4], "little")
    if length > min(blob.size - 12, MAX_FOOTER_BYTES):
        expected = f"a footer within the file, of at most {MAX_FOOTER_BYTES} bytes"
        broken(expected, f"{length} bytes in a file of {blob.size}", blob.size - 8)
        return None
    start = blob.size - 8 - length
    try:
        footer = read_footer(blob.read(start, blob.size - 8))
    except WrongFooter as wrong:
        broken(wrong.expected, wrong.got, start + wrong.at)
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return footer, pq.ParquetFile(
            pa.PythonFile(BlobFile(blob), mode="r"),
            thrift_container_size_limit=MAX_ITEMS,
            thrift_string_size_limit=MAX_FOOTER_BYTES,
            buffer_size=_BUFFER_BYTES,
            page_checksum_verification=True,
            pre_buffer=False,  # else a column of a row group is held whole, however large it is
        )
    except (pa.ArrowException, OSError, ValueError, OverflowError, UnicodeDecodeError) as err:
        broken("a footer that can be read", _one_line(err), start)
        return None


def _one_line(err: BaseException) -> str:
    return " ".join(str(err).split()) or type(err).__name__


def _check(footer: Footer, file: Any, entry: Entry, blob: Blob, context: Context, findings: Findings) -> int | None:
    import pyarrow as pa

    try:
        schema = file.schema_arrow
    except (pa.ArrowException, OSError, ValueError, UnicodeDecodeError) as err:
        findings.add("parquet-footer", file=entry.name, expected="a schema that can be read", got=_one_line(err))
        return None
    names = Counter(schema.names)
    for name, count in names.items():
        if count > 1:
            findings.add("column-twice", file=entry.name, field=name, expected="one column", got=f"{count}")
    context.require(names, entry.name, findings)
    usable = []
    for i, name in enumerate(schema.names):
        if context.knows(name, names, entry.name, findings) and names[name] == 1:
            plan = context.plans[name]
            if _type_fits(plan, schema.field(i).type, footer, file, entry, findings):
                usable.append(plan)
    readable = _check_storage(footer, blob, entry, findings)
    if footer.rows == 0:
        findings.add("file-no-rows", file=entry.name, expected="rows", got="none")
    elif context.level == "headers":
        _counted_nulls(footer, usable, entry, findings)
    elif readable:
        widths = check_pages(footer, {plan.name for plan in usable}, blob, entry.name, findings)
        if widths is not None:
            rows = [group.rows for group in footer.groups]
            scan_columns(file, rows, usable, widths, entry.name, context, findings)
    return footer.rows


def _type_fits(plan: ColumnPlan, kind: Any, footer: Footer, file: Any, entry: Entry, findings: Findings) -> bool:
    """Check a column's type. Return True if its values can be checked."""
    by_rule: dict[str, list[Line]] = {}
    for line in findings.lines:
        rule = type_rule(plan, kind, line)
        if rule is None and _as_bytes(plan, footer, file):
            rule, kind = "parquet-type", "Parquet's JSON, ENUM or BSON"
        if rule is not None:
            by_rule.setdefault(rule, []).append(line)
    expected = f"a type that the server takes for {plan.field.dtype.name}"
    for rule, lines in by_rule.items():
        restored = _restored(plan, kind, lines, file) if rule == "parquet-type" else None
        findings.add(
            "parquet-arrow-schema" if restored else rule,
            file=entry.name,
            field=plan.name,
            expected=f"{restored}, as the file itself holds it" if restored else expected,
            got=f"{kind}, which ARROW:schema asks for" if restored else str(kind),
            lines=lines,
        )
    return not by_rule


def _as_bytes(plan: ColumnPlan, footer: Footer, file: Any) -> bool:
    return any(
        leaf.top == plan.name and file.schema.column(i).logical_type.type in _NOT_TEXT
        for i, leaf in enumerate(footer.leaves)
    )


def _restored(plan: ColumnPlan, kind: Any, lines: list[Line], file: Any) -> str | None:
    """Return the type without ARROW:schema, if the server would take that. None: it would not."""
    if isinstance(kind, str) or b"ARROW:schema" not in (file.metadata.metadata or {}):
        return None
    plain = _plain(kind)
    if plain == kind or any(type_rule(plan, plain, line) is not None for line in lines):
        return None
    return str(plain)


def _plain(kind: Any) -> Any:
    import pyarrow as pa
    import pyarrow.types as pt

    if pt.is_dictionary(kind):
        return _plain(kind.value_type)
    if pt.is_large_string(kind):
        return pa.string()
    if pt.is_large_binary(kind):
        return pa.binary()
    if pt.is_fixed_size_list(kind) or pt.is_list(kind) or pt.is_large_list(kind):
        return pa.list_(_plain(kind.value_type))
    return kind


def _check_storage(footer: Footer, blob: Blob, entry: Entry, findings: Findings) -> bool:
    """Check codecs, pages and row groups. Return True if the values can be decoded."""
    readable = True
    codecs: Counter[str] = Counter()
    for number, group in enumerate(footer.groups):
        if group.n_bytes > MAX_GROUP_BYTES:
            findings.add(
                "parquet-row-group",
                file=entry.name,
                expected=f"row groups of at most {MAX_GROUP_BYTES} bytes",
                got=f"row group {number} of {group.n_bytes} bytes",
            )
        for leaf, chunk in zip(footer.leaves, group.chunks, strict=True):
            if chunk.codec not in _CODECS:
                codecs[chunk.codec] += 1
            readable &= _within(leaf.top, chunk, blob, entry, number, findings)
    for codec, n in codecs.items():
        findings.add(
            "parquet-codec",
            file=entry.name,
            expected="none, snappy, gzip, brotli or zstd",
            got=f"{codec} in {n} chunks",
        )
    if readable:
        check_encodings(footer, blob, entry.name, findings)
    return readable


def _within(name: str, chunk: Chunk, blob: Blob, entry: Entry, group: int, findings: Findings) -> bool:
    end = chunk.start + chunk.n_bytes
    if 4 <= chunk.start <= end <= blob.size:
        return True
    findings.add(
        "parquet-pages",
        file=entry.name,
        field=name,
        expected=f"pages within the file of {blob.size} bytes",
        got=f"row group {group} with pages from {chunk.start} to {end}",
    )
    return False


def _counted_nulls(footer: Footer, plans: list[ColumnPlan], entry: Entry, findings: Findings) -> None:
    """Check the null counts of the footer, which it has for columns that are not lists."""
    for plan in plans:
        if plan.nullable or plan.field.default_value is not None or plan.field.is_dynamic:
            continue
        for i, leaf in enumerate(footer.leaves):
            if leaf.flat and leaf.top == plan.name:
                nulls = sum(group.chunks[i].nulls or 0 for group in footer.groups)
                if nulls:
                    findings.add("value-null", file=entry.name, field=plan.name, expected="no nulls", got=f"{nulls}")
