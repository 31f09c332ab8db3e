"""Folders of tables that differ: further columns, other types. Every value arrives, or one file is named."""

from __future__ import annotations

import time

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from converted import DIM, rows, schema, vectors
from vecmill import DataType, convert
from vecmill.convert.opening import open_inputs
from vecmill.errors import DataError


def parquet(table, path):
    pq.write_table(table, path.with_suffix(".parquet"))


def feather(table, path):
    with pa.ipc.new_file(path.with_suffix(".arrow"), table.schema) as writer:
        writer.write_table(table)


def csv(table, path):
    lines = [",".join(table.column_names)]
    for row in table.to_pylist():
        lines.append(",".join("" if value is None else f'"{value}"' for value in row.values()))
    path.with_suffix(".csv").write_text("\n".join(lines) + "\n")


WRITERS = pytest.mark.parametrize("write", [parquet, feather, csv])


# -- further columns --------------------------------------------------------------------------------------------------


@WRITERS
def test_a_column_of_a_later_file_is_not_lost(tmp_path, write):
    src = tmp_path / "in"
    src.mkdir()
    write(pa.table({"id": [1], "v": vectors(1)}), src / "a")
    write(pa.table({"id": [2], "v": vectors(1), "lang": ["de"]}), src / "b")
    report = convert(src, tmp_path / "out")
    assert [row["lang"] for row in rows(report)] == [None, "de"]
    assert "nullable" in next(note for note in report.notes if note.startswith("lang"))
    given = convert(
        src, tmp_path / "given", schema=schema(("lang", DataType.VARCHAR, {"max_length": 9, "nullable": True}))
    )
    assert [row["lang"] for row in rows(given)] == [None, "de"]
    filled = ("lang", DataType.VARCHAR, {"max_length": 9, "default_value": "xx"})
    assert [row["lang"] for row in rows(convert(src, tmp_path / "filled", schema=schema(filled)))] == ["xx", "de"]


@WRITERS
def test_the_dynamic_field_has_the_keys_that_a_file_has(tmp_path, write):
    src = tmp_path / "in"
    src.mkdir()
    write(pa.table({"id": [1], "v": vectors(1), "a": [5]}), src / "a")
    write(pa.table({"id": [2], "v": vectors(1), "b": pa.array([None], pa.string())}), src / "b")
    got = rows(convert(src, tmp_path / "out", schema=schema(dynamic=True)))
    assert [row["$meta"] for row in got] == ['{"a":5}', '{"b":null}']


@WRITERS
def test_a_strict_schema_refuses_a_column_whichever_file_has_it(tmp_path, write):
    src = tmp_path / "in"
    src.mkdir()
    write(pa.table({"id": [1], "v": vectors(1)}), src / "a")
    write(pa.table({"id": [2], "v": vectors(1), "lang": ["de"]}), src / "b")
    with pytest.raises(DataError, match=r"in/b\..*got 'lang'"):
        convert(src, tmp_path / "out", schema=schema())
    lacking = schema(("lang", DataType.VARCHAR, {"max_length": 9}))
    with pytest.raises(DataError, match=r"in/a\..*'lang': expected a column for this field, got columns 'id', 'v'"):
        convert(src, tmp_path / "out", schema=lacking)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_column_that_one_csv_file_lacks_may_be_read_alone(tmp_path):
    csv(pa.table({"id": [1, 2], "v": vectors(2)}), tmp_path / "a")
    csv(pa.table({"id": [3], "v": vectors(1), "lang": ["de"]}), tmp_path / "b")
    (column,) = open_inputs(tmp_path, columns=["lang"]).columns
    assert (column.file, column.absent) == (str(tmp_path / "b.csv"), str(tmp_path / "a.csv"))
    got = [value for batch in open_inputs(tmp_path, columns=["lang"]).batches() for value in batch["lang"].to_pylist()]
    assert got == [None, None, "de"]


def test_a_file_without_rows_lacks_nothing(tmp_path):
    pq.write_table(pa.table({"id": pa.array([], pa.int64())}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"id": [2], "v": vectors(1)}), tmp_path / "b.parquet")
    assert [row["id"] for row in rows(convert(tmp_path, tmp_path / "out", schema=schema()))] == [2]


def test_a_key_that_some_files_lack_is_hashed_as_null(tmp_path):
    for name, table in (
        ("a", pa.table({"v": vectors(1)})),
        ("b", pa.table({"v": vectors(1), "t": pa.array([None], pa.string())})),
    ):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    got = [row["id"] for row in rows(convert(tmp_path, tmp_path / "out", id_from="hash"))]
    assert got[0] == got[1]


def test_many_files_of_different_columns_take_linear_time(tmp_path):
    src = tmp_path / "in"
    src.mkdir()
    for i in range(1000):
        parquet(pa.table({"id": [i], "v": vectors(1), f"c{i}": [i]}), src / f"f{i}")
    began = time.perf_counter()
    got = rows(convert(src, tmp_path / "out", schema=schema(dynamic=True)))
    assert time.perf_counter() - began < 30
    assert [row["$meta"] for row in got] == [f'{{"c{i}":{i}}}' for i in range(1000)]


# -- other types ------------------------------------------------------------------------------------------------------

TEXTS = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
LISTS = [pa.list_(pa.float32()), pa.large_list(pa.float32()), pa.list_(pa.float32(), DIM), pa.list_(pa.float64())]


