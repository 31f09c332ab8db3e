"""convert(): real files in, import files out, every value compared; errors that name file and row."""

from __future__ import annotations

import datetime as dt
import importlib
import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conversions import as_list, read_npy, read_parquet, small_schema, vectors, visible_data_files, write
from outputs import outputs
from paths import SAMPLE
from vecmill.convert import convert
from vecmill.convert.infer import infer
from vecmill.errors import DataError, SchemaError, StoreError
from vecmill.schema.collection import create_schema
from vecmill.sources import open_source
from vecmill.types.kind import DataType


def test_the_public_name_is_the_function():
    import vecmill
    from vecmill import convert as public

    assert public is convert
    assert vecmill.convert is convert


# -- values -----------------------------------------------------------------------------------------------------------


def test_the_real_sample_to_parquet(tmp_path):
    report = convert(SAMPLE, tmp_path / "out")
    want, got = pq.read_table(SAMPLE), read_parquet(report)
    assert got.column_names == want.column_names
    assert got.to_pydict() == want.to_pydict()
    assert np.asarray(got["vector"].combine_chunks().flatten()).tobytes() == (
        np.asarray(want["vector"].combine_chunks().flatten()).tobytes()
    )


def test_the_real_sample_to_npy(tmp_path):
    report = convert(SAMPLE, tmp_path / "out", file_type="npy")
    want, got = pq.read_table(SAMPLE), read_npy(report)
    assert sorted(got) == sorted(want.column_names)
    for name in ("id", "name", "version", "released", "summary"):
        assert got[name].tolist() == want[name].to_pylist()
    assert got["vector"].dtype == np.float32
    assert got["vector"].tobytes() == np.asarray(want["vector"].combine_chunks().flatten()).tobytes()


def test_the_report_tells_what_happened(tmp_path):
    calls = []
    report = convert(SAMPLE, tmp_path / "out", progress=lambda rows, n_bytes: calls.append((rows, n_bytes)))
    assert report.rows == 2000
    assert report.bytes_in == SAMPLE.stat().st_size
    paths = [Path(path) for group in report.files for path in group]
    assert report.bytes_out == sum(path.stat().st_size for path in paths)
    assert all(str(path).startswith(report.data_path) for path in paths)
    assert report.inferred
    assert len(report.notes) == 6
    assert report.schema["fields"][0]["name"] == "id"
    assert report.rows_per_s == pytest.approx(2000 / report.seconds)
    assert report.mb_per_s == pytest.approx(report.bytes_out / 1e6 / report.seconds)
    assert calls[-1][0] == 2000
    assert calls == sorted(calls)
    assert calls[-1][1] > 2000 * 384 * 4
    assert json.loads(json.dumps(report.to_dict()))["files"] == report.files


def test_several_files_and_row_groups_in_order(tmp_path):
    tables = [
        write(tmp_path / f"part-{i}.parquet", n, start, row_group_size=37)
        for i, n, start in [(1, 100, 0), (2, 1, 100), (10, 250, 101)]
    ]
    report = convert(tmp_path, tmp_path / "out")
    assert read_parquet(report).to_pydict() == pa.concat_tables(tables).to_pydict()


def test_segments_are_closed_at_their_size(tmp_path):
    dim = 1024
    np.save(tmp_path / "vector.npy", vectors(2000, dim))
    for file_type, read in (("npy", read_npy), ("parquet", read_parquet)):
        report = convert(tmp_path / "vector.npy", tmp_path / file_type, file_type=file_type, segment_size=2 << 20)
        assert 4 <= len(report.files) <= 8
        got = read(report)["vector"]
        flat = got.ravel() if isinstance(got, np.ndarray) else np.asarray(got.combine_chunks().flatten())
        assert flat.tobytes() == vectors(2000, dim).tobytes()


