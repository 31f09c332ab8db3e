"""LocalBulkWriter as pymilvus' users know it: properties, commit, numbering, chunk size, context manager, memory."""

from __future__ import annotations

import os
import threading
import uuid
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from failing_calls import check_folder, columns_of, hidden_in, row_of, run_python, small_schema, writer_threads
from format_names import FORMATS, SUFFIXES
from other_readers import columns
from vecmill import BulkFileType, DataError, DataType, LocalBulkWriter, SchemaError, StoreError, create_schema

CHUNK = 16 * 1024


def writer_in(folder: Path, file_type: str = "parquet", **kwargs) -> LocalBulkWriter:
    return LocalBulkWriter(small_schema(), folder, kwargs.pop("chunk_size", CHUNK), file_type, **kwargs)


def test_properties(tmp_path):
    with writer_in(tmp_path) as writer:
        assert writer.data_path == tmp_path / writer.uuid and isinstance(writer.data_path, Path)
        assert str(uuid.UUID(writer.uuid)) == writer.uuid
        assert (writer.chunk_size, writer.total_row_count, writer.buffer_row_count, writer.buffer_size) == (
            CHUNK,
            0,
            0,
            0,
        )
        writer.append_row(row_of(0))
        assert (writer.total_row_count, writer.buffer_row_count) == (1, 1)
        assert writer.buffer_size > 40
        with pytest.raises(DataError):
            writer.append_row({"id": "x"})
        assert (writer.total_row_count, writer.buffer_row_count) == (1, 1)
        writer.commit()
        assert (writer.total_row_count, writer.buffer_row_count, writer.buffer_size) == (1, 0, 0)
        assert writer.batch_files == [[str(writer.data_path / "1.parquet")]]


def test_row_numbers_count_what_was_refused(tmp_path):
    with writer_in(tmp_path) as writer:
        writer.append_rows([row_of(0), row_of(1)])
        bad = [row_of(2), {"id": None}, row_of(4), {"id": "x"}, row_of(6)]
        with pytest.raises(DataError) as caught:
            writer.append_rows(bad)
        assert [error.row for error in caught.value.refused] == [3, 5]
        assert (caught.value.n_refused, writer.total_row_count) == (2, 5)
        with pytest.raises(DataError, match="row 7"):
            writer.append_row({"id": None})
        with pytest.raises(DataError, match="row 9"):
            writer.append_batch({**columns_of([8, 9]), "vector": np.array([[1.0] * 8, [np.nan] * 8], np.float32)})
    assert check_folder(writer.data_path) == [0, 1, 2, 4, 6]


@pytest.mark.parametrize("file_type", FORMATS)
def test_numbers_go_on_after_commit(tmp_path, file_type):
    with writer_in(tmp_path, file_type) as writer:
        writer.commit()
        assert writer.batch_files == []
        for i in range(3):
            writer.append_row(row_of(i))
            writer.commit()
            writer.commit()
    names = [f"{n}{SUFFIXES.get(file_type, '')}" for n in (1, 2, 3)]
    assert sorted(path.name for path in writer.data_path.iterdir()) == names
    assert check_folder(writer.data_path) == [0, 1, 2]


def test_call_back(tmp_path):
    calls: list[tuple[list[str], str]] = []
    with writer_in(tmp_path, "npy") as writer:

        def call_back(files: list[str]) -> None:
            assert all(Path(path).exists() for path in files)
            assert writer.batch_files[-1] == files
            calls.append((files, threading.current_thread().name))

        writer.commit(call_back=call_back)
        assert calls == []  # nothing to commit
        writer.append_row(row_of(0))
        writer.commit(call_back=call_back)
        assert [Path(path).name for path in calls[0][0]] == ["id.npy", "text.npy", "vector.npy"]
        writer.append_row(row_of(1))
        writer.commit(_async=True, call_back=call_back)
        writer.append_row(row_of(2))
        writer.commit()
    assert [files[0] for files, _ in calls] == [str(writer.data_path / str(n) / "id.npy") for n in (1, 2)]
    assert calls[1][1].startswith("vecmill-publish")


