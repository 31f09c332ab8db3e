"""The null model: absent values, nulls and missing columns of fields that are nullable, have a default, or neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from format_names import FORMATS
from other_readers import columns, refusal, schema_of, write
from vecmill import DataType, LocalBulkWriter
from vecmill.errors import DataError

D = DataType
# Of each type that can have a default: the default, a value, both as a reader gives them.
TYPES: dict[DataType, tuple[dict[str, Any], Any, Any]] = {
    D.BOOL: ({}, True, False),
    D.INT8: ({}, -7, 5),
    D.INT16: ({}, -7, 5),
    D.INT32: ({}, -7, 5),
    D.INT64: ({}, -7, 5),
    D.FLOAT: ({}, 0.5, 1.25),
    D.DOUBLE: ({}, 0.5, 1.25),
    D.VARCHAR: ({"max_length": 9}, "dé", ""),
}
# Where the nulls are, of four rows.
PATTERNS = {"first": [0], "last": [3], "middle": [1, 2], "all": [0, 1, 2, 3]}


def feeds(values: list[Any], rows: list[int], arrow_type: pa.DataType) -> dict[str, Any]:
    """Return every way to bring the values with nulls in some rows: a function of the writer each."""
    with_nulls = [None if i in rows else value for i, value in enumerate(values)]
    ids, v = np.arange(4), np.tile(np.float32([0, 1]), (4, 1))

    def batch(column: Any) -> dict[str, Any]:
        return {"id": ids, "v": v, "x": column}

    dicts = [{"id": i, "v": [0.0, 1.0], "x": value} for i, value in enumerate(with_nulls)]
    absent = [{key: one for key, one in row.items() if one is not None} for row in dicts]
    mask = [i in rows for i in range(4)]
    filled = [values[0] if value is None else value for value in with_nulls]
    ways = {
        "row, None": lambda w: [w.append_row(row) for row in dicts],
        "rows, None": lambda w: w.append_rows(dicts),
        "rows, absent": lambda w: w.append_rows(absent),
        "list": lambda w: w.append_batch(batch(with_nulls)),
        "Arrow": lambda w: w.append_batch(batch(pa.array(with_nulls, arrow_type))),
        "Arrow slice": lambda w: w.append_batch(batch(pa.array([None, *with_nulls, None], arrow_type)[1:5])),
        "Arrow chunks": lambda w: w.append_batch(
            pa.table(batch(pa.chunked_array([with_nulls[:1], with_nulls[1:]], arrow_type)) | {"v": v.tolist()})
        ),
        "objects": lambda w: w.append_batch(batch(np.array(with_nulls, object))),
        "masked": lambda w: w.append_batch(batch(np.ma.masked_array(filled, mask))),
        "Polars": lambda w: w.append_batch(pl.DataFrame({"id": ids, "v": v.tolist(), "x": with_nulls})),
        "pandas": lambda w: w.append_batch(batch(pd.Series(with_nulls, dtype=object))),
    }
    if len(rows) == 4:
        ways["no column"] = lambda w: w.append_batch({"id": ids, "v": v})
        ways["Arrow null type"] = lambda w: w.append_batch(batch(pa.nulls(4)))
    return ways


ARROW = {
    D.BOOL: pa.bool_(), D.INT8: pa.int8(), D.INT16: pa.int16(), D.INT32: pa.int32(), D.INT64: pa.int64(),
    D.FLOAT: pa.float32(), D.DOUBLE: pa.float64(), D.VARCHAR: pa.string(),
}  # fmt: skip


@pytest.mark.parametrize("file_type", FORMATS)
@pytest.mark.parametrize("rows", PATTERNS.values(), ids=PATTERNS)
@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.name)
def test_the_table_of_nulls_and_defaults(tmp_path: Path, dtype: DataType, rows: list[int], file_type: str) -> None:
    params, default, value = TYPES[dtype]
    # Of the ways in, this test takes every other one; its neighbours in type, place and format take the others.
    turn = list(TYPES).index(dtype) + list(PATTERNS.values()).index(rows) + FORMATS.index(file_type)
    for nullable in (False, True):
        for has_default in (False, True):
            more = {"nullable": nullable, **({"default_value": default} if has_default else {})}
            schema = schema_of(("x", dtype, {**params, **more}))
            # The server writes the default also where null is allowed; NPY carries no null.
            stands_for_null = default if has_default else None
            is_taken = has_default or (nullable and file_type != "npy")
            expected = [stands_for_null if i in rows else value for i in range(4)]
            for way, put in list(feeds([value] * 4, rows, ARROW[dtype]).items())[turn % 2 :: 2]:
                folder = tmp_path / f"{nullable}{has_default}{way}"
                if is_taken:
                    writer = write(folder, schema, put, file_type=file_type)
                    assert columns(writer)["x"] == expected, way
                    continue
                with LocalBulkWriter(schema, folder, file_type=file_type) as writer, pytest.raises(DataError) as caught:
                    put(writer)
                assert caught.value.field == "x", way
                assert caught.value.row in (rows[0], None if way == "no column" else rows[0]), way


VECTORS: dict[DataType, tuple[dict[str, Any], Any]] = {
    D.FLOAT_VECTOR: ({"dim": 8}, [0.5] * 8),
    D.BINARY_VECTOR: ({"dim": 8}, b"\xa5"),
    D.FLOAT16_VECTOR: ({"dim": 8}, [0.5] * 8),
    D.BFLOAT16_VECTOR: ({"dim": 8}, [0.5] * 8),
    D.INT8_VECTOR: ({"dim": 8}, [5] * 8),
    D.SPARSE_FLOAT_VECTOR: ({}, {1: 0.5}),
    D.JSON: ({}, {"a": 1}),
    D.ARRAY: ({"element_type": D.INT32, "max_capacity": 3}, [1, 2]),
    D.GEOMETRY: ({}, "POINT(1 2)"),
    D.TIMESTAMPTZ: ({}, "2026-01-31T12:00:00Z"),
}


@pytest.mark.parametrize("rows", PATTERNS.values(), ids=PATTERNS)
@pytest.mark.parametrize("dtype", VECTORS, ids=lambda dtype: dtype.name)
def test_types_without_a_default_are_null_or_refused(tmp_path: Path, dtype: DataType, rows: list[int]) -> None:
    params, value = VECTORS[dtype]
    with_nulls = [None if i in rows else value for i in range(4)]
    for nullable in (False, True):
        schema = schema_of(("x", dtype, {**params, "nullable": nullable}), ("w", D.FLOAT_VECTOR, {"dim": 2}))
        dicts = [{"id": i, "w": [0.0, 1.0], "x": one} for i, one in enumerate(with_nulls)]
        ways = {
            "rows": lambda w, dicts=dicts: w.append_rows(dicts),
            "absent": lambda w, dicts=dicts: w.append_rows(
                [{key: one for key, one in row.items() if one is not None} for row in dicts]
            ),
            "list": lambda w: w.append_batch({"id": range(4), "w": np.zeros((4, 2)), "x": with_nulls}),
        }
        for way, put in ways.items():
            if nullable:
                writer = write(tmp_path / way, schema, put)
                assert [one is None for one in columns(writer)["x"]] == [i in rows for i in range(4)]
            elif way == "list":
                error = refusal(tmp_path / f"{way}no", schema, put)
                assert (error.field, error.row) == ("x", rows[0])
            else:
                with LocalBulkWriter(schema, tmp_path / f"{way}no") as writer, pytest.raises(DataError) as caught:
                    put(writer)
                assert (caught.value.field, caught.value.row, caught.value.n_refused) == ("x", rows[0], len(rows))
                assert writer.total_row_count == 4 - len(rows)