@pytest.mark.parametrize("file_type", ["npy", "parquet"])
def test_npy_columns_beside_parquet(tmp_path, file_type):
    table = write(tmp_path / "meta.parquet", 300, text=[f"té {i}" for i in range(300)])
    np.save(tmp_path / "emb_0.npy", vectors(200, start=1))
    np.save(tmp_path / "emb_1.npy", vectors(100, start=2))
    report = convert(
        tmp_path / "meta.parquet",
        tmp_path / "out",
        file_type=file_type,
        columns={"id": "id", "text": "text", "vector": str(tmp_path / "emb_*.npy")},
    )
    want = np.concatenate([vectors(200, start=1), vectors(100, start=2)])
    if file_type == "npy":
        got = read_npy(report)
        assert got["text"].tolist() == table["text"].to_pylist()
        assert got["vector"].tobytes() == want.tobytes()
    else:
        back = read_parquet(report)
        assert back["text"].to_pylist() == table["text"].to_pylist()
        assert np.asarray(back["vector"].combine_chunks().flatten()).tobytes() == want.tobytes()


def test_our_own_output_is_a_source(tmp_path):
    first = convert(SAMPLE, tmp_path / "a", file_type="npy", segment_size=1 << 20)
    assert len(first.files) > 1
    folder = Path(first.files[0][0]).parent
    again = convert(folder, tmp_path / "b", file_type="parquet")
    want = {name: values.tolist() for name, values in read_npy(first).items()}
    assert read_parquet(again).to_pydict() == {name: values[: again.rows] for name, values in want.items()}


def test_every_scalar_type_keeps_its_values(tmp_path):
    n = 3
    columns = {
        "flag": pa.array([True, False, True]),
        "i8": pa.array([-128, 0, 127], pa.int8()),
        "u8": pa.array([0, 1, 255], pa.uint8()),
        "u32": pa.array([0, 1, (1 << 32) - 1], pa.uint32()),
        "u64": pa.array([0, 1, (1 << 63) - 1], pa.uint64()),
        "f16": pa.array(np.array([0.5, -1.5, 65504], np.float16)),
        "f32": pa.array([0.1, -0.0, 3.4e38], pa.float32()),
        "f64": pa.array([0.1, -0.0, 1e308]),
        "text": pa.array(["", "é", "x" * 300]),
        "large": pa.array(["a", "b", "c"], pa.large_string()),
        "coded": pa.array(["a", "b", "a"]).dictionary_encode(),
        "day": pa.array([dt.date(2024, 5, 1)] * n),
        "when": pa.array([dt.datetime(2024, 5, 1, 12, 30, tzinfo=dt.UTC)] * n, pa.timestamp("ms", "Europe/Berlin")),
        "struct": pa.array([{"a": 1, "d": dt.date(2024, 5, 1)}, {"a": None, "d": None}, {"a": 3, "d": None}]),
        "map": pa.array([[("a", 1)], [], [("b", 2), ("c", 3)]], pa.map_(pa.string(), pa.int32())),
        "words": pa.array([["a", "é"], [], ["b"]]),
    }
    write(tmp_path / "t.parquet", n, **columns)
    got = read_parquet(convert(tmp_path / "t.parquet", tmp_path / "out")).to_pydict()
    for name in ("flag", "i8", "u8", "u32", "u64", "f16", "f32", "f64", "text", "large", "coded"):
        assert got[name] == columns[name].to_pylist(), name
    assert got["day"] == ["2024-05-01"] * n
    assert got["when"] == ["2024-05-01T12:30:00.000Z"] * n
    parsed = {name: [json.loads(text) for text in got[name]] for name in ("struct", "map", "words")}
    assert parsed["struct"] == [{"a": 1, "d": "2024-05-01"}, {"a": None, "d": None}, {"a": 3, "d": None}]
    assert parsed["map"] == [{"a": 1}, {}, {"b": 2, "c": 3}]
    assert parsed["words"] == [["a", "é"], [], ["b"]]