def test_call_back_may_use_the_writer(tmp_path):
    with writer_in(tmp_path) as writer:
        writer.append_row(row_of(0))
        writer.commit(call_back=lambda _files: writer.append_row(row_of(1)))
        writer.commit(call_back=lambda _files: writer.commit())
    assert check_folder(writer.data_path) == [0, 1]


def test_call_back_that_raises(tmp_path):
    """In a plain commit the caller gets it, and the writer goes on: nothing is wrong with the data."""
    with writer_in(tmp_path) as writer:
        writer.append_row(row_of(0))
        with pytest.raises(ZeroDivisionError):
            writer.commit(call_back=lambda _files: 1 / 0)
        writer.append_row(row_of(1))
    assert check_folder(writer.data_path) == [0, 1]


def test_call_back_that_raises_in_the_background(tmp_path):
    writer = writer_in(tmp_path)
    writer.append_row(row_of(0))
    writer.commit(_async=True, call_back=lambda _files: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        writer.commit()
    with pytest.raises(
        StoreError, match=r"failed before \(ZeroDivisionError.*1 rows in 1 files are published"
    ) as caught:
        writer.append_row(row_of(1))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    writer.close()
    assert check_folder(writer.data_path) == [0]


def test_segment_size_is_the_older_word_and_wins(tmp_path):
    with writer_in(tmp_path, segment_size=4096) as writer:
        assert writer.chunk_size == 4096
    with writer_in(tmp_path, segment_size=0) as writer:
        assert writer.chunk_size == CHUNK


@pytest.mark.parametrize("file_type", ["npy", "NUMPY", BulkFileType.NUMPY, BulkFileType.NPY])
def test_file_type_by_any_name(tmp_path, file_type):
    with writer_in(tmp_path, file_type) as writer:
        writer.append_row(row_of(0))
    assert Path(writer.batch_files[0][0]).name == "id.npy"


def test_an_empty_writer_leaves_no_folder(tmp_path):
    with writer_in(tmp_path) as writer:
        assert writer.data_path.is_dir()
    assert list(tmp_path.iterdir()) == []
    writer.close()


def test_use_after_close(tmp_path):
    writer = writer_in(tmp_path)
    writer.append_row(row_of(0))
    writer.close()
    writer.close()
    for call in (writer.commit, lambda: writer.append_row(row_of(1)), lambda: writer.append_rows([row_of(1)])):
        with pytest.raises(ValueError, match="the writer is closed"):
            call()
    with pytest.raises(ValueError, match="the writer is closed"):
        writer.append_batch(columns_of([1]))
    assert (writer.total_row_count, len(writer.batch_files)) == (1, 1)


def test_an_exception_publishes_nothing_more(tmp_path):
    with pytest.raises(ZeroDivisionError), writer_in(tmp_path) as writer:
        writer.append_row(row_of(0))
        writer.commit()
        writer.append_rows([row_of(i) for i in range(1, 200)])
        raise ZeroDivisionError
    assert check_folder(writer.data_path) == [0]
    assert hidden_in(writer.data_path) == []
    assert writer_threads() == []


def test_an_exception_before_anything_is_published_leaves_no_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), writer_in(tmp_path, "npy") as writer:
        writer.append_batch(columns_of(range(150)))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


class Odd:
    """An object of the caller's that raises something of its own when it is read."""

    def __array__(self, *_args, **_kwargs):
        raise LookupError("the caller's own")


def test_an_error_of_the_callers_objects_costs_one_row(tmp_path):
    with writer_in(tmp_path) as writer:
        with pytest.raises((LookupError, DataError)):
            writer.append_row({**row_of(0), "vector": Odd()})
        with pytest.raises((LookupError, DataError)):
            writer.append_rows([row_of(1), row_of(2), {**row_of(3), "vector": Odd()}])
        assert writer.total_row_count == 2
        writer.append_row(row_of(4))
        with pytest.raises((LookupError, DataError)):
            writer.append_batch({**columns_of([5]), "vector": Odd()})
    assert check_folder(writer.data_path) == [1, 2, 4]


