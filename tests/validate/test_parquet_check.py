"""Parquet files as other tools write them, and as they come out of accidents: every fault is told, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faulty_files import VECTORS, D, arrow, parquet, schema
from vecmill import FieldSchema, validate
from vecmill.store.blob import LocalBlob

PLAIN, TEXT, BOOL = schema(), schema(D.VARCHAR, max_length=5), schema(D.BOOL)
HALF = schema(D.FLOAT16_VECTOR, dim=4)
SPARSE = schema(D.SPARSE_FLOAT_VECTOR)
JSON = schema(D.JSON)
FLOATS, DOUBLES = pa.list_(pa.float32()), pa.list_(pa.float64())
GOOD, INFINITE = np.ones(4, "f2").tobytes(), np.full(4, np.inf, "f2").tobytes()


def found(made: Any, described: Any, target: str | None = "2.6", level: Any = "full") -> list[tuple[str, int | None]]:
    return [(one.rule, one.row) for one in validate(made, described, target=target, level=level).findings]


@pytest.mark.parametrize("level", ["headers", "sample", "full"])
def test_row_groups_without_rows(level, tmp_path):
    path, table = tmp_path / "rows.parquet", arrow()
    with pq.ParquetWriter(path, table.schema, store_schema=False) as writer:
        for part in (table.slice(0, 0), table, table.slice(0, 0)):
            writer.write_table(part)
    report = validate(path, PLAIN, level=level)
    assert (report.rows, report.findings) == (3, ())


@pytest.mark.parametrize(
    ("described", "made", "wanted"),
    [
        (
            PLAIN, parquet(v=pa.array([[1, 2, 3], [float("nan")] * 4, [1] * 4], FLOATS)),
            [("value-dim", 0), ("value-nan-vector", 1)],
        ),
        (
            PLAIN, parquet(v=pa.array([[1, 2, 3], [1] * 4, [1, 2, 3, 1e300]], DOUBLES)),
            [("value-dim", 0), ("value-vector-overflow", 2)],
        ),
        (HALF, parquet(pa.array([GOOD[:-1], INFINITE, GOOD])), [("value-bytes-dim", 0), ("value-nan-half", 1)]),
        (
            HALF, parquet(pa.array([list(GOOD[:-1]), list(GOOD), list(INFINITE)], pa.list_(pa.uint8()))),
            [("value-dim", 0), ("value-nan-half", 2)],
        ),
        (HALF, parquet(pa.array([b"", b"", b""])), [("value-bytes-dim", 0), ("value-bytes-dim", 1),
                                                    ("value-bytes-dim", 2)]),
    ],
)  # fmt: skip
def test_a_vector_of_another_length_hides_no_other_fault(described, made, wanted, tmp_path):
    assert found(made(tmp_path), described) == wanted


RLE = {"column_encoding": {"x": "RLE"}, "use_dictionary": False}
PLAIN_V2 = {"column_encoding": {"x": "PLAIN"}, "use_dictionary": False, "data_page_version": "2.0"}
SPLIT = {"column_encoding": {"v.list.element": "BYTE_STREAM_SPLIT"}, "use_dictionary": False}


@pytest.mark.parametrize("level", ["headers", "full"])
@pytest.mark.parametrize(
    ("described", "column", "options", "is_read"),
    [
        (BOOL, pa.array([True, False, True]), RLE, False),
        (BOOL, pa.array([True, False, True]), PLAIN_V2, True),
        (PLAIN, None, SPLIT, False),
    ],
)
def test_encodings_that_older_servers_do_not_decode(described, column, options, is_read, level, tmp_path):
    made = parquet(column, options=options)(tmp_path)
    wanted = [] if is_read else [("parquet-encoding", None)]
    assert [found(made, described, target, level) for target in ("2.3", "2.4")] == [wanted, wanted]
    assert found(made, described, "2.5", level) == []


def test_integers_as_float_vectors(tmp_path):
    made = parquet(v=pa.array(VECTORS.astype(int).tolist(), pa.list_(pa.int64())))(tmp_path)
    assert found(made, PLAIN, "2.3") == [("parquet-type", None)]
    assert found(made, PLAIN, "2.4") == []


@pytest.mark.parametrize(
    ("index", "kind", "rule"),
    [
        (2**32 - 1, pa.uint32(), "value-sparse"),
        (2**32 - 1, pa.int64(), "value-sparse"),
        (2**32, pa.int64(), "value-sparse-index"),
        (-1, pa.int32(), "value-sparse"),
        (-2, pa.int64(), "value-sparse-index"),
        (None, pa.int64(), "value-null-element"),
    ],
)
def test_indices_of_sparse_structs(index, kind, rule, tmp_path):
    cells = [{"indices": [7], "values": [1]}, {"indices": None if index is None else [index], "values": [1]}] * 2
    column = pa.array(cells[:3], pa.struct([("indices", pa.list_(kind)), ("values", FLOATS)]))
    assert found(parquet(column)(tmp_path), SPARSE) == [(rule, 1)]


def test_a_json_column_does_not_speak_for_another(tmp_path):
    """Their names are one the beginning of the other."""
    made = parquet(pa.array(["a"] * 3), **{"x.y": pa.array(["{}"] * 3, pa.json_())})(tmp_path)
    assert found(made, TEXT) == [("column-unknown", None)]
    report = validate(made, schema(D.JSON), target="2.6")
    assert set(report.counts) == {"column-unknown", "value-json"}


def test_pages_that_hold_other_values_than_the_footer_says(tmp_path):
    """Arrow reads as many as the footer says, and no more."""
    long, short = tmp_path / "long.parquet", tmp_path / "rows.parquet"
    options = {"compression": "none", "use_dictionary": False, "store_schema": False, "write_statistics": False}
    table = pa.table({"id": pa.array(np.arange(4)), "v": pa.array([[1.0] * 4] * 4, FLOATS)})
    pq.write_table(table, long, **options)
    pq.write_table(table.slice(0, 3), short, **options)
    data = short.read_bytes()
    # A page of three values whose header tells of four.
    at = data.index(b"\x2c\x15\x06")
    short.write_bytes(data[: at + 2] + b"\x08" + data[at + 3 :])
    (one,) = validate(short, PLAIN).findings
    assert (one.rule, one.field, one.expected) == ("parquet-pages", "id", "3 values in all pages together")


@pytest.mark.parametrize("encoding", ["dictionary", "PLAIN", "DELTA_BYTE_ARRAY"])
def test_long_values_come_in_small_batches(encoding, tmp_path, monkeypatch):
    """20 kB of file may be gigabytes of text."""
    n_rows, text = 5_000, '"' + "x" * 50_000 + '"'
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n_rows, np.int32)), [text])
    options: dict[str, Any] = {} if encoding == "dictionary" else {"column_encoding": {"x": encoding}}
    table = pa.table(
        {
            "id": np.arange(n_rows),
            "x": column if encoding == "dictionary" else pa.array([text] * n_rows),
            "v": pa.array([[1.0] * 4] * n_rows, FLOATS),
        }
    )
    path = tmp_path / "rows.parquet"
    pq.write_table(
        table, path, store_schema=False, compression="zstd", use_dictionary=encoding == "dictionary", **options
    )
    del table, column
    asked: list[int] = []
    read = pq.ParquetFile.iter_batches
    monkeypatch.setattr(
        pq.ParquetFile, "iter_batches", lambda self, n, **more: asked.append(n) or read(self, n, **more)
    )
    assert validate(path, JSON, target="2.6").findings == ()
    assert asked[1] * 50_000 <= 20 * 1024 * 1024
    assert min(asked[0], asked[2]) >= n_rows


def test_a_dictionary_that_lies_about_itself(tmp_path):
    path = parquet(pa.array(["abc", "abc", "de"]), options={"compression": "none"})(tmp_path)
    data = Path(path).read_bytes()
    at = data.index(b"\x03\0\0\0abc")
    Path(path).write_bytes(data[:at] + b"\xff\xff\xff\x7f" + data[at + 4 :])
    assert found(path, TEXT) == [("parquet-pages", None)]


@pytest.mark.parametrize(("kind", "limit"), [(D.FLOAT16_VECTOR, 65520.0), (D.BFLOAT16_VECTOR, 255.5 * 2.0**120)])
def test_floats_that_are_too_large_for_half_vectors(kind, limit, tmp_path):
    below = float(np.nextafter(np.float32(limit), np.float32(0)))
    made = parquet(pa.array([[below] * 4, [1, 2, -limit, 3], [0.0] * 4], FLOATS))(tmp_path)
    assert found(made, schema(kind, dim=4), "3.0") == [("value-vector-overflow", 1)]


def test_an_empty_list_of_a_nullable_struct_array(tmp_path):
    made = pa.array([[{"n": 1}], [], None], pa.list_(pa.struct([("n", pa.int32())])))
    described = schema(
        D.ARRAY, element_type=D.STRUCT, struct_schema=[FieldSchema("n", D.INT32)], max_capacity=4, nullable=True
    )
    assert found(parquet(made)(tmp_path), described, "3.0") == [("value-empty-list", 1)]


def test_headers_of_small_pages_are_read_together(tmp_path, monkeypatch):
    n = 20_000
    table = pa.table({"id": np.arange(n), "v": pa.array(np.ones((n, 4), "f4").tolist(), FLOATS)})
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path, store_schema=False, use_dictionary=False, data_page_size=1, write_batch_size=64)
    reads: list[int] = []
    read = LocalBlob.read
    monkeypatch.setattr(LocalBlob, "read", lambda *args: reads.append(args[1]) or read(*args))
    report = validate(path, PLAIN)
    assert (report.rows, report.findings) == (n, ())
    assert len(reads) < 30  # of 600 pages


def test_a_small_file_is_read_at_once(tmp_path, monkeypatch):
    path = parquet()(tmp_path)
    reads: list[int] = []
    read = LocalBlob.read
    monkeypatch.setattr(LocalBlob, "read", lambda *args: reads.append(args[1]) or read(*args))
    monkeypatch.setattr(LocalBlob, "read_into", lambda *_: pytest.fail("a second request"))
    for level in ("headers", "full"):
        assert validate(path, PLAIN, level=level).rows == 3
    assert reads == [0, 0]