def test_vectors_of_every_type(tmp_path):
    n = 40
    bits = np.random.default_rng(0).integers(0, 2, (n, 16), dtype=np.uint8)
    matrices = {
        "f16": vectors(n).astype(np.float16),
        "i8": np.arange(n * 4, dtype=np.int64).reshape(n, 4).astype(np.int8),
        "bits": bits,
        "f64": vectors(n).astype(np.float64),
        "fortran": np.asfortranarray(vectors(n)),
        "big": vectors(n).astype(">f4"),
    }
    for name, matrix in matrices.items():
        np.save(tmp_path / f"{name}.npy", matrix)
    got = read_npy(convert(tmp_path, tmp_path / "out", file_type="npy"))
    assert got["f16"].tobytes() == matrices["f16"].tobytes()
    assert got["i8"].tobytes() == matrices["i8"].tobytes()
    assert got["bits"].tobytes() == np.packbits(bits, axis=1).tobytes()
    for name in ("f64", "fortran", "big"):
        assert got[name].tobytes() == vectors(n).tobytes(), name


def test_nulls_stay_nulls(tmp_path):
    table = write(tmp_path / "t.parquet", 4, text=["a", None, "", None], number=[1.5, None, 2.5, None])
    got = read_parquet(convert(tmp_path / "t.parquet", tmp_path / "out"))
    assert got.to_pydict() == table.to_pydict()


# -- schemas and columns ----------------------------------------------------------------------------------------------


def test_a_schema_as_object_dict_and_path(tmp_path):
    table = write(tmp_path / "t.parquet", 10)
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(small_schema().to_dict()))
    for i, schema in enumerate([small_schema(), small_schema().to_dict(), path, str(path)]):
        report = convert(tmp_path / "t.parquet", tmp_path / f"out{i}", schema=schema)
        assert not report.inferred
        assert report.notes == ()
        assert read_parquet(report).to_pydict() == table.to_pydict()


