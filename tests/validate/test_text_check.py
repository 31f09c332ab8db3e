"""Places in JSON, JSON Lines and CSV where the server reads something else than other readers do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from faulty_files import D, schema, text_file
from vecmill import FieldSchema, validate
from vecmill.store import window

PLAIN = schema()
STRUCT = schema(
    D.ARRAY, element_type=D.STRUCT, max_capacity=4,
    struct_schema=[FieldSchema("n", D.INT32), FieldSchema("e", D.FLOAT_VECTOR, dim=3)],
)  # fmt: skip
# A schema, and what a good row has beside id and v.
USED = {
    "JSON": (schema(D.JSON), '"x": {}'),
    "META": (schema(dynamic=True), ""),
    "SPARSE": (schema(D.SPARSE_FLOAT_VECTOR), '"x": {}'),
    "HALF": (schema(D.FLOAT16_VECTOR, dim=4), '"x": [0, 0, 0, 0]'),
    "STRUCT": (STRUCT, '"x": []'),
}


def found(path: str, used: Any, **options: Any) -> list[tuple[str, str, str | None, int | None]]:
    return [(one.rule, str(one.severity), one.field, one.row) for one in validate(path, used, **options).findings]


def row(more: str = "", number: int = 0) -> str:
    return f'{{"id": {number}, "v": [0, 1, 2, 3]{", " if more else ""}{more}}}'


# What the second of three rows has beside id and v: the rules that it breaks.
ROWS: dict[str, tuple[str, str, list[str]]] = {
    "a key twice in an object": ("JSON", '"x": {"a": [{"b": 1, "b": 2}]}', ["value-key-twice silent x"]),
    "a key twice in text": ("JSON", r'"x": "{\"a\": 1, \"a\": 2}"', []),
    "a key twice in a struct": ("STRUCT", '"x": [{"n": 1, "n": 2, "e": [1, 2, 3]}]', ["value-key-twice silent x"]),
    "an index twice": ("SPARSE", '"x": {"5": 1, "5": 2}', ["value-key-twice silent x"]),
    "a key twice in $meta as text": ("META", r'"$meta": "{\"a\": 1, \"a\": 2}"', ["value-key-twice silent $meta"]),
    "a surrogate": ("JSON", r'"x": {"a": "\ud83d"}', ["value-text-utf8 silent x"]),
    "a surrogate in a key": ("JSON", r'"x": {"\uDE00": 1}', ["value-text-utf8 silent x"]),
    "a surrogate in text": ("JSON", r'"x": "\"\ud83d\""', ["value-text-utf8 silent x"]),
    "a pair": ("JSON", r'"x": {"\ud83d\ude00": "\uD83D\uDE00"}', []),
    "a dynamic surrogate": ("META", r'"q": ["\ude00"]', ["value-text-utf8 silent q"]),
    "$meta null": ("META", '"$meta": null', ["value-meta refused $meta"]),
    "$meta within $meta": ("META", '"$meta": {"$meta": 1}', ["value-meta refused $meta"]),
    "$meta within text": ("META", r'"$meta": "{\"$meta\": 1}"', ["value-meta refused $meta"]),
    "$meta as text, a key beside it": ("META", r'"k": 1, "$meta": "{\"k\": 1}"', ["value-meta refused $meta"]),
    "$meta as text, no key beside it": ("META", r'"k": 1, "$meta": "{\"l\": 9007199254740992}"', []),
    "$meta as text, an integer": ("META", r'"$meta": "{\"l\": 9007199254740993}"', ["value-meta-number silent $meta"]),
    "$meta, an integer": ("META", '"$meta": {"l": 9007199254740993}', []),
    "a number in text": ("JSON", '"x": "[1e400]"', ["value-json refused x"]),
    "a long number in text": ("JSON", f'"x": "{"9" * 400}"', ["value-json refused x"]),
    "a number like it": ("JSON", r'"x": "[1e300, \"1e400\", 1e-400]"', []),
    "a number in an object": ("JSON", '"x": {"a": [1e400]}', ["value-json-number silent x"]),
    "a long number in an object": ("JSON", f'"x": {{"a": -{"9" * 400}}}', ["value-json-number silent x"]),
    "a dynamic number": ("META", '"q": [1E+400]', ["value-json-number silent q"]),
    "a number of $meta": ("META", '"$meta": {"q": 1e999}', ["value-json-number silent $meta"]),
    "a number like one": ("META", '"q": ["1e400", 1e308, 1e-400]', []),
    "the largest float32": ("SPARSE", '"x": {"1": 3.4028234663852886e38}', []),
    "more": ("SPARSE", '"x": {"1": 3.4028235e38}', ["value-sparse refused x"]),
    "an index with an underscore": ("SPARSE", '"x": {"1_0": 1}', ["value-sparse-index silent x"]),
    "halves": ("HALF", '"x": [65519.998, -65519.998, 0, 0]', []),
    "infinite halves": ("HALF", '"x": [65519.999, 0, 0, 0]', ["value-range refused x"]),
    "a null in a vector": ("HALF", '"x": [1, null, 0, 0]', ["value-null-element refused x"]),
}


@pytest.mark.parametrize("case", ROWS)
@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
def test_rows_of_json(name, case, tmp_path):
    name_of_schema, more, want = ROWS[case]
    used, good = USED[name_of_schema]
    rows = [row(good), row(more, 1), row(good, 2)]
    path = text_file(name, f"[{', '.join(rows)}]" if name == "rows.json" else "\n".join(rows))(tmp_path)
    told = [f"{rule} {severity} {field}" for rule, severity, field, at in found(path, used, target="2.6") if at == 1]
    assert told == want
    assert len(validate(path, used, target="2.6").findings) == len(want)


@pytest.mark.parametrize(
    "more", ['"$meta": {"a": {"b": 1, "b": 2}}', '"$meta": {"b": 1, "b": 2}', '"q": {"b": 1, "b": 2}']
)
def test_a_dynamic_key_twice(more, tmp_path):
    told = found(text_file("rows.json", f"[{row(more)}]")(tmp_path), USED["META"][0])
    assert told == [("value-key-twice", "silent", more[1:].partition('"')[0], 0)]


def test_a_name_that_cannot_be_printed(tmp_path):
    path = text_file("rows.json", "[" + row(r'"\ud800é": 1') + "]")(tmp_path)
    (finding,) = validate(path, PLAIN, target="2.6").findings
    assert (finding.rule, finding.field) == ("column-unknown", "\\ud800é")
    json.dumps(validate(path, PLAIN).to_dict(), ensure_ascii=False).encode()


FILES = {
    ("rows.json", f'{{"R\\u006FWS": [{row()}]}}'): [],
    ("rows.json", f'{{"rows": [{row()}]}} {{"rows": [{row()}]}}'): ["json-rest silent"],
    ("rows.json", f'{{"rows": [{row()}]}} x'): ["json-rest silent"],
    ("rows.json", f"[{row()}]] [{row()}]"): ["json-rest silent"],
    ("rows.json", f"[{row()}] [{row()}]"): ["json-behind refused"],
    ("rows.json", f"[{row()}], {row()}"): ["json-behind refused"],
    ("rows.jsonl", f"{row()}}}\n{row()}"): ["json-rest silent"],
    ("rows.jsonl", f"]\n{row()}"): ["json-rest silent"],
    ("rows.jsonl", f"{row()},\n{row()}"): ["json-syntax refused"],
    ("rows.jsonl", f"[{row()}]"): ["json-row refused"],
    ("rows.jsonl", f"{row()}{row()} {row()}\r\n\n"): [],
}


@pytest.mark.parametrize("file", FILES)
def test_what_stands_around_rows(file, tmp_path):
    told = [f"{rule} {severity}" for rule, severity, _, _ in found(text_file(*file)(tmp_path), PLAIN, target="2.6")]
    assert told == FILES[file]


# -- CSV

V = '"[0, 1, 2, 3]"'
# Cells as they stand in the file, and the rule that they break.
CELLS: list[tuple[D, tuple[str, ...], str]] = [
    (D.DOUBLE, ("1_000", "5.", ".5", "+1_0.5e+0_1", "0x1p-2", "-0X_1.8P+1", "0" * 500 + "1.5"), ""),
    (D.DOUBLE, ("1__0", "_1", "1_", "1_.5", "0x1", "0b1", " 1", "1e", ".", "0x.p1", "१"), "value-type refused"),
    (D.DOUBLE, ("1e400", "0x1p1024", "-0x1p99999"), "value-range refused"),
    (D.DOUBLE, ("inf", "+Infinity", "NaN"), "value-nan refused"),
    (D.FLOAT, ("3.5e38", "0x1p128"), "value-range refused"),
    (D.INT64, ("+5", "-0", "007", str(-(2**63))), ""),
    (D.INT64, ("5.0", "1_0", "0x1", "--1", "1 ", "१"), "value-type refused"),
    (D.INT64, (str(2**63), "9" * 50, "9" * 5_000), "value-range refused"),
    (D.INT64, ("",), "value-null refused"),
    (D.BINARY_VECTOR, ('"[0, 255]"', '"""AP8="""'), ""),
    (D.BINARY_VECTOR, ('"""AP8AAA=="""',), "value-dim refused"),
    (D.BINARY_VECTOR, ('"""AP8"""',), "value-type refused"),
    (D.FLOAT_VECTOR, ('"[1, NaN, 3]"',), "value-nan-vector refused"),
    (D.FLOAT_VECTOR, ('"[1, null, 3]"',), "value-null-element refused"),
    (D.BFLOAT16_VECTOR, ('"[1, Infinity, 3]"',), "value-nan-half refused"),
    (D.STRUCT, ('"[{""n"": 1, ""e"": [1, NaN, 3]}]"', "null"), "value-type refused"),
    (D.STRUCT, ('"[{""n"": 1, ""n"": 1, ""e"": [1, 2, 3]}]"',), "value-key-twice silent"),
    (D.SPARSE_FLOAT_VECTOR, ('"{""5"": 1, ""5"": 2}"',), "value-key-twice silent"),
    (D.SPARSE_FLOAT_VECTOR, ('"{""5"": NaN}"', "null"), "value-sparse refused"),
    (D.JSON, ('"{""a"": 1, ""a"": 2}"', '"{\r\n}"'), ""),
    (D.JSON, ("[1e400]",), "value-json refused"),
    (D.VARCHAR, ('"a\r\nb"',), "csv-crlf silent"),
    (D.TIMESTAMPTZ, ("2026-01-31T12:00:00.१Z", "2026-01-31T12:00:00+०८:00"), "value-timestamptz refused"),
    (D.GEOMETRY, ("POINT (१ 2)", "POINT (1\u00a02)", "POINT (1 2)\u00a0"), "value-geometry refused"),
    (D.GEOMETRY, ('"POINT\r\n(1\t2)\r\n"',), ""),
]
PARAMS: dict[D, dict[str, Any]] = {
    D.BINARY_VECTOR: {"dim": 16}, D.FLOAT_VECTOR: {"dim": 3}, D.BFLOAT16_VECTOR: {"dim": 3},
    D.VARCHAR: {"max_length": 9},
}  # fmt: skip


@pytest.mark.parametrize(("kind", "cells", "want"), CELLS)
def test_cells(kind, cells, want, tmp_path):
    used = STRUCT if kind is D.STRUCT else schema(kind, **PARAMS.get(kind, {}))
    for cell in cells:
        path = text_file("rows.csv", f"id,v,x\n0,{V},{cell}\n".encode())(tmp_path)
        told = found(path, used, target="2.6")
        assert [f"{rule} {severity}" for rule, severity, _, _ in told] == [want] * bool(want), cell[:40]
        assert all((field, at) == ("x", 0) for _, _, field, at in told)


TEXT = schema(D.VARCHAR, max_length=9, nullable=True)


def test_rows_behind_a_wrong_quote(tmp_path):
    rows = [f'1"2,{V},a', f"2,{V},b", f'3,{V},c"d', f'4,{V},"e"f', f"5,{V},far too long", f'"6"x,{V},g', f'7,{V},"h']
    path = text_file("rows.csv", "\n".join(["id,v,x", *rows, f"8,{V},i", ""]))(tmp_path)
    assert found(path, TEXT) == [
        ("csv-quote-first", "silent", None, 0),
        ("csv-quote", "refused", None, 2),
        ("csv-quote", "refused", None, 3),
        ("value-text-length", "refused", "x", 4),
        ("csv-quote-first", "silent", None, 5),
        ("csv-quote", "refused", None, 6),
    ]
    report = validate(path, TEXT)
    assert [one.offset for one in report.findings] == [7, 64, 88, None, 123, 165]


def test_headers(tmp_path):
    def told(text: str, used: Any, target: str | None = None, **options: Any) -> list[Any]:
        return found(text_file("rows.csv", text)(tmp_path), used, target=target, **options)

    row = f"1,{V},2\n"
    assert told(f'"id"x,v\n{row}', PLAIN) == [("csv-quote", "refused", None, None)]
    assert told("\n\r\n\n", PLAIN)[-1] == ("file-empty", "refused", None, None)
    assert told(f"id,v,q\n{row}", PLAIN, "2.5") == [("column-unknown", "refused", "q", None)]
    assert told(f"id,v,q\n{row}", PLAIN, "2.6") == [("column-unknown", "advice", "q", None)]
    assert told(f"id,v,q\n{row}", USED["META"][0], "2.5") == [("column-dynamic", "advice", "q", None)]
    assert told(f"id,v,id\n{row}", PLAIN) == [("column-twice", "silent", "id", None)]
    key = ("value-meta", "refused", "$meta", 0)
    text = 'id,v,q,$meta\n1,{},2,"{{""{}"": 1}}"\n'
    assert told(text.format(V, "q"), USED["META"][0])[1:] == [key]
    assert told(text.format(V, "r"), USED["META"][0])[1:] == []
    assert told(text.format(V, "$meta"), USED["META"][0])[1:] == [key]
    assert told(f"id,v\n0,{V}\n", PLAIN, nullkey="0") == []


def test_blank_lines_in_one_column(tmp_path):
    used = schema(auto_id=True)
    for text, rules in (
        (f"v\n{V}\n\n{V}\n", ["csv-blank-row"]),
        (f"v\n{V}\n{V}\n\n", ["csv-blank-line"]),
        (f'v\n{V}\n""\n{V}\n', ["value-null"]),
    ):
        assert [rule for rule, *_ in found(text_file("rows.csv", text)(tmp_path), used)] == rules


BROKEN = [b'{"id": 1, "v": [1, 2', b'{"id": 1, "v": [1, 2, 3, 4]', b'{"id": "a', b"nonsense", b"{'id': 1}",
          b'{"id": 1} x', b'{"id": 1, "v": [1, 2, 3, 4]}}']  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_a_line_that_cannot_be_read_hides_no_other_fault(broken, tmp_path, monkeypatch):
    monkeypatch.setattr(window, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(window, "_MAX_MARK", 16)
    good = [json.dumps({"id": i, "v": [1, 2, 3, 4]}).encode() for i in range(2_000)]
    lines = [
        *good[:1_000],
        broken,
        *good,
        b'{"id": 1, "v": [1, 2]}',
        b"",
        b'{"id": tru',
        *good,
        b'{"id": 1.5, "v": [1, 2, 3, 4]}',
    ]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(lines))
    report = validate(path, schema(), target="2.6")
    told = [(one.rule, one.row) for one in report.findings if one.rule != "column-missing"]
    where = 1_001 if broken.endswith(b" x") else 1_000
    if broken.endswith(b"}}"):
        assert told == [("json-rest", None)]
        return
    assert told == [("json-syntax", where), ("value-dim", where + 2_001), ("json-syntax", where + 2_002),
                    ("value-type", where + 4_003)]  # fmt: skip