def test_rows_from_a_generator_that_fails(tmp_path):
    def rows():
        yield row_of(0)
        yield {"id": None}
        yield row_of(2)
        raise LookupError("no more")

    with writer_in(tmp_path) as writer:
        with pytest.raises(LookupError) as caught:
            writer.append_rows(rows())
        assert writer.total_row_count == 2
    assert check_folder(writer.data_path) == [0, 2]
    assert "no more" in str(caught.value)


def test_a_stream_that_fails_is_refused_whole(tmp_path):
    import pyarrow as pa

    one = pa.record_batch({"id": [1], "text": ["text 1 é"], "vector": columns_of([1])["vector"].tolist()})

    def stream():
        for _ in range(300):
            yield one
        raise LookupError("connection lost")

    with writer_in(tmp_path) as writer:
        with pytest.raises((LookupError, OSError, ValueError), match="connection lost"):
            writer.append_batch(pa.RecordBatchReader.from_batches(one.schema, stream()))
        assert writer.total_row_count == 0
        writer.append_row(row_of(7))
    assert check_folder(writer.data_path) == [7]


# -- sizes


def segment_sizes(writer: LocalBulkWriter) -> list[int]:
    return [sum(Path(path).stat().st_size for path in group) for group in writer.batch_files]


@pytest.mark.parametrize("file_type", FORMATS)
@pytest.mark.parametrize("chunk_size", [64 * 1024, 1_500_000])
@pytest.mark.parametrize("rows_a_batch", [1, 700, 40_000])
def test_files_fill_their_chunk_and_no_more(tmp_path, file_type, chunk_size, rows_a_batch):
    n = 4000 if rows_a_batch == 1 else 60_000 if chunk_size > 10**6 else 20_000
    first = 10**6  # numbers of one length: text of rows that grow longer and longer fills its segments less evenly
    with writer_in(tmp_path, file_type, chunk_size=chunk_size) as writer:
        for start in range(0, n, rows_a_batch):
            if rows_a_batch == 1:
                writer.append_row(row_of(first + start))
            else:
                writer.append_batch(columns_of(range(first + start, first + min(start + rows_a_batch, n))))
    sizes = segment_sizes(writer)
    assert max(sizes) <= chunk_size
    if len(sizes) > 3:
        assert np.mean(sizes[:-1]) >= 0.8 * chunk_size
    assert len(columns(writer)["id"]) == n


@pytest.mark.parametrize("file_type", FORMATS)
@pytest.mark.parametrize("kind", [DataType.INT8_VECTOR, DataType.BINARY_VECTOR, DataType.BFLOAT16_VECTOR])
def test_files_of_other_vectors_keep_to_their_chunk(tmp_path, file_type, kind):
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", kind, dim=64)
    width = {DataType.INT8_VECTOR: 64, DataType.BINARY_VECTOR: 8, DataType.BFLOAT16_VECTOR: 128}[kind]
    vector = np.zeros((20_000, width), np.int8 if kind == DataType.INT8_VECTOR else np.uint8)
    with LocalBulkWriter(schema, tmp_path, 100_000, file_type) as writer:
        writer.append_batch({"id": np.arange(20_000), "vector": vector})
        writer.append_rows([{"id": i, "vector": vector[i]} for i in range(5000)])
    assert max(segment_sizes(writer)) <= 100_000
    assert writer.manifest.n_rows == 25_000


@pytest.mark.parametrize("how", ["rows", "batch"])
def test_one_long_text_does_not_inflate_a_column(tmp_path, how):
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=60_000)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    vector = np.zeros((20_000, 2), np.float32)
    texts = ["short"] * 20_000
    texts[7_000] = "x" * 50_000
    with LocalBulkWriter(schema, tmp_path, 1_000_000, "npy") as writer:
        if how == "rows":
            writer.append_rows([{"id": i, "text": text, "vector": vector[i]} for i, text in enumerate(texts)])
        else:
            writer.append_batch({"id": np.arange(20_000), "text": texts, "vector": vector})
    sizes = segment_sizes(writer)
    assert max(sizes) <= 1_000_000
    assert sum(sizes) < 3_000_000
    assert [t for group in writer.batch_files for t in np.load(group[1]).tolist()] == texts


