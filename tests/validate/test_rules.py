"""Every rule has a file that breaks it and nothing else, and one that just holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from faulty_files import (
    HEADER,
    VALUES,
    VECTORS,
    D,
    Make,
    csv_file,
    json_lines,
    json_list,
    npy,
    npy_bytes,
    parquet,
    rows,
    saved,
    schema,
    text_file,
    with_all,
)
from outputs import notes
from paths import DOCS
from vecmill import FieldSchema, LocalBulkWriter, create_schema, validate
from vecmill.validate.document import as_markdown
from vecmill.validate.parquet import check as parquet_checks
from vecmill.validate.rule import Severity
from vecmill.validate.rules import RULES

PLAIN = schema()
TEXT = schema(D.VARCHAR, max_length=5)
JSON = schema(D.JSON)
FLOAT = schema(D.FLOAT)
META = schema(dynamic=True)
INTS = schema(D.ARRAY, element_type=D.INT8, max_capacity=3)
FLOATS = schema(D.ARRAY, element_type=D.FLOAT, max_capacity=3)
MAYBE = schema(D.ARRAY, element_type=D.INT32, max_capacity=3, nullable=True)
HALF = schema(D.FLOAT16_VECTOR, dim=4)
BITS = schema(D.BINARY_VECTOR, dim=16)
SPARSE = schema(D.SPARSE_FLOAT_VECTOR)
GEOMETRY, TIME = schema(D.GEOMETRY), schema(D.TIMESTAMPTZ)

NAN = np.where(np.arange(12).reshape(3, 4) == 6, np.nan, 1).astype("f4")
HALVES = np.ones((3, 4), "f2")
BAD_HALVES = np.where(np.arange(12).reshape(3, 4) == 6, np.inf, 1).astype("f2")
INT32 = pa.list_(pa.int32())


@dataclass(frozen=True)
class Case:
    schema: Any
    bad: Make
    good: Make
    target: str | None = None
    level: Any = "full"


def wide_json(n_bytes: int) -> str:
    return json.dumps({"a": "x" * (n_bytes - 9)})


def sized(n_rows: int) -> Make:
    """An NPY set of so many rows, 24 bytes each, in files with holes."""

    def make(folder: Path) -> list[list[str]]:
        paths = []
        for name, descr, shape, n_bytes in (("id", "<i8", f"{n_rows},", 8), ("v", "<f4", f"{n_rows}, 4", 16)):
            path = folder / f"{name}.npy"
            head = npy_bytes(f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}", b"")
            path.write_bytes(head)
            with path.open("r+b") as file:
                file.truncate(len(head) + n_rows * n_bytes)
            paths.append(str(path))
        return [paths]

    return make


def many(n_files: int) -> Make:
    """Paths of so many files."""

    def make(folder: Path) -> list[str]:
        made = Path(parquet()(folder))
        paths = [folder / f"{i}.parquet" for i in range(n_files)]
        for path in paths:
            path.write_bytes(made.read_bytes())
        return [str(path) for path in paths]

    return make


def manifest(**changed: Any) -> Make:
    def make(folder: Path) -> str:
        with LocalBulkWriter(PLAIN, folder) as writer:
            writer.append_rows(rows())
        path = notes(Path(writer.data_path)) / "manifest.json"
        known = json.loads(path.read_text())
        known["segments"][0]["files"][0] |= changed
        path.write_text(json.dumps(known))
        return str(path)

    return make


def function_schema() -> Any:
    made = create_schema()
    made.add_field("id", D.INT64, is_primary=True)
    made.add_field("text", D.VARCHAR, max_length=5, enable_analyzer=True)
    made.add_field("s", D.SPARSE_FLOAT_VECTOR)
    made.add_field("v", D.FLOAT_VECTOR, dim=4)
    function = {"name": "bm", "type": 1, "input_field_names": ["text"], "output_field_names": ["s"], "params": {}}
    return made.add_function(function)


def spoiled(folder: Path) -> str:
    path = parquet(options={"compression": "zstd"})(folder)
    data = bytearray(Path(path).read_bytes())
    at = data.find(b"\x28\xb5\x2f\xfd")  # where a zstd frame begins
    data[at : at + 4] = b"\0\0\0\0"
    Path(path).write_bytes(data)
    return path


def changed_page(folder: Path) -> str:
    """Change a value in a page that tells its checksum."""
    options = {"write_page_checksum": True, "compression": "none", "use_dictionary": False}
    path = parquet(options=options)(folder)
    data = bytearray(Path(path).read_bytes())
    data[data.find(VALUES) + 5] ^= 1
    Path(path).write_bytes(data)
    return path


def struct_schema() -> Any:
    sub = FieldSchema("n", D.INT32)
    return schema(D.ARRAY, element_type=D.STRUCT, struct_schema=[sub], max_capacity=4)


def structs(kind: pa.DataType) -> pa.Array:
    return pa.array([[{"n": 1}, {"n": 2}], [], [{"n": 3}]], pa.list_(pa.struct([("n", kind)])))


STRUCT = struct_schema()


def utf8(*values: bytes) -> pa.Array:
    """Make a string column of any bytes."""
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())


def csv_text(*lines: str) -> Make:
    """Make a CSV file of id, v and x."""
    return text_file("rows.csv", "\n".join(["id,v,x", *lines, ""]))


V = '"[0, 1, 2, 3]"'
ROWS = [{**row, "x": 1.5} for row in rows()]

CASES: dict[str, Case] = {
    "file-missing": Case(PLAIN, lambda f: [npy()(f)[0], [str(f / "no.parquet")]], npy()),
    "file-type": Case(PLAIN, text_file("rows.Parquet", "PAR1"), json_list(rows())),
    "file-group": Case(PLAIN, lambda f: [[json_list(rows())(f), *npy()(f)[0]]], json_list(rows())),
    "file-twice": Case(PLAIN, lambda f: [npy()(f)[0], npy()(f)[0]], npy()),
    "request-files": Case(PLAIN, lambda f: [[]], lambda f: [[], [parquet()(f)]]),
    "request-split": Case(PLAIN, many(1_001), many(1_000), "cloud", "headers"),
    "file-empty": Case(PLAIN, text_file("rows.json", ""), json_list(rows())),
    "file-no-rows": Case(PLAIN, text_file("rows.json", "[]"), json_list(rows())),
    "file-size": Case(PLAIN, sized(2**30), sized((2**34 - 300) // 24), level="headers"),
    "schema-format": Case(FLOATS, npy(), json_list(with_all([1.5]))),
    "manifest-bytes": Case(None, manifest(bytes=7), manifest()),
    "manifest-checksum": Case(None, manifest(checksum="crc64nvme:0123456789abcdef"), manifest(checksum="sha1:0")),
    "manifest-rows": Case(None, manifest(rows=7), manifest()),
    "column-missing": Case(TEXT, npy(), npy(["a"] * 3)),
    "column-unknown": Case(PLAIN, npy(np.arange(3)), npy(), "2.4"),
    "column-dynamic": Case(
        META, parquet(color=pa.array(["red"] * 3)), parquet(**{"$meta": pa.array(['{"color": "red"}'] * 3)}), "2.6"
    ),
    "column-misnamed": Case(
        schema(D.INT64, nullable=True), parquet(X=pa.array([1, 2, 3])), parquet(pa.array([1, 2, 3])), "2.6"
    ),
    "column-twice": Case(
        PLAIN, text_file("rows.jsonl", '{"id": 1, "v": [0, 1, 2, 3], "id": 2}'), json_lines(rows())
    ),
    "column-auto-id": Case(schema(auto_id=True), npy(), npy(id=None)),
    "column-function-output": Case(
        function_schema(),
        parquet(text=pa.array(["a"] * 3), s=pa.array(["{}"] * 3)),
        parquet(text=pa.array(["a"] * 3)),
    ),
    "value-type": Case(schema(D.INT8), json_list(with_all(1, 1.0)), json_list(with_all(1, -128))),
    "value-range": Case(schema(D.INT8), json_list(with_all(1, 128)), json_list(with_all(1, 127))),
    "value-array-range": Case(INTS, json_list(with_all([1], [128])), json_list(with_all([1], [127, -128]))),
    "value-dim": Case(PLAIN, json_list(rows(v=[1, 2, 3])), json_list(rows(v=[1, 2, 3, 4]))),
    "value-bytes-dim": Case(
        BITS, parquet(pa.array([b"ab", b"abc", b"ab"])), parquet(pa.array([b"ab", b"\0\0", b"ab"]))
    ),
    "value-null": Case(
        TEXT, parquet(pa.array(["a", None, "b"])), parquet(pa.array(["a", "", "b"])), "2.5"
    ),
    "value-null-element": Case(
        FLOATS, parquet(pa.array([[1.5], [None, 2], []], pa.list_(pa.float32()))),
        parquet(pa.array([[1.5], [1, 2], []], pa.list_(pa.float32()))),
    ),
    "value-empty-list": Case(
        MAYBE, parquet(pa.array([[1], [], [2]], INT32)), parquet(pa.array([[1], None, [2]], INT32))
    ),
    "value-nan": Case(FLOAT, npy(np.array([1, np.inf, 2], "f4")), npy(np.array([1, -3.4e38, 1e-45], "f4"))),
    "value-nan-vector": Case(PLAIN, npy(v=NAN), npy(v=np.full((3, 4), -3.4028235e38, "f4"))),
    "value-nan-half": Case(HALF, npy(BAD_HALVES.view("u1")), npy(HALVES.view("u1"))),
    "value-vector-overflow": Case(PLAIN, npy(v=np.full((3, 4), 1e39)), npy(v=np.full((3, 4), 3.40282356e38))),
    "value-text-length": Case(TEXT, npy(["éé", "ééé", ""]), npy(["éé", "ééx", ""])),
    "value-text-utf8": Case(TEXT, parquet(utf8(b"a", b"\xff", b"")), parquet(utf8(b"a", b"\xc3\xa9", b"")), "2.5"),
    "value-capacity": Case(FLOATS, json_list(with_all([1], [1, 2, 3, 4])), json_list(with_all([1], [1, 2, 3]))),
    "value-json": Case(JSON, npy(["{}", "{a}", "1"]), npy(["{}", ' [1e5, "\\ud83d\\udca9"] ', "1"])),
    "value-json-size": Case(JSON, npy(["{}", wide_json(65_537), "1"]), npy(["{}", wide_json(65_536), "1"])),
    "value-meta": Case(META, npy(**{"$meta": ["{}", "[]", "{}"]}), npy(**{"$meta": ["{}", ' {"a": 1}', "{}"]})),
    "value-meta-field": Case(
        META, npy(**{"$meta": ["{}", '{"a": {"v": 1}, "id" : 5}', "{}"]}),
        npy(**{"$meta": ["{}", '{"a": {"v": 1}}', "{}"]}),
    ),
    "value-geometry": Case(
        GEOMETRY, json_list(with_all("POINT (1 2)", "POINT (1)")), json_list(with_all("point z(1 2 3)"))
    ),
    "value-timestamptz": Case(
        TIME, json_list(with_all("2026-01-31T12:00:00Z", "2026-01-31 12:00:00Z")),
        json_list(with_all("2026-01-31T12:00:00Z", "2026-01-31 12:00:00")),
    ),
    "value-timestamptz-finer": Case(
        TIME, json_list(with_all("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.1234567Z")),
        json_list(with_all("2026-01-31T12:00:00Z", "2026-01-31 12:00:00.123456000")),
    ),
    "value-sparse": Case(
        SPARSE, json_list(with_all({"1": 0.5}, {"4294967295": 1})), json_list(with_all({"1": 0.5}, {"4294967294": 0}))
    ),
    "value-sparse-index": Case(
        SPARSE, json_list(with_all({"1": 0.5}, {"indices": [-2], "values": [1]})),
        json_list(with_all({"1": 0.5}, {"indices": [7, 2], "values": [1, 2]})),
    ),
    "value-json-number": Case(
        JSON, text_file("rows.jsonl", '{"id": 1, "v": [0, 1, 2, 3], "x": {"a": [1e309]}}'),
        json_list(with_all({"a": [1e308]})),
    ),
    "value-key-twice": Case(
        JSON, text_file("rows.jsonl", '{"id": 1, "v": [0, 1, 2, 3], "x": {"a": {"b": 1, "b": 2}}}'),
        json_list(with_all({"a": {"b": 1}, "c": {"b": 2}})),
    ),
    "value-meta-number": Case(
        META, json_list(rows(**{"$meta": '{"a": 9007199254740993}'})), json_list(rows(**{"$meta": {"a": 2**53 + 1}}))
    ),
    "npy-magic": Case(PLAIN, npy(v=b"PAR1" + bytes(200)), npy()),
    "npy-version": Case(
        PLAIN, npy(v=npy_bytes(HEADER, VALUES, version=3)), npy(v=npy_bytes(HEADER, VALUES, version=2))
    ),
    "npy-header-size": Case(
        PLAIN, npy(v=npy_bytes(HEADER + " " * 65_536, VALUES, version=2)),
        npy(v=npy_bytes(HEADER + " " * (65_535 - len(HEADER)), VALUES, version=2)),
    ),
    "npy-header-newline": Case(
        PLAIN, npy(v=npy_bytes(HEADER + "     ", VALUES, newline=False)), npy(v=npy_bytes(HEADER, VALUES))
    ),
    "npy-header-form": Case(
        PLAIN, npy(v=npy_bytes("{'fortran_order': False, 'descr': '<f4', 'shape': (3, 4), }", VALUES)),
        npy(v=npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (3,4), }", VALUES)),
    ),
    "npy-header-misread": Case(
        PLAIN, npy(v=npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 44)}", VALUES)),
        npy(v=npy_bytes(HEADER, VALUES)),
    ),
    "npy-fortran": Case(PLAIN, npy(v=np.asfortranarray(VECTORS)), npy(v=np.ascontiguousarray(VECTORS))),
    "npy-descr": Case(PLAIN, npy(v=VECTORS.astype("f2")), npy(v=VECTORS.astype(">f4"))),
    "npy-dtype": Case(PLAIN, npy(id=np.arange(3, dtype="i4")), npy(id=np.arange(3, dtype=">i8"))),
    "npy-shape": Case(PLAIN, npy(id=np.arange(3)[:, None]), npy()),
    "npy-truncated": Case(PLAIN, npy(v=saved(VECTORS)[:-1]), npy(v=saved(VECTORS))),
    "npy-text-truncated": Case(
        schema(D.VARCHAR, max_length=5), npy(saved(np.array(["ab", "cd", "ef"]))[:-1]), npy(["ab", "cd", "ef"])
    ),
    "npy-trailing": Case(PLAIN, npy(v=saved(VECTORS) + b"\0"), npy(v=saved(VECTORS))),
    "npy-rows": Case(PLAIN, npy(v=np.ones((4, 4), "f4")), npy()),
    "npy-text-width": Case(
        TEXT, npy(npy_bytes("{'descr': '<U0', 'fortran_order': False, 'shape': (3,), }", b"")), npy([""] * 3)
    ),
    "npy-text-nul": Case(TEXT, npy(["a", "a\0b", "b"]), npy(["a\0", "b\0\0", "c"])),
    "npy-text-code": Case(TEXT, npy(["a", "\ud800", "b"]), npy(["a", "\ud7ff", "b"])),
    "npy-bytes-length": Case(TEXT, npy(np.array([b"a", b"abcdef", b"c"])), npy(np.array([b"a", b"abcde", b"c"]))),
    "npy-bytes-empty": Case(TEXT, npy(np.array([b"a", b"", b"c"])), npy(np.array([b"a", b"b", b"c"]))),
    "parquet-footer": Case(PLAIN, text_file("a.parquet", b"PAR1" + b"\xff" * 100 + b"PAR1"), parquet()),
    "parquet-pages": Case(PLAIN, spoiled, parquet()),
    "parquet-checksum": Case(
        PLAIN, changed_page, parquet(options={"write_page_checksum": True, "compression": "none"})
    ),
    "parquet-codec": Case(
        PLAIN, parquet(options={"compression": "lz4"}), parquet(options={"compression": "brotli"})
    ),
    "parquet-encoding": Case(
        schema(D.BOOL), parquet(pa.array([True] * 3), options={"data_page_version": "2.0"}),
        parquet(pa.array([True] * 3), options={"data_page_version": "1.0"}), "2.3",
    ),
    "parquet-type": Case(
        PLAIN, parquet(id=pa.array([0, 1, 2], pa.uint64())), parquet(id=pa.array([0, 1, 2], pa.int32())), "2.4"
    ),
    "parquet-arrow-schema": Case(
        TEXT, parquet(pa.array(["a"] * 3, pa.large_string()), options={"store_schema": True}),
        parquet(pa.array(["a"] * 3, pa.large_string()), options={"store_schema": False}),
    ),
    "parquet-narrow": Case(
        STRUCT, parquet(structs(pa.int16())), parquet(structs(pa.int32())), "2.6"
    ),
    "parquet-row-group": Case(
        schema(D.VARCHAR, max_length=5_000), parquet(pa.array(["x" * 4_000] * 3)), parquet(pa.array(["x"] * 3))
    ),
    "json-syntax": Case(PLAIN, text_file("rows.json", json.dumps(rows())[:-1]), json_list(rows())),
    "json-top": Case(
        PLAIN, text_file("rows.json", json.dumps({"data": rows()})),
        text_file("rows.json", json.dumps({"Rows": rows()})),
    ),
    "json-rest": Case(
        PLAIN, text_file("rows.json", json.dumps({"rows": rows()}) + json.dumps({"rows": rows()})),
        text_file("rows.json", json.dumps({"rows": rows()}) + "\n"),
    ),
    "json-behind": Case(
        PLAIN, text_file("rows.json", json.dumps({"rows": rows(), "more": 1})), json_list(rows()),
    ),
    "json-row": Case(PLAIN, json_lines([*rows(), 7]), json_lines(rows())),
    "csv-bom": Case(schema(), lambda f: with_bom(f, b"\xef\xbb\xbf"), lambda f: with_bom(f, b"")),
    "csv-quote": Case(FLOAT, csv_text(f"1,{V},1.5", f'1,{V},1"5'), csv_text(f"1,{V},1.5", f'1,{V},"15"')),
    "csv-quote-first": Case(FLOAT, csv_text(f"1,{V},1.5", f'"1"2,{V},15'), csv_text(f'"1",{V},1.5')),
    "csv-cells": Case(FLOAT, csv_text(f"1,{V},1.5", f"1,{V}"), csv_text(f"1,{V},1.5")),
    "csv-blank-line": Case(FLOAT, csv_text(f"1,{V},1.5", "", f"2,{V},1.5"), csv_text(f"1,{V},1.5", f"2,{V},1.5")),
    "csv-blank-row": Case(
        schema(auto_id=True), text_file("rows.csv", f"v\n{V}\n\n{V}\n"), text_file("rows.csv", f"v\n{V}\n{V}\n{V}\n")
    ),
    "csv-crlf": Case(TEXT, csv_text(f'1,{V},"a\r\nb"'), csv_text(f'1,{V},"a\nb"\r')),
}  # fmt: skip


def with_bom(folder: Path, mark: bytes) -> str:
    path = csv_file(rows())(folder)
    Path(path).write_bytes(mark + Path(path).read_bytes())
    return path


@pytest.fixture(autouse=True)
def small_row_groups(monkeypatch):
    """A gigabyte of values would take its time to write."""
    monkeypatch.setattr(parquet_checks, "MAX_GROUP_BYTES", 1_000)


def test_every_rule_has_a_case():
    assert CASES.keys() == RULES.keys()


@pytest.mark.parametrize("rule", CASES)
def test_a_file_that_breaks_just_this_rule(rule, tmp_path):
    case = CASES[rule]
    report = validate(case.bad(tmp_path), case.schema, target=case.target, level=case.level)
    assert set(report.counts) == {rule}, [str(one) for one in report.findings]
    for one in report.findings:
        assert one.expected and one.got and one.way_out and one.file
    assert report.ok == all(one.severity is Severity.ADVICE for one in report.findings)


@pytest.mark.parametrize("rule", CASES)
def test_a_file_that_just_holds(rule, tmp_path):
    case = CASES[rule]
    report = validate(case.good(tmp_path), case.schema, target=case.target, level=case.level)
    assert [str(one) for one in report.findings] == []
    assert report.rows == 3 or rule in (
        "request-split",
        "file-size",
        "csv-cells",
        "csv-quote",
        "csv-quote-first",
        "csv-blank-line",
        "csv-blank-row",
        "csv-crlf",
    )


def test_the_document_is_printed_from_the_table():
    assert (DOCS / "rules.md").read_text() == as_markdown()
