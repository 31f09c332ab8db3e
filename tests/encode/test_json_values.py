"""Values that become JSON, in JSON fields and in ``$meta``: one form for each, whatever way it comes in."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from other_readers import D, columns, refusal, schema_of, write
from vecmill import convert

DAY = dt.date(2024, 5, 1)


def batch_of(n_rows: int, **columns: Any) -> dict[str, Any]:
    return {"id": np.arange(n_rows), "v": np.zeros((n_rows, 2), np.float32), **columns}


MAP = pa.map_(pa.string(), pa.int64())


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([[("a", 1), ("b", None)], None, []], MAP), ['{"a":1,"b":null}', None, "{}"]),
        (pa.array([[("x", 0)], [("a", 1)], None, []], MAP)[1:], ['{"a":1}', None, "{}"]),
        (pa.array([[(1, "x"), (-2, "y")], [], None], pa.map_(pa.int32(), pa.string())),
         ['{"1":"x","-2":"y"}', "{}", None]),
        (pa.array([[("k", [("l", 5)])], [], None], pa.map_(pa.string(), MAP)), ['{"k":{"l":5}}', "{}", None]),
        (pa.array([{"m": [("a", 1)]}, {"m": None}, None], pa.struct({"m": MAP})),
         ['{"m":{"a":1}}', '{"m":null}', None]),
        *(
            (pa.array([[[("a", 1)], []], [None], None], kind), ['[{"a":1},{}]', "[null]", None])
            for kind in (pa.list_(MAP), pa.large_list(MAP), pa.list_view(MAP))
        ),
        (pa.array([[[("a", 1)], []], [None, None], None], pa.list_(MAP, 2)), ['[{"a":1},{}]', "[null,null]", None]),
        (pa.array([[("d", DAY)], [], None], pa.map_(pa.string(), pa.date32())), ['{"d":"2024-05-01"}', "{}", None]),
        (pa.array([[(DAY, 1)], [], None], pa.map_(pa.date32(), pa.int8())), ['{"2024-05-01":1}', "{}", None]),
        (pa.array([{"s": "é"}, {"s": None}, None], pa.struct({"s": pa.dictionary(pa.int8(), pa.string())})),
         ['{"s":"é"}', '{"s":null}', None]),
    ],
    ids=lambda one: str(getattr(one, "type", "")),
)  # fmt: skip
def test_maps_are_objects_wherever_they_are(tmp_path, column, expected):
    schema = schema_of(("x", D.JSON, {"nullable": True}), dynamic=True)
    found = columns(write(tmp_path, schema, lambda w: w.append_batch(batch_of(3, x=column, y=column))))
    assert found["x"] == expected
    assert found["$meta"] == [f'{{"y":{text or "null"}}}' for text in expected]


def test_maps_of_duckdb(tmp_path):
    schema = schema_of(("x", D.JSON, {}), dynamic=True)
    relation = duckdb.sql(
        "select 1::bigint as id, [0, 1]::float[] as v, map {'a': [1.5], 'b': []} as x, "
        "{'m': map {7: date '2024-05-01'}} as y"
    )
    found = columns(write(tmp_path, schema, lambda w: w.append_batch(relation)))
    assert (found["x"], found["$meta"]) == (['{"a":[1.5],"b":[]}'], ['{"y":{"m":{"7":"2024-05-01"}}}'])


def test_a_map_with_a_key_twice_is_refused(tmp_path):
    twice = pa.MapArray.from_arrays([0, 1, 3], ["a", "b", "b"], [1, 2, 3])
    zeros = pa.MapArray.from_arrays([0, 1, 3], [1.0, 0.0, -0.0], [1, 2, 3])
    for column in (twice, zeros, pa.array([{"m": one} for one in twice.to_pylist()], pa.struct({"m": twice.type}))):
        for schema, field in ((schema_of(("x", D.JSON, {})), "x"), (schema_of(dynamic=True), "$meta")):
            error = refusal(tmp_path, schema, lambda w, c=column: w.append_batch(batch_of(2, x=c)))
            assert (error.field, error.row, error.expected) == (field, 1, "a map with every key once")


BOOL8 = pa.bool8()
BERLIN = dt.timezone(dt.timedelta(hours=2))
TIMES = [
    (dt.datetime(2024, 5, 1, 12), pa.timestamp("s"), "2024-05-01T12:00:00"),
    (dt.datetime(2024, 5, 1, 12, 0, 0, 500_000), pa.timestamp("ms"), "2024-05-01T12:00:00.500000"),
    (dt.datetime(2024, 5, 1, 12), pa.timestamp("us"), "2024-05-01T12:00:00"),
    (dt.datetime(1901, 5, 1, 12, 0, 0, 5), pa.timestamp("ns"), "1901-05-01T12:00:00.000005"),
    (pd.Timestamp("2024-05-01T12:00:00.000000001"), pa.timestamp("ns"), "2024-05-01T12:00:00.000000001"),
    (dt.datetime(2024, 5, 1, 12, tzinfo=BERLIN), pa.timestamp("us", "Europe/Berlin"), "2024-05-01T10:00:00Z"),
    (dt.datetime(2024, 5, 1, 12, 0, 0, 1, tzinfo=dt.UTC), pa.timestamp("us", "UTC"), "2024-05-01T12:00:00.000001Z"),
    (dt.date(2024, 5, 1), pa.date32(), "2024-05-01"),
    (dt.date(2024, 5, 1), pa.date64(), "2024-05-01"),
    (dt.time(1, 2, 3), pa.time32("s"), "01:02:03"),
    (dt.time(1, 2, 3, 4), pa.time64("us"), "01:02:03.000004"),
    (dt.time(1, 2, 3, 4000), pa.time32("ms"), "01:02:03.004000"),
    (Decimal("12.50"), pa.decimal128(5, 2), 12.5),
    (Decimal("12345678901234567890"), pa.decimal256(40, 0), 12345678901234567890),
    (uuid.UUID(int=7), pa.uuid(), "00000000-0000-0000-0000-000000000007"),
    (True, BOOL8, True),
    (dt.timedelta(days=-1, seconds=1), pa.duration("ms"), "PT-23H-59M-59S"),
    (dt.timedelta(days=400, microseconds=5), pa.duration("us"), "P400DT0.000005S"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "kind", "form"), TIMES, ids=str)
def test_times_decimals_and_uuids_have_one_json_form_whatever_way_they_come(tmp_path, value, kind, form):
    """Row dicts, lists, Arrow, Arrow within structs and lists, pandas, NumPy, and Parquet files by convert."""
    schema = schema_of(("x", D.JSON, {}), dynamic=True)
    row = {"id": 0, "v": [0.0, 0.0], "x": value, "y": value, "z": {"in": [value]}}
    plain = (
        pa.array([value], kind) if kind != BOOL8 else pa.ExtensionArray.from_storage(BOOL8, pa.array([1], pa.int8()))
    )
    nested = pa.StructArray.from_arrays([pa.ListArray.from_arrays([0, 1], plain)], ["in"])
    table = pa.table({"id": [0], "v": [[0.0, 0.0]], "x": plain, "y": plain, "z": nested})
    pq.write_table(table, tmp_path / "t.parquet")
    series, objects = pd.Series([value]), np.array([value], object)
    ways = {
        "row": lambda w: w.append_row(row),
        "rows": lambda w: w.append_rows([row]),
        "lists": lambda w: w.append_batch({name: [one] for name, one in row.items()}),
        "objects": lambda w: w.append_batch({**batch_of(1), "x": objects, "y": objects, "z": [row["z"]]}),
        "pandas": lambda w: w.append_batch({**batch_of(1), "x": series, "y": series, "z": [row["z"]]}),
        "arrow": lambda w: w.append_batch(table),
        "stream": lambda w: w.append_batch(table.to_reader()),
    }
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        times = np.array([pd.Timestamp(value).to_datetime64()]).astype(f"M8[{kind.unit}]")
        ways["numpy"] = lambda w: w.append_batch({**batch_of(1), "x": times, "y": times, "z": [{"in": times}]})
    if kind != BOOL8:  # files have no such type
        ways["convert"] = None
    text = json.dumps(form)
    for name, put in ways.items():
        if put is None:
            report = convert(tmp_path / "t.parquet", tmp_path / "out", schema=schema)
            found = pq.read_table(report.files[0][0]).to_pydict()
        else:
            found = columns(write(tmp_path / name, schema, put))
        assert found["x"] == [text], name
        assert found["$meta"] == [f'{{"y":{text},"z":{{"in":[{text}]}}}}'], name


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([None, (14, 2, 3_000_000_000)], pa.month_day_nano_interval()), [None, "P1Y2M2DT3S"]),
        (
            pa.array([{"d": 90_061}, {"d": -1}], pa.struct({"d": pa.duration("s")})),
            [{"d": "P1DT1H1M1S"}, {"d": "PT-1S"}],
        ),
        (pa.array([[], [(-1, 2, -3)]], pa.list_(pa.month_day_nano_interval())), [[], ["P-1M2DT-0.000000003S"]]),
        (pd.Series(pd.to_timedelta([0, 2], unit="D")), ["PT0S", "P2D"]),
    ],
)
def test_durations_are_iso_8601(tmp_path, column, expected):
    for schema, name in ((schema_of(("x", D.JSON, {"nullable": True})), "x"), (schema_of(dynamic=True), "$meta")):
        written = columns(write(tmp_path / name, schema, lambda w: w.append_batch(batch_of(2, x=column))))
        got = [json.loads(text) if text is not None else None for text in written[name]]
        assert got == ([{"x": value} for value in expected] if name == "$meta" else expected)


@pytest.mark.parametrize(
    ("column", "row", "got"),
    [
        (pa.array([{"b": b"x"}] * 2), 0, "bytes has no JSON form"),
        (pa.array([b"a", b"b"]), 0, "not JSON text|bytes has no JSON form"),
        (pa.array([1.5, float("nan")]), 1, "nan, which is not JSON compliant"),
        (pa.array([{"f": 1.5}, {"f": float("nan")}]), 1, "nan, which is not JSON compliant at"),
        (pa.array([b"a", b"\xff"]).view(pa.string()), 1, "not UTF-8"),
        (pa.StructArray.from_arrays([pa.array([1, 2]), pa.array([1, 2])], ["a", "a"]), 0, "the names a, a"),
        (pd.Series(pd.period_range("2024", periods=2, freq="M")), None, "pandas.period"),
        (pd.Series(pd.interval_range(0, 2)), None, "pandas.interval"),
    ],
    ids=lambda one: str(getattr(one, "type", "")),
)  # fmt: skip
def test_what_has_no_json_form(tmp_path, column, row, got):
    for schema, field in ((schema_of(("x", D.JSON, {"nullable": True})), "x"), (schema_of(dynamic=True), "$meta")):
        error = refusal(tmp_path, schema, lambda w: w.append_batch(batch_of(2, x=column)))
        assert error.field == field
        if error.field == "$meta" or row is not None:
            assert error.row == (row or 0)
        assert re.search(got, str(error)), error
