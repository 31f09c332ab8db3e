"""fvecs and its kin, fbin and its kin: written here as their descriptions say, since no library writes them."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pyarrow.parquet as pq
import pytest

from source_data import check_restarts, collect, refused, vectors
from vecmill import DataType, create_schema
from vecmill.convert import convert
from vecmill.errors import DataError
from vecmill.sources import open_source

VECS = {"fvecs": np.float32, "bvecs": np.uint8, "ivecs": np.int32}
BINS = {"fbin": np.float32, "f16bin": np.float16, "u8bin": np.uint8, "i8bin": np.int8, "ibin": np.int32}


def vecs_bytes(rows) -> bytes:
    """Every row: its dim as int32, its values."""
    return b"".join(struct.pack("<i", len(row)) + row.tobytes() for row in rows)


def bin_bytes(matrix) -> bytes:
    """Rows and dim as uint32, the values."""
    return struct.pack("<II", *matrix.shape) + matrix.tobytes()


def write(path, raw: bytes):
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("dim", [1, 3, 4, 128])
@pytest.mark.parametrize("kind", [*VECS, *BINS])
def test_every_row_comes(tmp_path, kind, dim):
    matrix = (vectors(100, dim) % 127).astype({**VECS, **BINS}[kind])
    path = write(tmp_path / f"base.{kind}", vecs_bytes(matrix) if kind in VECS else bin_bytes(matrix))
    check_restarts(path, {"base": matrix.tolist()})
    source = open_source(path)
    assert source.columns[0].type.list_size == dim
    assert next(iter(source.batches()))["base"].dtype == matrix.dtype
    assert source.locate(7) == (str(path), 7)
    three = write(tmp_path / f"three.{kind}", vecs_bytes(matrix[:3]) if kind in VECS else bin_bytes(matrix[:3]))
    check_restarts(three, {"three": matrix[:3].tolist()})


def test_the_kind_can_be_given(tmp_path):
    path = write(tmp_path / "data.bin", vecs_bytes(vectors(5)))
    check_restarts(path, {"data": vectors(5).tolist()}, kind="fvecs")
    refused(path, "expected a file of a kind")
    with pytest.raises(ValueError, match="expected a kind of source: 'parquet'"):
        open_source(path, kind="vecs")


def test_shards_follow_one_another(tmp_path):
    for i in range(3):
        write(tmp_path / f"b{9 + i}.fvecs", vecs_bytes(vectors(10, start=10 * i)))
    source = open_source(None, columns={"vector": f"{tmp_path}/b*.fvecs"})
    assert collect(source, start_row=5) == {"vector": vectors(30)[5:].tolist()}
    assert source.locate(12) == (f"{tmp_path}/b10.fvecs", 2)


@pytest.mark.parametrize("kind", VECS)
def test_a_row_of_another_dim_is_named(tmp_path, kind):
    rows = list(vectors(5000, 8).astype(VECS[kind]))
    path = write(tmp_path / f"x.{kind}", vecs_bytes([*rows[:4000], rows[0][:4], *rows[4001:]]))
    refused(path, "expected dim 8", "got 4", row=4000)
    # The same number of bytes in all: only reading can tell.
    raw = bytearray(vecs_bytes(rows))
    at = 4321 * (4 + 8 * rows[0].itemsize)
    raw[at : at + 4] = struct.pack("<i", -8)
    write(path, bytes(raw))
    refused(path, "expected dim 8", "got -8", row=4321)
    assert len(collect(open_source(path), start_row=4322)["x"]) == 5000 - 4322


@pytest.mark.parametrize("kind", VECS)
def test_cut_and_hostile_vecs(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    whole = vecs_bytes(vectors(10, 8).astype(VECS[kind]))
    refused(write(path, b""), "an empty file")
    refused(write(path, whole[:3]), "only 3 bytes")
    refused(write(path, whole[:-3]), "before the end of the file", row=9)
    for dim in (0, -1, -(2**31), 2**31 - 1, 1 << 21):
        refused(write(path, struct.pack("<i", dim) + whole), "expected a dim from 1", f"got {dim}", row=0)
    refused(write(path, b"PAR1 is no Parquet file, but begins like one"))


@pytest.mark.parametrize("kind", BINS)
def test_cut_and_hostile_bins(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    whole = bin_bytes(vectors(10, 8).astype(BINS[kind]))
    refused(write(path, b""), "an empty file")
    refused(write(path, whole[:7]), "only 7 bytes")
    refused(write(path, whole[:-1]), f"expected {len(whole)} bytes, for the 10 rows of dim 8", "got only")
    refused(write(path, whole + b"x"), f"got {len(whole) + 1} bytes")
    refused(write(path, struct.pack("<II", 5, 0)), "expected a dim of at least 1")
    tracemalloc.start()
    refused(write(path, struct.pack("<II", 2**32 - 1, 2**32 - 1)), "got only 8 bytes")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert collect(open_source(write(path, struct.pack("<II", 0, 8)))) == {}


def test_other_files_under_these_names_are_known_by_their_beginning(tmp_path):
    with (tmp_path / "x.fbin").open("wb") as file:
        np.save(file, vectors(4))
    check_restarts(tmp_path / "x.fbin", {"x": vectors(4).tolist()})


def test_strides_come_without_a_copy(tmp_path):
    path = write(tmp_path / "x.fvecs", vecs_bytes(vectors(100, 16)))
    batch = next(iter(open_source(path).batches()))["x"]
    assert batch.strides == (68, 4)
    assert not batch.flags.writeable
    assert not batch.flags.owndata


@pytest.mark.parametrize("file_type", ["npy", "parquet"])
@pytest.mark.parametrize(("n", "dim"), [(5000, 128), (200, 3)])
def test_rows_with_gaps_are_closed_up_as_they_are_written(tmp_path, file_type, n, dim):
    matrix = np.random.default_rng(2).standard_normal((n, dim), dtype=np.float32)
    path = write(tmp_path / "vector.fvecs", vecs_bytes(matrix))
    files = convert(path, tmp_path / "out", file_type=file_type).files[0]
    got = (
        np.load(next(f for f in files if f.endswith("vector.npy")))
        if file_type == "npy"
        else np.array(pq.read_table(files[0])["vector"].to_pylist(), np.float32)
    )
    assert got.tobytes() == matrix.tobytes()
    matrix[n - 7, 2] = np.nan
    write(path, vecs_bytes(matrix))
    with pytest.raises(DataError) as caught:
        convert(path, tmp_path / "bad", file_type=file_type)
    assert (caught.value.file, caught.value.field, caught.value.row) == (str(path), "vector", n - 7)
    assert "position 2" in caught.value.got


def test_bytes_become_numbers_or_bits_as_the_schema_says(tmp_path):
    matrix = (np.arange(800).reshape(100, 8) % 251).astype(np.uint8)
    path = write(tmp_path / "v.bvecs", vecs_bytes(matrix))
    for field, expected in ((DataType.FLOAT_VECTOR, matrix.astype(np.float32)), (DataType.BINARY_VECTOR, matrix)):
        schema = create_schema(auto_id=True)
        schema.add_field("id", DataType.INT64, is_primary=True, auto_id=True)
        schema.add_field("v", field, dim=8 if field is DataType.FLOAT_VECTOR else 64)
        files = convert(path, tmp_path / "out", schema=schema, file_type="npy").files[0]
        got = np.load(next(f for f in files if f.endswith("v.npy")))
        assert got.tobytes() == expected.tobytes()
