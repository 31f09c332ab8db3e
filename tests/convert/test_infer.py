"""Inference: every column gets the field type that holds it whole, and what has two meanings is refused."""

from __future__ import annotations

import datetime as dt
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paths import SAMPLE
from vecmill.convert.infer import infer
from vecmill.errors import SchemaError
from vecmill.schema.reading import as_schema
from vecmill.sources import TextOptions, open_source
from vecmill.types.kind import DataType

VECTOR = pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float32()))


def inferred(tmp_path, primary=None, **columns):
    """Infer from a Parquet file of three rows with these columns and a vector."""
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": pa.array([1, 2, 3]), "vector": VECTOR} | columns), path)
    return infer(open_source(path), primary=primary)


def field(inference, name):
    return next(one for one in inference.schema.fields if one.name == name)


def test_the_real_sample():
    inference = infer(open_source(SAMPLE))
    got = {one.name: (one.dtype, one.params, one.is_primary, one.nullable) for one in inference.schema.fields}
    assert got == {
        "id": (DataType.INT64, {}, True, False),
        "name": (DataType.VARCHAR, {"max_length": 256}, False, False),
        "version": (DataType.VARCHAR, {"max_length": 256}, False, False),
        "released": (DataType.VARCHAR, {"max_length": 256}, False, False),
        "summary": (DataType.VARCHAR, {"max_length": 512}, False, False),
        "vector": (DataType.FLOAT_VECTOR, {"dim": 384}, False, False),
    }
    assert len(inference.notes) == 6
    assert inference.notes[-1] == "vector: list<element: float> -> FLOAT_VECTOR dim 384"
    assert not inference.schema.auto_id


def test_the_schema_survives_json():
    schema = infer(open_source(SAMPLE)).schema
    assert as_schema(json.loads(json.dumps(schema.to_dict()))) == schema


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (pa.array([True, False, True]), DataType.BOOL),
        (pa.array([1, 2, 3], pa.int8()), DataType.INT8),
        (pa.array([1, 2, 3], pa.int16()), DataType.INT16),
        (pa.array([1, 2, 3], pa.int32()), DataType.INT32),
        (pa.array([1, 2, 3], pa.int64()), DataType.INT64),
        (pa.array([1, 2, 3], pa.uint8()), DataType.INT16),
        (pa.array([1, 2, 3], pa.uint16()), DataType.INT32),
        (pa.array([1, 2, 3], pa.uint32()), DataType.INT64),
        (pa.array([1, 2, (1 << 63) - 1], pa.uint64()), DataType.INT64),
        (pa.array(np.array([1, 2, 3], np.float16)), DataType.FLOAT),
        (pa.array([1, 2, 3], pa.float32()), DataType.FLOAT),
        (pa.array([1, 2, 3], pa.float64()), DataType.DOUBLE),
        (pa.array(["a", "b", "c"]), DataType.VARCHAR),
        (pa.array(["a", "b", "c"], pa.large_string()), DataType.VARCHAR),
        (pa.array(["a", "b", "c"]).dictionary_encode(), DataType.VARCHAR),
        (pa.array([dt.date(2024, 5, 1)] * 3), DataType.VARCHAR),
        (pa.array([dt.datetime(2024, 5, 1)] * 3, pa.timestamp("us", "UTC")), DataType.VARCHAR),
        (pa.array([{"a": 1}] * 3), DataType.JSON),
        (pa.array([[("a", 1)]] * 3, pa.map_(pa.string(), pa.int32())), DataType.JSON),
        (pa.array([["a"], [], ["b", "c"]]), DataType.JSON),
        (pa.array([[1], [], [2, 3]], pa.list_(pa.int64())), DataType.JSON),
        (pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float64())), DataType.FLOAT_VECTOR),
        (pa.array([[1.0, 2.0]] * 3, pa.large_list(pa.float32())), DataType.FLOAT_VECTOR),
        (pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float32(), 2)), DataType.FLOAT_VECTOR),
        (pa.array([[1, 2]] * 3, pa.list_(pa.int8())), DataType.INT8_VECTOR),
        (pa.array([[1, 2]] * 3, pa.list_(pa.float16(), 2)), DataType.FLOAT16_VECTOR),
    ],
    ids=lambda v: str(getattr(v, "type", "")),
)
def test_every_type_of_parquet(tmp_path, values, dtype):
    got = field(inferred(tmp_path, x=values), "x")
    assert got.dtype is dtype
    assert not got.nullable
    assert got.dim == (2 if got.kind.is_vector else None)


