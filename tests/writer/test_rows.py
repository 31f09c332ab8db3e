"""Rows: which mappings are rows, where unknown keys go, what one bad row costs.

And what never happens: a caller's object changed, or a good row lost to a bad one.
"""

from __future__ import annotations

import collections
import copy
import json
import types
from typing import Any

import datasets
import duckdb
import ml_dtypes
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pymilvus.client.types import HybridExtraList

from format_names import FORMATS
from other_readers import D, columns, refusal, schema_of, write
from vecmill import LocalBulkWriter
from vecmill.errors import DataError

PAIR = [1.5, -0.0]
F32 = np.array(PAIR, np.float32)
VECTORS = {
    D.FLOAT_VECTOR: {"dim": 2},
    D.FLOAT16_VECTOR: {"dim": 2},
    D.BFLOAT16_VECTOR: {"dim": 2},
    D.INT8_VECTOR: {"dim": 2},
    D.BINARY_VECTOR: {"dim": 8},
}


class OnGpu:
    def __array__(self, *_args: Any, **_options: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


@pytest.mark.parametrize(
    ("row", "field", "expected", "got"),
    [
        ({"id": 1, "v": PAIR, "zz": 1}, "zz", "only fields of the schema", "an unknown field"),
        ({"id": 1, "v": PAIR, "$meta": {}}, "$meta", "only fields of the schema", "an unknown field"),
        ({"id": 1, "v": PAIR, 5: 1}, "5", "only fields of the schema", "an unknown field"),
        (None, None, "a dict", "None"),
        ([1, PAIR], None, "a dict", "a list of length 2"),
        ("id", None, "a dict", "a str"),
        (types.MappingProxyType({"id": 1, "v": "no"}), "v", "2 float32 values", "a str"),
    ],
)
def test_rows_that_are_refused(tmp_path, row, field, expected, got):
    for put in (lambda w: w.append_row(row), lambda w: w.append_rows([row])):
        error = refusal(tmp_path, schema_of(), put)
        assert (error.field, error.row) == (field, 0)
        assert expected in error.expected
        assert got in error.got


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_key_that_the_server_assigns_is_refused(tmp_path, dynamic):
    schema = schema_of(auto_id=True, dynamic=dynamic)
    error = refusal(tmp_path, schema, lambda w: w.append_row({"id": 1, "v": PAIR}))
    assert (error.field, error.row) == ("id", 0)
    assert "the server fills" in error.expected
    assert refusal(tmp_path, schema, lambda w: w.append_batch({"id": [1], "v": [PAIR]})).field == "id"
    assert "id" not in columns(write(tmp_path, schema, lambda w: w.append_row({"v": PAIR})))


def test_mappings_of_all_kinds_are_rows(tmp_path):
    plain = {"id": 1, "v": PAIR}
    rows = [
        plain,
        types.MappingProxyType(plain),
        collections.UserDict(plain),
        collections.OrderedDict(plain),
        collections.ChainMap(plain),
    ]
    written = write(tmp_path, schema_of(), lambda w: w.append_rows(rows))
    assert columns(written) == {"id": [1] * 5, "v": [PAIR] * 5}


class Rows(list):
    """Rows that are made when they are asked for, as MilvusClient.query has them."""

    def __iter__(self) -> Any:
        return ({**row, "v": PAIR} for row in super().__iter__())


class Numbers(list):
    pass


def test_list_subclasses_are_lists_of_rows(tmp_path):
    halves, bits = np.float16(PAIR).tobytes(), b"\xab"
    schema = schema_of(
        ("v", D.FLOAT_VECTOR, {"dim": 2}), ("h", D.FLOAT16_VECTOR, {"dim": 2}), ("b", D.BINARY_VECTOR, {"dim": 8}),
        ("a", D.ARRAY, {"element_type": D.INT64, "max_capacity": 4}), ("s", D.SPARSE_FLOAT_VECTOR, {}),
    )  # fmt: skip
    rows = [{"id": i, "h": [halves], "b": [bits], "a": Numbers([i]), "s": {3: 0.5}} for i in range(600)]
    found = columns(write(tmp_path, schema, lambda w: w.append_rows(Rows(rows))))
    assert found["id"] == list(range(600))
    assert (found["v"][-1], found["h"][-1], found["b"][-1], found["a"][-1]) == (PAIR, halves, bits, [599])
    whole = HybridExtraList([], [{**row, "v": PAIR} for row in rows])
    assert columns(write(tmp_path, schema, lambda w: w.append_rows(whole))) == found
    batch = {name: Numbers([row[name] for row in whole]) for name in whole[0]}
    assert columns(write(tmp_path, schema, lambda w: w.append_batch(batch))) == found


class NotIterable:
    pass


TABLE = {"id": [1], "v": [PAIR]}


@pytest.mark.parametrize(
    ("rows", "got"),
    [
        (pd.DataFrame(TABLE), "a DataFrame, which append_batch takes"),
        (pl.DataFrame(TABLE), "a DataFrame, which append_batch takes"),
        (pl.LazyFrame(TABLE), "a LazyFrame, which append_batch takes"),
        (pa.table(TABLE), "a Table, which append_batch takes"),
        (pa.record_batch(TABLE), "a RecordBatch, which append_batch takes"),
        (duckdb.sql("select 1 as id"), "a DuckDBPyRelation, which append_batch takes"),
        ({"id": 1, "v": PAIR}, "one dict; use append_row"),
        ("rows", "a str of length 4"),
        (None, "None"),
        (NotIterable(), "NotIterable"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_is_no_iterable_of_rows(tmp_path, rows, got):
    error = refusal(tmp_path, schema_of(), lambda w: w.append_rows(rows))
    assert (error.field, error.row, error.expected) == (None, None, "an iterable of row dicts")
    assert got in error.got


def test_iterables_of_dicts_that_are_columns_too(tmp_path):
    rows = [{"id": i, "v": PAIR} for i in range(3)]
    for one in (pd.Series(rows), pl.Series(rows), np.array(rows), datasets.Dataset.from_list(rows)):
        assert columns(write(tmp_path, schema_of(), lambda w, o=one: w.append_rows(o)))["id"] == [0, 1, 2]


META = [
    ({"a": 1, "é": [1.5, None]}, {"a": 1, "é": [1.5, None]}),
    ({"$meta": {"a": 1}}, {"a": 1}),
    ({"$meta": '{"a": 1}', "b": "x"}, {"a": 1, "b": "x"}),
    ({"$meta": None, "b": None}, {"b": None}),
    ({"$meta": {}}, {}),
    ({}, {}),
    (
        {"t": np.float32(0.5), "n": np.int64(2**62), "s": np.str_("x"), "b": np.bool_(True)},
        {"t": 0.5, "n": 2**62, "s": "x", "b": True},
    ),
    ({"big": 2**70, "m": np.arange(3), "nul": "\0"}, {"big": 2**70, "m": [0, 1, 2], "nul": "\0"}),
]


@pytest.mark.parametrize("file_type", FORMATS)
def test_unknown_keys_go_to_meta(tmp_path, file_type):
    schema = schema_of(dynamic=True)
    rows = [{"id": i, "v": PAIR, **extra} for i, (extra, _) in enumerate(META)]
    expected = [stored for _, stored in META]
    by_row = write(tmp_path, schema, lambda w: [w.append_row(row) for row in rows], file_type=file_type)
    by_rows = write(tmp_path, schema, lambda w: w.append_rows(rows), file_type=file_type)
    by_batch = write(
        tmp_path,
        schema,
        lambda w: [w.append_batch({k: [v] for k, v in row.items()}) for row in rows],
        file_type=file_type,
    )
    for written in (by_row, by_rows, by_batch):
        assert [json.loads(text) for text in columns(written)["$meta"]] == expected
        assert columns(written)["id"] == list(range(len(META)))


@pytest.mark.parametrize(
    ("extra", "got"),
    [
        ({"$meta": {"a": 1}, "a": 2}, "both in $meta and beside it"),
        ({"$meta": [1]}, "not an object"),
        ({"$meta": "nonsense"}, "Expecting value"),
        ({"$meta": 5}, "not an object"),
        ({"$meta": {"id": 5}}, "a field of the schema"),
        ({"$meta": {"$meta": 5}}, "a field of the schema"),
        ({"$meta": '{"a":1,"a":2}'}, "twice"),
        ({"$meta": {5: 1}}, "not a str"),
        ({5: 1}, "not a str"),
        ({"a": float("nan")}, "nan, which is not JSON compliant at 'a'"),
        ({"$meta": {"b": [float("inf")]}}, "inf, which is not JSON compliant at 'b[0]'"),
        ({"a": {1: 0, "1": 1}}, "the keys 1 and '1' in one object, which are one key in JSON at 'a'"),
        ({1: 0, "1": 1}, "not a str"),
        ({"a": {1}}, "set has no JSON form at 'a'"),
        ({"a": np.datetime64("NaT", "ns")}, "NaT has no JSON form"),
        ({"a": "\ud800"}, "lone surrogate"),
        ({"a": "é" * 33_000}, "66008 bytes"),
    ],
)
def test_dynamic_values_that_are_refused(tmp_path, extra, got):
    schema = schema_of(dynamic=True)
    for put in (
        lambda w: w.append_row({"id": 1, "v": PAIR, **extra}),
        lambda w: w.append_rows([{"id": 1, "v": PAIR, **extra}]),
    ):
        error = refusal(tmp_path, schema, put)
        assert (error.field, error.row) == ("$meta", 0)
        assert got in error.got


@pytest.mark.parametrize("file_type", FORMATS)
def test_bad_rows_are_refused_alone_and_told_together(tmp_path, file_type):
    def bad(i: int) -> bool:
        return i % 7 == 3

    rows = [{"id": i, "v": [float("nan"), 0] if bad(i) else [i, -i]} for i in range(3000)]
    with LocalBulkWriter(schema_of(), tmp_path, file_type=file_type, chunk_size=4000) as writer:
        with pytest.raises(DataError) as caught:
            writer.append_row(rows[3])
        assert caught.value.row == 0
        for offered, start in ((rows, 1), (iter(rows), 3001)):
            with pytest.raises(DataError) as caught:
                writer.append_rows(offered)
            error = caught.value
            assert [one.row for one in error.refused] == [start + i for i in range(3000) if bad(i)]
            assert (error.field, error.row, error.n_refused) == ("v", start + 3, len(error.refused))
            assert f"first of {error.n_refused} refused rows" in str(error)
        assert writer.total_row_count == 2 * (3000 - error.n_refused)
    found = columns(writer)
    good = [i for i in range(3000) if not bad(i)]
    assert found["id"] == good * 2
    assert found["v"] == [[i, -i] for i in good] * 2


def test_a_generator_that_raises_loses_nothing_that_it_gave(tmp_path):
    def rows():
        for i in range(1500):
            yield {"id": i, "v": PAIR}
        raise KeyError("boom")

    with LocalBulkWriter(schema_of(), tmp_path) as writer:
        with pytest.raises(KeyError, match="boom"):
            writer.append_rows(rows())
        assert writer.total_row_count == 1500
        writer.append_row({"id": 1500, "v": PAIR})
    assert columns(writer)["id"] == list(range(1501))


def test_values_whose_own_code_misbehaves_cost_only_their_row(tmp_path):
    class Shrinking:
        """Changes the list that it is in while that is read."""

        def __init__(self, home: list[Any]) -> None:
            self.home = home

        def __index__(self) -> int:
            self.home.clear()
            return 1

        __float__ = __index__

    class Vanishing(dict):
        def items(self):
            raise RuntimeError("dictionary changed size during iteration")

    vector: list[Any] = []
    vector += [Shrinking(vector), 1.0]
    schema = schema_of(("x", D.JSON, {}), ("n", D.INT32, {}), dynamic=True)
    good = {"id": 1, "v": PAIR, "x": {}, "n": 1}
    bad = [
        {**good, "v": vector}, {**good, "n": OnGpu()}, {**good, "v": OnGpu()}, {**good, "x": Vanishing(a=1)},
        {**good, "other": Vanishing(a=1)}, {**good, "n": 10**5000},
    ]  # fmt: skip
    with LocalBulkWriter(schema, tmp_path) as writer:
        for row in bad:
            with pytest.raises(DataError):
                writer.append_row(row)
        with pytest.raises(DataError) as caught:
            writer.append_rows([good, *bad[1:], good])
        assert caught.value.n_refused == len(bad) - 1
        assert writer.total_row_count == 2
    assert columns(writer)["id"] == [1, 1]


def test_the_callers_objects_are_never_changed(tmp_path):
    fields = [("VARCHAR", D.VARCHAR, {"max_length": 8}), ("j", D.JSON, {})]
    schema = schema_of(*fields, *((t.name, t, params) for t, params in VECTORS.items()), dynamic=True)
    extra = {"deep": {"list": [1, {"a": (2,)}]}}
    good = {
        "id": 1, "VARCHAR": "é", "FLOAT_VECTOR": np.array([1, 2]), "FLOAT16_VECTOR": F32.astype(">f2"),
        "BFLOAT16_VECTOR": F32.astype(ml_dtypes.bfloat16), "INT8_VECTOR": [1, np.int8(2)], "j": {"a": [1, {}]},
        "BINARY_VECTOR": bytearray(b"\xab"), "$meta": {"m": [1]}, **extra,
    }  # fmt: skip
    rows = [good, {**good, "INT8_VECTOR": [1, 300]}, {**good, "$meta": {"deep": 1}}, {**good, "unknown": {1, 2}}]
    before = copy.deepcopy(rows)
    with LocalBulkWriter(schema, tmp_path) as writer:
        for row in rows:
            try:
                writer.append_row(row)
            except DataError:
                assert row is not good
        with pytest.raises(DataError):
            writer.append_rows(rows)
        writer.append_batch({name: [value] * 2 for name, value in good.items()})
    assert writer.total_row_count == 4
    assert [list(row) for row in rows] == [list(row) for row in before]
    assert repr(rows) == repr(before)
    assert good["FLOAT_VECTOR"].flags.writeable
