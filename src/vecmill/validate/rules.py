"""The rules of the server, one row a rule: what must hold, in which versions breaking it is what, and the way out.

docs/rules.md is printed from this table (``python -m vecmill.validate.document``). Severities are given per format and
release line as a short text: "silent 2.4=refused" reads: silent corruption, from 2.4 on refused; "-": no rule. "*"
stands for all formats that are not named; JSON Lines is a dialect of JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vecmill.filetype import ENDINGS_TEXT, parse_file_type
from vecmill.schema.servers import SERVICES, bytes_text
from vecmill.validate.rule import Rule, spans

_MILVUS, _CLOUD = SERVICES["milvus"], SERVICES["cloud"]

_NPYIO = "sbinet/npyio npy/reader.go"
_NPY = "milvus importutilv2/numpy/field_reader.go, util.go"
_PARQUET = "milvus importutilv2/parquet/util.go, field_reader.go"
_JSON = "milvus importutilv2/json/reader.go, row_parser.go"
_CSV = "milvus importutilv2/csv/reader.go, row_parser.go"
_FILES = "milvus importutilv2/util.go, proxy/task_import.go"
_GO_JSON = "Go encoding/json"
_TRIED = "tried with Milvus 2.3.5"

# id, what must hold, way out, source, severities.
# fmt: off
_ROWS: tuple[tuple[str, str, str, str, str | Mapping[str, str]], ...] = (
    # -- files and sets
    ("file-missing", "every file that is named can be read", "name a file that is there", _FILES, "refused"),
    (
        "file-type",
        f"the name ends in {ENDINGS_TEXT}, in lower case: nothing else tells the server what a file is",
        "rename the file", _FILES, "refused",
    ),
    (
        "file-group", "an import file is one file, or the NPY files of one set",
        "name each file in a list of its own", _FILES, "refused",
    ),
    (
        "file-twice", "an import file is named once: its rows would be imported twice", "name it once", _FILES,
        "silent",
    ),
    (
        "request-files",
        f"a request, as a list of lists, has from 1 to {_MILVUS.files:,} import files, on Zilliz Cloud "
        f"{_CLOUD.files:,} and {bytes_text(_CLOUD.request_bytes)}",
        "make several requests, as vecmill import does", f"{_FILES}; docs.zilliz.com", "refused",
    ),
    (
        "request-split", "what is named otherwise fits one request, with the same limits",
        "vecmill import makes several requests; with other clients, make them", f"{_FILES}; docs.zilliz.com", "advice",
    ),
    ("file-empty", "a file is not empty", "leave the file out", f"{_TRIED}; {_FILES}", "refused"),
    ("file-no-rows", "a file has rows", "leave the file out: versions differ in what they do", _TRIED, "advice"),
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
        "add the column", f"{_NPY}; {_PARQUET}; {_JSON}; {_CSV}", "refused",
    ),
    (
        "column-unknown",
        "every column is a field of the schema: from 2.6 on the server passes over others",
        "remove the column", f"{_TRIED}; {_PARQUET}; {_CSV}", "refused 2.6=advice",
    ),
    (
        "column-dynamic",
        "dynamic values are in $meta (in JSON beside the fields): from 2.6 on the server drops a column of their own, "
        "but of CSV it takes the cells as text",
        "put it into $meta, as JSON", f"{_TRIED}; {_PARQUET}; {_CSV}", {"*": "refused 2.6=silent", "csv": "advice"},
    ),
    (
        "column-misnamed",
        "no column is named nearly as a field that is left out: the field would be null, or its default, in all rows",
        "give the column the name of the field", f"{_PARQUET}; {_CSV}", {"*": "refused 2.6=silent"},
    ),
    (
        "column-twice", "a column is there once", "remove one", f"{_TRIED}; {_NPY}; {_PARQUET}; {_JSON}",
        {"*": "refused", "npy": "refused 2.4=silent", "json": "silent", "csv": "silent"},
    ),
    (
        "column-auto-id",
        "there is no column for a primary key that the server makes; with allow_insert_auto_id there may be one from "
        "2.6 on, but not in NPY, nor in CSV beside a dynamic field",
        "remove the column", f"{_TRIED}; {_NPY}; {_PARQUET}; {_JSON}", "refused",
    ),
    (
        "column-function-output", "there is no column for what a function of the collection makes",
        "remove the column", f"{_NPY}; {_PARQUET}; {_JSON}", "refused",
    ),
    # -- values, in any format
    (
        "value-type", "a value has the type of its field", "write it in the form that docs/formats.md tells",
        f"{_JSON}; {_CSV}", {"json": "refused", "csv": "refused"},
    ),
    (
        "value-range", "a number is within the range of its field", "use a wider field, or leave the row out",
        f"{_TRIED}; {_JSON}; {_PARQUET}",
        {"json": "refused", "csv": "refused", "npy": "silent", "parquet": "silent 2.4=refused"},
    ),
    (
        "value-array-range",
        "an element of an INT8 or INT16 array is within the range of that type: the server only looks whether it is "
        "an int32", "use ARRAY of INT32, or leave the row out", _JSON, {"json": "refused 2.4=silent", "csv": "silent"},
    ),
    (
        "value-dim", "a vector has as many values as the field has dimensions (8 of a binary vector make a byte)",
        "write vectors of one length", f"{_TRIED}; {_PARQUET}; {_JSON}", "refused",
    ),
    (
        "value-bytes-dim",
        "a vector written as bytes has the bytes of its dimensions: the server joins them unmeasured",
        "write vectors of one length", _PARQUET, {"parquet": "silent"},
    ),
    (
        "value-null", "there is a null only where the field is nullable or has a default",
        "fill it, or make the field nullable", f"{_TRIED}; {_PARQUET}; {_JSON}",
        {"*": "refused", "parquet": "silent 2.4=refused"},
    ),
    (
        "value-null-element", "there is no null within an array or a vector", "fill it", _PARQUET,
        {"*": "refused", "parquet": "silent 2.6=refused"},
    ),
    (
        "value-empty-list", "a nullable array is not empty: the server reads an empty list as null",
        "write the file as JSON, or a null", _PARQUET, {"parquet": "- 2.5=silent"},
    ),
    (
        "value-nan", "a FLOAT or DOUBLE is finite, also within an array",
        "replace NaN and infinity, or leave the row out", f"{_TRIED}; {_NPY}; {_PARQUET}",
        {"*": "refused", "npy": "refused 2.4=silent"},
    ),
    (
        "value-nan-vector", "a float vector is finite (Milvus 2.5 takes a NaN in NPY for the end of the file)",
        "leave the row out", f"{_TRIED}; {_NPY}; {_PARQUET}",
        {"*": "refused", "npy": "refused 2.5=silent 2.6=refused", "parquet": "silent"},
    ),
    (
        "value-nan-half", "a float16 or bfloat16 vector is finite: as bytes it is not looked at", "leave the row out",
        f"{_NPY}; {_PARQUET}", {"npy": "silent", "parquet": "silent", "json": "refused", "csv": "refused"},
    ),
    (
        "value-vector-overflow",
        "a vector of wider floats fits the field's type (float32, float16, bfloat16): what does not becomes infinite",
        "scale it, or leave the row out", f"{_TRIED}; {_NPY}", {"*": "silent", "json": "refused", "csv": "refused"},
    ),
    (
        "value-text-length", "text has at most max_length bytes of UTF-8", "cut it, or raise max_length",
        f"{_TRIED}; milvus importutilv2/common", {"*": "silent 2.4=refused"},
    ),
    (
        "value-text-utf8", "text is UTF-8", "write it as UTF-8", f"{_TRIED}; milvus release notes 2.5.8",
        {"*": "silent 2.5=refused", "json": "silent"},
    ),
    (
        "value-capacity", "an array has at most max_capacity elements", "cut it, or raise max_capacity",
        f"{_TRIED}; milvus importutilv2/common", {"*": "silent 2.4=refused"},
    ),
    (
        "value-json", "a JSON field holds JSON text, and the numbers in it are within float64",
        "write it with a JSON encoder", f"{_TRIED}; {_NPY}; {_PARQUET}", "refused",
    ),
    (
        "value-json-size", "a JSON value has at most 65,536 bytes: an insert or upsert of more is refused",
        "make it smaller", "milvus-docs use-json-fields.md", "advice",
    ),
    (
        "value-meta", "$meta is a JSON object, with no key that stands beside it too, and no $meta in it",
        "write it as an object", f"{_TRIED}; {_NPY}; {_PARQUET}",
        {"*": "refused", "npy": "silent 2.4=refused", "parquet": "silent 2.4=refused"},
    ),
    (
        "value-json-number", "a number within an object is within float64: the server takes it, and clients fail",
        "write it as text", _TRIED, {"json": "silent"},
    ),
    (
        "value-key-twice",
        "an object within a value has each key once: the last one counts (JSON text of a JSON field stays as it is)",
        "remove one", _GO_JSON, {"json": "silent", "csv": "silent", "parquet": "silent"},
    ),
    (
        "value-meta-number",
        "an integer in $meta that is text is one that a float64 holds: the server makes one of it",
        "write it as text, or in JSON $meta as an object", f"{_TRIED}; {_JSON}; {_CSV}",
        {"json": "- 2.4=silent", "csv": "silent"},
    ),
    (
        "value-meta-field", "no key in $meta is a field of the schema: its value could never be read",
        "rename it, or remove it", _TRIED, {"npy": "silent", "parquet": "silent"},
    ),
    (
        "value-geometry", "a geometry is well-formed WKT", "write it with a geometry library",
        f"{_NPY}; {_PARQUET}; {_JSON}", "refused",
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
    # -- NPY
    (
        "npy-magic", "the file begins with the bytes 93 4E 55 4D 50 59", "write it with numpy.save", _NPYIO,
        {"npy": "refused"},
    ),
    (
        "npy-version", "the file is of NPY version 1 or 2", "write it with numpy.save", f"{_TRIED}; {_NPYIO}",
        {"npy": "refused"},
    ),
    (
        "npy-header-size", "the header has at most 65,536 bytes and is whole", "write it with numpy.save",
        "milvus importutilv2/numpy/row_count.go", {"npy": "refused"},
    ),
    (
        "npy-header-newline", "the header ends with a newline: without one, Milvus up to 2.6 ends itself",
        "write it with numpy.save", f"{_TRIED}; {_NPYIO}", {"npy": "refused"},
    ),
    (
        "npy-header-form",
        "the header is as numpy writes it: 'descr', 'fortran_order', 'shape' in this order, plain integers, ', }' at "
        "the end", "write it with numpy.save", f"{_TRIED}; {_NPYIO}", {"npy": "refused"},
    ),
    (
        "npy-header-misread", "the server, which cuts the header at fixed places, reads from it what NumPy reads",
        "write it with numpy.save", _NPYIO, {"npy": "refused 2.4=silent"},
    ),
    (
        "npy-fortran", "a matrix is in C order: the server passes over fortran_order and reads the values row by row",
        "numpy.save(path, numpy.ascontiguousarray(array))", f"{_TRIED}; {_NPY}", {"npy": "silent"},
    ),
    (
        "npy-descr", "the type is one that the server knows: b1, u1, i1 to i8, f4, f8, S, U", "array.astype(...)",
        f"{_TRIED}; {_NPY}", {"npy": "refused"},
    ),
    (
        "npy-dtype", "the type is that of the field, in the same width", "array.astype(...)", f"{_TRIED}; {_NPY}",
        {"npy": "refused"},
    ),
    (
        "npy-shape", "scalars have the shape (n,), vectors (n, dim)", "array.reshape(...)", f"{_TRIED}; {_NPY}",
        {"npy": "refused"},
    ),
    (
        "npy-truncated",
        "the file holds all values of its shape: a cut at the end of what the server reads at once passes for the end",
        "write or upload it again", f"{_TRIED}; {_NPY}", {"npy": "refused 2.4=silent"},
    ),
    (
        "npy-text-truncated", "a file of text holds all values of its shape: missing ones become empty",
        "write or upload it again", _NPY, {"npy": "silent"},
    ),
    (
        "npy-trailing", "nothing follows the values: the server passes over it", "write it again", _TRIED,
        {"npy": "advice"},
    ),
    (
        "npy-rows",
        "all files of a set have the same number of rows: the server drops what is beyond the shortest, or refuses",
        "write all columns from the same rows", f"{_TRIED}; milvus importutilv2/numpy/reader.go",
        {"npy": "refused 2.4=silent 3.0=refused"},
    ),
    (
        "npy-text-width", "a text column has a width from 1 to 4,194,304",
        "array.astype('U1') when all values are empty", f"{_TRIED}; {_NPY}", {"npy": "refused"},
    ),
    (
        "npy-text-nul", "text has no U+0000 in it: the server drops it, and in type S all that follows it",
        "remove it, or write Parquet",
        f"{_TRIED}; {_NPY}", {"npy": "silent"},
    ),
    (
        "npy-text-code", "text of type U has no surrogates and nothing above U+10FFFF: they become U+FFFD",
        "write it as UTF-8 text", _NPY, {"npy": "silent"},
    ),
    (
        "npy-bytes-length", "text of type S has at most max_length bytes: the server does not look",
        "write it as type U", f"{_TRIED}; {_NPY}", {"npy": "silent"},
    ),
    (
        "npy-bytes-empty", "text of type S is not empty: an empty value is stored as NUL bytes", "write it as type U",
        _NPY, {"npy": "silent"},
    ),
    # -- Parquet
    (
        "parquet-footer",
        "the file is whole Parquet, with a footer of at most 64 MiB and at most 65,536 columns and row groups",
        "write or upload it again", f"{_TRIED}; arrow-go parquet/file", {"parquet": "refused"},
    ),
    (
        "parquet-pages", "every page can be decoded", "write or upload it again", "arrow-go parquet/file",
        {"parquet": "refused"},
    ),
    (
        "parquet-checksum", "a page has the checksum that it tells, if it tells one: the server does not look",
        "write or upload it again", "arrow-go parquet/file", {"parquet": "silent"},
    ),
    (
        "parquet-codec", "the compression is none, snappy, gzip, brotli or zstd", "compression='zstd'",
        f"{_TRIED}; arrow-go parquet/compress", {"parquet": "refused"},
    ),
    (
        "parquet-encoding",
        "no values are encoded as BYTE_STREAM_SPLIT, and no bools as RLE (as in data pages of version 2): Milvus 2.3 "
        "and 2.4 find no rows in them", "data_page_version='1.0', use_byte_stream_split=False",
        f"{_TRIED}; arrow-go 12 parquet/internal/encoding", {"parquet": "refused 2.5=-"},
    ),
    (
        "parquet-type", "a column has a type that the server takes for the field", "cast the column",
        f"{_TRIED}; {_PARQUET}", {"parquet": "refused"},
    ),
    (
        "parquet-arrow-schema",
        "ARROW:schema does not ask for a type that the server refuses (large_string, dictionary, fixed_size_list), "
        "where the file itself holds one that it takes", "cast the column, or store_schema=False",
        f"{_TRIED}; arrow-go pqarrow/schema.go", {"parquet": "refused"},
    ),
    (
        "parquet-narrow", "a number in a struct array has the width of its field: narrower ones become zeros",
        "cast the column", "milvus importutilv2/parquet/struct_field_reader.go", {"parquet": "silent"},
    ),
    (
        "parquet-row-group", "a row group has at most 1 GiB of values: some servers hold whole ones in memory",
        "row_group_size=...", "milvus importutilv2/parquet/reader.go; pymilvus buffer.py", {"parquet": "advice"},
    ),
    # -- JSON
    (
        "json-syntax",
        "the file is JSON (JSON Lines: one object after another) without a byte order mark, and nothing follows it",
        "write it with a JSON encoder", f"{_TRIED}; {_JSON}", {"json": "refused"},
    ),
    (
        "json-top", "the file is a list of objects, or an object whose only key is rows", "write a list of objects",
        f"{_TRIED}; {_JSON}", {"json": "refused"},
    ),
    (
        "json-rest",
        "nothing stands behind the rows, and between JSON Lines no ] or }: the server does not read what follows",
        "write one list of objects", f"{_TRIED}; {_JSON}; {_GO_JSON}",
        {"json": "silent"},
    ),
    (
        "json-behind", "no value or key stands behind the list of rows: Milvus 2.3 does not read it",
        "write one list of objects", f"{_TRIED}; {_JSON}", {"json": "silent 2.4=refused"},
    ),
    ("json-row", "every row is an object of at most 64 MiB", "write rows as objects", _JSON, {"json": "refused"}),
    # -- CSV
    (
        "csv-bom", "the file has no byte order mark: it would become a part of the first name", "write it as 'utf-8'",
        "Go encoding/csv", {"csv": "refused"},
    ),
    (
        "csv-quote", "quotes stand at both ends of a cell, and within it twice", "write it with a CSV encoder",
        f"Go encoding/csv; {_CSV}", {"csv": "refused"},
    ),
    (
        "csv-quote-first",
        "so do those of the first column: there the server takes a wrong one for the end of the file",
        "write it with a CSV encoder", f"Go encoding/csv; {_CSV}", {"csv": "silent"},
    ),
    (
        "csv-cells", "every row has as many cells as the header", "write it with a CSV encoder", _CSV,
        {"csv": "refused"},
    ),
    (
        "csv-blank-line", "there are no blank lines: the server passes over them", "remove them; quote an empty cell",
        "Go encoding/csv", {"csv": "advice"},
    ),
    (
        "csv-blank-row", "in a file of one column there is no blank line between rows: it is no row",
        "quote an empty cell", "Go encoding/csv", {"csv": "silent"},
    ),
    (
        "csv-crlf", "text has no CR LF in it: the server reads LF", "write it as JSON or Parquet",
        "Go encoding/csv", {"csv": "silent"},
    ),
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
