"""What vecmill has to know about a type: `DataType` names it, a `Kind` is its row.

Rows stand in the files of this package, a file a family; `vecmill.types.lookup` gathers them. A row holds facts only
and needs no NumPy: whoever wants a schema does not pay for encoding. The code that acts on these facts names no type.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

Group = Literal[
    "bool", "int", "float", "text", "json", "meta", "dense", "sparse", "array", "struct", "geometry", "timestamptz"
]
Encoding = Literal["bool", "integers", "float32", "float64", "half", "bits"]
Version = tuple[int, int, int]
Line = tuple[int, int]
"""A release line of Milvus: (2, 5) for 2.5."""

ANY_LINE: Line = (0, 0)
HALVES_CAST: Line = (3, 0)  # the first line that makes half vectors of floats

MAX_VALUE_BYTES = 2**28
"""Largest value without a limit of its own, in bytes. Only address space is reserved for it."""

FLOAT32_MAX = 3.4028234663852886e38
"""Largest finite float32; a larger float64 becomes infinite when it is narrowed."""

FLOAT32_LIMIT = 3.4028235677973366e38
"""Smallest float64 that becomes infinite as float32; those between FLOAT32_MAX and this one are rounded down."""


class DataType(IntEnum):
    """Type of a field, with the names and integer values of ``pymilvus.DataType`` (they go over the wire)."""

    NONE = 0
    BOOL = 1
    INT8 = 2
    INT16 = 3
    INT32 = 4
    INT64 = 5
    FLOAT = 10
    DOUBLE = 11
    STRING = 20
    VARCHAR = 21
    ARRAY = 22
    JSON = 23
    GEOMETRY = 24
    TEXT = 25
    TIMESTAMPTZ = 26
    BINARY_VECTOR = 100
    FLOAT_VECTOR = 101
    FLOAT16_VECTOR = 102
    BFLOAT16_VECTOR = 103
    SPARSE_FLOAT_VECTOR = 104
    INT8_VECTOR = 105
    # How the server stores struct arrays inside; users see ARRAY with element type STRUCT.
    _ARRAY_OF_VECTOR = 106
    _ARRAY_OF_STRUCT = 200
    STRUCT = 201
    UNKNOWN = 999


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """A floating-point format that numbers are narrowed to.

    Attributes
    ----------
    name: NumPy's name, or "bfloat16".
    overflow: smallest absolute value that becomes infinite.
    largest_text: largest number in JSON or CSV that a server does not read as infinite.
    safe_digits: a number with at most this many digits before its point is in range, whatever they are.
    exponent: the bits of the exponent in a 16-bit format: all of them are set in NaN and Inf. 0 for wider formats.
    """

    name: str
    overflow: float
    largest_text: float
    safe_digits: int
    exponent: int = 0


FLOAT64 = FloatFormat("float64", math.inf, 1.7976931348623157e308, 300)
FLOAT32 = FloatFormat("float32", FLOAT32_LIMIT, math.nextafter(FLOAT32_LIMIT, 0), 38)
# Servers read float32 first: halfway to 65520 becomes 65520, and then infinite.
FLOAT16 = FloatFormat("float16", 65520.0, math.nextafter(65520 - 2**-9, 0), 4, 0x7C00)
BFLOAT16 = FloatFormat("bfloat16", 255.5 * 2.0**120, math.nextafter(255.5 * 2.0**120, 0), 38, 0x7F80)


@dataclass(frozen=True, slots=True)
class ParquetForm:
    """How values stand in a leaf of a Parquet file.

    Attributes
    ----------
    physical: physical type.
    annotation: logical type, "" for none.
    is_list: each value is a list of ``physical`` elements.
    dictionary: PLAIN bytes of the dictionary page, b"" for none. Values are then single bytes, and each byte is its
        index: Parquet has no 8-bit type, and PLAIN would take 4 bytes a value.
    """

    physical: Literal["BOOLEAN", "INT32", "INT64", "FLOAT", "DOUBLE", "BYTE_ARRAY"]
    annotation: Literal["", "STRING", "INT_8", "UINT_8", "INT_16"] = ""
    is_list: bool = False
    dictionary: bytes = b""


PARQUET_TEXT = ParquetForm("BYTE_ARRAY", "STRING")


@dataclass(frozen=True, slots=True)
class Carriage:
    """How a format carries something, and the first release of the server that reads it.

    None as ``since``: no server does, and ``how`` says why, and what to do about it.
    """

    how: str
    since: Version | None = (2, 2, 0)


def not_carried(why: str) -> Carriage:
    """Return the cell of a format that cannot carry something."""
    return Carriage(why, None)


@dataclass(frozen=True, slots=True)
class Carried:
    """How each format carries something, by their names in `FormatRules`. ``json``: all formats without a cell too.

    Cells that are plain text are read from release ``since`` on, or the first that reads the format.
    """

    parquet: Carriage | str
    npy: Carriage | str
    json: Carriage | str
    csv: Carriage | str | None = None
    since: Version = (2, 2, 0)


NO_STRUCT_IN_NPY = not_carried("NPY cannot carry struct arrays; use PARQUET or JSON")


# What a dataclass makes of so many fields costs time at each import of vecmill: only what is used is made.
@dataclass(frozen=True, slots=True, eq=False, repr=False, match_args=False, kw_only=True)
class Kind:
    """The row of a type: everything that depends on it.

    Attributes
    ----------
    dtype: the type itself.
    name: what kernels call it. Types that are handled alike in files (VARCHAR and TEXT) share a name.
    group: types of a group are checked and encoded by the same code.
    rest_names: spellings of the type in the REST API, the server's own first.
    expected: what a value must be, for messages; a template, see `expected_value`.
    carried: row of docs/formats.md. None: the server refuses the type in a schema.
    descr: NumPy descr of one element in an NPY file and in a column buffer, None for variable width. Elements are not
        values: a float16 vector is stored as ``2 * dim`` elements of ``|u1``.
    bits_per_dim: bits of one dimension in a dense vector, else 0.
    max_bytes: largest value of variable width in UTF-8 bytes, -1 for no limit or one that the field sets.
    encoding: how NumPy arrays become bytes, None for variable width.
    limits: smallest and largest integer, of a dense vector in one number of its JSON text; None for no integers.
    floats: format that numbers are narrowed to, None for no floats.
    npy: NumPy letters that the server reads for the type ("f4"; "U" and "S" for text).
    parquet: the leaf of a Parquet file that vecmill writes. Unused for arrays and structs: their elements have one.
    parquet_in_struct: the same inside of a struct array, where the server reads lists only; None: as ``parquet``.
    arrow: Arrow types of a value (of a dense vector: of an element of its list) that the server's Parquet reader takes,
        each with the first release line.
    arrow_nullable: ``arrow`` of a nullable field, None: the same.
    arrow_in_struct: ``arrow`` of a vector inside of a struct array, None: the same.
    inferred_from: Arrow types of a value (of a dense vector: of an element of its list) that become this type if there
        is no schema, each with a note for the user.
    text_most: most bytes of a number and the comma behind it in JSON or CSV.
    text_usual: bytes that embeddings usually take there; 0: ``text_most``.
    is_plain_text: cells of CSV and strings of JSON are the value itself.
    index: index and metric that ``import`` creates if nothing else is asked for. The server chooses for AUTOINDEX;
        before 2.4 it does so for float vectors only.
    in_array: an ARRAY can have such elements.
    in_struct: row of docs/formats.md for such vectors inside of a struct array, None: there are none.
    in_struct_row: its title.
    can_be_key: primary keys and partition keys can be of the type.
    can_cluster: clustering keys can be of the type.
    can_default: a field can have a default value.
    in_lite: Milvus Lite 3.2 knows the type.
    """

    dtype: DataType
    name: str
    group: Group
    rest_names: tuple[str, ...]
    expected: str
    carried: Carried | None
    descr: str | None = None
    bits_per_dim: int = 0
    max_bytes: int = -1
    encoding: Encoding | None = None
    limits: tuple[int, int] | None = None
    floats: FloatFormat | None = None
    npy: tuple[str, ...] = ()
    parquet: ParquetForm = PARQUET_TEXT
    parquet_in_struct: ParquetForm | None = None
    arrow: Mapping[str, Line] = field(default_factory=dict)
    arrow_nullable: Mapping[str, Line] | None = None
    arrow_in_struct: Mapping[str, Line] | None = None
    inferred_from: Mapping[str, str] = field(default_factory=dict)
    text_most: int = 0
    text_usual: int = 0
    is_plain_text: bool = False
    index: tuple[str, str] = ("AUTOINDEX", "COSINE")
    in_array: bool = False
    in_struct: Carried | None = None
    in_struct_row: str = ""
    can_be_key: bool = False
    can_cluster: bool = False
    can_default: bool = False
    in_lite: bool = False

    def __repr__(self) -> str:
        return f"<Kind {self.dtype.name}>"

    @property
    def itemsize(self) -> int:
        """Bytes of one element; 0 for variable width."""
        return int(self.descr[2:]) if self.descr is not None else 0

    @property
    def is_vector(self) -> bool:
        """True for vectors, dense or sparse."""
        return self.group in ("dense", "sparse")

    @property
    def is_json(self) -> bool:
        """True for JSON fields and ``$meta``."""
        return self.group in ("json", "meta")

    @property
    def is_half(self) -> bool:
        """True for vectors of 16-bit floats."""
        return self.encoding == "half"

    @property
    def is_bits(self) -> bool:
        """True for vectors of single bits, packed into bytes."""
        return self.encoding == "bits"

    @property
    def is_bytes(self) -> bool:
        """True for vectors that are stored as opaque bytes: NumPy and Parquet have no type for their numbers."""
        return self.is_half or self.is_bits

    @property
    def text_range(self) -> tuple[float, float]:
        """Smallest and largest number in JSON or CSV."""
        if self.floats is None:
            return self.limits or (0, 0)
        return -self.floats.largest_text, self.floats.largest_text

    @property
    def parquet_nested(self) -> ParquetForm:
        """The leaf of elements of an array, or of a sub-field of a struct array, in a Parquet file."""
        return self.parquet_in_struct or self.parquet

    def vector_nbytes(self, dim: int) -> int:
        """Return the bytes of one dense vector of ``dim`` dimensions; 0 for other types."""
        return dim * self.bits_per_dim // 8

    def n_elements(self, dim: int) -> int:
        """Return the elements of ``descr`` in one dense vector."""
        return self.vector_nbytes(dim) // self.itemsize

    def n_numbers(self, dim: int) -> int:
        """Return the numbers in the JSON list of one dense vector: a number a dimension, but of bits a byte."""
        return dim // 8 if self.is_bits else dim

    def expected_value(self, **facts: object) -> str:
        """Return what a value must be. ``facts``: dim, n_bytes, max_bytes, least, capacity, items."""
        low, high = self.limits or (0, 0)
        return self.expected.format(low=low, high=high, **facts)
