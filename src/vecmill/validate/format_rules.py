"""Rules of single formats, one row a rule: the bytes of NPY and Parquet files, the text of JSON and CSV files."""

from __future__ import annotations

from vecmill.validate.rule import CSV, GO_JSON, JSON, NPY, NPYIO, PARQUET, TRIED, RuleRow

# fmt: off
FORMAT_RULES: tuple[RuleRow, ...] = (
    # -- NPY
    (
        "npy-magic", "the file begins with the bytes 93 4E 55 4D 50 59", "write it with numpy.save", NPYIO,
        {"npy": "refused"},
    ),
    (
        "npy-version", "the file is of NPY version 1 or 2", "write it with numpy.save", f"{TRIED}; {NPYIO}",
        {"npy": "refused"},
    ),
    (
        "npy-header-size", "the header has at most 65,536 bytes and is whole", "write it with numpy.save",
        "milvus importutilv2/numpy/row_count.go", {"npy": "refused"},
    ),
    (
        "npy-header-newline", "the header ends with a newline: without one, Milvus up to 2.6 ends itself",
        "write it with numpy.save", f"{TRIED}; {NPYIO}", {"npy": "refused"},
    ),
    (
        "npy-header-form",
        "the header is as numpy writes it: 'descr', 'fortran_order', 'shape' in this order, plain integers, ', }' at "
        "the end", "write it with numpy.save", f"{TRIED}; {NPYIO}", {"npy": "refused"},
    ),
    (
        "npy-header-misread", "the server, which cuts the header at fixed places, reads from it what NumPy reads",
        "write it with numpy.save", NPYIO, {"npy": "refused 2.4=silent"},
    ),
    (
        "npy-fortran", "a matrix is in C order: the server passes over fortran_order and reads the values row by row",
        "numpy.save(path, numpy.ascontiguousarray(array))", f"{TRIED}; {NPY}", {"npy": "silent"},
    ),
    (
        "npy-descr", "the type is one that the server knows: b1, u1, i1 to i8, f4, f8, S, U", "array.astype(...)",
        f"{TRIED}; {NPY}", {"npy": "refused"},
    ),
    (
        "npy-dtype", "the type is that of the field, in the same width", "array.astype(...)", f"{TRIED}; {NPY}",
        {"npy": "refused"},
    ),
    (
        "npy-shape", "scalars have the shape (n,), vectors (n, dim)", "array.reshape(...)", f"{TRIED}; {NPY}",
        {"npy": "refused"},
    ),
    (
        "npy-truncated",
        "the file holds all values of its shape: a cut at the end of what the server reads at once passes for the end",
        "write or upload it again", f"{TRIED}; {NPY}", {"npy": "refused 2.4=silent"},
    ),
    (
        "npy-text-truncated", "a file of text holds all values of its shape: missing ones become empty",
        "write or upload it again", NPY, {"npy": "silent"},
    ),
    (
        "npy-trailing", "nothing follows the values: the server passes over it", "write it again", TRIED,
        {"npy": "advice"},
    ),
    (
        "npy-rows",
        "all files of a set have the same number of rows: the server drops what is beyond the shortest, or refuses",
        "write all columns from the same rows", f"{TRIED}; milvus importutilv2/numpy/reader.go",
        {"npy": "refused 2.4=silent 3.0=refused"},
    ),
    (
        "npy-text-width", "a text column has a width from 1 to 4,194,304",
        "array.astype('U1') when all values are empty", f"{TRIED}; {NPY}", {"npy": "refused"},
    ),
    (
        "npy-text-nul", "text has no U+0000 in it: the server drops it, and in type S all that follows it",
        "remove it, or write Parquet",
        f"{TRIED}; {NPY}", {"npy": "silent"},
    ),
    (
        "npy-text-code", "text of type U has no surrogates and nothing above U+10FFFF: they become U+FFFD",
        "write it as UTF-8 text", NPY, {"npy": "silent"},
    ),
    (
        "npy-bytes-length", "text of type S has at most max_length bytes: the server does not look",
        "write it as type U", f"{TRIED}; {NPY}", {"npy": "silent"},
    ),
    (
        "npy-bytes-empty", "text of type S is not empty: an empty value is stored as NUL bytes", "write it as type U",
        NPY, {"npy": "silent"},
    ),
    # -- Parquet
    (
        "parquet-footer",
        "the file is whole Parquet, with a footer of at most 64 MiB and at most 65,536 columns and row groups",
        "write or upload it again", f"{TRIED}; arrow-go parquet/file", {"parquet": "refused"},
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
        f"{TRIED}; arrow-go parquet/compress", {"parquet": "refused"},
    ),
    (
        "parquet-encoding",
        "no values are encoded as BYTE_STREAM_SPLIT, and no bools as RLE (as in data pages of version 2): Milvus 2.3 "
        "and 2.4 find no rows in them", "data_page_version='1.0', use_byte_stream_split=False",
        f"{TRIED}; arrow-go 12 parquet/internal/encoding", {"parquet": "refused 2.5=-"},
    ),
    (
        "parquet-type", "a column has a type that the server takes for the field", "cast the column",
        f"{TRIED}; {PARQUET}", {"parquet": "refused"},
    ),
    (
        "parquet-arrow-schema",
        "ARROW:schema does not ask for a type that the server refuses (large_string, dictionary, fixed_size_list), "
        "where the file itself holds one that it takes", "cast the column, or store_schema=False",
        f"{TRIED}; arrow-go pqarrow/schema.go", {"parquet": "refused"},
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
        "write it with a JSON encoder", f"{TRIED}; {JSON}", {"json": "refused"},
    ),
    (
        "json-top", "the file is a list of objects, or an object whose only key is rows", "write a list of objects",
        f"{TRIED}; {JSON}", {"json": "refused"},
    ),
    (
        "json-rest",
        "nothing stands behind the rows, and between JSON Lines no ] or }: the server does not read what follows",
        "write one list of objects", f"{TRIED}; {JSON}; {GO_JSON}",
        {"json": "silent"},
    ),
    (
        "json-behind", "no value or key stands behind the list of rows: Milvus 2.3 does not read it",
        "write one list of objects", f"{TRIED}; {JSON}", {"json": "silent 2.4=refused"},
    ),
    ("json-row", "every row is an object of at most 64 MiB", "write rows as objects", JSON, {"json": "refused"}),
    # -- CSV
    (
        "csv-bom", "the file has no byte order mark: it would become a part of the first name", "write it as 'utf-8'",
        "Go encoding/csv", {"csv": "refused"},
    ),
    (
        "csv-quote", "quotes stand at both ends of a cell, and within it twice", "write it with a CSV encoder",
        f"Go encoding/csv; {CSV}", {"csv": "refused"},
    ),
    (
        "csv-quote-first",
        "so do those of the first column: there the server takes a wrong one for the end of the file",
        "write it with a CSV encoder", f"Go encoding/csv; {CSV}", {"csv": "silent"},
    ),
    (
        "csv-cells", "every row has as many cells as the header", "write it with a CSV encoder", CSV,
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
