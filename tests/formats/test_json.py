"""JSON and JSON Lines: what other readers find in them, what a value looks like, and what a refusal leaves."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from examples import examples
from other_readers import D, columns, rows_of_text, schema_of, write
from vecmill import DataError, LocalBulkWriter

JSON_FORMATS = ("json", "jsonl")
MANY = schema_of(
    ("b", D.BOOL, {"nullable": True}), ("n", D.INT64, {"nullable": True}), ("f", D.FLOAT, {"nullable": True}),
    ("d", D.DOUBLE, {"nullable": True}), ("t", D.VARCHAR, {"max_length": 99, "nullable": True}),
    ("j", D.JSON, {"nullable": True}), ("v", D.FLOAT_VECTOR, {"dim": 3}), dynamic=True,
)  # fmt: skip
VALUES = [
    {"id": 0, "b": True, "n": -(2**63), "f": 0.1, "d": 0.1, "t": 'é𝄞"\\\0\x1f\r\n\u2028', "j": {"a": [1, {"b": None}]},
     "v": [0.1, -0.0, 1e-45]},
    {"id": 1, "b": False, "n": 2**63 - 1, "f": 3.4028235e38, "d": 5e-324, "t": "", "j": '{ "a" :\n 1.50 }',
     "v": [1, 16777216, 1e-5], "k": "x"},
    {"id": 2, "b": None, "n": None, "f": None, "d": None, "t": None, "j": None, "v": [0.3, 0.2, 0.1]},
]  # fmt: skip


def file_of(tmp_path, file_type, rows=VALUES, schema=MANY, **options):
    writer = write(tmp_path, schema, lambda w: w.append_rows(rows), file_type=file_type, **options)
    ((path,),) = writer.batch_files
    return Path(path)


@pytest.mark.parametrize("file_type", JSON_FORMATS)
def test_the_text_of_a_file(tmp_path, file_type):
    first = file_of(tmp_path, file_type, VALUES[:1]).read_text()
    row = (
        '{"id":0,"b":true,"n":-9223372036854775808,"f":0.1,"d":0.1,"t":"é𝄞\\"\\\\\\u0000\\u001f\\r\\n\u2028",'
        '"j":{"a":[1,{"b":null}]},"v":[0.1,-0.0,1e-45],"$meta":{}}'
    )
    assert first == (f'{{"rows":[\n{row}\n]}}' if file_type == "json" else f"{row}\n")


def test_json_fields_as_the_server_takes_them(tmp_path):
    """An object stands as it is, on one line; all else is a string with JSON text: the server takes nothing bare."""
    given_values = [{"a": 1}, '\n{"b" : [1,\r\n2]}', [1, 2], '"text"', "null", "1.0", "true", " [ ] "]
    rows = [{"id": i, "v": [0, 0], "j": value} for i, value in enumerate(given_values)]
    path = file_of(tmp_path, "jsonl", rows, schema_of(("j", D.JSON, {})))
    stored = [line.split('"j":')[1].split(',"v"')[0] for line in path.read_text().splitlines()]
    assert stored == [
        '{"a":1}', ' {"b" : [1,  2]}', '"[1,2]"', r'"\"text\""', '"null"', '"1.0"', '"true"', '" [ ] "',
    ]  # fmt: skip


def test_vectors_of_every_kind(tmp_path):
    schema = schema_of(
        ("h", D.FLOAT16_VECTOR, {"dim": 2}), ("w", D.BFLOAT16_VECTOR, {"dim": 2}), ("i", D.INT8_VECTOR, {"dim": 2}),
        ("x", D.BINARY_VECTOR, {"dim": 16}),
    )  # fmt: skip
    rows = [{"id": 1, "h": [0.1, -65504], "w": [0.1, 1e-40], "i": [-128, 127], "x": b"\xff\x01"}]
    assert rows_of_text(file_of(tmp_path, "jsonl", rows, schema))[0] == {
        "id": 1, "h": [0.1, -65500.0], "w": [0.100097656, 9.1835e-41], "i": [-128, 127], "x": [255, 1],
    }  # fmt: skip


@pytest.mark.parametrize("file_type", JSON_FORMATS)
def test_other_readers_find_the_same(tmp_path, file_type):
    path = file_of(tmp_path, file_type)
    raw = path.read_bytes()
    rows = orjson.loads(raw)["rows"] if file_type == "json" else [orjson.loads(line) for line in raw.splitlines()]
    assert rows == rows_of_text(path)
    kinds = {
        "id": "BIGINT", "b": "BOOLEAN", "n": "BIGINT", "f": "FLOAT", "d": "DOUBLE", "t": "VARCHAR", "j": "JSON",
        "v": "FLOAT[3]",
    }  # fmt: skip
    names = list(kinds)
    with duckdb.connect() as connection:
        spec = ", ".join(f"{name}: '{kind}'" for name, kind in kinds.items())
        if file_type == "json":
            inner = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
            query = f"select unnest(rows) r from read_json('{path}', columns={{rows: 'STRUCT({inner})[]'}})"
            found = [row[0] for row in connection.sql(query).fetchall()]
        else:
            query = f"select * from read_json('{path}', format='newline_delimited', columns={{{spec}}})"
            found = [dict(zip(names, row, strict=True)) for row in connection.sql(query).fetchall()]
    frame = None
    if file_type == "jsonl":
        kinds = {"b": pl.Boolean, "d": pl.Float64, "t": pl.String, "f": pl.Float32, "v": pl.List(pl.Float32)}
        frame = pl.read_ndjson(path, schema={"id": pl.Int64, "n": pl.Int64, **kinds})
    for i, row in enumerate(VALUES):
        assert np.array(found[i]["v"], np.float32).tobytes() == np.array(row["v"], np.float32).tobytes()
        for name in ("id", "b", "n", "d", "t"):
            assert found[i][name] == row[name], name
            assert frame is None or frame[name][i] == row[name], name
        expected = None if row["f"] is None else float(np.float32(row["f"]))
        assert found[i]["f"] == expected
        if frame is not None:
            assert frame["f"][i] == expected
            assert np.array(frame["v"][i], np.float32).tobytes() == np.array(row["v"], np.float32).tobytes()


@pytest.mark.parametrize("file_type", JSON_FORMATS)
def test_names_are_escaped(tmp_path, file_type):
    schema = schema_of(dynamic=True)
    rows = [{"id": 1, "v": [1, 2], 'quo"te\n': 'a"b', "名": [1]}]
    path = file_of(tmp_path, file_type, rows, schema)
    assert rows_of_text(path)[0]["$meta"] == {'quo"te\n': 'a"b', "名": [1]}


@pytest.mark.parametrize("file_type", JSON_FORMATS)
def test_a_refused_batch_leaves_the_file_whole(tmp_path, file_type):
    """Also when it was the first, so that the file is back at its beginning."""
    n = 20_000
    good = {"id": np.arange(n), "v": np.ones((n, 64), np.float32)}
    bad = {"id": np.arange(n), "v": np.ones((n, 64), np.float32)}
    bad["v"][-1, 0] = np.nan
    schema = schema_of(("v", D.FLOAT_VECTOR, {"dim": 64}))
    with LocalBulkWriter(schema, tmp_path, file_type=file_type) as writer:
        for i in range(3):
            with pytest.raises(DataError) as caught:
                writer.append_batch(bad)
            assert (caught.value.field, caught.value.row) == ("v", (2 * i + 1) * n - 1)
            writer.append_batch(good)
    assert columns(writer)["id"] == list(range(n)) * 3


@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.fixed_dictionaries({
            "id": st.integers(-(2**63), 2**63 - 1),
            "b": st.booleans() | st.none(),
            "n": st.integers(-(2**63), 2**63 - 1) | st.none(),
            "f": st.floats(width=32, allow_nan=False, allow_infinity=False) | st.none(),
            "d": st.floats(allow_nan=False, allow_infinity=False) | st.none(),
            "t": st.text(st.characters(codec="utf-8"), max_size=24) | st.none(),
            "j": st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.integers(-(2**70), 2**70)) | st.none(),
            "v": st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
        }),
        min_size=1, max_size=8,
    ),
    st.sampled_from([*JSON_FORMATS, "csv"]),
    st.sampled_from([1, 300, 2**20]),
)  # fmt: skip
def test_any_rows(tmp_path, rows, file_type, chunk_size):
    for row in rows:  # what CSV cannot carry is refused: tests/formats/test_csv.py
        if row["t"] is not None:
            row["t"] = row["t"].replace("\r\n", "\n").replace("\\N", "N")
    written = write(tmp_path, MANY, lambda w: w.append_rows(rows), file_type=file_type, chunk_size=chunk_size)
    found = columns(written)
    for name in rows[0]:
        if name == "j":
            assert [None if one is None else json.loads(one) for one in found["j"]] == [row["j"] for row in rows]
        else:
            assert repr(found[name]) == repr([row[name] for row in rows])
    assert [json.loads(one) for one in found["$meta"]] == [{}] * len(rows)
