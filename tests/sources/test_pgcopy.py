"""COPY, text and binary, from a real PostgreSQL with pgvector."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles.csv_read import copy_unescaped
from oracles.pgcopy_read import copy_rows
from source_data import check_restarts, collect, refused
from vecmill._native import csv_read as delimited
from vecmill._native import pgcopy_read as pgcopy
from vecmill.sources import TextOptions, open_source

COLUMNS = {
    "id": "bigint",
    "n": "int",
    "s": "smallint",
    "name": "text",
    "f": "float8",
    "r": "real",
    "ok": "bool",
    "meta": "jsonb",
    "u": "uuid",
    "v": "vector",
    "h": "halfvec",
    "sp": "sparsevec",
}
TEXTS = ["", "tab\there", "line\nbreak\r", "back\\slash \\N", 'quote " and , comma', "größe 中文 😀", "\\.", "\b\f\v"]


@pytest.fixture(scope="session")
def table(postgres):
    """Rows of every type, with nulls; and the same rows as PostgreSQL gives them to a client."""
    rng = np.random.default_rng(3)
    n = 300
    vectors = rng.standard_normal((n, 8)).astype(np.float32)
    vectors[0] = [1e-38, -1e30, 0, -0.0, 1, 0.1, 3.4028235e38, 1e-45]
    wanted = {name: [] for name in COLUMNS}
    with psycopg.connect(postgres.uri, autocommit=True) as db:
        db.execute(
            "CREATE TABLE t (id bigint, n int, s smallint, name text, f float8, r real, ok bool, meta jsonb, u uuid,"
            " v vector(8), h halfvec(4), sp sparsevec(10))"
        )
        for i in range(n):
            half = rng.standard_normal(4).astype(np.float16)
            indices = sorted(rng.choice(10, int(rng.integers(0, 5)), replace=False).tolist())
            weights = rng.random(len(indices)).astype(np.float32) + np.float32(0.5)
            row = {
                "id": (1 << 62) + i if i % 2 else -(1 << 63) + i,
                "n": i * 1_000_003 % (1 << 31) - (1 << 30),
                "s": i - 150,
                "name": TEXTS[i % len(TEXTS)],
                "f": float(rng.standard_normal() * 10.0 ** rng.integers(-300, 300)),
                "r": float(np.float32(rng.standard_normal())),
                "ok": bool(i % 3),
                "meta": f'{{"a": [{i}, null], "b": "x\\ty"}}',
                "u": f"00000000-0000-4000-8000-{i:012x}",
                "v": vectors[i].tolist(),
                "h": half.tolist(),
                "sp": {"indices": indices, "values": weights.tolist()},
            }
            if i % 10 == 7:
                row |= dict.fromkeys(("n", "name", "f", "ok", "meta", "u", "h", "sp"))
            pairs = None if row["sp"] is None else zip(indices, weights, strict=True)
            sparse = None if pairs is None else "{" + ",".join(f"{k + 1}:{w}" for k, w in pairs) + "}/10"
            texts = {
                "v": "[" + ",".join(str(x) for x in vectors[i]) + "]",
                "h": None if row["h"] is None else "[" + ",".join(str(x) for x in half) + "]",
                "sp": sparse,
            }
            db.execute(
                f"INSERT INTO t VALUES ({', '.join(f'%({name})s' for name in COLUMNS)})",
                row | texts,
            )
            for name in COLUMNS:
                wanted[name].append(row[name])
    return postgres, wanted


def options(**more) -> TextOptions:
    return TextOptions(names=tuple(COLUMNS), types=COLUMNS, **more)


@pytest.mark.parametrize("form", ["binary", "text", "csv"])
def test_every_type_comes_as_postgres_has_it(table, tmp_path, form):
    postgres, wanted = table
    path = tmp_path / ("t.csv" if form == "csv" else "t.copy")
    more = ", HEADER" if form == "csv" else ""
    postgres.copy(f"COPY (SELECT * FROM t ORDER BY s) TO STDOUT (FORMAT {form}{more})", path)
    asked = TextOptions(types=COLUMNS | {"id": "bigint"}) if form == "csv" else options()
    source = open_source(path, text=asked)
    types = {column.name: column.type for column in source.columns}
    assert types["v"] == pa.list_(pa.float32(), 8)
    assert types["h"] == pa.list_(pa.float16(), 4)
    assert types["id"] == pa.int64()
    assert types["n"] == pa.int32()
    assert collect(source) == wanted
    check_restarts(path, wanted, text=asked, batch_rows=(None, 7))


def test_types_are_found_in_text(table, tmp_path):
    postgres, wanted = table
    path = tmp_path / "t.copy.gz"
    plain = tmp_path / "plain"
    postgres.copy("COPY (SELECT id, name, v, ok, sp FROM t ORDER BY s) TO STDOUT", plain)
    path.write_bytes(gzip.compress(plain.read_bytes()))
    source = open_source(path)
    assert [column.name for column in source.columns] == ["column1", "column2", "vector", "column4", "column5"]
    got = collect(source)
    assert list(got.values()) == [wanted[name] for name in ("id", "name", "v", "ok", "sp")]


def test_vectors_are_found_in_binary(table, tmp_path):
    postgres, wanted = table
    path = tmp_path / "vectors"
    postgres.copy("COPY (SELECT v FROM t ORDER BY s) TO STDOUT (FORMAT binary)", path)
    assert collect(open_source(path)) == {"vector": wanted["v"]}
    postgres.copy("COPY (SELECT sp, h, v FROM t ORDER BY s) TO STDOUT (FORMAT binary)", path)
    assert collect(open_source(path)) == {"column1": wanted["sp"], "column2": wanted["h"], "column3": wanted["v"]}
    postgres.copy("COPY (SELECT id, v FROM t) TO STDOUT (FORMAT binary)", path)
    refused(path, "column1", "a declared type", "[8] bytes")


@pytest.mark.parametrize("form", ["binary", "text"])
def test_an_empty_table_and_three_rows(table, tmp_path, form):
    postgres, wanted = table
    path = tmp_path / "t.copy"
    postgres.copy(f"COPY (SELECT id, v FROM t ORDER BY s LIMIT 3) TO STDOUT (FORMAT {form})", path)
    asked = TextOptions(names=("id", "v"), types={"id": "bigint", "v": "vector(8)"})
    assert collect(open_source(path, text=asked)) == {"id": wanted["id"][:3], "v": wanted["v"][:3]}
    postgres.copy(f"COPY (SELECT id, v FROM t LIMIT 0) TO STDOUT (FORMAT {form})", path)
    assert collect(open_source(path, text=asked)) == {}
    refused(path, "rows that tell the columns")


def test_truncated_and_wrong(table, tmp_path):
    postgres, _ = table
    path = tmp_path / "t.copy"
    postgres.copy("COPY (SELECT id, v FROM t ORDER BY s) TO STDOUT (FORMAT binary)", path)
    whole = path.read_bytes()
    asked = TextOptions(names=("id", "v"), types={"id": "bigint"})
    path.write_bytes(whole[:-2])
    refused(path, "the end mark of COPY", row=300, text=asked)
    path.write_bytes(whole[: len(whole) // 2])
    error = refused(path, "the end mark of COPY", row=149, text=asked)
    assert error.got == "the end of the file"
    path.write_bytes(whole[:15])
    refused(path, "a whole binary COPY file", text=asked)
    path.write_bytes(whole)
    refused(path, "int32 in 4 bytes", "8 bytes", row=0, text=TextOptions(names=("id", "v"), types={"id": "int"}))
    refused(path, "3 fields, one for each name", row=0, text=TextOptions(names=("a", "b", "c")))
    row = whole[19:-2]
    path.write_bytes(whole[:19] + row + struct.pack(">h", 7) + whole[-2:])
    refused(path, "2 fields", "got 7", row=300, text=asked)


fields = st.lists(st.lists(st.none() | st.binary(max_size=9), min_size=3, max_size=3), max_size=8)


@given(fields, st.integers(0, 200))
def test_rows_are_split_like_the_oracle_does(rows, cut):
    data = b""
    for row in rows:
        data += struct.pack(">h", 3)
        for value in row:
            data += struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value
    data += b"\xff\xff"
    assert copy_rows(data) == rows
    starts, ends = (np.zeros((2, 10), np.int64) for _ in range(2))
    kinds = np.zeros((2, 10), np.uint8)
    at = np.zeros(10, np.int64)
    slots = np.array([1, -1, 0], np.int32)
    n, position, why, _ = pgcopy.split_rows(np.frombuffer(data, np.uint8), 0, slots, 10, at, starts, ends, kinds)
    assert (n, why, position) == (len(rows), pgcopy.END, len(data) - 2)
    for column, field in ((0, 2), (1, 0)):
        got = [data[starts[column, i] : ends[column, i]] if kinds[column, i] else None for i in range(n)]
        assert got == [row[field] for row in rows]
    part = np.frombuffer(data[: min(cut, len(data) - 2)] + b"", np.uint8)
    if len(part):
        n, position, why, _ = pgcopy.split_rows(part, 0, slots, 10, at, starts, ends, kinds)
        assert why == pgcopy.OK
        assert position == (at[n - 1] if n else 0) or position <= len(part)


@given(st.text(st.sampled_from('\\bfnrtvNx012789"ä\n\t'), max_size=12))
def test_backslashes_are_read_like_the_oracle_does(text):
    if len(text) % 2 and text.endswith("\\"):
        text += "n"
    wanted = copy_unescaped(text)
    raw = text.encode()
    out, offsets = np.empty(max(1, len(raw)), np.uint8), np.empty(2, np.int32)
    one = np.ones(1, np.int64)
    kinds = np.array([6], np.uint8)
    buffer = np.frombuffer(raw + b" ", np.uint8)
    row, _ = delimited.strings_into(buffer, 0 * one, len(raw) * one, kinds, delimited.BACKSLASH, offsets, out)
    got = out[: offsets[1]].tobytes()
    try:
        wanted.decode()
    except UnicodeDecodeError:
        assert row == 0
    else:
        assert (row, got) == (-1, wanted)
