"""Rows: which mappings are rows, where unknown keys go, what one bad row costs.

And what never happens: a caller's object changed, or a good row lost to a bad one.
"""

from __future__ import annotations

import collections
import copy
import datetime as dt
import json
import types
from typing import Any

import ml_dtypes
import numpy as np
import pytest

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
        ({"a": float("nan")}, "not JSON compliant"),
        ({"a": dt.date(2020, 1, 1)}, "date has no JSON form"),
        ({"a": np.datetime64("2020-01-01", "ns")}, "datetime64 has no JSON form"),
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
