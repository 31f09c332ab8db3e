"""Columns and types of text files, found in their first rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vecmill._native import json_read
from vecmill.errors import DataError
from vecmill.sources.base import names_text
from vecmill.sources.remote import AnyPath
from vecmill.sources.text.columns import Unfit, Values, decode
from vecmill.sources.text.csv_rows import Delimited, first_record
from vecmill.sources.text.dialect import Dialect
from vecmill.sources.text.json_rows import JsonElements, JsonLines, RowProblem, Spans, Splitter
from vecmill.sources.text.options import TextOptions
from vecmill.sources.text.pgcopy import SIGNATURE, CopyBinary, type_of_binary
from vecmill.sources.text.stream import MAX_ROW_BYTES, Blocks, Bytes, TextInput
from vecmill.sources.text.types import declared, hinted, is_uuid, is_vector, type_of_texts, type_of_values, vector_type

SAMPLE_ROWS = 1000
"""Rows that columns and types are found in; fewer if the first 512 KiB hold fewer."""

_SAMPLE_BYTES = 1 << 19
_LOOK_BYTES = 1 << 16
_SEPARATORS = ";\t|,"
NOTHING = np.empty(0, np.uint8)


def kind_of_bytes(source: TextInput) -> str | None:
    """Return the kind of a file by its first bytes. None: they do not tell."""
    with Blocks(source, look=True, block_bytes=_LOOK_BYTES) as blocks:
        head = blocks.next(NOTHING)[0].tobytes()
    if head.startswith(SIGNATURE):
        return "copy-binary"
    text = head.lstrip(b" \t\r\n")
    if text[:1] == b"[":
        return "json"
    if text[:1] == b"{":
        try:
            return (
                "jsonl" if isinstance(json.loads(text.split(b"\n", 1)[0]), dict) and b'"rows"' not in text else "json"
            )
        except ValueError:
            return "json"
    return None


class TextFiles:
    """Text files of one kind: which columns they have, and of what type.

    Both are found in the first rows (`SAMPLE_ROWS`) of the first file that has any. All later rows are held to them.

    Raises DataError that names the file, row and line; StoreError when a file cannot be read.
    """

    def __init__(self, paths: Sequence[str | AnyPath], options: TextOptions | None = None) -> None:
        self.options = options or TextOptions()
        self.inputs = [TextInput(path, spool=self.options.spool) for path in paths]
        self.dialect = Dialect(self._kind(), self.options)
        self.types: dict[str, Any] = {}
        self.renamed: dict[str, str] = {}
        for source in self.inputs:
            self._discover(source)
            if self.types and not all(str(type_) == "null" for type_ in self.types.values()):
                break
        try:
            for name, word in self.options.types.items():
                self.types[name] = self._resolved(name, word)
        except DataError as err:
            raise DataError(file=self.inputs[0].name, field=err.field, expected=err.expected, got=err.got) from None
        for name, type_ in self.options.hints.items():
            if name not in self.options.types and (name in self.types or not self.dialect.is_delimited):
                self.types[name] = hinted(self.types.get(name), type_, is_text=self.dialect.is_delimited)
        if not self.types:
            raise DataError(file=self.inputs[0].name, expected="rows that tell the columns", got="no rows")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all columns."""
        return tuple(self.types)

    def _kind(self) -> str:
        kinds: dict[str, str] = {}
        for source in self.inputs:
            kind = self.options.kind
            if kind in (None, "copy"):
                kind = kind_of_bytes(source) or kind
            if kind is None:
                expected = "a text file whose name or first bytes tell its kind (or kind=)"
                raise DataError(file=source.name, expected=expected, got="one that might be anything")
            kinds.setdefault(kind, source.name)
        if len(kinds) > 1:
            (first, name), (other, elsewhere) = list(kinds.items())[:2]
            raise DataError(file=elsewhere, expected=f"text of the kind {first}, as in {name!r}", got=other)
        return next(iter(kinds))

    def splitter(self, source: TextInput, names: Sequence[str], *, strict: bool, first: tuple[Bytes, bool]) -> Splitter:
        """Return the splitter of a file for the columns ``names``; ``first`` is its first block.

        ``strict``: any other key of JSON is an error.
        """
        if self.dialect.kind == "jsonl":
            return JsonLines(names, strict=strict)
        if self.dialect.kind == "json":
            return JsonElements(names, strict=strict)
        header = self.header(source, first)
        for name in names:
            if name not in header and header:
                got = f"columns {names_text(header)}"
                raise DataError(file=source.name, expected=f"a column {name!r}", got=got)
        if self.dialect.kind == "copy-binary":
            return CopyBinary(header, names)
        return Delimited(header, names, self.dialect)

    def header(self, source: TextInput, first: tuple[Bytes, bool]) -> tuple[str, ...]:
        """Return the names of all columns of one file, in its order; () if it is empty."""
        data, final = first
        if self.dialect.kind == "copy-binary":
            width = CopyBinary.width(data, source.name)
            return self._given(source, width) if width else ()
        dialect = self.dialect
        try:
            record = first_record(data, 0, final, dialect.separator, dialect.quote)
        except ValueError as err:
            raise DataError(file=source.name, row=0, expected="a row of fields", got=str(err)) from None
        if record is None and not final:
            raise DataError(file=source.name, expected=f"a first row within {len(data)} bytes", got="a longer one")
        if record is None or (self.dialect.kind == "copy" and record[0] == ["."]):
            return ()
        found = [text or "" for text in record[0]]
        if not self.dialect.has_header:
            return self._given(source, len(found))
        # pandas leaves the name of its index out.
        names = tuple(name or f"unnamed_{i}" for i, name in enumerate(found))
        twice = sorted({name for name in names if names.count(name) > 1})
        self._check_separator(source, names, dialect.separator)
        if twice:
            raise DataError(file=source.name, expected="columns of different names", got=f"more than one {twice[0]!r}")
        return names

    def _check_separator(self, source: TextInput, names: Sequence[str], separator: str) -> None:
        """Raise DataError for a header of one name that another separator would cut, unless this one was asked for."""
        other = next((char for char in _SEPARATORS if char != separator and char in names[0]), None)
        if other is None or len(names) > 1 or self.options.separator is not None:
            return
        word = "tab" if other == "\t" else f"'{other}'"
        got = f"one column {names[0][:60]!r}; --separator {word} (separator=) cuts it"
        raise DataError(file=source.name, expected=f"columns with {separator!r} between them", got=got)

    def _given(self, source: TextInput, width: int) -> tuple[str, ...]:
        names = tuple(self.options.names) or tuple(f"column{i + 1}" for i in range(width))
        names = tuple(self.renamed.get(name, name) for name in names)
        if len(names) != width:
            raise DataError(file=source.name, row=0, expected=f"{len(names)} fields, one for each name", got=f"{width}")
        return names

    def _discover(self, source: TextInput) -> None:
        """Find columns and types in the first rows of a file."""
        with Blocks(source, look=True, block_bytes=_SAMPLE_BYTES) as blocks:
            tail = NOTHING
            splitter: Splitter | None = None
            names: tuple[str, ...] = ()
            while True:
                first = blocks.next(tail)
                data, final = first
                if splitter is None:
                    names = () if self.dialect.is_json else self.header(source, first)
                    splitter = self.splitter(source, names, strict=False, first=first)
                spans, position, problem = self._first_rows(splitter, data, final)
                if spans.n_rows or problem or final:
                    break
                tail = data[position:].copy()
                check_row_size(source.name, 0, tail)
            if problem and not spans.n_rows:
                raise located(source.name, 0, Lines(self.dialect.first_line).at(data, problem.position), problem)
            try:
                self._find_types(source, spans, names)
            except DataError as err:
                raise DataError(
                    file=source.name, field=err.field, row=err.row, expected=err.expected, got=err.got
                ) from None

    def _first_rows(self, splitter: Splitter, data: Bytes, final: bool) -> tuple[Spans, int, RowProblem | None]:
        """Return rows to find types in, where to go on, and what is wrong with the first bad row.

        Bad rows before the first good row are passed over: a conversion may leave them out.
        """
        spans, position, _ = splitter.take(data, 0, final, SAMPLE_ROWS)
        problem = spans.problem
        while spans.problem and not spans.n_rows:
            more = splitter.behind(data, position, final)
            if more is None:
                break
            spans, position = more
            if not spans.n_rows and not spans.problem:
                spans, position, _ = splitter.take(data, position, final, SAMPLE_ROWS)
        return spans, position, problem

    def _find_types(self, source: TextInput, spans: Spans, names: tuple[str, ...]) -> None:
        """Set the types from the first rows; a declared type takes only a dim from them."""
        if self.dialect.is_json:
            found = _types_of_objects(spans, self._type_of)
        else:
            found = {}
            for i, name in enumerate(names):
                values = Values(spans.data, spans.starts[i], spans.ends[i], spans.kinds[i], self.dialect.style)
                found[name] = self._type_of(name, values)
        if self.dialect.has_header or self.options.names:
            self.types = found
            return
        vectors = [name for name, type_ in found.items() if is_vector(type_)]
        only = vectors[0] if len(vectors) == 1 and not self.dialect.is_json else None
        self.renamed = {only: "vector"} if only else {}
        self.types = {self.renamed.get(name, name): type_ for name, type_ in found.items()}

    def _type_of(self, name: str, values: Any) -> Any:
        declared_ = name in self.options.types
        try:
            if self.dialect.kind == "copy-binary":
                return type_of_binary(name, values, needed=not declared_)
            if isinstance(values, Values):
                return type_of_texts(_texts(values))
            return type_of_values(values)
        except DataError:
            if declared_:
                return None
            raise
        except Unfit as unfit:
            if declared_:
                return None
            raise DataError(field=name, row=unfit.row, expected=unfit.expected, got=unfit.got) from None

    def _resolved(self, name: str, word: Any) -> Any:
        """Return the type that was declared; a vector without a dim takes that of the first rows."""
        type_ = declared(name, word, postgres=self.dialect.kind.startswith("copy"))
        if not isinstance(type_, str):
            return type_ if self.dialect.kind == "copy-binary" else as_column(type_)
        seen = self.types.get(name)
        if seen is None or not is_vector(seen):
            raise DataError(field=name, expected=f"a dim, as in {type_}(768)", got=repr(type_))
        return vector_type(seen.list_size, "float16" if type_ == "halfvec" else "float32")


