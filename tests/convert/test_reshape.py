"""convert(): other names, inputs side by side, fewer rows, keys that are made."""

from __future__ import annotations

import datetime as dt
import hashlib
import json

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conversions import as_list, read_parquet, small_schema, vectors, write
from vecmill.convert import convert
from vecmill.convert.forecast import forecast
from vecmill.convert.job import prepare
from vecmill.convert.options import ConvertOptions
from vecmill.convert.reshape import Keyed, Mapped, Sliced, row_hashes
from vecmill.errors import DataError, SchemaError
from vecmill.schema.collection import create_schema
from vecmill.sources import open_source
from vecmill.types.kind import DataType


def rows_of(source, **kwargs) -> dict[str, list]:
    got: dict[str, list] = {}
    for batch in source.batches(**kwargs):
        for name, values in batch.items():
            got.setdefault(name, []).extend(values.tolist())
    return got


# -- skip and limit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("skip", "limit"), [(0, 0), (0, 7), (5, None), (63, 2), (95, 10), (100, None), (170, 5)])
def test_skip_and_limit_take_exactly_these_rows(tmp_path, skip, limit):
    for i in range(2):
        write(tmp_path / f"{i}.parquet", 50, start=50 * i, row_group_size=17)
    want = list(range(100))[skip:][:limit]
    src = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    report = convert(src, tmp_path / "out", schema=small_schema(), skip=skip, limit=limit)
    assert report.rows == len(want)
    if want:
        assert read_parquet(report)["id"].to_pylist() == want


@pytest.mark.parametrize("start", [0, 1, 6, 7, 30])
def test_a_slice_can_be_read_from_any_row(tmp_path, start):
    write(tmp_path / "t.parquet", 50, row_group_size=9)
    sliced = Sliced(open_source(tmp_path / "t.parquet"), 10, 25)
    assert sliced.n_rows == 25
    got = rows_of(sliced, names=["id"], batch_rows=4, start_row=start)
    assert got.get("id", []) == list(range(10, 35))[start:]
    assert sliced.locate(3) == (str(tmp_path / "t.parquet"), 13)


def test_errors_in_a_slice_name_the_row_of_the_file(tmp_path):
    write(tmp_path / "t.parquet", 100, text=["ok"] * 60 + ["x" * 99] + ["ok"] * 39)
    schema = small_schema()
    schema.add_field("text", DataType.VARCHAR, max_length=10)
    with pytest.raises(DataError) as caught:
        convert(tmp_path / "t.parquet", tmp_path / "out", schema=schema, skip=50)
    assert caught.value.row == 60


def test_a_null_that_is_left_out_makes_no_field_nullable(tmp_path):
    write(tmp_path / "t.parquet", 4, number=[None, 1.5, 2.5, 3.5])
    report = convert(tmp_path / "t.parquet", tmp_path / "out", skip=1)
    assert not any(field.get("nullable") for field in report.schema["fields"])


@pytest.mark.parametrize("wrong", [{"skip": -1}, {"limit": -1}])
def test_negative_numbers_are_refused(tmp_path, wrong):
    write(tmp_path / "t.parquet", 4)
    with pytest.raises(SchemaError, match="at least 0"):
        convert(tmp_path / "t.parquet", tmp_path / "out", **wrong)


# -- inputs side by side ----------------------------------------------------------------------------------------------


def test_inputs_of_several_kinds_side_by_side(tmp_path):
    (tmp_path / "meta").mkdir()
    one = write(tmp_path / "meta" / "metadata_1.parquet", 30)
    two = write(tmp_path / "meta" / "metadata_2.parquet", 70, start=30)
    np.save(tmp_path / "emb.npy", vectors(100, 4, start=9))
    report = convert(tmp_path / "meta", tmp_path / "out", join=[tmp_path / "emb.npy"], columns={"id": "id", "v": "emb"})
    back = read_parquet(report)
    assert back["id"].to_pylist() == pa.concat_tables([one, two])["id"].to_pylist()
    assert np.asarray(back["v"].combine_chunks().flatten()).tobytes() == vectors(100, 4, start=9).tobytes()


def test_joined_inputs_of_different_lengths_are_refused(tmp_path):
    write(tmp_path / "t.parquet", 100)
    np.save(tmp_path / "emb.npy", vectors(99))
    with pytest.raises(DataError, match=r"expected 100 rows, as in '.*t.parquet', got 99") as caught:
        convert(tmp_path / "t.parquet", tmp_path / "out", join=[tmp_path / "emb.npy"])
    assert caught.value.file == str(tmp_path / "emb.npy")
    assert not (tmp_path / "out").exists()


def test_joined_inputs_with_one_name_are_refused(tmp_path):
    write(tmp_path / "a.parquet", 10)
    write(tmp_path / "b.parquet", 10)
    with pytest.raises(SchemaError, match="both have 'id', 'vector'"):
        convert(tmp_path / "a.parquet", tmp_path / "out", join=[tmp_path / "b.parquet"])


