"""Folders like ``lang=en/year=2020``: what their names tell is a column of every file below."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from converted import rows, schema, vectors
from vecmill import DataType, convert
from vecmill.errors import DataError
from vecmill.sources import open_source

LANGS = ["en", None, "a/b c=d%", "2020"]


def hive(folder, table, keys, **options):
    """Write a table as Spark and pyarrow lay it out."""
    flavour = ds.partitioning(pa.schema([(k, table.schema.field(k).type) for k in keys]), flavor="hive")
    ds.write_dataset(table, folder, format="parquet", partitioning=flavour, **options)
    return folder


@pytest.fixture
def table():
    n = len(LANGS) * 2
    return pa.table(
        {
            "id": list(range(n)),
            "v": vectors(n),
            "lang": pa.array([lang for lang in LANGS for _ in (0, 1)], pa.string()),
            "year": [2020, 2021] * len(LANGS),
        }
    )


@pytest.mark.parametrize("pattern", ["", "/*/*/*.parquet", "/**/*.parquet"])
def test_keys_are_columns_by_folder_and_by_pattern(tmp_path, table, pattern):
    src = hive(tmp_path / "in", table, ["lang", "year"])
    report = convert(f"{src}{pattern}", tmp_path / "out")
    got = {row["id"]: (row["lang"], row["year"]) for row in rows(report)}
    assert got == {row["id"]: (row["lang"], row["year"]) for row in table.to_pylist()}
    types = {field["name"]: field["type"] for field in report.schema["fields"]}
    assert (types["lang"], types["year"]) == (DataType.VARCHAR, DataType.INT64)


def test_the_schema_decides_the_type(tmp_path, table):
    src = hive(tmp_path / "in", table, ["lang", "year"])
    lang = ("lang", DataType.VARCHAR, {"max_length": 20, "nullable": True})
    for dtype, expected in ((DataType.VARCHAR, "2020"), (DataType.INT16, 2020), (DataType.DOUBLE, 2020.0)):
        options = {"max_length": 9} if dtype is DataType.VARCHAR else {}
        report = convert(src, tmp_path / dtype.name, schema=schema(lang, ("year", dtype, options)))
        assert next(row["year"] for row in rows(report) if row["id"] == 0) == expected
    with pytest.raises(DataError, match=r"lang=en.*'lang': expected int64 as 'lang' in the name of a folder, got 'en'"):
        given = schema(("lang", DataType.INT64, {"nullable": True}), dynamic=True)
        convert(src / "lang=en", tmp_path / "bad", schema=given)


def test_keys_go_into_the_dynamic_field_and_may_be_mapped(tmp_path, table):
    src = hive(tmp_path / "in", table, ["lang", "year"])
    got = rows(convert(src, tmp_path / "out", schema=schema(dynamic=True)))
    assert json.loads(next(row for row in got if row["id"] == 1)["$meta"]) == {"lang": "en", "year": 2021}
    named = convert(src, tmp_path / "named", columns={"key": "id", "vec": "v", "jahr": "year"}, primary="key")
    assert {row["key"]: row["jahr"] for row in rows(named)}[1] == 2021


def test_only_keys_are_read(tmp_path, table):
    source = open_source(hive(tmp_path / "in", table, ["lang", "year"]), columns=["year"])
    assert sorted(value for batch in source.batches() for value in batch["year"].to_pylist()) == [2020] * 4 + [2021] * 4
    assert source.n_rows == 8


def test_a_strict_schema_refuses_a_key_that_it_does_not_have(tmp_path, table):
    src = hive(tmp_path / "in", table.drop_columns("lang"), ["year"])
    with pytest.raises(DataError, match="expected columns that are fields of the schema, got 'year'"):
        convert(src, tmp_path / "out", schema=schema())


def test_a_column_of_the_same_name_has_to_say_the_same(tmp_path):
    for year, told in ((2020, 2020), (2021, 2021)):
        folder = tmp_path / "in" / f"year={year}"
        folder.mkdir(parents=True)
        pq.write_table(
            pa.table({"id": [told], "v": vectors(1), "year": pa.array([told], pa.int32())}), folder / "a.parquet"
        )
    assert [row["year"] for row in rows(convert(tmp_path / "in", tmp_path / "out"))] == [2020, 2021]
    pq.write_table(
        pa.table({"id": [7, 8], "v": vectors(2), "year": pa.array([2021, 1999], pa.int32())}),
        tmp_path / "in/year=2021/b.parquet",
    )
    with pytest.raises(
        DataError, match=r"b\.parquet.*'year', row 1: expected year=2021, as the name of its folder, got 1999"
    ):
        convert(tmp_path / "in", tmp_path / "bad", schema=schema(("year", DataType.INT64, {})))


def test_text_files_have_keys_too(tmp_path):
    for lang in ("de", "en"):
        folder = tmp_path / "csv" / f"lang={lang}"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text('id,v\n1,"[0.5,1,2,3]"\n2,"[0.5,1,2,3]"\n')
        folder = tmp_path / "jsonl" / f"lang={lang}"
        folder.mkdir(parents=True)
        (folder / "a.jsonl").write_text('{"id":1,"v":[0.5,1,2,3]}\n{"id":2,"v":[0.5,1,2,3]}\n')
    lang = ("lang", DataType.VARCHAR, {"max_length": 9})
    for kind in ("csv", "jsonl"):
        for given in (None, schema(lang)):
            report = convert(tmp_path / kind, tmp_path / f"out-{kind}-{given is None}", schema=given)
            assert [(row["id"], row["lang"]) for row in rows(report)] == [(1, "de"), (2, "de"), (1, "en"), (2, "en")]


def test_ranges_and_resumed_rows_have_their_keys(tmp_path, table):
    src = hive(tmp_path / "in", table, ["lang", "year"])
    source = open_source(src)
    all_rows = [v for b in source.batches() for v in zip(b["id"].to_pylist(), b["lang"].to_pylist(), strict=True)]
    for start in range(9):
        part = [
            v
            for b in source.batches(start_row=start)
            for v in zip(b["id"].to_pylist(), b["lang"].to_pylist(), strict=True)
        ]
        assert part == all_rows[start:]
    report = convert(src, tmp_path / "two", workers=2)
    assert sorted((row["id"], row["lang"] or "") for row in rows(report)) == sorted(
        (i, lang or "") for i, lang in all_rows
    )
