"""Reads the footer of a Parquet file before Arrow does: Arrow ends the process for some inconsistent footers.

Thrift's compact protocol, of which only what the checks ask for is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Of columns, and of row groups: what is hostile has more, and Arrow takes minutes and gigabytes for it.
MAX_ITEMS = 65_536
_MAX_VALUES = 4_000_000  # of all kinds: a few seconds
MAX_PAGE_HEADER = 64 * 1024
_MAX_DEPTH = 24
_MAX_NESTING = 64  # of a schema

CODECS = ("UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW")
BOOLEAN, BYTE_ARRAY = 0, 6
RLE, DELTA_BYTE_ARRAY, BYTE_STREAM_SPLIT = 3, 7, 9
INDEX_PAGE, DICTIONARY_PAGE = 1, 2
_N_TYPES, _N_CONVERTED, _N_ENCODINGS = 8, 22, 10

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)

Shape = Mapping[int, tuple[str, "Shape | None"]]
"""Fields of a struct to keep, by id: name, and the shape of structs and of lists of structs."""

_STATISTICS: Shape = {3: ("null_count", None)}
_COLUMN: Shape = {
    1: ("type", None), 2: ("encodings", None), 4: ("codec", None), 5: ("num_values", None),
    6: ("plain_bytes", None), 7: ("bytes", None), 9: ("data_page", None), 11: ("dictionary_page", None),
    12: ("statistics", _STATISTICS),
}  # fmt: skip
_CHUNK: Shape = {1: ("file_path", None), 3: ("meta", _COLUMN), 8: ("crypto", {}), 9: ("encrypted", None)}
_GROUP: Shape = {1: ("columns", _CHUNK), 2: ("bytes", None), 3: ("rows", None)}
_ELEMENT: Shape = {
    1: ("type", None), 2: ("length", None), 3: ("repetition", None), 4: ("name", None), 5: ("children", None),
    6: ("converted", None),
}  # fmt: skip
_VALUES: Shape = {1: ("n", None), 2: ("encoding", None)}
_VALUES_V2: Shape = {1: ("n", None), 4: ("encoding", None)}
_PAGE: Shape = {
    1: ("type", None), 2: ("plain_bytes", None), 3: ("bytes", None), 5: ("values", _VALUES), 7: ("values", _VALUES),
    8: ("values", _VALUES_V2),
}  # fmt: skip
_FILE: Shape = {2: ("schema", _ELEMENT), 3: ("rows", None), 4: ("groups", _GROUP), 8: ("encryption", {})}


class WrongFooter(Exception):  # noqa: N818  a signal to the caller, which words a finding
    """The footer cannot be read, or contradicts itself: (expected, got, its byte)."""

    def __init__(self, expected: str, got: str, at: int = 0) -> None:
        super().__init__(expected, got, at)
        self.expected, self.got, self.at = expected, got, at


@dataclass(frozen=True, slots=True)
class LeafColumn:
    """A leaf of the schema. ``top``: the column of the table it belongs to; ``flat``: it is that column itself."""

    top: str
    type: int
    flat: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """The values of a leaf in a row group; offsets and bytes are of the file. ``nulls`` None: they were not counted."""

    codec: str
    start: int
    data_page: int
    n_bytes: int
    n_values: int
    encodings: tuple[int, ...]
    nulls: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """A row group: ``n_bytes`` uncompressed, one chunk for each leaf."""

    rows: int
    n_bytes: int
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Footer:
    """The content of a footer."""

    rows: int
    leaves: tuple[LeafColumn, ...]
    groups: tuple[Group, ...]


def read_footer(data: bytes) -> Footer:
    """Read the bytes of a footer. Raises WrongFooter."""
    try:
        raw = _Reader(data).struct(_FILE, 0)
    except IndexError:
        raise WrongFooter("a footer that is whole", "its end within a value", len(data)) from None
    if raw.get("encryption") is not None:
        raise WrongFooter("a footer that is not encrypted", "an encrypted one")
    leaves = _leaves(_list(raw, "schema"))
    groups = tuple(_group(one, leaves, number) for number, one in enumerate(_list(raw, "groups")))
    rows = _number(raw, "rows", "the file")
    if rows != sum(group.rows for group in groups):
        raise WrongFooter(f"{rows} rows in all row groups together", f"{sum(group.rows for group in groups)}")
    return Footer(rows, leaves, groups)


def _list(raw: dict[str, Any], name: str) -> list[Any]:
    found = raw.get(name, [])
    if not isinstance(found, list):
        raise WrongFooter(f"a list as {name}", type(found).__name__)
    if len(found) > MAX_ITEMS:
        raise WrongFooter(f"at most {MAX_ITEMS} of {name}", f"{len(found)}")
    if any(not isinstance(one, dict) for one in found):
        raise WrongFooter(f"structs as {name}", "something else")
    return found


def _number(raw: dict[str, Any], name: str, where: str, below: int = 1 << 63) -> int:
    found = raw.get(name)
    if type(found) is not int or not 0 <= found < below:
        raise WrongFooter(f"{name} of {where} as a number below {below}", "none" if found is None else repr(found)[:40])
    return found


def _leaves(elements: list[dict[str, Any]]) -> tuple[LeafColumn, ...]:
    """Return the leaves of a schema that comes as a list of nodes, depth first."""
    if not elements:
        raise WrongFooter("a schema", "none")
    leaves: list[LeafColumn] = []
    open_nodes: list[int] = [_number(elements[0], "children", "the schema", MAX_ITEMS)]  # children still to come
    tops: list[str] = [""]
    for element in elements[1:]:
        while open_nodes and open_nodes[-1] == 0:
            open_nodes.pop()
            tops.pop()
        if not open_nodes or len(open_nodes) > _MAX_NESTING:
            raise WrongFooter("a schema that is a tree", "nodes without a parent, or too deep")
        open_nodes[-1] -= 1
        name = element.get("name")
        if not isinstance(name, bytes):
            raise WrongFooter("a name of every column", "none")
        text = name.decode(errors="replace")
        top = tops[-1] or text
        repetition = _number(element, "repetition", f"column {text!r}", 3)
        if "converted" in element:
            _number(element, "converted", f"column {text!r}", _N_CONVERTED)
        if element.get("children"):
            open_nodes.append(_number(element, "children", f"column {text!r}", MAX_ITEMS))
            tops.append(top)
        else:
            kind = _number(element, "type", f"column {text!r}", _N_TYPES)
            leaves.append(LeafColumn(top, kind, len(open_nodes) == 1 and repetition < 2))
    if any(open_nodes):
        raise WrongFooter("a schema that is whole", "fewer nodes than it tells of")
    return tuple(leaves)


def _group(raw: dict[str, Any], leaves: tuple[LeafColumn, ...], number: int) -> Group:
    where = f"row group {number}"
    chunks = _list(raw, "columns")
    if len(chunks) != len(leaves):
        raise WrongFooter(f"{len(leaves)} columns in {where}", f"{len(chunks)}")
    rows = _number(raw, "rows", where)
    made = tuple(
        _chunk(one, leaf, rows, f"column {leaf.top!r} of {where}") for one, leaf in zip(chunks, leaves, strict=True)
    )
    return Group(rows, _number(raw, "bytes", where), made)


def _chunk(raw: dict[str, Any], leaf: LeafColumn, rows: int, where: str) -> Chunk:
    meta = raw.get("meta")
    if not isinstance(meta, dict) or "crypto" in raw or "encrypted" in raw or raw.get("file_path"):
        raise WrongFooter(f"the metadata of {where}, in this file and not encrypted", "none")
    if meta.get("type") != leaf.type:
        raise WrongFooter(f"the type {leaf.type} of {where}, as in the schema", f"{meta.get('type')}")
    encodings = meta.get("encodings", [])
    if not isinstance(encodings, list) or any(type(one) is not int or not 0 <= one < _N_ENCODINGS for one in encodings):
        raise WrongFooter(f"known encodings of {where}", repr(encodings)[:60])
    n_values = _number(meta, "num_values", where)
    if n_values != rows if leaf.flat else n_values < rows:
        raise WrongFooter(f"values for {rows} rows of {where}", f"{n_values}")
    codec = CODECS[_number(meta, "codec", where, len(CODECS))]
    _number(meta, "plain_bytes", where)
    data_page = _number(meta, "data_page", where)
    dictionary = _number(meta, "dictionary_page", where) if "dictionary_page" in meta else 0
    statistics = meta.get("statistics")
    nulls = statistics.get("null_count") if isinstance(statistics, dict) else None
    # A chunk of no values may have a dictionary only, and the place 0 for its data.
    start = min(data_page or dictionary, dictionary) if dictionary else data_page
    return Chunk(
        codec, start, data_page, _number(meta, "bytes", where), n_values, tuple(encodings),
        nulls if type(nulls) is int else None,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PageHeader:
    """The header of a page. ``n_head``: its bytes; ``n_bytes``: bytes of the page; ``plain_bytes``: uncompressed."""

    n_head: int
    n_bytes: int
    plain_bytes: int
    type: int
    n_values: int
    encoding: int


def read_page_header(data: bytes) -> PageHeader:
    """Read the header of a page. Raises WrongFooter."""
    reader = _Reader(data)
    try:
        raw = reader.struct(_PAGE, 0)
    except IndexError:
        raise WrongFooter(f"a page header of at most {MAX_PAGE_HEADER} bytes", "its end within a value") from None
    kind = _number(raw, "type", "a page", 4)
    values = raw.get("values")
    if not isinstance(values, dict):
        values = {"n": 0, "encoding": 0} if kind == INDEX_PAGE else {}
    return PageHeader(
        reader.at,
        _number(raw, "bytes", "a page", 1 << 31),
        _number(raw, "plain_bytes", "a page", 1 << 31),
        kind,
        _number(values, "n", "a page", 1 << 31),
        _number(values, "encoding", "a page", _N_ENCODINGS),
    )


class _Reader:
    """Thrift's compact protocol. Raises WrongFooter, IndexError at the end of the bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        self._left = _MAX_VALUES

    def struct(self, shape: Shape, depth: int) -> dict[str, Any]:
        """Read a struct; return the fields of its shape by name."""
        if depth > _MAX_DEPTH:
            raise self._wrong("values that are nested less deep", f"more than {_MAX_DEPTH} levels")
        found: dict[str, Any] = {}
        number = 0
        while True:
            head = self._byte()
            if head == 0:
                return found
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            known = shape.get(number)
            value = self._value(head & 15, known[1] if known else None, depth + 1, keep=known is not None)
            if known is not None:
                found[known[0]] = value

    def _value(self, kind: int, shape: Shape | None, depth: int, *, keep: bool, in_list: bool = False) -> Any:
        self._left -= 1
        if self._left < 0:
            raise self._wrong(f"at most {_MAX_VALUES} values", "more")
        if kind in (_TRUE, _FALSE):
            return self._byte() == _TRUE if in_list else kind == _TRUE
        if kind == _BYTE:
            return self._byte()
        if kind in (_I16, _I32, _I64):
            return self._zigzag()
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind == _BINARY:
            return self._bytes(self._varint(), keep=keep)
        if kind in (_LIST, _SET):
            return self._items(shape, depth, keep=keep)
        if kind == _MAP:
            return self._map(depth)
        if kind == _STRUCT:
            return self.struct(shape if shape is not None else {}, depth)
        raise self._wrong("a type of Thrift", f"{kind}")

    def _items(self, shape: Shape | None, depth: int, *, keep: bool) -> list[Any]:
        head = self._byte()
        n = head >> 4 if head >> 4 != 15 else self._varint()
        if keep and n > MAX_ITEMS:
            raise self._wrong(f"lists of at most {MAX_ITEMS}", f"{n}")
        kept: list[Any] = []
        for _ in range(n):
            value = self._value(head & 15, shape, depth + 1, keep=keep, in_list=True)
            if keep:
                kept.append(value)
        return kept

    def _map(self, depth: int) -> None:
        n = self._varint()
        kinds = self._byte() if n else 0
        for _ in range(n):
            self._value(kinds >> 4, None, depth + 1, keep=False, in_list=True)
            self._value(kinds & 15, None, depth + 1, keep=False, in_list=True)

    def _byte(self) -> int:
        found = self._data[self.at]
        self.at += 1
        return found

    def _bytes(self, n: int, *, keep: bool = False) -> bytes:
        start, stop = self.at, self.at + n
        if stop > len(self._data):
            raise IndexError
        self.at = stop
        return self._data[start:stop] if keep else b""

    def _varint(self) -> int:
        data, at = self._data, self.at
        found = shift = 0
        while True:
            byte = data[at]
            at += 1
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                self.at = at
                return found
            shift += 7
            if shift > 63:
                raise self._wrong("integers of at most 64 bits", "a longer one")

    def _zigzag(self) -> int:
        found = self._varint()
        return found >> 1 ^ -(found & 1)

    def _wrong(self, expected: str, got: str) -> WrongFooter:
        return WrongFooter(expected, got, self.at)
