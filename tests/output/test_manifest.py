"""manifest.json: true sizes and checksums, one round trip, and no other version is taken for ours."""

from __future__ import annotations

import json

import pytest

from failing_calls import check_folder, columns_of, slow_crc64nvme, small_schema
from format_names import FORMATS
from outputs import notes
from vecmill import LocalBulkWriter
from vecmill.manifest import FileEntry, Manifest, Segment


def test_slow_checksum_is_the_catalogue_one():
    assert slow_crc64nvme(b"123456789") == 0xAE8B14860A799888  # CRC-64/NVME, reveng's catalogue


@pytest.mark.parametrize("file_type", FORMATS)
def test_manifest_on_disk_is_the_one_in_memory(tmp_path, file_type):
    with LocalBulkWriter(small_schema(), tmp_path, 16 * 1024, file_type) as writer:
        writer.append_batch(columns_of(range(1000)))
    text = (notes(writer.data_path) / "manifest.json").read_text()
    read = Manifest.from_json(text)
    assert read == writer.manifest
    assert read.to_json() == text
    raw = json.loads(text)
    assert (raw["uuid"], raw["file_type"]) == (writer.uuid, "NUMPY" if file_type == "npy" else file_type.upper())
    assert raw["import_options"] == ({"sep": ",", "nullkey": ""} if file_type == "csv" else {})
    assert raw["rows"] == read.n_rows == 1000
    for one in read.files:
        assert one.checksum == f"crc64nvme:{slow_crc64nvme((writer.data_path / one.path).read_bytes()):016x}"
    assert raw["bytes"] == read.n_bytes == sum((writer.data_path / one.path).stat().st_size for one in read.files)
    assert [one["name"] for one in raw["schema"]["fields"]] == ["id", "text", "vector"]
    assert len(read.segments) > 2
    assert check_folder(writer.data_path) == list(range(1000))
    assert [[str(writer.data_path / e.path) for e in s.files] for s in read.segments] == writer.batch_files
    assert {entry.field for entry in read.files} == ({"id", "text", "vector"} if file_type == "npy" else {None})


def test_round_trip_of_odd_names():
    entry = FileEntry(path="1/naïve \u2028 名.npy", rows=3, bytes=4, checksum="crc64nvme:00", field="naïve \u2028 名")
    manifest = Manifest("u", "NUMPY", {"fields": []}, [Segment(1, 3, (entry,))])
    assert Manifest.from_json(manifest.to_json()) == manifest


@pytest.mark.parametrize("text", ["[]", "{}", '{"vecmill_manifest": 2}', "null"])
def test_what_is_no_manifest(text):
    with pytest.raises(ValueError, match="not a vecmill manifest"):
        Manifest.from_json(text)


def test_the_folder_holds_import_files_and_nothing_else(tmp_path):
    with LocalBulkWriter(small_schema(), tmp_path, 16 * 1024) as writer:
        writer.append_batch(columns_of(range(1000)))
        writer.commit()
        assert sorted(path.name for path in writer.data_path.iterdir()) == sorted(
            f"{i}.parquet" for i in range(1, len(writer.batch_files) + 1)
        )
        assert [path.name for path in notes(writer.data_path).iterdir()] == ["manifest.json"]