def shards(folder, tables, write=parquet):
    folder.mkdir()
    for i, table in enumerate(tables):
        write(table, folder / f"part-{i}")
    return folder


@pytest.mark.parametrize("write", [parquet, feather])
@pytest.mark.parametrize("known", [True, False])
def test_layouts_of_text_and_vectors_may_differ(tmp_path, write, known):
    tables = [
        pa.table({"id": pa.array([i], pa.int64()), "v": vectors(1, LISTS[i]), "t": pa.array(["x"]).cast(TEXTS[i])})
        for i in range(4)
    ]
    src = shards(tmp_path / "in", tables, write)
    given = schema(("t", DataType.VARCHAR, {"max_length": 9})) if known else None
    got = rows(convert(src, tmp_path / "out", schema=given))
    assert [(row["id"], list(row["v"]), row["t"]) for row in got] == [(i, [0.0] * DIM, "x") for i in range(4)]


@pytest.mark.parametrize(
    ("types", "dtype", "inferred"),
    [
        ((pa.int64(), pa.int32()), DataType.INT64, DataType.INT64),
        ((pa.uint8(), pa.int8(), pa.uint32()), DataType.INT64, DataType.INT64),
        ((pa.float32(), pa.float64()), DataType.DOUBLE, DataType.DOUBLE),
        ((pa.float32(), pa.float16()), DataType.FLOAT, DataType.FLOAT),
        ((pa.int64(), pa.float64()), DataType.DOUBLE, DataType.DOUBLE),
        ((pa.int16(), pa.null(), pa.int64()), DataType.INT16, DataType.INT64),
    ],
)
def test_widths_of_numbers_may_differ(tmp_path, types, dtype, inferred):
    tables = [
        pa.table({"id": [i], "v": vectors(1), "n": pa.array([None if type_ == pa.null() else 7], type_)})
        for i, type_ in enumerate(types)
    ]
    src = shards(tmp_path / "in", tables)
    expected = [None if type_ == pa.null() else 7 for type_ in types]
    given = schema(("n", dtype, {"nullable": True}))
    assert [row["n"] for row in rows(convert(src, tmp_path / "given", schema=given))] == expected
    report = convert(src, tmp_path / "out")
    assert [row["n"] for row in rows(report)] == expected
    assert next(f["type"] for f in report.schema["fields"] if f["name"] == "n") == inferred


def test_each_file_is_held_to_the_field(tmp_path):
    tables = [
        pa.table({"id": [1], "v": vectors(1), "n": [7]}),
        pa.table({"id": [2], "v": vectors(1), "n": ["8"]}),
    ]
    src = shards(tmp_path / "in", tables)
    given = schema(("n", DataType.INT64, {}))
    with pytest.raises(DataError, match=r"part-1\.parquet.*'n'.*string"):
        convert(src, tmp_path / "out", schema=given)
    assert [row["n"] for row in rows(convert(src, tmp_path / "out", schema=given, cast="unsafe"))] == [7, 8]


def test_types_that_nothing_holds_are_refused_with_both_files(tmp_path):
    tables = [
        pa.table({"id": [1], "v": vectors(1), "n": [7]}),
        pa.table({"id": [2], "v": vectors(1), "n": ["8"]}),
    ]
    src = shards(tmp_path / "in", tables)
    with pytest.raises(
        DataError,
        match=r"part-1\.parquet.*field 'n': expected int64, as in '.*part-0\.parquet', got string; give a schema",
    ):
        convert(src, tmp_path / "out")


def test_vectors_of_two_lengths_are_refused_with_the_file_of_the_second(tmp_path):
    tables = [
        pa.table({"id": [1], "v": vectors(1)}),
        pa.table({"id": [2], "v": pa.array([[1.0] * 5], pa.list_(pa.float32(), 5))}),
    ]
    src = shards(tmp_path / "in", tables)
    with pytest.raises(DataError, match=r"part-1\.parquet.*expected vectors of 4 values, got 5"):
        convert(src, tmp_path / "out", schema=schema())
    with pytest.raises(DataError, match=r"part-1\.parquet.*as in '.*part-0\.parquet'"):
        convert(src, tmp_path / "out")


def test_objects_and_dates_may_differ_in_form(tmp_path):
    tables = [
        pa.table({"id": [1], "v": vectors(1), "o": [{"a": 1}], "d": pa.array([0], pa.timestamp("us"))}),
        pa.table({"id": [2], "v": vectors(1), "o": [{"b": "x"}], "d": pa.array([1], pa.timestamp("ms"))}),
    ]
    got = rows(convert(shards(tmp_path / "in", tables), tmp_path / "out"))
    assert [row["o"] for row in got] == ['{"a":1}', '{"b":"x"}']
    assert [row["d"] for row in got] == ["1970-01-01T00:00:00.000000", "1970-01-01T00:00:00.001"]


def test_categories_of_polars_in_some_files(tmp_path):
    (tmp_path / "in").mkdir()
    frame = pl.DataFrame({"id": [1], "v": [[1.0] * DIM], "t": ["x"]}, schema_overrides={"v": pl.List(pl.Float32)})
    frame.write_parquet(tmp_path / "in/a.parquet")
    frame.with_columns(pl.col("t").cast(pl.Categorical), pl.col("id") + 1).write_parquet(tmp_path / "in/b.parquet")
    assert [row["t"] for row in rows(convert(tmp_path / "in", tmp_path / "out"))] == ["x", "x"]