def test_a_row_larger_than_the_chunk_has_a_file_of_its_own(tmp_path):
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4096)
    with LocalBulkWriter(schema, tmp_path, 1000, "npy") as writer:
        writer.append_batch({"id": np.arange(5), "vector": np.zeros((5, 4096), np.float32)})
        writer.append_rows([{"id": i, "vector": np.zeros(4096, np.float32)} for i in range(3)])
    assert [entry.rows for entry in writer.manifest.segments] == [1] * 8


# -- config


@pytest.mark.parametrize(
    "config",
    [
        None,
        {},
        {"compression": "none"},
        {"compression": "snappy"},
        {"compression": "zstd"},
        {"compression": "ZSTD", "compression_level": 5},
        {"sep": ",", "nullkey": ""},
    ],
)
def test_compression(tmp_path, config):
    with writer_in(tmp_path, config=config) as writer:
        writer.append_batch(columns_of(range(2000)))
    want = ((config or {}).get("compression") or "none").upper().replace("NONE", "UNCOMPRESSED")
    meta = pq.ParquetFile(writer.batch_files[0][0]).metadata
    assert {meta.row_group(0).column(i).compression for i in range(3)} == {want}
    assert check_folder(writer.data_path, checksums=False) == list(range(2000))


@pytest.mark.parametrize(("file_type", "config"), [("parquet", {"compression": "lz4"}), ("parquet", {"codec": "zstd"}),
                                                   ("npy", {"compression": "zstd"})])  # fmt: skip
def test_unknown_config(tmp_path, file_type, config):
    with pytest.raises(SchemaError, match=next(iter(config))):
        writer_in(tmp_path, file_type, config=config)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("level", [0, -1, 23, 10**9, 3.0, "3"])
def test_compression_level_that_zstd_has_not(tmp_path, level):
    with pytest.raises(SchemaError, match=rf"'compression_level' is {level!r}, expected a number from 1 to 22"):
        writer_in(tmp_path, config={"compression": "zstd", "compression_level": level})
    assert list(tmp_path.iterdir()) == []


def test_chunk_size_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match="chunk_size"):
        writer_in(tmp_path, chunk_size=0)
    assert os.listdir(tmp_path) == []  # noqa: PTH208


# -- memory

MEMORY = """
import shutil, sys
import numpy as np
from vecmill import DataType, LocalBulkWriter, create_schema

folder, file_type, how, n_mb = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
schema = create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("text", DataType.VARCHAR, max_length=64)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=768)
n = 8192
ids, vector, text = np.arange(n), np.ones((n, 768), np.float32), [f"text {i}" for i in range(n)]
rows = [{"id": i, "text": text[i], "vector": vector[i]} for i in range(n)] if how == "rows" else []

def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    # The stage is a shared map: it counts as Shmem.
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem"))) / 1024

before, peak, gone = anonymous(), 0, 0
with LocalBulkWriter(schema, folder, 64 << 20, file_type) as writer:
    for batch in range(n_mb * 2**20 // (n * 768 * 4)):
        vector[:] = batch
        if rows:
            writer.append_rows(rows)
        else:
            writer.append_batch({"id": ids, "text": text, "vector": vector})
        peak = max(peak, anonymous())
        for group in writer.batch_files[gone:]:
            for path in group:
                open(path, "wb").close()
        gone = len(writer.batch_files)
print(max(peak, anonymous()) - before, writer.manifest.n_rows)
"""


@pytest.mark.parametrize("file_type", FORMATS)
@pytest.mark.parametrize("how", ["batches", "rows"])
def test_memory_does_not_grow_with_the_data(tmp_path, file_type, how):
    grown_mb, n_rows = run_python(MEMORY, tmp_path, file_type, how, 250).split()
    assert int(n_rows) > 80_000
    assert float(grown_mb) < 100
