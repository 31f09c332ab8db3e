"""Text, and what stands as text in files (JSON, geometries, times): the rows."""

from __future__ import annotations

from vecmill.types.kind import MAX_VALUE_BYTES, Carriage, Carried, DataType, Kind, not_carried

JSON_MAX_BYTES = 65_536
"""Largest JSON that Milvus takes on insert and upsert; no import reader checks it (milvus-docs, use-json-fields)."""

_TEXT_LETTERS = ("U", "S")
_STRING = {"string": (0, 0)}
_UTF8 = "text of at most {max_bytes} UTF-8 bytes"

# The server knows STRING but refuses it in a schema; it has a row so that the refusal can be worded.
STRING = Kind(
    dtype=DataType.STRING,
    name="text",
    group="text",
    rest_names=("String",),
    expected=_UTF8,
    carried=None,
    is_plain_text=True,
    can_default=True,
)
VARCHAR = Kind(
    dtype=DataType.VARCHAR,
    name="text",
    group="text",
    rest_names=("VarChar",),
    expected=_UTF8,
    carried=Carried("string", "<U, as wide as the longest value", "string"),
    max_bytes=MAX_VALUE_BYTES,
    npy=_TEXT_LETTERS,
    arrow=_STRING,
    inferred_from=dict.fromkeys(("string", "large_string", "string_view"), ""),
    is_plain_text=True,
    in_array=True,
    can_be_key=True,
    can_cluster=True,
    can_default=True,
    in_lite=True,
)
TEXT = Kind(
    dtype=DataType.TEXT,
    name="text",
    group="text",
    rest_names=("Text",),
    expected=_UTF8,
    carried=Carried(
        Carriage("string", (3, 0, 0)),
        not_carried("the server does not read TEXT from NPY; use PARQUET"),
        Carriage("string", (3, 0, 0)),
        not_carried("no server is known to read TEXT from CSV; use PARQUET"),
    ),
    max_bytes=MAX_VALUE_BYTES,
    npy=_TEXT_LETTERS,
    arrow=_STRING,
    is_plain_text=True,
)
JSON = Kind(
    dtype=DataType.JSON,
    name="json",
    group="json",
    rest_names=("JSON", "Json"),
    expected="a JSON value or JSON text of at most {max_bytes} bytes",
    carried=Carried("string, JSON text", "<U, JSON text", "object, or a string with JSON text", "JSON text"),
    max_bytes=JSON_MAX_BYTES,
    npy=_TEXT_LETTERS,
    arrow=_STRING,
    in_lite=True,
)
META = Kind(
    dtype=DataType.JSON,
    name="meta",
    group="meta",
    rest_names=(),
    expected="dynamic values that make a JSON object of at most {max_bytes} bytes",
    carried=None,
    max_bytes=JSON_MAX_BYTES,
    npy=_TEXT_LETTERS,
    arrow=_STRING,
)
"""The column of the dynamic field, ``$meta``: a type of files only, the field is of type JSON."""

GEOMETRY = Kind(
    dtype=DataType.GEOMETRY,
    name="geometry",
    group="geometry",
    rest_names=("Geometry",),
    expected="WKT text of a geometry",
    carried=Carried("string, WKT", Carriage("<U, WKT", (3, 0, 0)), "string, WKT", "WKT", (2, 6, 6)),
    max_bytes=MAX_VALUE_BYTES,
    npy=_TEXT_LETTERS,
    arrow=_STRING,
    is_plain_text=True,
    can_default=True,
    in_lite=True,
)
TIMESTAMPTZ = Kind(
    dtype=DataType.TIMESTAMPTZ,
    name="timestamptz",
    group="timestamptz",
    rest_names=("Timestamptz", "TimestampTz"),
    expected="a time as RFC 3339 text, naive text, or a datetime",
    carried=Carried(
        "string",
        not_carried("the server does not read TIMESTAMPTZ from NPY; use PARQUET or JSON"),
        "string",
        "text",
        (2, 6, 6),
    ),
    max_bytes=64,
    arrow=_STRING,
    is_plain_text=True,
    can_default=True,
    in_lite=True,
)

ROWS = (STRING, VARCHAR, TEXT, JSON, GEOMETRY, TIMESTAMPTZ)