def test_a_join_with_npy_files_named_as_columns(tmp_path):
    pq.write_table(pa.table({"id": range(10)}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"name": [f"n{i}" for i in range(10)]}), tmp_path / "b.parquet")
    np.save(tmp_path / "emb.npy", vectors(10))
    columns = {"vector": str(tmp_path / "emb.npy")}
    report = convert(tmp_path / "a.parquet", tmp_path / "out", join=[tmp_path / "b.parquet"], columns=columns)
    back = read_parquet(report)
    assert sorted(back.column_names) == ["id", "name", "vector"]
    assert back["vector"].to_pylist() == vectors(10).tolist()


def test_a_source_object_is_mapped_too(tmp_path):
    write(tmp_path / "t.parquet", 10, other=["x"] * 10)
    source = open_source(tmp_path / "t.parquet")
    report = convert(source, tmp_path / "out", columns={"key": "id", "vector": "vector"}, primary="key")
    assert read_parquet(report).column_names == ["key", "vector"]
    with pytest.raises(DataError, match="a column 'nowhere'"):
        convert(source, tmp_path / "out", columns={"key": "nowhere"})
    names = [column.name for column in Mapped(source, {"a": "id", "b": "id"}).columns]
    assert names == ["a", "b"]


# -- keys that are made -----------------------------------------------------------------------------------------------


def test_the_number_of_the_row_is_the_key(tmp_path):
    np.save(tmp_path / "emb.npy", vectors(100))
    report = convert(tmp_path / "emb.npy", tmp_path / "out", id_from="row", skip=40, limit=20)
    assert read_parquet(report)["id"].to_pylist() == list(range(40, 60))
    schema = create_schema()
    schema.add_field("key", DataType.VARCHAR, max_length=20, is_primary=True)
    schema.add_field("emb", DataType.FLOAT_VECTOR, dim=8)
    report = convert(tmp_path / "emb.npy", tmp_path / "out", schema=schema, id_from="row", skip=98)
    assert read_parquet(report)["key"].to_pylist() == ["98", "99"]


def expected_hash(*values: bytes | None) -> bytes:
    parts = [b"\xff" * 8 if value is None else len(value).to_bytes(8, "little") + value for value in values]
    return hashlib.blake2b(b"".join(parts), digest_size=8).digest()


