"""Columns and types of text files, found in their first rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from vecmill.errors import DataError
from vecmill.sources.base import names_text
from vecmill.sources.remote import AnyPath
from vecmill.sources.text.columns import Unfit, Values
from vecmill.sources.text.csv_rows import Delimited, first_record, is_all_quoted
from vecmill.sources.text.dialect import Dialect
from vecmill.sources.text.elements import JsonFiles
from vecmill.sources.text.fields import Wanted, type_of_field
from vecmill.sources.text.headers import columns_of_some, kind_of_bytes
from vecmill.sources.text.json_rows import Spans, Splitter
from vecmill.sources.text.located import check_row_size, lines_of, located
from vecmill.sources.text.options import TextOptions
from vecmill.sources.text.paths import parse_path
from vecmill.sources.text.pgcopy import CopyBinary, type_of_binary
from vecmill.sources.text.sample import (
    check_separator,
    first_rows,
    numbered_dimensions,
    objects_of,
    present_texts,
    refuse_bulk_actions,
    type_in_sample,
)
from vecmill.sources.text.stream import NOTHING, Blocks, Bytes, TextInput
from vecmill.sources.text.types import (
    declared,
    is_uuid,
    is_vector,
    json_type,
    type_of_texts,
    type_of_values,
    vector_type,
)
from vecmill.sources.text.words import COLUMNS, WordVectors

_SAMPLE_BYTES = 1 << 19


class TextFiles:
    """Text files of one kind: which columns they have, and of what type.

    Both are found in the first rows (`SAMPLE_ROWS`) of the first file that has any, those of columns that only later
    files have in theirs. All later rows are held to them. ``headers`` has the columns of each file by its name, where
    there are several files with a header; ``found``: see `columns_of_some`.

    Raises DataError that names the file, row and line; StoreError when a file cannot be read.
    """

    def __init__(self, paths: Sequence[str | AnyPath], options: TextOptions | None = None) -> None:
        self.options = options or TextOptions()
        self.inputs = [TextInput(path, spool=self.options.spool) for path in paths]
        self.dialect = Dialect(self._kind(), self.options)
        self._json = JsonFiles(self.inputs, self.dialect.kind, self.options) if self.dialect.is_json else None
        self.types: dict[str, Any] = {}
        self._sample: list[dict[str, Any]] = []  # the first rows of JSON
        self._keys: Sequence[str] = ()  # that they have
        self._all_quoted = False
        self.renamed: dict[str, str] = {}
        for source in self.inputs:
            self._discover(source)
            if self.types and not all(str(type_) == "null" for type_ in self.types.values()):
                break
        self.headers: dict[str, tuple[str, ...]] = {}
        self.found: dict[str, tuple[str, str]] = {}
        if self.dialect.has_header and len(self.inputs) > 1:
            self._join_headers()
        try:
            for name, word in self.options.types.items():
                self.types[name] = self._resolved(name, word)
        except DataError as err:
            raise DataError(file=self.inputs[0].name, field=err.field, expected=err.expected, got=err.got) from None
        self.seen = tuple(self._keys) or tuple(self.types)  # columns, or keys, of the first rows
        self.optional: tuple[str, ...] = ()
        self._give_fields()
        if not self.types:
            raise DataError(file=self.inputs[0].name, expected="rows that tell the columns", got="no rows")

    def _give_fields(self) -> None:
        """Let the fields of a schema decide what their columns are."""
        optional = []
        for name, field in self.options.fields.items():
            if name in self.options.types or (type_ := type_of_field(field)) is None:
                continue
            is_optional = name in self.options.optional
            is_here = self.find(name, anywhere=not is_optional)
            if not is_here and is_optional and self.dialect.is_json:
                optional.append(name)
                is_here = True
            if is_here and not self.dialect.is_binary:
                self.types[name] = type_
        self.optional = tuple(optional)
        if not self.dialect.is_binary:
            self.types |= numbered_dimensions(self.types, self.options.fields)

    def find(self, name: str, *, anywhere: bool = True) -> bool:
        """Whether the files have a column of this name, or of JSON something at this path.

        The first rows tell; ``anywhere``: else all rows are looked at, up to the first that has it.
        """
        if name in self.types:
            return True
        if self._json is None:
            return False
        path = parse_path(name, self.types)
        type_ = type_in_sample(self._sample, path) if path.key in self.types and path.steps else None
        if type_ is None and anywhere and self._json.holds(path):
            type_ = json_type()
        if type_ is None:
            return False
        self.types[name] = type_
        return True

    def wanted(self, name: str) -> Wanted:
        """Return what a column is read as."""
        field = None if name in self.options.types else self.options.fields.get(name)
        if field is not None and (field.is_dynamic or self.dialect.is_binary):
            field = None
        return Wanted(
            self.types[name], field, self.options.lenient or name in self.options.types, self.options.decimal,
            self._all_quoted,
            refuse_escapes=self.dialect.kind == "tsv",
        )  # fmt: skip

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all columns that were found."""
        names = (name for name in self.types if name not in self.optional)
        if not (self.options.rest and self.dialect.is_json):
            return tuple(names)
        return tuple(name for name in names if name in self.options.fields or name in self.options.types)

    def keys_of(self, wanted: Mapping[str, str]) -> list[str]:
        """Return the keys of JSON rows that are read for these columns, or have the name of one of these fields."""
        return [*wanted, *(parse_path(name, self._keys).key for name in wanted.values())]

    def _kind(self) -> str:
        kinds: dict[str, str] = {}
        for source in self.inputs:
            kind = self.options.kind
            if kind in (None, "copy", "jsonl", "glove", "word2vec"):
                kind = kind_of_bytes(source, kind)
            if kind == "jsonl" and self.options.records is not None:
                kind = "json"
            if kind is None:
                expected = "a text file whose name or first bytes tell its kind (or kind=)"
                raise DataError(file=source.name, expected=expected, got="one that might be anything")
            kinds.setdefault(kind, source.name)
        if len(kinds) > 1:
            (first, name), (other, elsewhere) = list(kinds.items())[:2]
            raise DataError(file=elsewhere, expected=f"text of the kind {first}, as in {name!r}", got=other)
        return next(iter(kinds))

    def splitter(
        self,
        source: TextInput,
        names: Sequence[str],
        *,
        known: Sequence[str] = (),
        strict: bool = False,
        rest: bool = False,
        first: tuple[Bytes, bool],
    ) -> Splitter:
        """Return the splitter of a file for the columns ``names``; ``first`` is its first block.

        Of JSON, ``known`` are further keys that are passed over. ``strict``: any other key is an error; ``rest``: those
        are kept, see `Spans`.
        """
        if self._json is not None:
            columns = [parse_path(name, self._keys) for name in names]
            return self._json.splitter(source, columns, known=known, strict=strict, rest=rest)
        header = self.header(source, first)
        known_names = set(header)
        for name in names:
            if header and name not in known_names:
                got = f"columns {names_text(header)}"
                raise DataError(file=source.name, expected=f"a column {name!r}", got=got)
        if self.dialect.kind == "copy-binary":
            return CopyBinary(header, names)
        if self.dialect.is_words:
            dim = self.types["vector"].list_size if is_vector(self.types.get("vector")) else None
            return WordVectors(self.dialect.kind, names, first[0], source.name, dim)
        return Delimited(header, names, self.dialect)

    def header(self, source: TextInput, first: tuple[Bytes, bool]) -> tuple[str, ...]:
        """Return the names of all columns of one file, in its order; () if it is empty."""
        data, final = first
        if self.dialect.is_words:
            return COLUMNS
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
        self._all_quoted = bool(dialect.quote) and is_all_quoted(data, dialect.separator, dialect.quote)
        if not self.dialect.has_header:
            return self._given(source, len(found))
        # pandas leaves the name of its index out.
        names = tuple(name or f"unnamed_{i}" for i, name in enumerate(found))
        twice = sorted(name for name, n in Counter(names).items() if n > 1)
        if self.options.separator is None:
            check_separator(source.name, names, dialect.separator)
        if twice:
            raise DataError(file=source.name, expected="columns of different names", got=f"more than one {twice[0]!r}")
        return names

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
                    splitter = self.splitter(source, names, first=first)
                spans, position, problem = first_rows(splitter, data, final)
                if spans.n_rows or problem or final:
                    break
                tail = data[position:].copy()
                check_row_size(source.name, 0, tail)
            if problem and not spans.n_rows:
                raise located(
                    source.name, 0, lines_of(source, self.dialect.first_line).at(data, problem.position), problem
                )
            try:
                if isinstance(splitter, WordVectors):
                    self.types = splitter.types() if spans.n_rows else {}
                else:
                    self._find_types(source, spans, names)
            except DataError as err:
                raise DataError(
                    file=source.name, field=err.field, row=err.row, expected=err.expected, got=err.got
                ) from None

    def _join_headers(self) -> None:
        """Find the columns of all files: those of a later file are not lost."""
        for source in self.inputs:
            with Blocks(source, look=True, block_bytes=_SAMPLE_BYTES) as blocks:
                header = self.header(source, blocks.next(NOTHING))
            if not header:
                continue
            self.headers[source.name] = header
            if not self.types.keys() >= set(header):
                before, self.types = self.types, {}
                self._discover(source)
                self.types = before | {name: type_ for name, type_ in self.types.items() if name not in before}
        self.found = columns_of_some(self.headers)

    def _find_types(self, source: TextInput, spans: Spans, names: tuple[str, ...]) -> None:
        """Set the types from the first rows; a declared type takes only a dim from them."""
        if self.dialect.is_json:
            self._sample = objects_of(spans)
            refuse_bulk_actions(self._sample)
            columns: dict[str, list[Any]] = {}
            for row in self._sample:
                for name, value in row.items():
                    columns.setdefault(name, []).append(value)
            found = {name: self._type_of(name, values) for name, values in columns.items()}
            self._keys = tuple(found)
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
        declared_ = name in self.options.types or name in self.options.fields
        try:
            if self.dialect.kind == "copy-binary":
                return type_of_binary(name, values, needed=not declared_)
            if isinstance(values, Values):
                return type_of_texts(present_texts(values))
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


def as_column(type_: Any) -> Any:
    """Return the type that a column of ``type_`` comes out with."""
    import pyarrow as pa

    return pa.string() if is_uuid(type_) else type_
