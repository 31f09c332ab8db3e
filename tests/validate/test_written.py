"""Validation of what was just written, and of outputs whose manifest and files do not agree any more."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from buckets import new_bucket, param
from faulty_files import D, json_list, rows, schema
from format_names import FORMATS
from outputs import notes, outputs
from servers.rest import RestServer, running_rest_server
from servers.s3 import KEY, SECRET
from vecmill import (
    DataError,
    LocalBulkWriter,
    RemoteBulkWriter,
    SchemaError,
    StoreError,
    convert,
    validate,
)
from vecmill._native.crc64 import crc64nvme
from vecmill.cli import app
from vecmill.manifest import Manifest
from vecmill.store.blob import LocalBlob, TailBlob
from vecmill.store.checksummed import ChecksummedBlob
from vecmill.store.notes import is_notes

LEVELS = ("headers", "sample", "full")


def spoil(path: Path | str, at: int = -3) -> None:
    """Change one byte."""
    data = bytearray(Path(path).read_bytes())
    data[at] ^= 1
    Path(path).write_bytes(data)


def command(*words: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == code, (done.output, done.exception)
    return done


# -- writers


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("form", FORMATS)
def test_a_writer_validates_at_close(form, level, tmp_path):
    with LocalBulkWriter(schema(), tmp_path, file_type=form, validate=level) as writer:
        writer.append_rows(rows())
        assert writer.validation is None
    report = writer.validation
    assert report is not None and report.ok and not report.findings
    assert (report.level, report.files, report.target) == (level, 1, None)
    assert report.rows == (3 if level != "headers" or form in ("npy", "parquet") else 0)


def test_a_writer_can_be_asked_on_the_way(tmp_path):
    with LocalBulkWriter(schema(), tmp_path, target="2.6") as writer:
        assert writer.validate().files == 0
        writer.append_rows(rows())
        assert writer.validate().rows == 0
        writer.commit()
        assert (writer.validate("headers").rows, writer.validate().target) == (3, "2.6")
        writer.append_rows(rows())
    assert (writer.validate().rows, writer.validation) == (6, None)


def test_errors_at_close_leave_the_files(tmp_path):
    writer = LocalBulkWriter(schema(), tmp_path, validate="full")
    writer.append_rows(rows())
    writer.commit()
    spoil(writer.batch_files[0][0], 10)
    with pytest.raises(DataError) as caught:
        writer.close()
    assert [one.rule for one in caught.value.findings][-1] == "manifest-checksum"
    assert caught.value.__notes__[-1] == f"the files stay in {writer.data_path}"
    assert pickle.loads(pickle.dumps(caught.value)).findings == caught.value.findings
    assert Path(writer.batch_files[0][0]).is_file() and not writer.validation.ok
    writer.close()  # a second call does nothing


def test_a_level_that_there_is_not(tmp_path):
    with pytest.raises(ValueError, match="level 'half' is not one of headers, sample, full"):
        LocalBulkWriter(schema(), tmp_path, validate="half")
    assert not list(tmp_path.iterdir())
    with pytest.raises(SchemaError, match="validate is one of"):
        convert(json_list(rows())(tmp_path), tmp_path / "out", validate="half")


@pytest.mark.parametrize("form", FORMATS)
def test_a_writer_of_objects_validates_at_close(form, juicefs):
    bucket = new_bucket(juicefs)
    for level in LEVELS:
        with RemoteBulkWriter(
            schema(), f"out/{level}", param(juicefs, bucket), file_type=form, validate=level
        ) as writer:
            writer.append_rows(rows())
        assert writer.validation.ok and not writer.validation.findings and writer.validation.files == 1


def test_errors_in_a_bucket(juicefs):
    bucket = new_bucket(juicefs)
    writer = RemoteBulkWriter(schema(), "out", param(juicefs, bucket), file_type="npy", validate="headers")
    writer.append_rows(rows())
    writer.commit()
    (key,) = [key for key in writer.batch_files[0] if key.endswith("v.npy")]
    juicefs.client.remove_object(bucket, key)
    with pytest.raises(DataError, match=r"v\.npy.*expected a file, got none") as caught:
        writer.close()
    assert writer.data_path.name in caught.value.__notes__[-1]
    assert KEY not in str(caught.value.__notes__) and SECRET not in str(caught.value.__notes__)


# -- convert


@pytest.fixture
def source(tmp_path: Path) -> Path:
    np.save(tmp_path / "vector.npy", np.random.default_rng(1).standard_normal((20_000, 16), dtype="f4"))
    np.save(tmp_path / "id.npy", np.arange(20_000))
    return tmp_path


@pytest.mark.parametrize("form", FORMATS)
def test_convert_validates(form, source, tmp_path):
    src = [source / "id.npy", source / "vector.npy"]
    report = convert(src, tmp_path / "out", file_type=form, validate="full", target="2.6", segment_size=400_000)
    found = report.validation
    assert (found.ok, found.rows, found.files, found.target) == (True, 20_000, len(report.files), "2.6")
    assert report.to_dict()["validation"]["rows"] == 20_000
    assert convert(src, tmp_path / "out", file_type=form).to_dict()["validation"] is None


def test_errors_of_convert_leave_the_files(source, tmp_path):
    def progress(_rows: int, _bytes: int) -> None:
        for path in (tmp_path / "out").glob("*/1/vector.npy"):
            path.write_bytes(path.read_bytes()[:-5])

    with pytest.raises(DataError, match=r"1/vector\.npy") as caught:
        convert([source / "id.npy", source / "vector.npy"], tmp_path / "out", file_type="npy", segment_size=100_000,
                validate="headers", progress=progress)  # fmt: skip
    (folder,) = outputs(tmp_path / "out")
    assert caught.value.__notes__[-1] == f"all 20000 rows were written; the files stay in {folder}"
    assert {one.rule for one in caught.value.findings} == {"manifest-bytes", "npy-truncated"}
    assert Manifest.from_json((notes(folder) / "manifest.json").read_text()).n_rows == 20_000


def test_the_command_convert(source, tmp_path):
    words = ["convert", source / "id.npy", source / "vector.npy", tmp_path / "out"]
    done = command(*words, "--validate", "sample", "--target", "2.5")
    assert "fine for Milvus 2.5: 1 import file, 20,000 rows, level sample" in done.stdout
    told = json.loads(command(*words, "--validate", "full", "--json").stdout)
    assert told["validation"]["ok"] and told["validation"]["rows"] == 20_000
    assert command(*words, "--validate", "half", code=2)


def test_a_finished_conversion_is_validated_again(source, tmp_path):
    src = [source / "id.npy", source / "vector.npy"]
    report = convert(src, tmp_path / "out")
    assert convert(src, tmp_path / "out", resume=True, validate="full").validation.ok
    spoil(report.files[0][0], 1_000)
    with pytest.raises(DataError):
        convert(src, tmp_path / "out", resume=True, validate="full")


# -- import


@pytest.fixture
def server() -> Iterator[RestServer]:
    with running_rest_server(rows_of=lambda _group: 3) as server:
        yield server


def written(folder: Path, form: str = "npy") -> Path:
    with LocalBulkWriter(schema(), folder, file_type=form) as writer:
        writer.append_rows(rows())
    return Path(writer.data_path)


@pytest.mark.parametrize("where", [["--url"], ["--url", "--grpc"], ["--uri"]])
def test_import_looks_before_it_asks(where, server, tmp_path):
    out = written(tmp_path)
    np.save(out / "1" / "v.npy", np.asfortranarray(np.ones((3, 4), "f4")))
    spoil(out / "1" / "id.npy", 0)
    address = server.url if "--url" in where else tmp_path / "demo.db"
    words = ["import", out, where[0], address, *where[1:], "-C", "books", "--create-collection"]
    done = command(*words, code=1)
    lines = done.stderr.splitlines()
    assert [line.split()[1] for line in lines[:-1]] == ["npy-magic", "npy-fortran"]
    assert all(line.startswith("error: ") for line in lines)
    assert lines[-1].startswith("error: not fit for import; 2 errors in all; nothing was created or sent")
    assert not server.seen and not (tmp_path / "demo.db").exists()
    told = json.loads(command(*words, "--json", code=1).stdout)["error"]
    assert [one["rule"] for one in told["findings"]] == ["npy-magic", "npy-fortran"]
    dry = command(*words, "--no-validate", "--dry-run")
    assert json.loads(dry.stdout)["rows"] == 3


def test_import_asks_the_rules_of_its_target(server, tmp_path):
    out = written(tmp_path, "csv")
    command("import", out, "--url", server.url, "-C", "books", "--dry-run")
    done = command("import", out, "--url", server.url, "-C", "books", "--dry-run", "--grpc", code=1)
    assert "error: schema-format (refused)" in done.stderr and "2.3" in done.stderr


def test_import_from_a_bucket_looks_before_it_asks(juicefs, server, monkeypatch):
    bucket = new_bucket(juicefs)
    with RemoteBulkWriter(schema(), "out", param(juicefs, bucket), file_type="parquet") as writer:
        writer.append_rows(rows())
    for name, value in (("ENDPOINT_URL", juicefs.url), ("ACCESS_KEY_ID", KEY), ("SECRET_ACCESS_KEY", SECRET)):
        monkeypatch.setenv(f"AWS_{name}", value)
    url = f"s3://{bucket}/{str(writer.data_path).strip('/')}"
    words = ["import", url, "--url", server.url, "-C", "books", "--dry-run"]
    assert json.loads(command(*words).stdout)["rows"] == 3
    (key,) = writer.batch_files[0]
    data = juicefs.read(bucket, key)
    import io

    juicefs.client.put_object(bucket, key, io.BytesIO(data[:-4] + b"PAR0"), len(data))
    done = command(*words, code=1)
    assert done.stderr.startswith("error: parquet-footer (refused)")
    assert not server.seen and SECRET not in done.output


# -- outputs that changed since their manifest was written


def test_one_byte_of_any_file_is_told(tmp_path):
    for form in FORMATS:
        out = written(tmp_path / form, form)
        for path in [one for one in out.rglob("*") if one.is_file() and not is_notes(one.parent.name)]:
            good = path.read_bytes()
            for at in range(0, len(good), 7):
                spoil(path, at)
                assert not validate(out).ok, (path, at)
                path.write_bytes(good)
            path.write_bytes(good + b"\n")
            assert "manifest-bytes" in {one.rule for one in validate(out).errors}
            path.unlink()
            assert "file-missing" in {one.rule for one in validate(out).errors}
            path.write_bytes(good)
        assert validate(out).ok
        shutil.rmtree(out)


def test_two_outputs_in_one_folder_each_have_their_schema(tmp_path):
    written(tmp_path)
    other = schema(D.VARCHAR, max_length=5, nullable=True)
    with LocalBulkWriter(other, tmp_path, file_type="csv", config={"sep": ";", "nullkey": "none"}) as writer:
        writer.append_rows([{**row, "x": None} for row in rows()])
    report = validate(tmp_path)
    assert (report.ok, report.files, report.rows, len(report.findings)) == (True, 2, 6, 0)
    assert validate(tmp_path, schema()).counts == {"column-unknown": 1}
    assert not validate(writer.data_path, sep=",").ok


def change(out: Path, act: Callable[[dict[str, Any]], object]) -> None:
    path = notes(out) / "manifest.json"
    known = json.loads(path.read_text())
    act(known)
    path.write_text(json.dumps(known))


LIES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "rows of a file": (lambda m: m["segments"][0]["files"][1].update(rows=4), "manifest-rows"),
    "rows of a segment": (lambda m: m["segments"][0].update(rows=4), "manifest-rows"),
    "bytes": (lambda m: m["segments"][0]["files"][0].update(bytes=1), "manifest-bytes"),
    "checksum": (lambda m: m["segments"][0]["files"][0].update(checksum="crc64nvme:x"), "manifest-checksum"),
    "a path": (lambda m: m["segments"][0]["files"][0].update(path="nowhere/id.npy"), "file-missing"),
    "a file left out": (lambda m: m["segments"][0]["files"].pop(), "column-missing"),
    "rows of all": (lambda m: m.update(rows=9), "manifest-rows"),
    "a segment left out": (lambda m: m["segments"].clear(), "manifest-rows"),
    "a segment twice": (lambda m: m["segments"].append(m["segments"][0]), "file-twice"),
    "a file twice": (lambda m: m["segments"][0]["files"].append(m["segments"][0]["files"][0]), "column-twice"),
    "another schema": (lambda m: m.update(schema=schema(D.INT64).to_dict()), "column-missing"),
}


@pytest.mark.parametrize("lie", LIES)
def test_manifests_that_lie(lie, tmp_path):
    act, rule = LIES[lie]
    out = written(tmp_path)
    change(out, act)
    assert rule in {one.rule for one in validate(out).errors}


@pytest.mark.parametrize(
    "act",
    [
        lambda m: m.pop("schema"),
        lambda m: m.update(schema=[1]),
        lambda m: m.update(segments=7),
        lambda m: m.update(segments=[7]),
        lambda m: m.update(import_options=[]),
        lambda m: m.update(import_options={"sep": "ab"}),
        lambda m: m["segments"][0].update(rows="3"),
        lambda m: m["segments"][0].update(files="abc"),
        lambda m: m["segments"][0].update(files=[]),
        lambda m: m["segments"][0]["files"][0].update(path=7),
        lambda m: m["segments"][0]["files"][0].update(path="../nowhere/id.npy"),
        lambda m: m["segments"][0]["files"][0].update(path="a\0.npy"),
        lambda m: m["segments"][0]["files"][0].update(bytes=-1),
        lambda m: m["segments"][0]["files"][0].update(more=1),
        lambda m: m.update(vecmill_manifest=2),
    ],
)
def test_manifests_that_are_none(act, tmp_path):
    out = written(tmp_path)
    change(out, act)
    with pytest.raises(StoreError, match=r"manifest\.json: (cannot be read|is no UTF-8)"):
        validate(out)


@pytest.mark.parametrize("text", [b"", b"[" * 100_000, b"\xff\xfe", b"{}", b"[]", b"null"])
def test_manifests_that_are_no_text(text, tmp_path):
    out = written(tmp_path)
    (notes(out) / "manifest.json").write_bytes(text)
    with pytest.raises(StoreError, match=r"manifest\.json: (cannot be read|is no UTF-8)"):
        validate(notes(out) / "manifest.json")


def test_a_bucket_that_there_is_not(juicefs, monkeypatch):
    for name, value in (("ENDPOINT_URL", juicefs.url), ("ACCESS_KEY_ID", KEY), ("SECRET_ACCESS_KEY", SECRET)):
        monkeypatch.setenv(f"AWS_{name}", value)
    with pytest.raises(StoreError, match="no-such-bucket") as caught:
        validate("s3://no-such-bucket/out", schema())
    assert SECRET not in str(caught.value)
    # A HEAD request has no body that could tell a missing bucket from a missing object.
    with pytest.raises(StoreError, match=r"s3://no-such-bucket/out/1\.parquet: no such object"):
        validate("s3://no-such-bucket/out/1.parquet", schema())
    report = validate([["s3://no-such-bucket/out/1.parquet"]], schema())
    assert [(one.rule, one.file) for one in report.errors] == [("file-missing", "s3://no-such-bucket/out/1.parquet")]
    (_line,) = command("validate", "s3://no-such-bucket/out", "-s", "/dev/null", code=2).stderr.splitlines()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    with pytest.raises(StoreError) as caught:
        validate(f"s3://{new_bucket(juicefs)}/out", schema())
    assert "wrong-secret" not in str(caught.value)


def test_a_folder_with_a_point_in_its_name(juicefs, monkeypatch):
    bucket = new_bucket(juicefs)
    for name, value in (("ENDPOINT_URL", juicefs.url), ("ACCESS_KEY_ID", KEY), ("SECRET_ACCESS_KEY", SECRET)):
        monkeypatch.setenv(f"AWS_{name}", value)
    with RemoteBulkWriter(schema(), "model-v1.5", param(juicefs, bucket), file_type="npy") as writer:
        writer.append_rows(rows())
    assert validate(f"s3://{bucket}/model-v1.5").rows == 3
    with pytest.raises(StoreError, match="no such object"):
        validate(f"s3://{bucket}/model-v1.6", schema())
    assert writer.batch_files


# -- checksums


@given(st.binary(max_size=300), st.lists(st.tuples(st.integers(0, 310), st.integers(0, 310)), max_size=12))
def test_a_checksum_is_that_of_the_file_however_it_is_read(tmp_path_factory, data, ranges):
    path = tmp_path_factory.mktemp("crc") / "file"
    path.write_bytes(data)
    blob = ChecksummedBlob(LocalBlob(path, len(data)))
    for start, stop in ranges:
        assert blob.read(start, stop) == data[start:stop]
    assert blob.checksum() == f"crc64nvme:{crc64nvme(data):016x}"
    blob.close()


@given(st.binary(max_size=60), st.integers(0, 70), st.lists(st.tuples(st.integers(0, 65), st.integers(0, 65))))
def test_a_tail_that_is_read_once(tmp_path_factory, data, n_bytes, ranges):
    path = tmp_path_factory.mktemp("tail") / "file"
    path.write_bytes(data)
    blob = TailBlob(LocalBlob(path, len(data)), n_bytes)
    for start, stop in ranges:
        assert blob.read(start, stop) == data[start:stop]
        out = bytearray(b"." * max(0, stop - start))
        got = blob.read_into(start, memoryview(out))
        assert out == (data[start:stop] + b"." * len(out))[: len(out)] and got == len(data[start:stop])
    blob.close()
