"""The rules of the server, one row a rule: what must hold, in which versions breaking it is what, and the way out.

``python -m vecmill.validate.document`` prints docs/rules.md from this table, which ends with that of `format_rules`.
Severities are given per format and release line as a short text: "silent 2.4=refused" reads: silent corruption, from
2.4 on refused; "-": no rule. "*" stands for all formats that are not named; JSON Lines is a dialect of JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vecmill.output_formats import ENDINGS_TEXT, parse_file_type
from vecmill.schema.servers import SERVICES, bytes_text
from vecmill.validate.format_rules import FORMAT_RULES
from vecmill.validate.rule import (
    CSV,
    FILES,
    GO_JSON,
    JSON,
    NPY,
    PARQUET,
    TRIED,
    Rule,
    RuleRow,
    spans,
)

_MILVUS, _CLOUD = SERVICES["milvus"], SERVICES["cloud"]

# fmt: off
_ROWS: tuple[RuleRow, ...] = (
    # -- files and sets
    ("file-missing", "every file that is named can be read", "name a file that is there", FILES, "refused"),
    (
        "file-type",
        f"the name ends in {ENDINGS_TEXT}, in lower case: nothing else tells the server what a file is",
        "rename the file", FILES, "refused",
    ),
    (
        "file-group", "an import file is one file, or the NPY files of one set",
        "name each file in a list of its own", FILES, "refused",
    ),
    (
        "file-twice", "an import file is named once: its rows would be imported twice", "name it once", FILES,
        "silent",
    ),
    (
        "request-files",
        f"a request, as a list of lists, has from 1 to {_MILVUS.files:,} import files, on Zilliz Cloud "
        f"{_CLOUD.files:,} and {bytes_text(_CLOUD.request_bytes)}",
        "make several requests, as vecmill import does", f"{FILES}; docs.zilliz.com", "refused",
    ),
    (
        "request-split", "what is named otherwise fits one request, with the same limits",
        "vecmill import makes several requests; with other clients, make them", f"{FILES}; docs.zilliz.com", "advice",
    ),
    ("file-empty", "a file is not empty", "leave the file out", f"{TRIED}; {FILES}", "refused"),
    ("file-no-rows", "a file has rows", "leave the file out: versions differ in what they do", TRIED, "advice"),
    (
        "file-size",
        f"an import file has at most {bytes_text(_MILVUS.file_bytes)}, an NPY set with all its files; "
        f"{bytes_text(_CLOUD.file_bytes)} on Zilliz Cloud",
        "write smaller files (chunk_size)", "milvus configure_datanode.md, maxImportFileSizeInGB; docs.zilliz.com",
        "refused",
    ),
    (
        "schema-format", "the format carries every field of the schema, and the server of the target reads it",
        "use another format", "docs/formats.md", "refused",
    ),
    (
        "manifest-bytes", "a file has the bytes that its manifest tells", "write or upload it again", "manifest.json",
        "silent",
    ),
    (
        "manifest-checksum", "a file has the checksum that its manifest tells (looked at on the level full)",
        "write or upload it again", "manifest.json", "silent",
    ),
    ("manifest-rows", "a file has the rows that its manifest tells", "write it again", "manifest.json", "silent"),
    # -- columns
    (
        "column-missing",
        "there is a column for every field that the server does not fill itself, is not nullable and has no default "
        "(2.3 and 2.4 fill in no default)",
        "add the column", f"{NPY}; {PARQUET}; {JSON}; {CSV}", "refused",
    ),
    (
        "column-unknown",
        "every column is a field of the schema: from 2.6 on the server passes over others",
        "remove the column", f"{TRIED}; {PARQUET}; {CSV}", "refused 2.6=advice",
    ),
    (
        "column-dynamic",
        "dynamic values are in $meta (in JSON beside the fields): from 2.6 on the server drops a column of their own, "
        "but of CSV it takes the cells as text",
        "put it into $meta, as JSON", f"{TRIED}; {PARQUET}; {CSV}", {"*": "refused 2.6=silent", "csv": "advice"},
    ),
    (
        "column-misnamed",
        "no column is named nearly as a field that is left out: the field would be null, or its default, in all rows",
        "give the column the name of the field", f"{PARQUET}; {CSV}", {"*": "refused 2.6=silent"},
    ),
    (
        "column-twice", "a column is there once", "remove one", f"{TRIED}; {NPY}; {PARQUET}; {JSON}",
        {"*": "refused", "npy": "refused 2.4=silent", "json": "silent", "csv": "silent"},
    ),
    (
        "column-auto-id",
        "there is no column for a primary key that the server makes; with allow_insert_auto_id there may be one from "
        "2.6 on, but not in NPY, nor in CSV beside a dynamic field",
        "remove the column", f"{TRIED}; {NPY}; {PARQUET}; {JSON}", "refused",
    ),
    (
        "column-function-output", "there is no column for what a function of the collection makes",
        "remove the column", f"{NPY}; {PARQUET}; {JSON}", "refused",
    ),
    # -- values, in any format
    (
        "value-type", "a value has the type of its field", "write it in the form that docs/formats.md tells",
        f"{JSON}; {CSV}", {"json": "refused", "csv": "refused"},
    ),
    (
        "value-range", "a number is within the range of its field", "use a wider field, or leave the row out",
        f"{TRIED}; {JSON}; {PARQUET}",
        {"json": "refused", "csv": "refused", "npy": "silent", "parquet": "silent 2.4=refused"},
    ),
    (
        "value-array-range",
        "an element of an INT8 or INT16 array is within the range of that type: the server only looks whether it is "
        "an int32", "use ARRAY of INT32, or leave the row out", JSON, {"json": "refused 2.4=silent", "csv": "silent"},
    ),
    (
        "value-dim", "a vector has as many values as the field has dimensions (8 of a binary vector make a byte)",
        "write vectors of one length", f"{TRIED}; {PARQUET}; {JSON}", "refused",
    ),
    (
        "value-bytes-dim",
        "a vector written as bytes has the bytes of its dimensions: the server joins them unmeasured",
        "write vectors of one length", PARQUET, {"parquet": "silent"},
    ),
    (
        "value-null", "there is a null only where the field is nullable or has a default",
        "fill it, or make the field nullable", f"{TRIED}; {PARQUET}; {JSON}",
        {"*": "refused", "parquet": "silent 2.4=refused"},
    ),
    (
        "value-null-element", "there is no null within an array or a vector", "fill it", PARQUET,
        {"*": "refused", "parquet": "silent 2.6=refused"},
    ),
    (
        "value-empty-list", "a nullable array is not empty: the server reads an empty list as null",
        "write the file as JSON, or a null", PARQUET, {"parquet": "- 2.5=silent"},
    ),
    (
        "value-nan", "a FLOAT or DOUBLE is finite, also within an array",
        "replace NaN and infinity, or leave the row out", f"{TRIED}; {NPY}; {PARQUET}",
        {"*": "refused", "npy": "refused 2.4=silent"},
    ),
    (
        "value-nan-vector", "a float vector is finite (Milvus 2.5 takes a NaN in NPY for the end of the file)",
        "leave the row out", f"{TRIED}; {NPY}; {PARQUET}",
        {"*": "refused", "npy": "refused 2.5=silent 2.6=refused", "parquet": "silent"},
    ),
    (
        "value-nan-half", "a float16 or bfloat16 vector is finite: as bytes it is not looked at", "leave the row out",
        f"{NPY}; {PARQUET}", {"npy": "silent", "parquet": "silent", "json": "refused", "csv": "refused"},
    ),
    (
        "value-vector-overflow",
        "a vector of wider floats fits the field's type (float32, float16, bfloat16): what does not becomes infinite",
        "scale it, or leave the row out", f"{TRIED}; {NPY}", {"*": "silent", "json": "refused", "csv": "refused"},
    ),
    (
        "value-text-length", "text has at most max_length bytes of UTF-8", "cut it, or raise max_length",
        f"{TRIED}; milvus importutilv2/common", {"*": "silent 2.4=refused"},
    ),
    (
        "value-text-utf8", "text is UTF-8", "write it as UTF-8", f"{TRIED}; milvus release notes 2.5.8",
        {"*": "silent 2.5=refused", "json": "silent"},
    ),
    (
        "value-capacity", "an array has at most max_capacity elements", "cut it, or raise max_capacity",
        f"{TRIED}; milvus importutilv2/common", {"*": "silent 2.4=refused"},
    ),
    (
        "value-json", "a JSON field holds JSON text, and the numbers in it are within float64",
        "write it with a JSON encoder", f"{TRIED}; {NPY}; {PARQUET}", "refused",
    ),
    (
        "value-json-size", "a JSON value has at most 65,536 bytes: an insert or upsert of more is refused",
        "make it smaller", "milvus-docs use-json-fields.md", "advice",
    ),
    (
        "value-meta", "$meta is a JSON object, with no key that stands beside it too, and no $meta in it",
        "write it as an object", f"{TRIED}; {NPY}; {PARQUET}",
        {"*": "refused", "npy": "silent 2.4=refused", "parquet": "silent 2.4=refused"},
    ),
    (
        "value-json-number", "a number within an object is within float64: the server takes it, and clients fail",
        "write it as text", TRIED, {"json": "silent"},
    ),
    (
        "value-key-twice",
        "an object within a value has each key once: the last one counts (JSON text of a JSON field stays as it is)",
        "remove one", GO_JSON, {"json": "silent", "csv": "silent", "parquet": "silent"},
    ),
    (
        "value-meta-number",
        "an integer in $meta that is text is one that a float64 holds: the server makes one of it",
        "write it as text, or in JSON $meta as an object", f"{TRIED}; {JSON}; {CSV}",
        {"json": "- 2.4=silent", "csv": "silent"},
    ),
    (
        "value-meta-field", "no key in $meta is a field of the schema: its value could never be read",
        "rename it, or remove it", TRIED, {"npy": "silent", "parquet": "silent"},
    ),
    (
        "value-geometry", "a geometry is well-formed WKT", "write it with a geometry library",
        f"{NPY}; {PARQUET}; {JSON}", "refused",
    ),
    (
        "value-timestamptz", "a time is RFC 3339 text with an offset from -12:00 to +14:00, or naive",
        "write it as '2026-01-31T12:00:00Z'", "milvus pkg/util/timestamptz", "refused",
    ),
    (
        "value-timestamptz-finer", "a time has no more than microseconds: the server cuts the rest",
        "round it to microseconds", "milvus pkg/util/timestamptz", "silent",
    ),
    (
        "value-sparse",
        "a sparse vector is an object of index to value, or of indices and values: indices below 4294967295, each "
        "once; values finite and not negative", "mend it, or leave the row out", "milvus pkg/util/typeutil, sparse",
        "refused",
    ),
    (
        "value-sparse-index",
        "an index of a sparse vector is a number from 0 to 4294967294: others are wrapped, or read as octal",
        "mend it", "milvus pkg/util/typeutil, sparse", "silent",
    ),
    *FORMAT_RULES,
)
# fmt: on


def _table() -> Mapping[str, Rule]:
    table = {}
    for name, holds, way_out, source, severities in _ROWS:
        by_form = {"*": severities} if isinstance(severities, str) else severities
        parsed = {None if form == "*" else parse_file_type(form): spans(text) for form, text in by_form.items()}
        table[name] = Rule(name, holds, way_out, source, parsed)
    return MappingProxyType(table)


RULES: Mapping[str, Rule] = _table()
"""Every rule by its id."""
