"""Text sources: JSON Lines, JSON, CSV, TSV, packed or not, as other people's writers make them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys

import numpy as np
import orjson
import pandas as pd
import pyarrow.parquet as pq
import pytest
import zstandard

from source_data import check_restarts, collect, refused
from vecmill import CollectionSchema, DataType, FieldSchema, convert, create_schema
from vecmill.errors import DataError, StoreError
from vecmill.sources import TextOptions, open_source

TEXTS = ["", "größe", '"quoted"', "line\nbreak\ttab", "\\back/slash", "中文 😀", "\x00\x1f\x7f", "a,b;c"]


def rows(n: int, dim: int = 6) -> list[dict]:
    vectors = np.random.default_rng(4).standard_normal((n, dim)).astype(np.float32)
    made = []
    for i in range(n):
        row = {
            "id": (1 << 63) - 1 - i if i % 2 else -(1 << 63) + i,
            "text": TEXTS[i % len(TEXTS)],
            "vector": vectors[i].tolist(),
            "price": i / 7,
            "ok": i % 3 == 0,
            "meta": {"k": [i, {"deep": None}], "ü": '"}]'},
            "tags": [f"t{j}" for j in range(i % 4)],
            "counts": list(range(i % 3)),
        }
        if i % 5 == 4:
            row["text"] = None
            del row["meta"]
            row["price"] = None
        made.append(row)
    return made


def columns(made: list[dict]) -> dict[str, list]:
    """What a source gives for these rows: objects as JSON text, absent keys as nulls."""
    names = list(made[0])
    out = {name: [row.get(name) for row in made] for name in names}
    out["meta"] = [None if value is None else json.dumps(value, ensure_ascii=False) for value in out["meta"]]
    return out


def read(path, **options) -> dict[str, list]:
    return collect(open_source(path, **options))


def lines(made: list[dict], end: str = "\n") -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + end for row in made).encode()


MADE = rows(200)
LAYOUTS = {
    "jsonl": lambda: lines(MADE),
    "ndjson": lambda: lines(MADE, "\r\n\r\n").rstrip(),
    "json": lambda: json.dumps(MADE, ensure_ascii=False).encode(),
}
PACKINGS = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor(level=1).compress,
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_come_whole(tmp_path, layout, packing):
    path = tmp_path / f"rows.{layout}{packing}"
    path.write_bytes(PACKINGS[packing](LAYOUTS[layout]()))
    check_restarts(path, columns(MADE), batch_rows=(None, 7))
    types = {column.name: str(column.type) for column in open_source(path).columns}
    assert types == {
        "id": "int64", "text": "string", "vector": "fixed_size_list<item: float>[6]", "price": "double", "ok": "bool",
        "meta": "extension<arrow.json>", "tags": "list<item: string>", "counts": "list<item: int64>",
    }  # fmt: skip


@pytest.mark.parametrize("write", [json.dumps, lambda v: orjson.dumps(v).decode(), lambda v: json.dumps(v, indent=3)])
def test_writers_of_json_and_places_of_rows(tmp_path, write):
    path = tmp_path / "a.json"
    plain = [{"id": i, "v": [i + 0.5, 1e-7 * i], "t": "ä\u2028\\" * i} for i in range(50)]
    wanted = {name: [row[name] for row in plain] for name in plain[0]}
    wanted["v"] = [[float(np.float32(x)) for x in v] for v in wanted["v"]]
    for value in (plain, {"rows": plain}, {"n": {"rows": [1]}, "rows": plain, "behind": ["]}"]}):
        path.write_text(write(value))
        assert read(path) == wanted
    path.write_text("\n".join(write(row) for row in plain))
    assert read(path) == wanted, "objects one after another"


def test_small_blocks_cut_anywhere(tmp_path):
    small = TextOptions(block_bytes=97)
    for name, write in LAYOUTS.items():
        path = tmp_path / f"rows.{name}"
        path.write_bytes(write())
        assert read(path, text=small) == columns(MADE), name
    path = tmp_path / "rows.csv"
    frame = pd.DataFrame({"a": range(40), "t": [TEXTS[i % 4] + "x" for i in range(40)]})
    frame.to_csv(path, index=False)
    assert read(path, text=small) == {"a": list(range(40)), "t": frame["t"].tolist()}


def test_the_command_line_tools_pack(tmp_path):
    for tool, ending in (("gzip", ".gz"), ("zstd", ".zst")):
        path = tmp_path / f"{tool}.jsonl"
        path.write_bytes(lines(MADE))
        subprocess.run([tool, "-q", str(path)], check=True)
        assert read(f"{path}{ending}") == columns(MADE)


def test_several_members_and_frames(tmp_path):
    data = lines(MADE)
    pieces = [data[:1000], b"", data[1000:5000], data[5000:]]
    for ending, pack in PACKINGS.items():
        path = tmp_path / f"a.jsonl{ending}"
        path.write_bytes(b"".join(map(pack, pieces)))
        assert read(path) == columns(MADE), ending


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
def test_truncated_packing(tmp_path, ending, cut):
    path = tmp_path / f"a.jsonl{ending}"
    whole = PACKINGS[ending](lines(rows(3000)))
    path.write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(DataError, match="whole compressed data, got Truncated") as caught:
        read(path)
    assert caught.value.file == str(path)


def test_many_files_follow_one_another(tmp_path):
    for i in (2, 10, 1):
        (tmp_path / f"part-{i}.jsonl").write_bytes(lines(MADE[i * 10 : i * 10 + 10]))
    (tmp_path / "about.json").write_text("{}")
    wanted = columns([*MADE[10:20], *MADE[20:30], *MADE[100:110]])
    source = open_source(tmp_path)
    assert collect(source) == wanted
    assert source.locate(25) == (str(tmp_path / "part-10.jsonl"), 5)
    check_restarts(tmp_path, wanted, batch_rows=(None, 3))
    (tmp_path / "part-0.jsonl").write_bytes(b"")
    assert read(tmp_path) == wanted, "an empty file among others"


def test_only_wanted_columns_and_other_names(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(MADE))
    assert read(path, columns={"v": "vector"}) == {"v": columns(MADE)["vector"]}
    assert collect(open_source(path), names=["id"]) == {"id": columns(MADE)["id"]}
    refused(path, "a column 'x'", columns={"v": "x"})


def test_escapes_unicode_and_marks(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"t\\u00e9": "\\ud83d\\ude00\\u0000\\/\\"\\b"}\r\n {"t\xc3\xa9" : "x"} \n')
    assert read(path) == {"té": ['😀\0/"\b', "x"]}
    path.write_bytes('{"t":1}'.encode("utf-16"))
    refused(path, "UTF-8", "UTF-16")
    path.write_bytes(b'{"t": "ok"}\n{"t": "\xff"}\n')
    refused(path, "UTF-8", "line 2", row=1)
    path.write_bytes(b'{"t": "\\ud800x"}\n')
    refused(path, "lone surrogate", row=0)


BAD_LINES = [
    (b'{"a": 1', "',' delimiter"),
    (b"[1]", "list [1]"),
    (b"null", "NoneType null"),
    (b'{"a": 1} x', "extra data"),
    (b'{"a": 1, "a": 2}', "a key once"),
    (b'{"a": nul}', "expecting value"),
    (b"{a: 1}", "property name"),
    (b'{"a": 1,}', "expect"),
    (b'{"a": "1"}', 'an integer, got "1"'),
    (b'{"a": 1.0}', "an integer, got 1.0"),
    (b'{"a": 01}', "an integer, got 01"),
    (b'{"a": true}', "an integer, got true"),
    (b'{"a": 9223372036854775808}', "int64 holds"),
    (b'{"b": 1}', "one of the keys 'a'"),
    (b'{"a": 1, "\\u0062": 1}', "one of the keys 'a'"),
    (b'{"a": ' + b"[" * 100_000, "nested less than 512 deep"),
    (b'{"a": {"b": ]}}', "expecting value"),
    (b"\x00\xff", "not UTF-8"),
]


@pytest.mark.parametrize(("bad", "word"), BAD_LINES, ids=range(len(BAD_LINES)))
def test_a_bad_line_is_named_and_the_rows_before_it_come(tmp_path, bad, word):
    path = tmp_path / "a.jsonl"
    good = b'{"a": 5}\n'
    path.write_bytes(good * 1500 + b"\n" + bad + b"\n" + good * 3)
    source = open_source(path)
    seen = 0
    with pytest.raises(DataError) as caught:
        for batch in source.batches():
            seen += len(batch["a"])
    assert (caught.value.row, seen) == (1500, 1500)
    assert caught.value.got.endswith("(line 1502)")
    assert word in str(caught.value)
    assert collect(source, start_row=1501) == {"a": [5, 5, 5]}, "the row can be passed over"


@pytest.mark.parametrize(
    ("text", "row", "word"),
    [
        ('[{"a":1},{"a":2}', 2, "a whole JSON value"),
        ('[{"a":1},{"a":', 1, "a whole JSON value"),
        ('[{"a":1} {"a":2}]', 1, "',' or ']'"),
        ('[{"a":1}]]', 1, "nothing behind the rows"),
        ('[{"a":1},]', 1, "a JSON object"),
        ('{"rows":[{"a":1}]', 1, "'}'"),
        ('{"rows":[{"a":1}]} x', 1, "nothing behind the rows"),
        ('{"rows":[{"a":1}],"x"}', 1, "a key and its value"),
        ("[1,2]", 0, "int 1"),
        ('"x"', 0, "a JSON object"),
        ("[]", None, "no rows"),
        ('{"rows":[]}', None, "no rows"),
        ("", None, "no rows"),
        (" \n", None, "no rows"),
    ],
)
def test_bad_json(tmp_path, text, row, word):
    path = tmp_path / "a.json"
    path.write_text(text)
    refused(path, word, row=row)


def test_nan_and_infinity_come_as_such(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"v": [NaN, -Infinity], "x": Infinity}\n{"v": [0.5, 1], "x": 1}\n')
    got = read(path)
    assert np.array_equal(np.array(got["v"]), [[np.nan, -np.inf], [0.5, 1]], equal_nan=True)
    assert got["x"] == [np.inf, 1]


def test_later_rows_are_held_to_the_type_of_the_first(tmp_path):
    path = tmp_path / "a.jsonl"
    first = b'{"v": [0.5, 1.5], "n": null, "x": 0.5}\n' * 1200
    path.write_bytes(first + b'{"v": [0.5]}')
    refused(path, "'v'", "a list of 2 numbers", "1 of them", row=1200)
    path.write_bytes(first + b'{"v": [0.5, null]}')
    refused(path, "a list of 2 numbers", row=1200)
    path.write_bytes(first + b'{"n": 7}')
    refused(path, "null, as in the first rows", row=1200)
    assert read(path, text=TextOptions(types={"n": "bigint"}))["n"][-1] == 7
    path.write_bytes(first + b'{"x": 9007199254740993}')
    refused(path, "a float64 holds exactly", row=1200)
    path.write_bytes(first + b'{"x": 9007199254740992, "v": null}')
    got = read(path)
    assert (got["x"][-1], got["v"][-2:]) == (2.0**53, [[0.5, 1.5], None])


def test_what_has_no_one_type_is_json(tmp_path):
    path = tmp_path / "a.jsonl"
    values = [1, "x", None, {"b": [1.0]}, [1, "y"], True]
    path.write_text("\n".join(json.dumps({"a": value}) for value in values))
    got = read(path)["a"]
    assert [None if text is None else json.loads(text) for text in got] == values


def test_a_row_too_long_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("vecmill.sources.text.located.MAX_ROW_BYTES", 10 << 20)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": "' + b"x" * (9 << 20) + b'"}\n')
    assert len(read(path)["a"][0]) == 9 << 20
    path.write_bytes(b'{"a": "x"}\n{"a": "' + b"x" * (30 << 20) + b'"}\n')
    refused(path, "rows of at most", row=1)


def test_csv_as_the_csv_module_writes_it(tmp_path):
    path = tmp_path / "a.csv"
    made = [[i, TEXTS[i % 8] or "x", json.dumps([i / 3, -i / 7]), f"00{i}", i % 2 == 0] for i in range(100)]
    for settings in ({}, {"lineterminator": "\n"}, {"quoting": csv.QUOTE_ALL}):
        text = io.StringIO(newline="")
        writer = csv.writer(text, **settings)
        writer.writerow(["id", "text", "vector", "code", "ok"])
        writer.writerows(made)
        path.write_bytes(text.getvalue().encode())
        wanted = {
            "id": [row[0] for row in made],
            "text": [row[1] for row in made],
            "vector": [[float(np.float32(x)) for x in json.loads(row[2])] for row in made],
            "code": [row[3] for row in made],
            "ok": [row[4] for row in made],
        }
        check_restarts(path, wanted, batch_rows=(None, 7))


def test_tsv_other_separators_and_nulls(tmp_path):
    path = tmp_path / "a.tsv"
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x\ty", None, ""], "v": ["{1,2.5}", None, "[3. 4.e-1]"]})
    frame.to_csv(path, sep="\t", index=False, na_rep="NULL")
    got = read(path, text=TextOptions(null="NULL"))
    assert got == {"a": [1, 2, 3], "b": ["x\ty", None, ""], "v": [[1, 2.5], None, [3, float(np.float32(0.4))]]}
    path = tmp_path / "a.csv.zst"
    path.write_bytes(zstandard.compress(b'a;b\n1;\n2;""\n'))
    assert read(path, text=TextOptions(separator=";")) == {"a": [1, 2], "b": [None, ""]}
    path.write_bytes(zstandard.compress(b"1,x\n2,y"))
    assert read(path, text=TextOptions(header=False)) == {"column1": [1, 2], "column2": ["x", "y"]}
    assert read(path, text=TextOptions(header=False, names=("p", "q"))) == {"p": [1, 2], "q": ["x", "y"]}
    refused(path, "3 fields, one for each name", row=0, text=TextOptions(header=False, names=("p", "q", "r")))


def test_pandas_index_has_a_name(tmp_path):
    path = tmp_path / "a.csv"
    pd.DataFrame({"a": [5, 6]}).to_csv(path)
    assert read(path) == {"unnamed_0": [0, 1], "a": [5, 6]}


@pytest.mark.parametrize(
    ("data", "row", "word"),
    [
        (b"a,b\n1,2\n3\n4,5", 1, "2 fields, got 1 (line 3)"),
        (b"a,b\n1,2\n3,4,5\n", 1, "2 fields, got 3 (line 3)"),
        (b'a,b\n1,"x', 0, "not closed"),
        (b'a,b\n1,"x"y\n', 0, "RFC 4180"),
        (b"a,a\n1,2", None, "different names"),
        (b"", None, "no rows"),
        (b'a\n"\xff"\n', 0, "UTF-8"),
        (b"a\n" + b"1\n" * 1500 + b"x\n", 1500, "an integer, got 'x' (line 1502)"),
        (b"v\n" + b'"[1.5,2]"\n' * 1500 + b'"[1.5,2,3]"\n', 1500, "3 of them"),
    ],
)
def test_bad_csv(tmp_path, data, row, word):
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    refused(path, word, row=row)


def test_a_header_alone_has_no_rows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\r\n")
    source = open_source(path)
    assert [column.name for column in source.columns] == ["a", "b"]
    assert collect(source) == {}


def test_kinds_are_told_by_bytes_and_wrong_ones_refused(tmp_path):
    path = tmp_path / "unnamed"
    for data in (b'{"a": 1}\n{"a": 2}\n', b'[{"a": 1}, {"a": 2}]', gzip.compress(b'{"a": 1}\n{"a": 2}')):
        path.write_bytes(data)
        assert read(path) == {"a": [1, 2]}
    path.write_bytes(b"a,b\n1,2\n")
    refused(path, "a kind that can be read")
    assert read(path, kind="csv") == {"a": [1], "b": [2]}
    path = tmp_path / "a.jsonl"
    path.write_bytes(np.random.default_rng(1).bytes(5000))
    refused(path, "JSON object", row=0)
    with pytest.raises(StoreError):
        read(tmp_path / "none.jsonl")


READ = """
import sys
from vecmill.sources import open_source, TextOptions
source = open_source("-", text=TextOptions(spool=sys.argv[1] == "spool"))
n = sum(len(batch["id"]) for batch in source.batches())
if sys.argv[1] == "spool":
    n += sum(len(batch["id"]) for batch in source.batches(["id"], start_row=10))
