"""The contract of a place, the same for a disk and every kind of bucket; and who looks at URLs and manifests."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from buckets import new_bucket, param
from paths import SRC
from servers.azure import running_azurite
from servers.gcs import running_gcs
from vecmill import RemoteBulkWriter
from vecmill.errors import SchemaError, StoreError
from vecmill.manifest import FileEntry, Manifest, Segment
from vecmill.store.blob import closing
from vecmill.store.notes import MANIFEST_NAME, as_folder, outputs_below, parse_manifest, read_manifest
from vecmill.store.opening import open_file, open_place
from vecmill.store.place import Place
from vecmill.store.url import SCHEMES, disk_path, in_bucket, is_url

KINDS = ("disk", "file", "memory", "seaweed", "juicefs", "azure", "gcs")
MANIFEST = Manifest("u", "PARQUET", {"fields": []}, [Segment(1, 2, (FileEntry("1.parquet", 2, 3, "crc64nvme:0"),))])


@pytest.fixture(scope="module")
def azure() -> Iterator[Any]:
    with running_azurite() as server:
        server.new_container("box")
        yield server


@pytest.fixture(scope="module")
def gcs() -> Iterator[Any]:
    with running_gcs() as running:
        running[1].new_bucket("box")
        yield running


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Place]:
    """Return what opens a folder of a new and empty place, again for each call."""
    kind, prefix = request.param, tmp_path.name
    given: Any
    if kind == "disk":
        given = tmp_path
    elif kind == "file":
        given = f"file://{tmp_path}"
    elif kind == "memory":
        from obstore.store import MemoryStore

        given = MemoryStore()
    elif kind in ("seaweed", "juicefs"):
        server = request.getfixturevalue(kind)
        given = param(server, new_bucket(server))
    elif kind == "azure":
        given = RemoteBulkWriter.AzureConnectParam("box", request.getfixturevalue("azure").conn_str)
    else:
        given = RemoteBulkWriter.GCSConnectParam("box", endpoint=request.getfixturevalue("gcs")[0])
    return lambda folder: open_place(given, f"{prefix}/{folder}")


class TestPlace:
    def test_what_is_not_there(self, make: Callable[[str], Place]) -> None:
        place = make("a")
        assert (place.folders(), place.files(), list(place.walk())) == ([], [], [])
        assert (place.blob("x"), place.instead("x"), place.read_text("x")) == (None, "none", None)
        assert (read_manifest(place), outputs_below(place)) == (None, [])
        place.delete(["x"])
        place.clear(["b"])

    def test_texts_are_put_read_listed_and_deleted(self, make: Callable[[str], Place]) -> None:
        place = make("a")
        for path in ("one.txt", "b/two.txt", "b/c/three.txt"):
            place.put_text(path, f"é {path}")
        place.put_text("lines.txt", "a\r\nb\rc\n")
        assert place.read_text("lines.txt") == "a\r\nb\rc\n"
        place.delete(["lines.txt"])
        place.put_text("one.txt", "again")
        assert (place.read_text("one.txt"), place.read_text("b/two.txt")) == ("again", "é b/two.txt")
        assert place.folders() == ["b"]
        assert [one.path for one in place.files()] == ["one.txt"]
        sizes = {one.path: one.size for one in place.walk()}
        assert sizes == {"one.txt": 5, "b/two.txt": 12, "b/c/three.txt": 16}
        assert {one.path for one in place.walk("b")} == {"b/two.txt", "b/c/three.txt"}
        assert make("a").child("b").read_text("c/three.txt") == "é b/c/three.txt"
        assert place.name("b/two.txt") == f"{place.where}/b/two.txt"
        assert place.address("b/two.txt").endswith("a/b/two.txt")
        place.delete(["one.txt", "nothing"])
        place.clear(["b"], keep={"b/two.txt"})
        assert [one.path for one in place.walk()] == ["b/two.txt"]
        assert [one.path for one in make("").walk("a")] == ["a/b/two.txt"]

    def test_folders_are_cleared_at_any_depth_and_files_are_none(self, make: Callable[[str], Place]) -> None:
        place = make("a")
        for path in ("b/c/one", "b/d/two", "b-more/three", "f"):
            place.put_text(path, path)
        place.clear(["b/c", "f", "nothing"])
        assert {one.path for one in place.walk()} == {"b/d/two", "b-more/three", "f"}
        place.clear(["b/"])
        assert {one.path for one in place.walk()} == {"b-more/three", "f"}

    def test_files_are_read_by_ranges(self, make: Callable[[str], Place]) -> None:
        place = make("a")
        place.put_text("x.bin", "0123456789")
        (found,) = place.files()
        for blob in (place.blob("x.bin"), place.blob_of(found)):
            assert blob is not None
            with closing(blob):
                assert (blob.size, blob.name) == (10, place.name("x.bin"))
                assert (blob.read(2, 5), blob.read(8, 99), blob.read(10, 12)) == (b"234", b"89", b"")

    def test_a_version_changes_with_the_file(self, make: Callable[[str], Place]) -> None:
        place = make("a")
        place.put_text("x", "one")
        before = place.files()[0]
        place.put_text("x", "other")
        after = place.files()[0]
        assert before.version != after.version and after.modified >= before.modified > 1.6e9

    def test_notes_lie_beside_the_folder(self, make: Callable[[str], Place]) -> None:
        place, above = make("a"), make("")
        place.notes.put_text("x.txt", "noted")
        assert list(place.walk()) == []
        assert above.child("_vecmill-a").read_text("x.txt") == "noted"
        assert place.notes.where == f"{above.where.rstrip('/')}/_vecmill-a"

    def test_a_manifest_is_put_on_condition_and_found(self, make: Callable[[str], Place]) -> None:
        place, text = make("a"), MANIFEST.to_json()
        place.put_manifest(text, known=None)
        place.put_manifest(text, known=None)  # the same is no contradiction
        with pytest.raises(StoreError, match="another export"):
            make("a").put_manifest(text + " ", known=None)
        place.put_manifest(text + "\n", known=text)
        assert read_manifest(make("a")) == MANIFEST
        assert [one.where for one in outputs_below(make(""))] == [place.where]
        assert list(place.walk()) == []

    def test_a_damaged_manifest_is_a_store_error_with_its_name(self, make: Callable[[str], Place]) -> None:
        place = make("a")
        options = MANIFEST.to_json().replace('"import_options": {}', '"import_options": {"sep": "ab"}')
        for text in ("{", "[]", '{"vecmill_manifest": 9}', "[" * 100_000, options):
            place.notes.put_text(MANIFEST_NAME, text)
            with pytest.raises(StoreError, match="cannot be read") as caught:
                read_manifest(place)
            assert caught.value.path == place.notes.name(MANIFEST_NAME)

    def test_what_a_writer_leaves(self, make: Callable[[str], Place]) -> None:
        place = make("w")
        sink = place.sink()
        sink.begin(Manifest("u", "PARQUET", {}).to_json())
        folder = sink.open_segment(1)
        file = folder.create_single(".parquet")
        file.append(b"abc")
        file.finish()
        assert folder.publish(1) == "1.parquet"
        sink.replace_manifest(MANIFEST.to_json())
        sink.end(is_empty=False)
        assert {one.path: one.size for one in make("w").walk()} == {"1.parquet": 3}
        assert make("w").sink().read_manifest() == MANIFEST.to_json()
        assert sink.manifest_name == place.notes.name(MANIFEST_NAME)


class TestOnDisk:
    def test_links_are_not_followed_to_remove(self, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "x").write_text("mine")
        (tmp_path / "out" / "b").mkdir(parents=True)
        for link in ("out/a", "out/b/c"):
            (tmp_path / link).symlink_to(tmp_path / "other")
        place = open_place(tmp_path / "out")
        with pytest.raises(StoreError, match="behind a link"):
            place.delete(["a/x"])
        place.clear(["a", "b"])
        assert (tmp_path / "other" / "x").read_text() == "mine"
        assert list((tmp_path / "out").iterdir()) == []

    def test_notes_of_a_link_lie_beside_the_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        open_place(tmp_path / "out").notes.put_text("x", "noted")
        (tmp_path / "out").mkdir()
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "latest").symlink_to(tmp_path / "out")
        monkeypatch.chdir(tmp_path / "out")
        for given in (tmp_path / "elsewhere" / "latest", ".", "../out", f"file://{tmp_path}/out"):
            assert open_place(given).notes.read_text("x") == "noted"

    def test_a_folder_goes_with_its_last_file_and_not_before(self, tmp_path: Path) -> None:
        place = open_place(tmp_path, "/a")
        (tmp_path / "a").mkdir()
        place.delete(["x", "b/x"])
        assert (tmp_path / "a").is_dir()
        place.put_text("b/c/x", "")
        place.delete(["b/c/x"])
        assert not (tmp_path / "a").exists()

    def test_what_a_killed_process_left_is_in_the_way_of_nothing(self, tmp_path: Path) -> None:
        (tmp_path / ".x.tmp").write_text("half of a te")
        place = open_place(tmp_path)
        place.put_text("x", "whole")
        assert (place.read_text("x"), [one.path for one in place.files()]) == ("whole", ["x"])

    def test_urls_of_files(self, tmp_path: Path) -> None:
        (tmp_path / "a #1?").mkdir()
        (tmp_path / "a #1?" / "x").write_text("here")
        for given in (
            f"file://{tmp_path}/a #1?",
            f"file://localhost{tmp_path}/a%20%231%3F",
            f"FILE://{tmp_path}/a #1%3f",
        ):
            assert open_place(given).read_text("x") == "here"
        for given in ("file://host/a", "file://rel", "file://"):
            with pytest.raises(SchemaError, match="expected file:///folder, an absolute path"):
                open_place(given)

    def test_what_is_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(b"\xff")
        with pytest.raises(StoreError, match="no UTF-8"):
            open_place(tmp_path).read_text("x")


@pytest.mark.parametrize("scheme", [*SCHEMES, "S3", "Gs"])
def test_every_scheme_of_the_table_opens(scheme: str) -> None:
    place = open_place(f"{scheme}://box/some/prefix", "more")
    assert place.address("1.npy") == "some/prefix/more/1.npy"
    folder, name = open_file(f"{scheme}://box/some/1.npy")
    assert (folder.address(name), name) == ("some/1.npy", "1.npy")
    assert in_bucket(f"{scheme}://box") and is_url(f"{scheme}://box") and disk_path(f"{scheme}://box") is None


@pytest.mark.parametrize("given", ["http://host/x", "hdfs://x/y", "s3://", "s3:///x", 7, None])
def test_what_is_no_place(given: object) -> None:
    with pytest.raises(SchemaError, match="expected"):
        open_place(given)


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ("out/_vecmill-a/manifest.json", "out/a"),
        ("out/_vecmill-a/", "out/a"),
        ("s3://b/p/_vecmill-a/manifest.json", "s3://b/p/a"),
        ("s3://b/_vecmill/manifest.json", "s3://b/"),
        ("out/a", "out/a"),
        ("out/manifest.json", "out/manifest.json"),
    ],
)
def test_an_output_by_its_manifest(given: str, folder: str) -> None:
    assert as_folder(given) == folder
    if not is_url(given):
        assert as_folder(Path(given)) in (folder, Path(folder))


@pytest.mark.parametrize(
    "path", ["../1.npy", "/etc/1.npy", "a//b", "", ".", "*.parquet", "1.parquet:x", "a/[1]", "a\\b"]
)
def test_a_path_that_leads_out_of_the_folder_or_is_a_pattern_is_refused(path: str) -> None:
    manifest = Manifest("u", "PARQUET", {"fields": []}, [Segment(1, 2, (FileEntry(path, 2, 3, "crc64nvme:0"),))])
    with pytest.raises(StoreError, match="is not the path of a file below the folder"):
        parse_manifest(manifest.to_json(), "where/manifest.json")


# -- one decision, one place

# Who else looks at a scheme, and why that is no decision about places.
_ALLOWED = {
    "store/url.py": "the one table and the one parser",
    "store/connect.py": "endpoints of object stores, which are http or https",
    "store/refusal.py": "finds the address in what the store client says",
    "importer/options.py": "URLs of servers, which are http or https",
}


def code_of(path: Path) -> Iterator[ast.Constant]:
    """Yield the texts in a module, but for docstrings."""
    tree = ast.parse(path.read_text())
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs)


def test_urls_are_looked_at_in_one_module() -> None:
    looks = re.compile(r"^[a-z0-9]*:/?/?$|^\(|\\w\+://|\.\*\]\*\)?://")  # a bare scheme or "://", or a pattern
    found = {
        path.relative_to(SRC / "vecmill").as_posix()
        for path in SRC.rglob("*.py")
        for node in code_of(path)
        if isinstance(node.value, str) and "://" in node.value and looks.search(node.value)
    }
    assert found == set(_ALLOWED)


def test_a_manifest_is_parsed_at_one_site() -> None:
    calls = [
        path.relative_to(SRC / "vecmill").as_posix()
        for path in SRC.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "from_json"
    ]
    assert calls == ["store/notes.py"]
