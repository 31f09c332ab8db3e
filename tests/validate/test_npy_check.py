"""`validate` of NPY sets: what is easily missed, or told of the wrong place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from faulty_files import IDS, VECTORS, D, npy, parquet, rows, saved, schema
from vecmill import LocalBulkWriter, validate
from vecmill.store.blob import LocalBlob

TEXT = schema(D.VARCHAR, max_length=5)


def found(files: Any, of: Any, **options: Any) -> list[tuple[str, str | None, int | None]]:
    return [(one.rule, one.field, one.row) for one in validate(files, of, **options).findings]


@pytest.mark.parametrize(
    ("values", "rules"),
    [
        ([b"a\0b", b"b", b"c"], ["npy-text-nul"]),
        ([b"a\0\0", b"bcd", b"c"], []),
        ([b"\0b\0", b"bcd", b"c"], ["npy-text-nul"]),
        ([b"", b"bcd", b"c"], ["npy-bytes-empty"]),
        ([b"a\0cdefgh", b"b", b"c"], ["npy-text-nul"]),
    ],
)
def test_text_of_type_s_is_cut_at_a_nul(values, rules, tmp_path):
    assert found(npy(np.array(values))(tmp_path), TEXT) == [(rule, "x", 0) for rule in rules]


def test_a_surrogate_in_json_is_one_finding(tmp_path):
    assert found(npy(np.array(['"\ud800"', "{}", "1"]))(tmp_path), schema(D.JSON)) == [("npy-text-code", "x", 0)]


@pytest.mark.parametrize("text", ['{"a": 1e400}', "[-1E999]", "1" * 400])
def test_json_numbers_are_float64(text, tmp_path):
    assert found(npy(["{}", text, "1e308"])(tmp_path), schema(D.JSON)) == [("value-json", "x", 1)]


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [(D.FLOAT16_VECTOR, 65519.0, True), (D.FLOAT16_VECTOR, 65520.0, False), (D.BFLOAT16_VECTOR, 3.4e38, False)],
)
@pytest.mark.parametrize("descr", ["<f4", ">f8"])
def test_floats_for_halves_fit(kind, value, fits, descr, tmp_path):
    array = np.ones((3, 4), descr)
    array[1, 2] = -value
    wanted = [] if fits else [("value-vector-overflow", "x", 1)]
    assert found(npy(array)(tmp_path), schema(kind, dim=4), target="3.0") == wanted


@pytest.mark.parametrize("size", [135, 129])
def test_a_file_that_shrinks_while_it_is_read(size, tmp_path, monkeypatch):
    files = npy()(tmp_path)
    read_into = LocalBlob.read_into

    def shrunk(blob: LocalBlob, start: int, out: memoryview) -> int:
        return read_into(blob, start, out[: max(0, size - start)] if blob.path.name == "v.npy" and start else out)

    monkeypatch.setattr(LocalBlob, "read_into", shrunk)
    (one,) = validate(files, schema()).findings
    assert (one.rule, one.field, one.offset) == ("npy-truncated", "v", size)
    assert len(saved(VECTORS)) > size


@pytest.mark.parametrize(
    ("text", "is_wrong"),
    [
        ('{"id": 1}', True),
        ('{"a": 1, "v"\n:2}', True),
        ('{"\\u0069d": 1}', True),
        ('{"a": {"id": 1}, "b": "id", "ID": 2}', False),
        ('{"a": "\\u0069d"}', False),
        ('{"idx": 1, "xid": 2}', False),
    ],
)
def test_a_key_of_meta_that_is_a_field(text, is_wrong, tmp_path):
    wanted = [("value-meta-field", "$meta", 2)] if is_wrong else []
    made = schema(dynamic=True)
    for files in (
        npy(**{"$meta": np.array(["{}", '{"k": "é"}', text])})(tmp_path),
        npy(**{"$meta": np.array([b"{}", b"{}", text.encode()])})(tmp_path),
        parquet(**{"$meta": pa.array(["{}", "{}", text])})(tmp_path),
    ):
        assert found(files, made, target="2.6") == wanted


@pytest.mark.parametrize(
    ("columns", "rules"),
    [
        ({"id": IDS[:2].astype("i4")}, {("npy-dtype", "id"), ("npy-rows", "id")}),
        ({"v": np.ones((2, 5), "f2")}, {("npy-descr", "v"), ("value-dim", "v"), ("npy-rows", "v")}),
        ({"v": np.asfortranarray(np.ones((2, 5)))}, {("value-dim", "v"), ("npy-fortran", "v"), ("npy-rows", "v")}),
        ({"v": np.ones(12, "i4")}, {("npy-dtype", "v"), ("npy-shape", "v"), ("npy-rows", "v")}),
        (
            {"id": np.arange(3.0)[:, None], "v": VECTORS[:, :3]},
            {("npy-dtype", "id"), ("npy-shape", "id"), ("value-dim", "v")},
        ),
    ],
)
@pytest.mark.parametrize("level", ["headers", "full"])
def test_all_that_a_header_tells_is_told(columns, rules, level, tmp_path):
    told = found(npy(["a", "b", "c"], **columns)(tmp_path), TEXT, level=level)
    assert {(rule, field) for rule, field, _ in told} == rules and len(told) == len(rules)


def test_the_file_is_named_that_has_not_the_rows_of_the_manifest(tmp_path):
    with LocalBulkWriter(schema(), tmp_path, file_type="npy") as writer:
        writer.append_rows(rows())
    np.save(Path(writer.data_path, "1", "v.npy"), VECTORS[:2])
    told = {(one.rule, Path(one.file).name) for one in validate(writer.data_path).findings}
    assert told == {("manifest-bytes", "v.npy"), ("manifest-rows", "v.npy"), ("npy-rows", "v.npy")}


def test_a_wrong_ending_hides_no_other_fault(tmp_path):
    made = schema(D.VARCHAR, max_length=5)
    ((one, x, v),) = npy(["a", "toolong", "b"])(tmp_path)
    Path(v).rename(tmp_path / "v.NPY")
    report = validate([[str(tmp_path / "v.NPY"), one, x]], made)
    assert [(found.rule, found.row) for found in report.findings] == [("file-type", None), ("value-text-length", 1)]
