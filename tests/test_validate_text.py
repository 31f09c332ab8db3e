"""Places in JSON, JSON Lines and CSV where the server reads something else than other readers do."""

from __future__ import annotations

from typing import Any

import pytest

from validating import D, schema, text_file
from vecmill import FieldSchema, validate

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
    "a number in an object": ("JSON", '"x": {"a": 1e400}', []),
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


FILES = {
    ("rows.json", f'{{"R\\u006FWS": [{row()}]}}'): [],
    ("rows.json", f'{{"rows": [{row()}]}} {{"rows": [{row()}]}}'): ["json-rest silent"],
    ("rows.json", f'{{"rows": [{row()}]}} x'): ["json-rest silent"],
    ("rows.json", f"[{row()}]] [{row()}]"): ["json-rest silent"],
    ("rows.json", f"[{row()}] [{row()}]"): ["json-syntax refused"],
    ("rows.json", f"[{row()}], {row()}"): ["json-syntax refused"],
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