else:
    try:
        next(source.batches())
    except OSError as err:
        print(err)
print(n, source.locate(3))
"""


@pytest.mark.parametrize(
    ("how", "wanted", "packing"),
    [
        ("spool", "390", ""), ("spool", "390", ".zst"),
        *(("once", "-: standard input can be read only once\n200", packing) for packing in PACKINGS),
    ],
)  # fmt: skip
def test_standard_input(how, wanted, packing):
    data = PACKINGS[packing](lines(MADE))
    done = subprocess.run([sys.executable, "-c", READ, how], input=data, capture_output=True, check=True)
    assert done.stdout.decode() == f"{wanted} ('-', 3)\n"


def test_declared_types(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,v\n1,\n2,"[1,2]"\n')
    source = open_source(path, text=TextOptions(types={"id": "text", "v": "vector(2)"}))
    assert collect(source) == {"id": ["1", "2"], "v": [None, [1, 2]]}
    refused(path, "a type among", text=TextOptions(types={"id": "blob"}))
    fields = {"id": FieldSchema("id", "VARCHAR", max_length=9), "v": FieldSchema("v", "FLOAT_VECTOR", dim=2)}
    source = open_source(path, text=TextOptions(fields=fields))
    assert collect(source) == {"id": ["1", "2"], "v": [None, [1, 2]]}


def schema_of(**fields) -> CollectionSchema:
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    for name, (dtype, options) in fields.items():
        schema.add_field(name, dtype, **options)
    return schema


def test_a_schema_says_what_text_cannot(tmp_path):
    path = tmp_path / "a.csv.gz"
    made = ["id,v,code,score,late,meta\n"] + [f'{i},"[{i},2]",{i},{i},,"{{""a"":{i}}}"\n' for i in range(1500)]
    made.append('1500,"[0.5,2]",x7,1.5,there,{}\n')
    path.write_bytes(gzip.compress("".join(made).encode()))
    schema = schema_of(
        v=(DataType.FLOAT_VECTOR, {"dim": 2}), code=(DataType.VARCHAR, {"max_length": 9}), score=(DataType.DOUBLE, {}),
        late=(DataType.VARCHAR, {"max_length": 9, "nullable": True}), meta=(DataType.JSON, {}),
    )  # fmt: skip
    report = convert(path, tmp_path / "out", schema=schema)
    got = pq.read_table(report.files[0][0]).to_pylist()
    assert len(got) == 1501
    assert got[3] == {"id": 3, "v": [3, 2], "code": "3", "score": 3, "late": None, "meta": '{"a":3}'}
    last = {"id": 1500, "v": [0.5, 2], "code": "x7", "score": 1.5, "late": "there", "meta": "{}"}
    assert got[-1] == last


def test_json_lines_into_parquet_with_an_inferred_schema(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    made = [{"id": i, "text": f"t{i}", "vector": [i + 0.5, 1.5], "meta": {"n": [i]}} for i in range(300)]
    path.write_bytes(zstandard.compress(lines(made)))
    report = convert(path, tmp_path / "out")
    got = pq.read_table(report.files[0][0]).to_pylist()
    assert [row | {"meta": json.loads(row["meta"])} for row in got] == made
    assert report.rows == 300


def test_sparse_vectors_in_either_form(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1, "s": {"7": 0.5, "2": 1.5}}\n{"id": 2, "s": {"indices": [3], "values": [2.0]}}\n')
    report = convert(path, tmp_path / "out", schema=schema_of(s=(DataType.SPARSE_FLOAT_VECTOR, {})))
    got = [json.loads(row["s"]) for row in pq.read_table(report.files[0][0]).to_pylist()]
    assert [{int(index): value for index, value in row.items()} for row in got] == [{2: 1.5, 7: 0.5}, {3: 2.0}]