@pytest.mark.parametrize(
    ("array", "dtype", "dim"),
    [
        (np.zeros((3, 8), np.float32), DataType.FLOAT_VECTOR, 8),
        (np.zeros((3, 8), np.float64), DataType.FLOAT_VECTOR, 8),
        (np.zeros((3, 8), np.float16), DataType.FLOAT16_VECTOR, 8),
        (np.zeros((3, 8), np.int8), DataType.INT8_VECTOR, 8),
        (np.eye(3, 8, dtype=np.uint8), DataType.BINARY_VECTOR, 8),
        (np.eye(3, 8, dtype=np.bool_), DataType.BINARY_VECTOR, 8),
        (np.asfortranarray(np.zeros((3, 8), ">f4")), DataType.FLOAT_VECTOR, 8),
    ],
    ids=lambda v: getattr(v, "dtype", v) and str(getattr(v, "dtype", "")),
)
def test_matrices_of_numpy(tmp_path, array, dtype, dim):
    np.save(tmp_path / "vector.npy", array)
    schema = infer(open_source(tmp_path / "vector.npy")).schema
    assert [(one.name, one.dtype, one.dim) for one in schema.fields] == [
        ("id", DataType.INT64, None),
        ("vector", dtype, dim),
    ]
    assert schema.auto_id


def test_uint8_has_two_meanings(tmp_path):
    np.save(tmp_path / "vector.npy", np.arange(24, dtype=np.uint8).reshape(3, 8))
    with pytest.raises(SchemaError, match=r"packed bits .*--schema") as caught:
        infer(open_source(tmp_path / "vector.npy"))
    assert caught.value.field == "vector"


def test_dim_comes_from_the_first_row_that_has_one(tmp_path):
    path = tmp_path / "t.parquet"
    rows = [None] * 3000 + [[1.0, 2.0, 3.0]]
    pq.write_table(pa.table({"vector": pa.array(rows, pa.list_(pa.float32()))}), path)
    schema = infer(open_source(path)).schema
    assert (schema.fields[-1].dim, schema.fields[-1].nullable) == (3, True)
    pq.write_table(pa.table({"vector": pa.array([None, []], pa.list_(pa.float32()))}), path)
    with pytest.raises(SchemaError, match="no row tells the dim"):
        infer(open_source(path))


