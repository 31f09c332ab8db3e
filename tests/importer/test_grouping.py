"""Requests under the limits of the target, from a manifest; and the output that it belongs to."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outputs import notes
from vecmill import DataError, DataType, LocalBulkWriter, StoreError, create_schema
from vecmill.importer.grouping import group_files
from vecmill.output.opening import ImportFile, open_output
from vecmill.schema.servers import GB, GIB, SERVICES, Limits, limits_of


def file_of(number: int, n_bytes: int, rows: int = 10) -> ImportFile:
    return ImportFile(number, (f"{number}.parquet",), rows, n_bytes)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=40),
    st.integers(1, 6),
    st.integers(50, 120),
)
def test_every_file_is_asked_for_once_and_no_limit_is_broken(sizes, most_files, most_bytes):
    files = [file_of(i, n_bytes, rows) for i, (n_bytes, rows) in enumerate(sizes)]
    groups = group_files(files, Limits(most_files, 50, most_bytes, 1))
    assert [file for group in groups for file in group.files] == [file for file in files if file.rows]
    assert [group.number for group in groups] == list(range(1, len(groups) + 1))
    for group in groups:
        assert 1 <= len(group.files) <= most_files
        assert group.n_bytes <= most_bytes
    for one, following in itertools.pairwise(groups):  # no request could have taken another file
        assert len(one.files) == most_files or one.n_bytes + following.files[0].n_bytes > most_bytes


@pytest.mark.parametrize(
    ("limits", "n_files", "n_bytes", "n_requests"),
    [
        (limits_of(), 1024, GIB, 1), (limits_of(), 1025, GIB, 2), (limits_of("2.6"), 3, 16 * GIB, 1),
        (limits_of("2.3"), 3, GIB, 3), (limits_of("cloud"), 1000, GB, 1), (limits_of("cloud"), 1001, 1, 2),
        (limits_of("cloud"), 101, 10 * GB, 2), (limits_of("cloud", "cloud-free"), 3, GB // 2, 2),
    ],
)  # fmt: skip
def test_requests_within_the_limits(limits, n_files, n_bytes, n_requests):
    assert len(group_files([file_of(i, n_bytes) for i in range(n_files)], limits)) == n_requests


@pytest.mark.parametrize("service", SERVICES)
def test_a_file_that_is_too_large_is_named(service):
    limits = limits_of(service=service)
    most = limits.file_bytes
    assert len(group_files([file_of(7, most)], limits)) == 1
    with pytest.raises(DataError, match=rf"file '7\.parquet': expected at most {most:,} bytes .* got {most + 1:,}; "):
        group_files([file_of(7, most + 1)], limits)


# -- outputs on disk


def output_in(folder: Path, file_type: str = "npy", n: int = 100, chunk_size: int = 1 << 30) -> Any:
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    with LocalBulkWriter(schema, folder, file_type=file_type, chunk_size=chunk_size) as writer:
        for start in range(0, n, 50):
            writer.append_batch({"id": np.arange(start, start + 50), "vector": np.ones((50, 8), "f4")})
    return writer


@pytest.mark.parametrize("file_type", ["npy", "parquet"])
def test_the_files_of_an_output_are_the_writer_s(file_type, tmp_path):
    writer = output_in(tmp_path, file_type, n=10_000, chunk_size=65_536)
    assert len(writer.batch_files) > 2
    for src in (tmp_path, writer.data_path, notes(Path(writer.data_path)) / "manifest.json"):
        output = open_output(src)
        files = output.files()
        want = [[str(Path(path).resolve()) for path in group] for group in writer.batch_files]
        assert [list(file.paths) for file in files] == want
        assert sum(file.rows for file in files) == 10_000
        assert sum(file.n_bytes for file in files) == sum(Path(p).stat().st_size for g in want for p in g)
        folders = {file.folder for file in files}
        assert folders == ({str(Path(group[0]).parent) for group in want} if file_type == "npy" else {None})
        output.check()


def test_a_missing_file_is_named_with_the_folder(tmp_path):
    writer = output_in(tmp_path)
    output = open_output(tmp_path)
    Path(writer.data_path, "1", "vector.npy").write_bytes(b"short")
    with pytest.raises(DataError, match=r"file '1/vector\.npy': expected 3,328 bytes in .*, got 5 bytes"):
        output.check()
    Path(writer.data_path, "1", "vector.npy").unlink()
    with pytest.raises(DataError, match=r"file '1/vector\.npy': .* where the server will look, got no such file"):
        output.check()


def test_what_is_no_output(tmp_path):
    with pytest.raises(StoreError, match="no such folder"):
        open_output(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="no output of a conversion"):
        open_output(tmp_path)
    output_in(tmp_path)
    output_in(tmp_path)
    with pytest.raises(DataError, match="expected the output of one conversion, got 2: "):
        open_output(tmp_path)
    for text in ("{", "[]", '{"vecmill_manifest": 99}', '{"vecmill_manifest": 1}'):
        broken = tmp_path / "broken"
        broken.mkdir(exist_ok=True)
        notes(broken).mkdir(exist_ok=True)
        (notes(broken) / "manifest.json").write_text(text)
        with pytest.raises(StoreError, match="cannot be read"):
            open_output(broken)
    empty = {"vecmill_manifest": 1, "uuid": "u", "file_type": "NUMPY", "schema": {}, "segments": []}
    (notes(broken) / "manifest.json").write_text(json.dumps(empty))
    with pytest.raises(DataError, match="expected rows to import, got none"):
        open_output(broken)
