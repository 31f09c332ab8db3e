"""`validate`: which files a path, a folder, a list or a URL stands for."""

from __future__ import annotations

import errno
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from buckets import new_bucket
from faulty_files import IDS, VECTORS, D, npy, rows, saved, schema
from outputs import notes
from servers.s3 import KEY, SECRET
from vecmill import LocalBulkWriter, SchemaError, StoreError, validate
from vecmill.validate.inputs import open_inputs


def made_in(folder: Path, **columns: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    npy(**columns)(folder)
    return folder


def names(given: Any) -> list[list[str]]:
    return [[entry.base for entry in file.entries] for file in open_inputs(given).files]


def test_a_field_may_begin_with_an_underscore(tmp_path):
    made_in(tmp_path, _x=IDS)
    made_in(tmp_path / "_temporary")
    (tmp_path / "._id.npy").write_bytes(b"of a Mac")
    (tmp_path / "_delta_log").mkdir()
    (tmp_path / "_delta_log" / "0.json").write_text("{}")
    assert names(tmp_path) == [["_x.npy", "id.npy", "v.npy"]]
    made = schema()
    made.add_field("_x", D.INT64)
    assert validate(tmp_path, made).ok


def test_a_backslash_is_a_part_of_a_name(tmp_path):
    made_in(tmp_path)
    (tmp_path / "v.npy").rename(tmp_path / "set\\v.npy")
    report = validate([[tmp_path / "id.npy", tmp_path / "set\\v.npy"]], schema(), target="2.5")
    assert [(one.rule, one.field) for one in report.errors] == [("column-unknown", "set\\v"), ("column-missing", "v")]


@pytest.mark.parametrize("given", [None, 7, [7], [[7]], [[["a.npy"]]], [[None]]])
def test_what_is_no_path(given):
    with pytest.raises(SchemaError, match="expected a path, a URL or lists of them"):
        validate(given, schema())


def test_a_folder_with_the_name_of_a_file(tmp_path):
    made_in(tmp_path / "out.npy")
    for given in (tmp_path / "out.npy", [tmp_path / "out.npy"], [str(tmp_path / "out.npy")]):
        assert validate(given, schema()).rows == 3


def test_links_to_folders(tmp_path):
    made_in(tmp_path / "top" / "a")
    made_in(tmp_path / "other", v=np.full((3, 4), np.nan, "f4"))
    for link, target in (("b", "other"), ("latest", "top/a"), ("loop", "top"), ("up", ".")):
        (tmp_path / "top" / link).symlink_to(tmp_path / target)
    report = validate(tmp_path / "top", schema())
    assert (report.files, report.counts) == (2, {"value-nan-vector": 3})


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    made_in(tmp_path)
    made_in(tmp_path / "closed")
    scandir = os.scandir

    def refuse(path: str) -> object:  # root, who may read all, has to see it too
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StoreError, match=r"closed: permission denied"):
        validate(tmp_path, schema())


def test_thousands_of_outputs_in_a_folder(tmp_path):
    with LocalBulkWriter(schema(), tmp_path, file_type="npy") as writer:
        writer.append_rows(rows())
    data = Path(writer.data_path)
    for i in range(1_000):
        (tmp_path / f"{i}" / "1").mkdir(parents=True)
        notes(tmp_path / f"{i}").mkdir()
        (notes(tmp_path / f"{i}") / "manifest.json").hardlink_to(notes(data) / "manifest.json")
        for name in ("1/id.npy", "1/v.npy"):
            (tmp_path / f"{i}" / name).hardlink_to(data / name)
    began = time.process_time()
    assert len(open_inputs(tmp_path).files) == 1_001
    assert time.process_time() - began < 3


def test_folders_in_a_bucket(juicefs, monkeypatch):
    bucket = new_bucket(juicefs)
    for name, value in (("ENDPOINT_URL", juicefs.url), ("ACCESS_KEY_ID", KEY), ("SECRET_ACCESS_KEY", SECRET)):
        monkeypatch.setenv(f"AWS_{name}", value)

    def put(key: str, data: bytes) -> None:
        juicefs.client.put_object(bucket, key, io.BytesIO(data), len(data))

    for key in ("spark.json/part-0.json", "spark.json/part-1.json"):
        put(key, json.dumps(rows()).encode())
    put("spark.json/_delta_log/0.json", b"{}")
    put("spark.json/_vecmill-1/convert.json", b"{}")
    for name, array in (("id", IDS), ("v", VECTORS), ("_x", IDS)):
        put(f"set/{name}.npy", saved(array))
    for url in (f"s3://{bucket}/spark.json/", f"s3://{bucket}/spark.json"):
        report = validate(url, schema())
        assert (report.ok, report.files, report.rows) == (True, 2, 6)
    made = schema()
    made.add_field("_x", D.INT64)
    assert validate(f"s3://{bucket}/set", made).ok
    with pytest.raises(StoreError, match="no such object"):
        validate(f"s3://{bucket}/other.json", schema())


def test_the_same_file_by_two_names(tmp_path, monkeypatch):
    (first,) = npy()(tmp_path)
    (tmp_path / "other").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    for second in (["id.npy", "v.npy"], ["./other/v.npy", f"{tmp_path}/id.npy"]):
        assert validate([first, second], schema()).counts == {"file-twice": 1}


@pytest.mark.parametrize("given", [[], [[]], [[], []]])
def test_no_file_at_all(given):
    assert validate(given, schema()).counts == {"request-files": 1}


def test_a_folder_is_not_one_request(tmp_path):
    for i in range(1_025):
        (tmp_path / f"{i}.json").write_text(json.dumps(rows()))
    report = validate(tmp_path, schema(), level="headers")
    assert report.ok and report.counts == {"request-split": 1}
    lists = [[path] for path in tmp_path.iterdir()]
    assert validate(lists, schema(), level="headers", target="2.6").counts == {"request-files": 1}
    assert validate(lists[1:], schema(), level="headers", target="2.6").ok
    assert not validate(lists[1:], schema(), level="headers", target="cloud").ok


def test_a_file_that_may_not_be_read_is_one_finding(tmp_path, monkeypatch):
    files = npy(v=VECTORS[:, :3], id=IDS)(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path).name != "id.npy")
    report = validate(files, schema())
    assert [(one.rule, one.got) for one in report.findings] == [
        ("file-missing", "one that may not be read"),
        ("value-dim", "(3, 3)"),
    ]
    with pytest.raises(StoreError, match="permission denied"):
        validate(tmp_path / "id.npy", schema())


def test_a_default_fills_nothing_before_2_5(tmp_path):
    made = schema(D.INT64, default_value=5)
    files = npy()(tmp_path)
    rules = {target: list(validate(files, made, target=target).counts) for target in ("2.3", "2.4", "2.5", "3.0")}
    assert rules == {"2.3": ["column-missing"], "2.4": ["column-missing"], "2.5": [], "3.0": []}
