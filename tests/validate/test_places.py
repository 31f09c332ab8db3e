"""`validate`: what is named, and what a request of it may hold."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from commands import run_vecmill
from faulty_files import json_list, npy, parquet, rows, schema
from outputs import notes
from vecmill import LocalBulkWriter, SchemaError, StoreError, validate
from vecmill.schema import servers
from vecmill.schema.servers import Limits

PLAIN = schema()


def schema_file(folder: Path) -> Path:
    path = folder / "schema.json"
    path.write_text(json.dumps(PLAIN.to_dict()))
    return path


@pytest.mark.parametrize(("target", "most"), [(None, 1_024), ("2.6", 1_024), ("cloud", 1_000)])
def test_a_request_has_so_many_files(target, most, tmp_path):
    made = Path(json_list(rows())(tmp_path))
    paths = [tmp_path / f"{i}.json" for i in range(most + 1)]
    for path in paths:
        os.link(made, path)
    lists = [[str(path)] for path in paths]
    assert validate(lists[:-1], PLAIN, target=target, level="headers").counts == {}
    report = validate(lists, PLAIN, target=target, level="headers")
    assert [(one.rule, one.file) for one in report.errors] == [("request-files", str(paths[-1]))]
    made.unlink()
    for given in (paths, tmp_path):
        report = validate(given, PLAIN, target=target, level="headers")
        assert report.ok and report.counts == {"request-split": 1}


def test_a_request_has_so_many_bytes(tmp_path, monkeypatch):
    lists = [[parquet()(tmp_path)], npy()(tmp_path)[0], [json_list(rows())(tmp_path)]]
    size = sum(Path(path).stat().st_size for one in lists for path in one)
    monkeypatch.setitem(servers.SERVICES, "cloud", Limits(10, 10**9, size, 1))
    assert validate(lists, PLAIN, target="cloud").counts == {}
    monkeypatch.setitem(servers.SERVICES, "cloud", Limits(10, 10**9, size - 1, 1))
    report = validate(lists, PLAIN, target="cloud")
    assert [(one.rule, one.file) for one in report.errors] == [("request-files", lists[2][0])]
    assert validate(lists, PLAIN, target="2.6").counts == {}


def test_a_request_of_nothing():
    for nothing in ([], [[]], iter(())):
        assert validate(nothing, PLAIN).counts == {"request-files": 1}


def test_one_file_by_two_names(tmp_path, monkeypatch):
    path = Path(parquet()(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.parquet").symlink_to(path)
    for again in ("rows.parquet", f"{tmp_path}/./rows.parquet", "other.parquet", f"file://{path}"):
        assert validate([[str(path)], [again]], PLAIN).counts == {"file-twice": 1}


def test_file_urls(tmp_path):
    folder = tmp_path / "a b"
    folder.mkdir()
    parquet()(folder)
    for url in (f"file://{folder}", f"file://{tmp_path}/a%20b/rows.parquet", [[f"file://{folder}/rows.parquet"]]):
        report = validate(url, PLAIN)
        assert (report.counts, report.rows) == ({}, 3)


def test_what_is_no_path(tmp_path):
    for wrong in (None, 5, b"x", [5], [b"x"], [[5]], [[b"x"]], [None]):
        with pytest.raises(SchemaError, match="expected a path, a URL or lists of them"):
            validate(wrong, PLAIN)
    for wrong in ("", [""], [[""]]):
        with pytest.raises(StoreError, match="is no path"):
            validate(wrong, PLAIN)


def test_the_schema_may_lie_beside_the_data(tmp_path):
    path = schema_file(tmp_path)
    with pytest.raises(StoreError, match=r"no file in it that could be imported: \.parquet"):
        validate(tmp_path, path)
    json_list(rows())(tmp_path)
    assert validate(tmp_path, path).counts == {}
    assert validate(path, path).counts == {"json-top": 1}


@pytest.mark.parametrize("name", ["a.parquet.gz", "a.PARQUET", "a.json.zst", "a.pq", "a.tsv", "a.npz", "a.NPY"])
def test_a_folder_with_names_that_are_nearly_right(name, tmp_path):
    json_list(rows())(tmp_path)
    (tmp_path / name).write_bytes(b"x")
    report = validate(tmp_path, PLAIN)
    assert [(one.rule, one.file) for one in report.errors] == [("file-type", str(tmp_path / name))]


@pytest.mark.parametrize(
    "name", ["README.md", "a.parquet.crc", "_SUCCESS", ".a.parquet.gz", "a.py", "a.gz", "a.csv.bak"]
)
def test_a_folder_with_other_files(name, tmp_path):
    json_list(rows())(tmp_path)
    (tmp_path / name).write_bytes(b"x")
    assert validate(tmp_path, PLAIN).counts == {}


def test_the_command_prints_names_that_are_not_utf8(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.json"
    Path(os.fsdecode(path)).write_text("[]")
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    done = run_vecmill("validate", tmp_path, "-s", schema_file(tmp_path), "--json", env=strict)
    assert done.returncode == 0
    assert os.fsencode(json.loads(done.stdout)["findings"][0]["file"]) == path
    done = run_vecmill("validate", os.fsdecode(path) + "x", "-s", schema_file(tmp_path), "--json", env=strict)
    assert os.fsencode(json.loads(done.stdout)["error"]["path"]) == path + b"x"


def test_the_command_says_who_takes_the_files(tmp_path):
    words = ("validate", json_list(rows()[:1])(tmp_path), "-s", schema_file(tmp_path))
    assert run_vecmill(*words, "--target", "cloud").stdout.startswith("fine for Zilliz Cloud: 1 import file, 1 row,")
    done = run_vecmill(*words[:2])
    assert done.returncode == 2 and "--schema FILE" in done.stderr


def test_a_tab_between_cells(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id\tv\n1\t[1,2,3,4]\n")
    for sep in ("\t", "\\t", "tab"):
        assert run_vecmill("validate", path, "-s", schema_file(tmp_path), "--sep", sep).returncode == 0


def test_another_tools_manifest_is_passed_over(tmp_path):
    json_list(rows())(tmp_path)
    (tmp_path / "manifest.json").write_text('{"name": "crawl", "files": 3}')
    assert validate(tmp_path, PLAIN).counts == {}


def test_a_damaged_manifest_is_one_error(tmp_path):
    with LocalBulkWriter(PLAIN, tmp_path, file_type="json") as writer:
        writer.append_rows(rows())
    manifest = notes(writer.data_path) / "manifest.json"
    for broken in ("", '{"vecmill_manifest": 9}', "[]", '{"vecm', "{}"):
        manifest.write_text(broken)
        for given in (tmp_path, writer.data_path, manifest):
            with pytest.raises(StoreError, match=r"manifest\.json: cannot be read"):
                validate(given, PLAIN)


def test_an_output_of_many_files_is_fine(tmp_path, monkeypatch):
    monkeypatch.setitem(servers.SERVICES, "cloud", Limits(2, 10**9, 10**9, 1))
    with LocalBulkWriter(PLAIN, tmp_path / "out", file_type="json") as writer:
        for start in (0, 3, 6):
            writer.append_rows([row | {"id": start + row["id"]} for row in rows()])
            writer.commit()
    report = validate(writer.data_path, target="cloud")
    assert (report.files, report.findings) == (3, ())
    report = validate([path for (path,) in writer.batch_files], PLAIN, target="cloud")
    assert report.counts == {"request-split": 1}