def test_columns_are_renamed_to_fields(tmp_path):
    write(tmp_path / "t.parquet", 10, other=["x"] * 10)
    columns = {"vector": "vector", "id": "id"}
    assert read_parquet(convert(tmp_path / "t.parquet", tmp_path / "a", columns=columns)).column_names == [
        "vector",
        "id",
    ]
    schema = create_schema()
    schema.add_field("key", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    # "vector" is found under its own name, and "other" is not selected.
    report = convert(tmp_path / "t.parquet", tmp_path / "b", schema=schema, columns={"key": "id"})
    assert read_parquet(report)["key"].to_pylist() == list(range(10))


def test_columns_the_schema_does_not_know_are_refused_before_the_first_row(tmp_path):
    write(tmp_path / "t.parquet", 10, other=["x"] * 10)
    with pytest.raises(DataError, match="'other'") as caught:
        convert(tmp_path / "t.parquet", tmp_path / "out", schema=small_schema())
    assert caught.value.file == str(tmp_path / "t.parquet")
    assert not (tmp_path / "out").exists()


def test_columns_the_schema_does_not_know_go_to_a_dynamic_field(tmp_path):
    days = pa.array([dt.date(2024, 5, 1)] * 10)
    write(tmp_path / "t.parquet", 10, other=["x"] * 10, day=days, deep=[{"a": [1, 2]}] * 10)
    report = convert(tmp_path / "t.parquet", tmp_path / "out", schema=small_schema(enable_dynamic_field=True))
    metas = [json.loads(text) for text in read_parquet(report)["$meta"].to_pylist()]
    assert metas == [{"other": "x", "day": "2024-05-01", "deep": {"a": [1, 2]}}] * 10


def test_a_field_without_a_column_is_refused_before_the_first_row(tmp_path):
    pq.write_table(pa.table({"id": [1]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="expected a column for this field") as caught:
        convert(tmp_path / "t.parquet", tmp_path / "out", schema=small_schema())
    assert caught.value.field == "vector"
    assert not (tmp_path / "out").exists()


def test_a_nullable_field_may_have_no_column(tmp_path):
    write(tmp_path / "t.parquet", 10)
    schema = small_schema()
    schema.add_field("text", DataType.VARCHAR, max_length=10, nullable=True)
    report = convert(tmp_path / "t.parquet", tmp_path / "out", schema=schema)
    assert report.rows == 10


@pytest.mark.parametrize("file_type", ["npy", "parquet"])
def test_no_rows_make_no_files(tmp_path, file_type):
    np.save(tmp_path / "vector.npy", vectors(0))
    report = convert(tmp_path / "vector.npy", tmp_path / "out", file_type=file_type)
    assert (report.rows, report.files, report.bytes_out) == (0, [], 0)


def test_vectors_that_are_null(tmp_path):
    rows = [[1.0, 2.0], None, [3.0, 4.0], None]
    pq.write_table(pa.table({"id": range(4), "vector": pa.array(rows, pa.list_(pa.float32()))}), tmp_path / "t.parquet")
    assert read_parquet(convert(tmp_path / "t.parquet", tmp_path / "out"))["vector"].to_pylist() == rows
    with pytest.raises(DataError, match="null") as caught:
        convert(tmp_path / "t.parquet", tmp_path / "npy", file_type="npy")
    assert (caught.value.row, caught.value.field) == (1, "vector")


@pytest.mark.parametrize("tool", ["polars", "duckdb", "pandas", "fastparquet"])
def test_parquet_of_other_tools(tmp_path, tool):
    module = importlib.import_module(tool)
    path = tmp_path / "t.parquet"
    table = write(tmp_path / "ours.parquet", 300, text=[None if i % 7 == 0 else f"té {i % 5}" for i in range(300)])
    if tool == "polars":
        module.from_arrow(table).write_parquet(path)
    elif tool == "duckdb":
        module.connect().sql(f"COPY (FROM '{tmp_path / 'ours.parquet'}') TO '{path}' (ROW_GROUP_SIZE 100)")
    elif tool == "pandas":
        table.to_pandas().to_parquet(path)
    else:
        import pandas

        frame = pandas.DataFrame({"id": range(300), "text": table["text"].to_pylist()})
        module.write(str(path), frame)
        np.save(tmp_path / "vector.npy", vectors(300))
    src = [path] if tool != "fastparquet" else [path, tmp_path / "vector.npy"]
    got = read_parquet(convert(src, tmp_path / "out"))
    assert got.select(["id", "vector", "text"]).to_pydict() == table.to_pydict()


def test_the_primary_key_that_was_asked_for(tmp_path):
    write(tmp_path / "t.parquet", 10, name=[f"n{i}" for i in range(10)])
    report = convert(tmp_path / "t.parquet", tmp_path / "out", primary="name")
    assert [f["name"] for f in report.schema["fields"] if f.get("is_primary")] == ["name"]


def test_an_unusable_schema_is_a_schema_error(tmp_path):
    write(tmp_path / "t.parquet", 10)
    for schema in (tmp_path / "nowhere.json", {"fields": []}, 5):
        with pytest.raises(SchemaError):
            convert(tmp_path / "t.parquet", tmp_path / "out", schema=schema)


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0, 63, 64, 199])
def test_a_vector_of_another_dim_deep_in_the_second_file(tmp_path, bad):
    write(tmp_path / "1.parquet", 150)
    rows = list(vectors(200))
    rows[bad] = rows[bad][:7]
    table = pa.table({"id": np.arange(200), "vector": pa.array(rows, pa.list_(pa.float32()))})
    pq.write_table(table, tmp_path / "2.parquet", row_group_size=64)
    with pytest.raises(DataError) as caught:
        convert([tmp_path / "1.parquet", tmp_path / "2.parquet"], tmp_path / "out")
    err = caught.value
    assert (err.file, err.row, err.field) == (str(tmp_path / "2.parquet"), bad, "vector")
    assert err.expected == "8 float32 values"
    assert "7" in err.got
    assert err.__notes__ == ["nothing was published"]
    assert visible_data_files(tmp_path / "out") == []


def test_a_bad_value_in_a_shard_of_npy(tmp_path):
    write(tmp_path / "meta.parquet", 300)
    good, bad = vectors(200), vectors(100)
    bad[37, 2] = np.nan
    np.save(tmp_path / "emb_0.npy", good)
    np.save(tmp_path / "emb_1.npy", bad)
    columns = {"id": "id", "vector": str(tmp_path / "emb_*.npy")}
    with pytest.raises(DataError, match="nan") as caught:
        convert(tmp_path / "meta.parquet", tmp_path / "out", columns=columns)
    assert (caught.value.file, caught.value.row) == (str(tmp_path / "emb_1.npy"), 37)


def test_text_that_is_too_long_is_named_with_its_row(tmp_path):
    texts = ["ok"] * 500
    texts[411] = "é" * 6
    write(tmp_path / "t.parquet", 500, text=texts)
    schema = small_schema()
    schema.add_field("text", DataType.VARCHAR, max_length=10)
    with pytest.raises(DataError, match="12 bytes") as caught:
        convert(tmp_path / "t.parquet", tmp_path / "out", schema=schema)
    assert (caught.value.file, caught.value.row, caught.value.field) == (str(tmp_path / "t.parquet"), 411, "text")


def test_what_json_cannot_hold_is_named_with_its_row(tmp_path):
    deep = [{"a": 1.0, "d": dt.date(2024, 5, 1)}] * 120
    write(tmp_path / "1.parquet", 120, deep=deep)
    write(tmp_path / "2.parquet", 120, deep=[*deep[:77], {"a": float("nan"), "d": None}, *deep[78:]])
    with pytest.raises(DataError) as caught:
        convert([tmp_path / "1.parquet", tmp_path / "2.parquet"], tmp_path / "out")
    assert (caught.value.file, caught.value.row, caught.value.field) == (str(tmp_path / "2.parquet"), 77, "deep")


def test_what_was_published_before_an_error_is_said_and_whole(tmp_path):
    dim, n = 1024, 9000  # more than one batch
    matrix = vectors(n, dim)
    matrix[n - 1, 0] = np.inf
    np.save(tmp_path / "vector.npy", matrix)
    with pytest.raises(DataError) as caught:
        convert(tmp_path / "vector.npy", tmp_path / "out", segment_size=2 << 20)
    assert caught.value.row == n - 1
    (note,) = caught.value.__notes__
    assert note.startswith("published and whole: the first ")
    n_safe = int(note.split()[5])
    (folder,) = outputs(tmp_path / "out")
    files = sorted(visible_data_files(folder), key=lambda p: int(p.stem))
    got = pa.concat_tables([pq.read_table(path) for path in files])["vector"].combine_chunks()
    assert len(got) == n_safe
    assert np.asarray(got.flatten()).tobytes() == matrix[:n_safe].tobytes()


def test_a_page_that_is_damaged_stops_the_conversion(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(
        pa.table({"id": np.arange(1000), "vector": as_list(vectors(1000))}), path, compression="zstd",
        use_dictionary=False, row_group_size=500,
    )  # fmt: skip
    raw = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(1).column(1).data_page_offset
    raw[start : start + 3000] = bytes(3000)
    path.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        convert(path, tmp_path / "out")
    assert caught.value.file == str(path)
    assert visible_data_files(tmp_path / "out") == []


def test_a_folder_that_cannot_be_written(tmp_path):
    write(tmp_path / "t.parquet", 10)
    (tmp_path / "out").write_text("a file, not a folder")
    with pytest.raises(StoreError):
        convert(tmp_path / "t.parquet", tmp_path / "out")


def test_an_exception_of_progress_stops_and_publishes_nothing(tmp_path):
    class Stop(Exception):
        pass

    def stop(rows: int, n_bytes: int) -> None:
        raise Stop

    with pytest.raises(Stop) as caught:
        convert(SAMPLE, tmp_path / "out", progress=stop)
    assert caught.value.__notes__ == ["nothing was published"]
    assert visible_data_files(tmp_path / "out") == []


def test_a_source_that_ends_early_publishes_nothing(tmp_path):
    class Short:
        def __init__(self, whole):
            self.columns, self.n_rows, self.n_bytes, self.locate = whole.columns, 2000, 1, whole.locate
            self.batches = lambda *args, **kwargs: itertools.islice(whole.batches(batch_rows=100), 5)

    with pytest.raises(DataError, match="expected 2000 rows in all, got 500"):
        convert(Short(open_source(SAMPLE)), tmp_path / "out", schema=infer(open_source(SAMPLE)).schema)
    assert visible_data_files(tmp_path / "out") == []
