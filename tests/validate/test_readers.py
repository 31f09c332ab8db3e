"""`validate`: what a file may leave out, and what is in it that nobody asked for, by format and version."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from faulty_files import D, csv_file, json_list, npy, parquet, rows, schema, text_file
from vecmill import create_schema, validate

OLD, NEW = ("2.3", "2.4"), ("2.5", "2.6", "3.0", "cloud", None)
KEYLESS = [{"v": row["v"]} for row in rows()]


def keyed(**options: Any) -> Any:
    made = create_schema(**options)
    made.add_field("id", D.INT64, is_primary=True, auto_id=True)
    return made.add_field("v", D.FLOAT_VECTOR, dim=4)


def found(report: Any) -> dict[str, int]:
    return dict(report.counts)


@pytest.mark.parametrize("make", [npy(id=None), parquet(id=None), json_list(KEYLESS), csv_file(KEYLESS)])
@pytest.mark.parametrize("dynamic", [False, True])
def test_keys_that_may_be_supplied_may_be_left_out(make, dynamic, tmp_path):
    made = keyed(allow_insert_auto_id=True, enable_dynamic_field=dynamic)
    for target in (None, "2.6", "3.0"):
        assert found(validate(make(tmp_path), made, target=target)) == {}


def test_keys_are_supplied_where_the_server_takes_them(tmp_path):
    made = keyed(allow_insert_auto_id=True)
    for make in (parquet(), json_list(rows()), csv_file(rows())):
        assert found(validate(make(tmp_path), made)) == {}
        assert not validate(make(tmp_path), made, target="2.5").ok
    assert found(validate(npy()(tmp_path), made)) == {"column-auto-id": 1}
    made = keyed(allow_insert_auto_id=True, enable_dynamic_field=True)
    assert found(validate(csv_file(rows())(tmp_path), made)) == {"column-auto-id": 1}


def test_keys_are_supplied_in_all_rows_or_in_none(tmp_path):
    made = keyed(allow_insert_auto_id=True)
    report = validate(json_list([*rows(), *KEYLESS[:1]])(tmp_path), made)
    assert [(one.rule, one.row) for one in report.errors] == [("column-missing", 3)]
    report = validate(json_list([{"id": None, **KEYLESS[0]}])(tmp_path), made)
    assert found(report) == {"value-null": 1}


@pytest.mark.parametrize(
    ("dtype", "params"),
    [
        (D.ARRAY, {"element_type": D.INT32, "max_capacity": 3, "nullable": True}),
        (D.SPARSE_FLOAT_VECTOR, {"nullable": True}),
        (D.TEXT, {"nullable": True}),
        (D.TIMESTAMPTZ, {"nullable": True}),
        (D.TIMESTAMPTZ, {"default_value": "2026-01-31T12:00:00Z"}),
    ],
)
def test_an_npy_set_leaves_out_what_npy_cannot_carry(dtype, params, tmp_path):
    made = schema(dtype, **params)
    newest = ("3.0",) if dtype is D.TEXT else ("2.6", "3.0", "cloud")
    for target in (None, *newest):
        assert found(validate(npy()(tmp_path), made, target=target)) == {}
    for target in {"2.3", "2.5", "2.6"} - set(newest):
        assert found(validate(npy()(tmp_path), made, target=target)) == {"schema-format": 1}
    assert found(validate(npy(["a"] * 3)(tmp_path), made)) == {"schema-format": 1}


def test_defaults_are_filled_in_from_2_5_on(tmp_path):
    made = schema(D.INT32, default_value=3)
    nulls = text_file("rows.json", json.dumps(rows()).replace("}", ', "x": null}'))
    some = pa.array([1, None, 2], pa.int32())
    for make, rule in (
        (npy(), "column-missing"), (parquet(), "column-missing"), (json_list(rows()), "column-missing"),
        (parquet(some), "value-null"), (nulls, "value-null"),
    ):  # fmt: skip
        for target in OLD:
            assert validate(make(tmp_path), made, target=target).counts.keys() == {rule}
        for target in NEW:
            assert found(validate(make(tmp_path), made, target=target)) == {}
    full = npy(np.arange(3, dtype="i4"))(tmp_path)
    assert all(found(validate(full, made, target=target)) == {} for target in OLD)


def severity(report: Any) -> dict[str, str]:
    return {one.rule: str(one.severity) for one in report.findings}


def test_unknown_columns(tmp_path):
    wide = [{**row, "color": 1} for row in rows()]
    for make, targets in (
        (npy(color=np.arange(3)), OLD), (parquet(color=pa.array([1, 2, 3])), OLD), (json_list(wide), OLD),
        (csv_file(wide), ()),
    ):  # fmt: skip
        for target in (*targets, "2.5", None):
            assert severity(validate(make(tmp_path), schema(), target=target)) == {"column-unknown": "refused"}
        for target in ("2.6", "3.0", "cloud"):
            assert severity(validate(make(tmp_path), schema(), target=target)) == {"column-unknown": "advice"}


def test_columns_for_dynamic_values(tmp_path):
    wide = [{**row, "color": 1} for row in rows()]
    made = schema(dynamic=True)
    for make in (npy(color=np.arange(3)), parquet(color=pa.array([1, 2, 3]))):
        assert severity(validate(make(tmp_path), made, target="2.5")) == {"column-dynamic": "refused"}
        assert severity(validate(make(tmp_path), made, target="2.6")) == {"column-dynamic": "silent"}
    assert severity(validate(csv_file(wide)(tmp_path), made)) == {"column-dynamic": "advice"}
    assert severity(validate(json_list(wide)(tmp_path), made)) == {}


def test_a_column_that_is_named_nearly_as_a_field(tmp_path):
    made = schema(D.INT64, nullable=True)
    for make in (npy(X=np.arange(3)), parquet(X=pa.array([1, 2, 3])), csv_file([{**row, "X": 1} for row in rows()]),
                 json_list([{**row, "X": 1} for row in rows()])):  # fmt: skip
        report = validate(make(tmp_path), made, target="2.6")
        assert severity(report) == {"column-misnamed": "silent"}
        assert report.findings[0].expected == "the name 'x'"
    both = parquet(pa.array([1, 2, 3]), X=pa.array([1, 2, 3]))
    assert severity(validate(both(tmp_path), made, target="2.6")) == {"column-unknown": "advice"}


@pytest.mark.parametrize(
    "meta", [None, '{"color": 1}', '{"$meta": 1}', {"color": 1}, "[1]", '{"color"', [1], 5], ids=str
)  # fmt: skip
def test_dynamic_values_that_json_rows_cannot_have(meta, tmp_path):
    made = [{**row, "$meta": meta, "color": "red"} for row in rows()]
    report = validate(json_list(made)(tmp_path), schema(dynamic=True))
    assert {one.row for one in report.errors} == {0, 1, 2}
    for good in ({}, "{}", '{"size": 1}', {"size": None}):
        made = [{**row, "$meta": good, "color": "red"} for row in rows()]
        assert found(validate(json_list(made)(tmp_path), schema(dynamic=True))) == {}