@pytest.mark.parametrize(
    ("longest", "max_length"),
    [(0, 256), (1, 256), (128, 256), (129, 512), (300, 1024), (32_768, 65_535), (65_535, 65_535)],
)
def test_max_length_is_roomy_and_counts_bytes(tmp_path, longest, max_length):
    text = "é" * (longest // 2) + "x" * (longest % 2)
    assert field(inferred(tmp_path, x=pa.array(["a"[:longest], text, ""])), "x").max_length == max_length


def test_text_beyond_varchar_is_refused(tmp_path):
    with pytest.raises(SchemaError, match="65536 bytes") as caught:
        inferred(tmp_path, x=pa.array(["", "x" * 65_536, ""]))
    assert caught.value.field == "x"


def test_uint64_beyond_int64_is_refused(tmp_path):
    with pytest.raises(SchemaError, match=str(1 << 63)) as caught:
        inferred(tmp_path, x=pa.array([0, 1 << 63, 1], pa.uint64()))
    assert caught.value.field == "x"


@pytest.mark.parametrize(
    ("values", "got"),
    [
        (pa.array([b"a", b"\xff", None]), "binary"),
        (pa.array([None] * 3, pa.null()), "null"),
    ],
)
def test_other_types_are_refused_by_name(tmp_path, values, got):
    with pytest.raises(SchemaError, match=got) as caught:
        inferred(tmp_path, x=values)
    assert caught.value.field == "x"


@pytest.mark.parametrize("statistics", [True, False])
def test_nullable_comes_from_the_data(tmp_path, statistics):
    path = tmp_path / "t.parquet"
    columns = {
        "id": [1, 2, 3],
        "vector": VECTOR,
        "text": ["a", None, "b"],
        "full": ["a", "b", "c"],
        "number": [1.5, None, 2.5],
        "struct": [{"a": 1}, None, {"a": None}],
        "whole": [{"a": 1}, {"a": None}, {"a": None}],
        "when": [dt.date(2024, 5, 1), None, None],
    }
    pq.write_table(pa.table(columns), path, write_statistics=statistics)
    schema = infer(open_source(path)).schema
    assert [one.name for one in schema.fields if one.nullable] == ["text", "number", "struct", "when"]


# -- the primary key --------------------------------------------------------------------------------------------------


def test_a_key_of_any_integer_width_is_int64(tmp_path):
    got = field(inferred(tmp_path, id=pa.array([1, 2, 3], pa.uint16())), "id")
    assert (got.dtype, got.is_primary, got.auto_id) == (DataType.INT64, True, False)


def test_a_key_of_text(tmp_path):
    got = field(inferred(tmp_path, id=pa.array(["a", "b", "c"])), "id")
    assert (got.dtype, got.is_primary, got.max_length) == (DataType.VARCHAR, True, 256)


def test_pk_is_a_key_when_id_cannot_be(tmp_path):
    inference = inferred(tmp_path, id=pa.array([1.5, 2.5, 3.5]), pk=pa.array(["a", "b", "c"]))
    assert inference.schema.primary_field.name == "pk"


@pytest.mark.parametrize("ids", [pa.array([1.5, 2.5, 3.5]), pa.array([1, None, 3])])
def test_the_server_makes_the_key_when_no_column_can_be_it(tmp_path, ids):
    inference = inferred(tmp_path, id=ids)
    key = inference.schema.primary_field
    assert (key.name, key.dtype, key.auto_id) == ("pk", DataType.INT64, True)
    assert "auto_id" in inference.notes[0]


def test_the_key_that_was_asked_for(tmp_path):
    inference = inferred(tmp_path, primary="name", name=pa.array(["a", "b", "c"]))
    assert inference.schema.primary_field.name == "name"
    assert not field(inference, "id").is_primary


@pytest.mark.parametrize(
    ("primary", "match"),
    [("nowhere", "no column of this name"), ("vector", "expected integers or text"), ("holes", "nulls")],
)
def test_a_key_that_cannot_be_one_is_refused(tmp_path, primary, match):
    with pytest.raises(SchemaError, match=match) as caught:
        inferred(tmp_path, primary=primary, holes=pa.array(["a", None, "c"]))
    assert caught.value.field == primary


def test_no_vector_no_schema(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": [1], "text": ["a"]}), path)
    with pytest.raises(SchemaError, match=r"no column becomes a vector field.*--map vector=emb\.npy") as caught:
        infer(open_source(path))
    assert "id (int64) -> INT64, text (string) -> VARCHAR;" in str(caught.value)


def test_lists_of_whole_numbers_come_with_the_way_to_make_them_vectors(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 1, "emb": [1, 2, 3]}\n')
    with pytest.raises(SchemaError) as caught:
        infer(open_source(tmp_path / "a.jsonl"))
    (way_out,) = re.findall(r"--type '(.+?)'", str(caught.value))
    name, type_ = way_out.split("=")
    made = infer(open_source(tmp_path / "a.jsonl", text=TextOptions(types={name: type_}))).schema
    assert [(one.name, one.dtype) for one in made.fields][1:] == [("emb", DataType.FLOAT_VECTOR)]
    pq.write_table(pa.table({f"c{i}": [[i]] for i in range(20)}), tmp_path / "many.parquet")
    with pytest.raises(SchemaError, match=r"c11 \(list<.*> and 8 more|and 8 more; lists of whole numbers"):
        infer(open_source(tmp_path / "many.parquet"))


def test_a_name_that_is_none_comes_with_a_way_out(tmp_path):
    np.save(tmp_path / "img-emb.npy", np.ones((3, 4), np.float32))
    with pytest.raises(SchemaError, match="img-emb") as caught:
        infer(open_source(tmp_path / "img-emb.npy"))
    assert caught.value.__notes__ == ["--map NAME=img-emb (columns=) gives it another name"]