def _texts(values: Values) -> list[str | None]:
    """Return the values that are text; the others are refused, with their rows, when they are read.

    Raises Unfit if all are others.
    """
    import pyarrow as pa

    kinds = values.kinds.copy()
    while True:
        try:
            whole = Values(values.data, values.starts, values.ends, kinds, values.style)
            return list(decode(whole, pa.string()).to_pylist())
        except Unfit as unfit:
            kinds[unfit.row] = json_read.NULL_VALUE
            if not kinds.any():
                raise


def _types_of_objects(spans: Spans, type_of: Callable[[str, list[Any]], Any]) -> dict[str, Any]:
    columns: dict[str, list[Any]] = {}
    for start, end in zip(spans.row_starts.tolist(), spans.row_ends.tolist(), strict=True):
        try:
            row = json.loads(spans.data[start:end].tobytes().decode())
        except (ValueError, RecursionError):
            continue  # it is refused, with its number, when it is read
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return {name: type_of(name, values) for name, values in columns.items()}


def as_column(type_: Any) -> Any:
    """Return the type that a column of ``type_`` comes out with."""
    import pyarrow as pa

    return pa.string() if is_uuid(type_) else type_


def check_row_size(file: str, row: int, tail: Bytes) -> None:
    """Raise DataError for a row that is longer than a row may be."""
    if len(tail) > MAX_ROW_BYTES:
        raise DataError(
            file=file, row=row, expected=f"rows of at most {MAX_ROW_BYTES} bytes", got=f"more than {len(tail)}"
        )


def located(file: str, row: int, line: int | None, problem: RowProblem) -> DataError:
    """Return the error for a row; ``line`` is that of the problem, None where there are no lines."""
    where = "" if line is None else f" (line {line})"
    return DataError(
        file=file, field=problem.field, row=row, expected=problem.expected, got=f"{problem.got}{where}",
        value=problem.value,
    )  # fmt: skip


class Lines:
    """Line numbers of bytes, counted on from the last byte that was asked for: there may be many bad rows."""

    def __init__(self, first: int | None) -> None:
        self._line = first
        self._at = 0

    def at(self, data: Bytes, position: int) -> int | None:
        """Return the number of the line at ``position``, None where there are no lines."""
        if self._line is not None:
            low, high = sorted((self._at, position))
            n = json_read.count_lines(data[low:high])
            self._line += n if position == high else -n
            self._at = position
        return self._line

    def block_ends(self, data: Bytes, position: int) -> None:
        """Go over to the block that begins at ``position`` of this one."""
        self.at(data, position)
        self._at = 0
