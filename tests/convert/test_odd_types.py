"""Decimals, UUIDs, times, intervals, bytes and sparse vectors of tables: as the field says, or as inference chooses."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from converted import rows, schema, vectors
from vecmill import DataType, LocalBulkWriter, convert
from vecmill.errors import DataError, SchemaError

D = decimal.Decimal
UUIDS = [str(uuid.UUID(int=i)) for i in range(2)]


def table(**more):
    n = len(next(iter(more.values())))
    return pa.table({"id": list(range(n)), "v": vectors(n), **more})


def parquet(tmp_path, **more):
    pq.write_table(table(**more), tmp_path / "a.parquet")
    return tmp_path / "a.parquet"


def decimals(values, precision, scale):
    return pa.array([None if value is None else D(value) for value in values], pa.decimal128(precision, scale))


# -- decimals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "precision", "scale", "dtype", "expected"),
    [
        (["1", "-7"], 18, 0, DataType.INT64, [1, -7]),
        (["9223372036854775807", "1"], 38, 0, DataType.INT64, [2**63 - 1, 1]),
        (["9223372036854775808", "1"], 38, 0, DataType.VARCHAR, ["9223372036854775808", "1"]),
        (["1.50", "0.10"], 10, 2, DataType.DOUBLE, [1.5, 0.1]),
        (["1.50", "0.10"], 38, 2, DataType.DOUBLE, [1.5, 0.1]),
        (["12345678901234567.89", "0"], 38, 2, DataType.VARCHAR, ["12345678901234567.89", "0.00"]),
        (["0.0000000001", "1"], 38, 10, DataType.DOUBLE, [1e-10, 1.0]),
    ],
)
def test_decimals_become_what_holds_their_value(tmp_path, values, precision, scale, dtype, expected):
    src = parquet(tmp_path, n=decimals(values, precision, scale))
    report = convert(src, tmp_path / "out")
    assert next(field["type"] for field in report.schema["fields"] if field["name"] == "n") == dtype
    assert [row["n"] for row in rows(report)] == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ((DataType.INT64, {}), [2, -1]),
        ((DataType.INT8, {}), [2, -1]),
        ((DataType.DOUBLE, {}), [2.0, -1.0]),
        ((DataType.FLOAT, {}), [2.0, -1.0]),
        ((DataType.VARCHAR, {"max_length": 9}), ["2.00", "-1.00"]),
        ((DataType.JSON, {}), ["2", "-1"]),
    ],
)
def test_decimals_are_held_to_the_field(tmp_path, field, expected):
    src = parquet(tmp_path, n=decimals(["2", "-1"], 38, 2))
    for nullable in (False, True):
        given = schema(("n", field[0], {**field[1], "nullable": nullable}))
        assert [row["n"] for row in rows(convert(src, tmp_path / f"{nullable}", schema=given))] == expected


def test_decimals_that_a_field_does_not_hold_are_refused_with_their_row(tmp_path):
    src = parquet(tmp_path, n=decimals(["2", "1.5"], 38, 1))
    whole = schema(("n", DataType.INT64, {}))
    with pytest.raises(DataError, match=r"'n', row 1: expected .*whole numbers of 64 bits, got the decimal 1\.5"):
        convert(src, tmp_path / "out", schema=whole)
    assert [row["n"] for row in rows(convert(src, tmp_path / "unsafe", schema=whole, cast="unsafe"))] == [2, 1]
    src = parquet(tmp_path, n=decimals(["2", "12345678901234567.8"], 38, 1))
    double = schema(("n", DataType.DOUBLE, {}))
    with pytest.raises(DataError, match=r"row 1: expected .*, got the decimal 12345678901234567.8"):
        convert(src, tmp_path / "out", schema=double)
    assert rows(convert(src, tmp_path / "unsafe", schema=double, cast="unsafe"))[1]["n"] == 12345678901234567.8


def test_decimals_in_the_dynamic_field_and_in_lists(tmp_path):
    dynamic = convert(parquet(tmp_path, n=decimals(["2", "0.1"], 38, 1)), tmp_path / "out", schema=schema(dynamic=True))
    assert [row["$meta"] for row in rows(dynamic)] == ['{"n":2}', '{"n":0.1}']
    made = duckdb.sql("select 1 as id, [0.1, 0.2, 0.3, 0.4] as v, [1.5, 2.5] as a, sum(2) as s, 1.5 as d")
    fields = (("a", DataType.ARRAY, {"element_type": DataType.DOUBLE, "max_capacity": 4}), ("s", DataType.INT32, {}))
    got = rows(convert(made, tmp_path / "duck", schema=schema(*fields, ("d", DataType.DOUBLE, {}))))
    assert [round(value, 6) for value in got[0].pop("v")] == [0.1, 0.2, 0.3, 0.4]
    assert got == [{"id": 1, "a": [1.5, 2.5], "s": 2, "d": 1.5}]
    inferred = convert(made, tmp_path / "duck")
    types = {field["name"]: field["type"] for field in inferred.schema["fields"]}
    assert types == {
        "id": DataType.INT64, "v": DataType.FLOAT_VECTOR, "a": DataType.FLOAT_VECTOR, "s": DataType.INT64,
        "d": DataType.DOUBLE,
    }  # fmt: skip


def test_append_batch_takes_decimals_as_convert_does(tmp_path):
    given = schema(("n", DataType.INT64, {}), ("t", DataType.VARCHAR, {"max_length": 9}))
    with LocalBulkWriter(given, tmp_path) as writer:
        writer.append_batch(table(n=decimals(["2", "3"], 38, 0), t=decimals(["2.5", "3"], 9, 2)))
        writer.commit()
        with pytest.raises(DataError, match="'n', row 2"):
            writer.append_batch(table(n=decimals(["2.5"], 38, 1), t=decimals(["2.5"], 9, 2)))


# -- UUIDs, times, intervals ------------------------------------------------------------------------------------------


def odd_columns():
    return {
        "u": pa.array([uuid.UUID(one).bytes for one in UUIDS], pa.uuid()),
        "d": pa.array([datetime.date(2024, 5, 1)] * 2),
        "t": pa.array([datetime.time(1, 2, 3)] * 2, pa.time64("us")),
        "s": pa.array([90_061_500, -1_500], pa.duration("ms")),
        "i": pa.array([(14, 3, 5_500_000_000), (0, 0, 0)], pa.month_day_nano_interval()),
        "b": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8())),
    }


EXPECTED = {
    "u": UUIDS, "d": ["2024-05-01"] * 2, "t": ["01:02:03.000000"] * 2, "s": ["P1DT1H1M1.5S", "PT-1.5S"],
    "i": ["P1Y2M3DT5.5S", "PT0S"], "b": [True, False],
}  # fmt: skip


def test_no_type_blocks_a_table(tmp_path):
    report = convert(table(**odd_columns()), tmp_path / "out")
    got = rows(report)
    assert {name: [row[name] for row in got] for name in EXPECTED} == EXPECTED


@pytest.mark.parametrize("name", EXPECTED)
def test_they_are_what_the_field_says(tmp_path, name):
    data = table(**{name: odd_columns()[name]})
    if name != "b":
        text = schema((name, DataType.VARCHAR, {"max_length": 40}))
        assert [row[name] for row in rows(convert(data, tmp_path / "text", schema=text))] == EXPECTED[name]
    for given, key in ((schema((name, DataType.JSON, {})), name), (schema(dynamic=True), "$meta")):
        got = [json.loads(row[key]) for row in rows(convert(data, tmp_path / key, schema=given))]
        expected = [str(value).removesuffix(".000000") if name == "t" else value for value in EXPECTED[name]]
        assert got == ([{name: value} for value in expected] if key == "$meta" else expected)


# -- bytes ------------------------------------------------------------------------------------------------------------


def test_bytes_that_are_text_are_text(tmp_path):
    for type_ in (pa.binary(), pa.large_binary(), pa.binary_view()):
        data = table(t=pa.array(["ä".encode(), None], type_))
        for given in (None, schema(("t", DataType.VARCHAR, {"max_length": 9, "nullable": True}))):
            assert [row["t"] for row in rows(convert(data, tmp_path / "out", schema=given))] == ["ä", None]


def test_bytes_that_are_no_text_name_the_way_out(tmp_path):
    for raw in (b"\xff", b"a\0"):
        data = table(blob=pa.array([b"x", raw]))
        with pytest.raises(SchemaError, match=r"'blob'.*bytes that are no text; give a schema.*--drop blob"):
            convert(data, tmp_path / "out")
        assert len(rows(convert(data, tmp_path / "out", drop=["blob"]))) == 2


def test_vectors_as_bytes_have_four_bytes_a_value(tmp_path):
    raw = b"\0\0\x80?" * 4
    for type_ in (pa.binary(), pa.binary(16)):
        data = pa.table({"id": [1], "v": pa.array([raw], type_)})
        assert [list(row["v"]) for row in rows(convert(data, tmp_path / "out", schema=schema()))] == [[1.0] * 4]
        short = pa.table({"id": [1], "v": pa.array([raw[:8]], pa.binary())})
        with pytest.raises(DataError, match="16 bytes, got 8 bytes"):
            convert(short, tmp_path / "out", schema=schema())


@pytest.mark.parametrize("type_", [pa.uint16(), pa.int16()])
def test_bits_of_half_floats_are_refused_with_the_way_out(tmp_path, type_):
    data = pa.table({"id": [1], "v": pa.array([[11880] * 4], pa.list_(type_, 4))})
    given = schema()
    given.fields[1] = type(given.fields[1])("v", DataType.FLOAT16_VECTOR, dim=4)
    with pytest.raises(DataError, match="if they are the bits of floats"):
        convert(data, tmp_path / "out", schema=given)


# -- sparse vectors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [
        pa.array([{"indices": [0, 4], "values": [0.5, 2.0]}, {"indices": [], "values": []}]),
        pa.array([{"values": [0.5, 2.0], "indices": [0, 4]}, {"values": [], "indices": []}]),
        pa.array([[(0, 0.5), (4, 2.0)], []], pa.map_(pa.int32(), pa.float32())),
        pa.array(["{1:0.5,5:2}/8", "{}/8"]),
        pa.array(["{1:0.5,5:2}/8", "{}/8"]).dictionary_encode(),
    ],
)
def test_sparse_vectors_are_seen_as_such(tmp_path, column):
    src = parquet(tmp_path, s=column)
    given = schema(("s", DataType.SPARSE_FLOAT_VECTOR, {}))
    for report in (convert(src, tmp_path / "out"), convert(src, tmp_path / "given", schema=given)):
        assert report.schema["fields"][2]["type"] == DataType.SPARSE_FLOAT_VECTOR
        assert [json.loads(row["s"]) for row in rows(report)] == [{"0": 0.5, "4": 2.0}, {}]


def test_text_of_pgvector_that_is_no_vector_is_refused_with_its_row(tmp_path):
    given = schema(("s", DataType.SPARSE_FLOAT_VECTOR, {}))
    for wrong in ("{9:1}/8", "{0:1}/8", "{1:1,1:2}/8", "{1:x}/8"):
        with pytest.raises(DataError, match="'s', row 1"):
            convert(parquet(tmp_path, s=["{1:0.5}/8", wrong]), tmp_path / "out", schema=given)
