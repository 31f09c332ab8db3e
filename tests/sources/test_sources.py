"""Sources: real Parquet files, alone and beside NPY files, in bounded batches, with the file named in every error."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paths import SAMPLE
from source_data import collect, table, vectors
from vecmill.errors import DataError, StoreError
from vecmill.sources import open_source
from vecmill.sources.joined import Joined

# -- Parquet ----------------------------------------------------------------------------------------------------------


def test_the_real_sample_is_read_whole():
    source = open_source(SAMPLE)
    assert source.n_rows == 2000
    assert source.n_bytes == SAMPLE.stat().st_size
    assert {c.name: str(c.type) for c in source.columns} == {
        "id": "int64",
        "name": "string",
        "version": "string",
        "released": "string",
        "summary": "string",
        "vector": "list<element: float>",
    }
    assert collect(source, batch_rows=333) == pq.read_table(SAMPLE).to_pydict()


@pytest.mark.parametrize("batch_rows", [1, 7, 64, 1000])
def test_row_groups_and_files_follow_one_another(tmp_path, batch_rows):
    pq.write_table(table(100), tmp_path / "part-2.parquet", row_group_size=13)
    pq.write_table(table(50, start=100), tmp_path / "part-10.parquet", row_group_size=50)
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".part-2.parquet.crc").touch()
    source = open_source(tmp_path)
    assert source.n_rows == 150
    assert collect(source, batch_rows=batch_rows) == table(150).to_pydict()
    assert collect(source) == table(150).to_pydict(), "reading starts anew with every call"


def test_locate_names_the_file_and_the_row_in_it(tmp_path):
    first, empty, second = (tmp_path / name for name in ("a.parquet", "b.parquet", "c.parquet"))
    pq.write_table(table(10), first)
    pq.write_table(table(0), empty)
    pq.write_table(table(5, start=10), second)
    source = open_source([first, empty, second])
    assert source.locate(0) == (str(first), 0)
    assert source.locate(9, "vector") == (str(first), 9)
    assert source.locate(10) == (str(second), 0)
    assert source.locate(14) == (str(second), 4)
    assert collect(source) == table(15).to_pydict()


def test_columns_select_and_rename():
    source = open_source(SAMPLE, columns={"key": "id", "text": "summary"})
    assert [(c.name, c.source) for c in source.columns] == [("key", "id"), ("text", "summary")]
    assert collect(source)["text"] == pq.read_table(SAMPLE)["summary"].to_pylist()


def test_a_star_keeps_the_rest():
    names = [c.name for c in open_source(SAMPLE, columns={"text": "summary", "*": "*"}).columns]
    assert sorted(names) == ["id", "name", "released", "text", "vector", "version"]


def test_fields_of_a_schema_are_found_beside_selected_columns():
    source = open_source(SAMPLE, columns={"text": "summary"}, also=["id", "vector", "nowhere"])
    assert [c.name for c in source.columns] == ["text", "id", "vector"]


def test_one_column_may_feed_two_fields():
    source = open_source(SAMPLE, columns={"a": "name", "b": "name"})
    got = collect(source)
    assert got["a"] == got["b"]


def test_a_list_of_names_selects():
    assert [c.name for c in open_source(SAMPLE, columns=["id", "vector"]).columns] == ["id", "vector"]


def test_a_missing_column_is_named():
    with pytest.raises(DataError) as caught:
        open_source(SAMPLE, columns={"vector": "emb"})
    assert caught.value.file == str(SAMPLE)
    assert caught.value.expected == "a column 'emb'"
    assert "'summary'" in caught.value.got


def test_null_counts_come_from_the_footer(tmp_path):
    path = tmp_path / "n.parquet"
    pq.write_table(
        pa.table({"a": pa.array([1, None, 3]), "b": [1, 2, 3], "s": pa.array([{"x": 1}, {"x": None}, None])}), path
    )
    assert {c.name: c.null_count for c in open_source(path).columns} == {"a": 1, "b": 0, "s": 2}
    pq.write_table(pa.table({"a": pa.array([1, None])}), path, write_statistics=False)
    assert open_source(path).columns[0].null_count is None


def test_files_that_disagree_are_read_each_in_its_own_type(tmp_path):
    pq.write_table(pa.table({"id": pa.array([1], pa.int64())}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"id": pa.array([2], pa.int32())}), tmp_path / "2.parquet")
    source = open_source(tmp_path)
    files = [str(tmp_path / f"{i}.parquet") for i in (1, 2)]
    assert source.columns[0].forms == ((pa.int64(), files[0]), (pa.int32(), files[1]))
    assert source.columns[0].type == pa.int64()
    assert [str(batch["id"].type) for batch in source.batches()] == ["int64", "int32"]


def test_columns_that_only_some_files_have_are_columns_of_all(tmp_path):
    pq.write_table(pa.table({"id": [1], "x": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"id": [2], "y": [1]}), tmp_path / "2.parquet")
    source = open_source(tmp_path)
    x, y = (next(c for c in source.columns if c.name == name) for name in "xy")
    one, two = str(tmp_path / "1.parquet"), str(tmp_path / "2.parquet")
    assert (x.file, x.absent, x.null_count) == (one, two, 1)
    assert (y.file, y.absent, y.null_count) == (two, one, 1)
    assert [{name: v.to_pylist() for name, v in b.items()} for b in source.batches()] == [
        {"id": [1], "x": [1]},
        {"id": [2], "y": [1]},
    ]
    assert collect(source, ["y"]) == {"y": [None, 1]}
    assert collect(source, ["y"], start_row=1) == {"y": [1]}
    assert collect(open_source(tmp_path, columns=["id"])) == {"id": [1, 2]}


def test_corrupt_files_are_refused_with_their_name(tmp_path):
    noise = tmp_path / "noise.parquet"
    noise.write_bytes(b"no parquet at all " * 100)
    with pytest.raises(DataError) as caught:
        open_source(noise)
    assert caught.value.file == str(noise)
    empty = tmp_path / "empty.parquet"
    empty.touch()
    with pytest.raises(DataError, match=r"empty\.parquet"):
        open_source(empty)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(SAMPLE.read_bytes()[:100_000])
    with pytest.raises(DataError, match=r"cut\.parquet"):
        open_source(cut)


def test_a_footer_that_says_less_than_its_row_groups_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(table(5), path)
    raw = path.read_bytes()
    length = int.from_bytes(raw[-8:-4], "little")
    footer = raw[-8 - length : -8]
    # The number of rows (a field of i64, zigzag), in front of the list of row groups.
    for rows, told in ((0, b"\x00"), (4, b"\x08")):
        changed = footer.replace(b"\x16\x0a\x19", b"\x16" + told + b"\x19", 1)
        assert changed != footer
        path.write_bytes(raw[: -8 - length] + changed + raw[-8:])
        with pytest.raises(DataError, match=rf"expected {rows} rows in all row groups, .*got 5"):
            open_source(path)


def test_rows_that_no_memory_should_hold_are_refused_if_they_are_wanted(tmp_path):
    path = tmp_path / "t.parquet"
    long = pa.array([[("k", "x" * (70 << 20))]], pa.map_(pa.string(), pa.large_string()))
    pq.write_table(pa.table({"id": [1], "long": long}), path, compression="zstd")
    with pytest.raises(DataError, match="'long': expected rows of at most 67108864 bytes, got 734003"):
        collect(open_source(path))
    assert collect(open_source(path, columns=["id"])) == {"id": [1]}


def test_a_damaged_page_is_refused_with_the_name_of_its_file(tmp_path):
    good, bad = tmp_path / "1.parquet", tmp_path / "2.parquet"
    pq.write_table(table(1000), good)
    pq.write_table(table(1000), bad, compression="zstd", use_dictionary=False)
    raw = bytearray(bad.read_bytes())
    start = pq.ParquetFile(bad).metadata.row_group(0).column(2).data_page_offset
    raw[start : start + 2000] = bytes(2000)
    bad.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        collect(open_source([good, bad]))
    assert caught.value.file == str(bad)


def test_missing_files_and_empty_folders(tmp_path):
    with pytest.raises(StoreError) as caught:
        open_source(tmp_path / "nowhere.parquet")
    assert caught.value.path == str(tmp_path / "nowhere.parquet")
    assert "no such file" in caught.value.reason
    with pytest.raises(DataError, match=r"expected a folder of files that end in \.parquet/\.arrow/"):
        open_source(tmp_path)
    other = tmp_path / "data.docx"
    other.write_text("a,b\n")
    with pytest.raises(
        DataError, match=r"expected a file of a kind that can be read, or its kind.*parquet.*begins with b'a,b"
    ):
        open_source(other)


def test_the_magic_tells_files_without_an_ending(tmp_path):
    path = tmp_path / "0000"
    path.write_bytes(SAMPLE.read_bytes())
    assert open_source(path).n_rows == 2000
    with (tmp_path / "emb").open("wb") as file:
        np.save(file, vectors(3))
    assert open_source(tmp_path / "emb").columns[0].name == "emb"


# -- both -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_rows", [None, 1, 13])
def test_vectors_in_npy_beside_metadata_in_parquet(tmp_path, batch_rows):
    pq.write_table(table(100).drop_columns("vector"), tmp_path / "meta.parquet", row_group_size=30)
    np.save(tmp_path / "emb_0.npy", vectors(60))
    np.save(tmp_path / "emb_1.npy", vectors(40, start=60))
    source = open_source(tmp_path / "meta.parquet", columns={"vector": str(tmp_path / "emb_*.npy")})
    assert [c.name for c in source.columns] == ["id", "text", "vector"]
    assert collect(source, batch_rows=batch_rows) == table(100).to_pydict()
    assert collect(source, ["vector"]) == {"vector": vectors(100).tolist()}
    assert source.locate(61, "vector") == (str(tmp_path / "emb_1.npy"), 1)
    assert source.locate(61, "id") == (str(tmp_path / "meta.parquet"), 61)


@pytest.mark.parametrize("batch_rows", [None, 1, 13, 64])
def test_reading_starts_at_any_row(tmp_path, batch_rows):
    whole = table(100)
    for i, (start, n) in enumerate([(0, 30), (30, 0), (30, 45), (75, 25)]):
        pq.write_table(
            whole[start : start + n].drop_columns("vector"), tmp_path / f"meta_{i}.parquet", row_group_size=7
        )
        np.save(tmp_path / f"emb_{i}.npy", vectors(n, start=start))
    parquet = [tmp_path / f"meta_{i}.parquet" for i in range(4)]
    source = open_source(parquet, columns={"vector": str(tmp_path / "emb_*.npy")})
    for row in (0, 1, 6, 7, 8, 29, 30, 31, 74, 75, 99):
        assert collect(source, batch_rows=batch_rows, start_row=row) == whole[row:].to_pydict(), row
    for row in (100, 101, 1000):
        assert collect(source, batch_rows=batch_rows, start_row=row) == {}, row


def test_a_row_group_before_the_first_row_is_not_read(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(table(1000), path, row_group_size=500, use_dictionary=False)
    raw = bytearray(path.read_bytes())
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(2)
    raw[chunk.data_page_offset : chunk.data_page_offset + chunk.total_compressed_size] = bytes(
        chunk.total_compressed_size
    )
    path.write_bytes(raw)
    assert collect(open_source(path), ["id", "vector"], batch_rows=9, start_row=500)["id"] == list(range(500, 1000))
    with pytest.raises(DataError):
        collect(open_source(path), start_row=499)


def test_a_part_of_unknown_length_that_ends_early_is_refused(tmp_path):
    """What is joined is checked at the end when a part cannot tell its rows before."""

    class Unknown:
        def __init__(self, source):
            self.columns, self.n_bytes, self.n_rows = source.columns, source.n_bytes, None
            self.batches, self.locate = source.batches, source.locate

    for n in (99, 100, 101):
        np.save(tmp_path / f"e{n}.npy", vectors(n))
    pq.write_table(table(100).drop_columns("vector"), tmp_path / "meta.parquet")
    meta = open_source(tmp_path / "meta.parquet")
    joined = Joined([meta, Unknown(open_source(tmp_path / "e100.npy"))])
    assert joined.n_rows == 100
    assert len(collect(joined, batch_rows=7)["e100"]) == 100
    for n, short, rows in ((99, "e99.npy", 99), (101, "meta.parquet", 100)):
        with pytest.raises(DataError) as caught:
            collect(Joined([meta, Unknown(open_source(tmp_path / f"e{n}.npy"))]), batch_rows=7)
        assert (caught.value.file, caught.value.got) == (str(tmp_path / short), str(rows))
        assert caught.value.expected.startswith(f"more than {rows} rows")


def test_joined_sources_of_different_lengths_are_refused(tmp_path):
    pq.write_table(table(100).drop_columns("vector"), tmp_path / "meta.parquet")
    np.save(tmp_path / "emb.npy", vectors(99))
    with pytest.raises(DataError) as caught:
        open_source([tmp_path / "meta.parquet", tmp_path / "emb.npy"])
    assert caught.value.file == str(tmp_path / "emb.npy")
    assert caught.value.expected.startswith("100 rows")
    assert caught.value.got == "99"


def test_one_name_twice_is_refused(tmp_path):
    pq.write_table(table(3), tmp_path / "meta.parquet")
    np.save(tmp_path / "vector.npy", vectors(3))
    with pytest.raises(DataError, match="more than one of 'vector'"):
        open_source([tmp_path / "meta.parquet", tmp_path / "vector.npy"])
    (tmp_path / "other").mkdir()
    np.save(tmp_path / "other" / "vector.npy", vectors(3))
    with pytest.raises(DataError, match="one file per column"):
        open_source([tmp_path / "vector.npy", tmp_path / "other"])


def test_batches_stay_small_however_large_the_row_group(tmp_path):
    path = tmp_path / "big.parquet"
    pq.write_table(pa.table({"v": pa.array(list(vectors(20_000, 256)), pa.list_(pa.float32()))}), path)
    sizes = [batch["v"].nbytes for batch in open_source(path).batches()]
    assert len(sizes) >= 2
    assert max(sizes) < 12 << 20


def test_repeated_values_are_small_in_the_file_but_not_in_a_batch(tmp_path):
    path = tmp_path / "same.parquet"
    pq.write_table(pa.table({"text": ["x" * 20_000] * 3000}), path)
    assert path.stat().st_size < 200_000
    sizes = [batch["text"].nbytes for batch in open_source(path).batches()]
    assert sum(sizes) > 60_000_000
    assert max(sizes) < 12 << 20


def test_a_file_that_changed_after_it_was_opened_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(table(100), path)
    source = open_source(path)
    pq.write_table(table(90), path)
    with pytest.raises(DataError, match="expected 100 rows, as before, got 10 fewer"):
        collect(source)