def test_a_hash_is_the_key(tmp_path):
    table = write(tmp_path / "t.parquet", 50, text=[f"té {i % 10}" for i in range(50)], row_group_size=7)
    report = convert(tmp_path / "t.parquet", tmp_path / "a", id_from="hash:text", columns=["vector", "text"])
    got = read_parquet(report)["id"].to_pylist()
    want = [expected_hash(text.encode()) for text in table["text"].to_pylist()]
    assert got == [int.from_bytes(digest, "little", signed=True) for digest in want]
    whole = convert(tmp_path / "t.parquet", tmp_path / "b", id_from="hash", primary="key")
    assert len(set(read_parquet(whole)["key"].to_pylist())) == 50
    schema = create_schema()
    schema.add_field("key", DataType.VARCHAR, max_length=20, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    report = convert(
        tmp_path / "t.parquet", tmp_path / "c", id_from="hash:vector", columns=["vector"], schema=schema, skip=49
    )
    raw = np.asarray(table["vector"].combine_chunks()[49].values).astype("<f4").tobytes()
    assert read_parquet(report)["key"].to_pylist() == [expected_hash(raw).hex()]


def test_a_hash_is_the_same_for_the_same_values_in_another_layout():
    matrix = vectors(20)
    lists = as_list(matrix)
    layouts = [matrix, np.asfortranarray(matrix), matrix.astype(">f4"), lists, lists[:], pa.array(list(matrix))]
    layouts += [pa.FixedSizeListArray.from_arrays(matrix.ravel(), 8), pa.concat_arrays([lists[5:], lists])[15:]]
    for layout in layouts:
        assert row_hashes([layout], 20) == [expected_hash(row.tobytes()) for row in matrix]


def test_what_a_hash_is_made_of():
    day = dt.date(2024, 5, 1)
    columns = [
        pa.array([1, None], pa.int32()),
        pa.array(["a", None]),
        pa.array([[1.5], None], pa.list_(pa.float64())),
        pa.array([b"\x00", None]),
        pa.array([{"b": 1, "a": day}, None]),
        np.array([7, 8], np.int16),
    ]
    struct = json.dumps({"a": str(day), "b": 1}, sort_keys=True).encode()
    first = expected_hash(b"\x01\0\0\0", b"a", np.float64(1.5).tobytes(), b"\x00", struct, np.int16(7).tobytes())
    assert row_hashes(columns, 2) == [first, expected_hash(None, None, None, None, None, np.int16(8).tobytes())]
    assert (
        row_hashes([pa.array(["ab", "a"]), pa.array(["c", "bc"])], 2)[0]
        != (row_hashes([pa.array(["ab", "a"]), pa.array(["c", "bc"])], 2)[1])
    )


@pytest.mark.parametrize("hashed", [None, ["id"], ["vector"]])
def test_a_key_can_be_read_alone_and_from_any_row(tmp_path, hashed):
    write(tmp_path / "t.parquet", 50, row_group_size=9)
    keyed = Keyed(open_source(tmp_path / "t.parquet"), "key", hashed)
    whole = rows_of(keyed)
    assert list(whole) == ["key", "id", "vector"]
    assert rows_of(keyed, names=["key"], batch_rows=4, start_row=13) == {"key": whole["key"][13:]}
    assert rows_of(keyed, names=["vector"], start_row=13) == {"vector": whole["vector"][13:]}


def test_a_column_is_the_key(tmp_path):
    write(tmp_path / "t.parquet", 10, name=[f"n{i}" for i in range(10)])
    for kwargs in ({"id_from": "column:name"}, {"id_from": "column", "primary": "name"}):
        report = convert(tmp_path / "t.parquet", tmp_path / "out", **kwargs)
        assert [f["name"] for f in report.schema["fields"] if f.get("is_primary")] == ["name"]
    schema = create_schema()
    schema.add_field("key", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    report = convert(
        tmp_path / "t.parquet", tmp_path / "out", schema=schema, columns=["id", "vector"], id_from="column:id"
    )
    assert read_parquet(report)["key"].to_pylist() == list(range(10))


@pytest.mark.parametrize(
    ("id_from", "words"),
    [
        ("rows", "id_from is"),
        ("row:a", "id_from is"),
        ("row", "has a column of this name"),
        ("hash:nowhere", "no such column to hash"),
        ("column:nowhere", "needs a column 'nowhere'"),
    ],
)
def test_keys_that_cannot_be(tmp_path, id_from, words):
    write(tmp_path / "t.parquet", 10)
    with pytest.raises(SchemaError, match=words):
        convert(tmp_path / "t.parquet", tmp_path / "out", id_from=id_from, primary="id" if id_from == "row" else None)


def test_no_column_is_found_to_be_the_key(tmp_path):
    np.save(tmp_path / "emb.npy", vectors(10))
    with pytest.raises(SchemaError, match="needs the name of a column"):
        convert(tmp_path / "emb.npy", tmp_path / "out", id_from="column")


def test_a_key_that_the_server_assigns_comes_from_nowhere(tmp_path):
    schema = create_schema(auto_id=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("emb", DataType.FLOAT_VECTOR, dim=8)
    np.save(tmp_path / "emb.npy", vectors(10))
    with pytest.raises(SchemaError, match="auto_id"):
        convert(tmp_path / "emb.npy", tmp_path / "out", schema=schema, id_from="row")


# -- queries, and sources of unknown length ---------------------------------------------------------------------------


def test_a_condition_is_a_query_in_duckdb(tmp_path):
    for i in range(2):
        write(tmp_path / f"{i}.parquet", 500, start=500 * i, lang=["en", "de"] * 250)
    shards = tmp_path / "*.parquet"
    query = f"select id, vector as emb from '{shards}' where lang = 'en' order by id"
    for kwargs in ({}, {"schema": vector_schema_named("emb")}):
        report = convert(duckdb.sql(query), tmp_path / "out", limit=200, skip=10, **kwargs)
        assert read_parquet(report)["id"].to_pylist() == list(range(0, 1000, 2))[10:210]


def vector_schema_named(name: str):
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field(name, DataType.FLOAT_VECTOR, dim=8)
    return schema


class Unknown:
    """A source that does not tell how many rows it has."""

    n_rows = None

    def __init__(self, source) -> None:
        self.columns, self.n_bytes, self.locate, self.batches = (
            source.columns, source.n_bytes, source.locate, source.batches,
        )  # fmt: skip


def test_a_source_of_unknown_length(tmp_path):
    write(tmp_path / "t.parquet", 300, row_group_size=50, name=[f"n{i % 250}" for i in range(300)])
    source = Unknown(open_source(tmp_path / "t.parquet", batch_rows=70))
    kwargs = {"skip": 20, "limit": 250, "primary": "name", "check_duplicates": True, "keep": "first"}
    report = convert(source, tmp_path / "out", **kwargs)
    assert read_parquet(report)["id"].to_pylist() == list(range(20, 270))
    whole = convert(source, tmp_path / "out", **(kwargs | {"limit": None}))
    assert (whole.rows, whole.rows_rejected, whole.rows_read) == (250, 30, 280)
    np.save(tmp_path / "emb.npy", vectors(299, 4))
    with pytest.raises(DataError, match="expected more than 299 rows"):
        convert(source, tmp_path / "out", join=[tmp_path / "emb.npy"])
    plan = prepare(source, ConvertOptions.of())
    assert (forecast(plan).rows, forecast(plan).bytes_out, forecast(plan).sample_rows) == (None, None, 300)
