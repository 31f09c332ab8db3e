"""native/row_check.pyx: what it passes over, the checks in Python find fine; and it passes what writers write."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faulty_files import D
from oracles.row_check import is_plain_json
from validate_fuzz import PIECES
from vecmill import CollectionSchema, FieldSchema, LocalBulkWriter, create_schema, validate
from vecmill._native import row_check as kernel
from vecmill._native.sparse import check_sparse
from vecmill.validate.text import csv as csv_file
from vecmill.validate.text import json as json_file
from vecmill.validate.text.columns import form_problem

INTEGERS = ["0", "-0", "7", "-128", "127", "128", "-129", "32767", "-32769", "2147483648", "9223372036854775807",
            "-9223372036854775808", "9223372036854775808", "-9223372036854775809", "99999999999999999999", "01", "1.0",
            "1e2", "+1", "--1", "-", "1 2", " 1", "0x1", "1_0"]  # fmt: skip
FLOATS = ["0", "-0.0", "1.5", "1e38", "9e37", "3.4028235e38", "3.5e38", "-1E+39", "1e-400", "1e400", "65519", "65520",
          "9999.9", "0.00001e45", "00.5", ".5", "5.", "1e", "1e+", "1.e5", "NaN", "Infinity", "-inf", "0." + "3" * 500,
          "1" * 39, "1" * 310, "1e00005", "1e0038"]  # fmt: skip
STRINGS = ['""', '"a"', '"é"', '"ééé"', '"🗼"', '"abcde"', '"abcdef"', '"\\u00e9\\n"', '"\\ud83d\\udca9"', '"\\ud800"',
           '"\\uDFFF"', '"a\tb"', '"\\x"', '"\\"', '"', "'a'", '"a\x7f\u2028"', '"\\\\ud800"', '"POINT (1 2)"',
           '"POINT (1"', '"2026-01-31T12:00:00Z"', '"yesterday"', '"a""b"', '"a\r\nb"']  # fmt: skip
LISTS = ["[]", "[ ]", "[1]", "[1,2]", "[1, 2, 3, 4]", "[1,2,3,4]", "[1 ,2\n,3,\t4 ]", "[1,2,3,4,5]", "[1.5,2,3,-4e3]",
         "[255,0]", "[256,0]", "[-1,0]", "[1,,2]", "[1,2", "[1,2]]", "[null,1]", '["a","b"]', '["abcdef"]',
         "[true,false]", "[[1]]", "[128]", "[70000]", "[1e39,1,1,1]", "[NaN,1,1,1]", "[0.5,0.5,0.5,65520]",
         "[1,2,3,4],"]  # fmt: skip
OBJECTS = ["{}", '{"a": 1}', '{"id": 1}', '{"$meta": 1}', '{"a": {"id": 2}, "b": [1, null, "é"]}', '{"1": 0.5}',
           '{"1": 0.5, "2": 1}', '{"2": 0.5, "1": 1}', '{"1": 0.5, "1": 1}', '{"01": 1}', '{"4294967294": 1e30}',
           '{"4294967295": 1}', '{"1": -1}', '{"1": -0.0}', '{"1": 1e39}', '{"indices": [1, 5], "values": [1, 2]}',
           '{"indices": [5], "values": [1, 2]}', "{a}", "{", '{"a":1,}', '{"a\\u0062": 1}', '[{"n": 1}]',
           '[{"n": 1e9}]', "[{}]", '{"a": "' + "x" * 14_000 + '"}', "[" * 70 + "]" * 70, '"{\\"a\\": 1}"', '"[1]"',
           '"{\\"a\\": \\"' + "x" * 70_000 + '\\"}"', '{"a": "\\ud800"}', '{"a": 1e15}']  # fmt: skip
OTHERS = ["null", "true", "false", "True", "t", "1", "", "NULL", "nul", "nullx", "truex"]
TOKENS = [*INTEGERS, *FLOATS, *STRINGS, *LISTS, *OBJECTS, *OTHERS]

ARRAYS = (D.BOOL, D.INT8, D.INT64, D.FLOAT, D.VARCHAR)


def make_schema() -> CollectionSchema:
    made = create_schema(enable_dynamic_field=True)
    made.add_field("id", D.INT64, is_primary=True)
    for kind in (D.BOOL, D.INT8, D.INT16, D.INT32, D.FLOAT, D.DOUBLE, D.JSON, D.GEOMETRY, D.TIMESTAMPTZ):
        made.add_field(kind.name, kind)
    made.add_field("text", D.VARCHAR, max_length=5)
    made.add_field("maybe", D.VARCHAR, max_length=5, nullable=True)
    made.add_field("number", D.INT8, default_value=3)
    for kind in ARRAYS:
        params = {"max_length": 5} if kind is D.VARCHAR else {}
        made.add_field(f"array_{kind.name}", D.ARRAY, element_type=kind, max_capacity=3, **params)
    made.add_field("array_maybe", D.ARRAY, element_type=D.INT32, max_capacity=3, nullable=True)
    made.add_field("structs", D.ARRAY, element_type=D.STRUCT, struct_schema=[FieldSchema("n", D.INT8)], max_capacity=4)
    for kind in (D.FLOAT_VECTOR, D.FLOAT16_VECTOR, D.BFLOAT16_VECTOR, D.INT8_VECTOR):
        made.add_field(kind.name, kind, dim=4)
    made.add_field("bits", D.BINARY_VECTOR, dim=16)
    made.add_field("sparse", D.SPARSE_FLOAT_VECTOR)
    return made


SCHEMA = make_schema()
# One field, the key and a vector: rows are passed often enough.
FIELDS = {field.name: field for field in SCHEMA.fields if not field.is_primary and not field.is_dynamic}


def small_schema(name: str, *, dynamic: bool, auto_id: bool = False) -> CollectionSchema:
    fields = [FieldSchema("id", D.INT64, is_primary=True, auto_id=auto_id), FieldSchema("v", D.FLOAT_VECTOR, dim=2)]
    return CollectionSchema([*fields, FIELDS[name]], enable_dynamic_field=dynamic)


def told(path: Path, schema: CollectionSchema, **options: Any) -> tuple[Any, ...]:
    report = validate(path, schema, max_findings=1_000, **options)
    return report.findings, report.counts, report.rows


def same_without(path: Path, schema: CollectionSchema, **options: Any) -> None:
    """Validate with the kernel and with Python alone."""
    found = told(path, schema, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_file.RowCheck, "pass_over", lambda *_, **__: 0)
        patch.setattr(csv_file._Check, "pass_over", lambda *_: 0)
        assert found == told(path, schema, **options)


names = st.sampled_from(sorted(FIELDS))
tokens = st.sampled_from(TOKENS)
blanks = st.sampled_from(["", "", "", " ", "\n\t", "\r"])
extras = st.sampled_from(['"k": 1', '"id": 2', '"k": [1, {}]', '"k2": "\\ud800"', '"$meta": {"k": 1}', '"$meta": null',
                          '"$meta": {"id": 1}', '"$meta": "{}"', '"$meta": {"\\u006b": 1}', '"k": 01', '"": 0',
                          '"$meta": {"k": {"$meta": 1}}', '"i\\u0064": 1', '"\xff": 1'])  # fmt: skip


@st.composite
def json_row(draw: st.DrawFn, name: str) -> str:
    parts = [f'"id"{draw(blanks)}:{draw(blanks)}{draw(st.integers(0, 9))}', f'"{name}": {draw(blanks)}{draw(tokens)}']
    parts += ['"v": [1, 2.5]']
    parts += draw(st.lists(extras, max_size=2) if draw(st.booleans()) else st.just([]))
    parts = draw(st.permutations(parts))[draw(st.sampled_from([0, 0, 0, 0, 1])) :]
    return "{" + f"{draw(blanks)},{draw(blanks)}".join(parts) + draw(blanks) + "}"


@st.composite
def json_texts(draw: st.DrawFn) -> tuple[str, bytes, str]:
    name, lines = draw(names), draw(st.booleans())
    rows = draw(st.lists(json_row(name), min_size=1, max_size=5))
    text = (draw(st.sampled_from(["\n", "", " \n\n"])) if lines else f"{draw(blanks)},{draw(blanks)}").join(rows)
    if not lines:
        text = draw(st.sampled_from(["[{}]", " [ {} ] ", '{{"rows": [{}]}}'])).format(text)
    data = bytearray(text.encode("utf-8" if draw(st.booleans()) else "latin-1", errors="replace"))
    if draw(st.booleans()) and draw(st.booleans()):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return name, bytes(data), "rows.jsonl" if lines else "rows.json"


@given(json_texts(), st.booleans(), st.booleans())
def test_json_as_python_alone(tmp_path_factory, made, dynamic, auto_id):
    name, data, file = made
    path = tmp_path_factory.mktemp("json") / file
    path.write_bytes(data)
    schema = small_schema(name, dynamic=dynamic, auto_id=auto_id)
    same_without(path, schema)
    same_without(path, schema, level="sample", sample_rows=2)


KNOWN = {"id": "7", "v": "[1, 2.5]"}


def csv_cell(text: str, quoted: bool) -> str:
    return '"' + text.replace('"', '""') + '"' if quoted else text


@st.composite
def csv_texts(draw: st.DrawFn) -> tuple[str, bytes, str, str]:
    name = draw(names)
    sep = draw(st.sampled_from([",", ",", ";", "\t", "|", " ", "1", ".", "-", "E", "x", "é"]))
    null = draw(st.sampled_from(["", "", "NULL", "1", "\\N", 'a"b', "{}"]))
    header = draw(st.permutations(["id", "v", name, *draw(st.lists(st.just("more"), max_size=1))]))
    lines = [sep.join(header)]
    for _ in range(draw(st.integers(1, 4))):
        cells = [
            csv_cell(KNOWN[one] if one in KNOWN else draw(tokens), one == "v" or draw(st.booleans())) for one in header
        ]
        lines.append(sep.join(cells[: draw(st.sampled_from([9, 9, 9, 1]))]))
    data = bytearray(draw(st.sampled_from(["\n", "\n", "\r\n", "\n\n"])).join(lines).encode())
    if draw(st.booleans()):
        data += b"\n"
    if draw(st.booleans()) and draw(st.booleans()):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return name, bytes(data), sep, null


@given(csv_texts(), st.booleans())
def test_csv_as_python_alone(tmp_path_factory, made, dynamic):
    name, data, sep, null = made
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    path.write_bytes(data)
    schema = small_schema(name, dynamic=dynamic)
    same_without(path, schema, sep=sep, nullkey=null)
    same_without(path, schema, sep=sep, nullkey=null, level="sample", sample_rows=2)


# -- it passes what is written


def good_row(i: int) -> dict[str, Any]:
    text = PIECES[i % len(PIECES)].replace("x" * 7, "x")
    return {
        "id": -i, "BOOL": i % 2 == 0, "INT8": 127 - i % 256, "INT16": -i, "INT32": 2**31 - 1, "FLOAT": i / 7,
        "DOUBLE": math.pi * i, "JSON": {"text": text, "list": [i, None, {"a": 1.5}]}, "GEOMETRY": "POINT (1 2)",
        "TIMESTAMPTZ": "2026-01-31T12:00:00Z", "text": text, "maybe": None if i % 3 else text, "number": i % 100,
        "array_BOOL": [True], "array_INT8": [-128, 127, i % 100], "array_INT64": [], "array_FLOAT": [0.1, 1e10],
        "array_VARCHAR": [text, "a,b"], "array_maybe": [1], "structs": [{"n": 1}],
        "FLOAT_VECTOR": [0.1, -2e-7, 1e30, i], "FLOAT16_VECTOR": [0.1, 2.5, 3, -1000],
        "BFLOAT16_VECTOR": [0.1, 2.5, 1e30, -1000], "INT8_VECTOR": [1, -128, 127, 0],
        "bits": [255, i % 256], "sparse": {1: 0.5, 7: i + 1.0, 2**32 - 2: 1e-9}, "more": text, "even more": [i],
    }  # fmt: skip


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_it_passes_what_the_writer_writes(form, tmp_path, monkeypatch):
    """All rows but the last one, behind which nothing is."""
    looked_at = []
    json_check, csv_row = json_file.RowCheck.check, csv_file._Check._row
    monkeypatch.setattr(json_file.RowCheck, "check", lambda *args: looked_at.append(args[2]) or json_check(*args))
    monkeypatch.setattr(csv_file._Check, "_row", lambda *args: looked_at.append(args[2]) or csv_row(*args))
    config = {"nullkey": "\\N"} if form == "csv" else None
    with LocalBulkWriter(SCHEMA, tmp_path, file_type=form, config=config) as writer:
        writer.append_rows([good_row(i) | {"bits": bytes([255, i % 256])} for i in range(500)])
    report = validate(writer.data_path)
    assert (report.rows, report.findings) == (500, ())
    assert set(looked_at) <= {499}
    monkeypatch.undo()
    ((path,),) = writer.batch_files
    options = {"sep": ",", "nullkey": "\\N"} if form == "csv" else {}
    same_without(Path(path), SCHEMA, **options)


def test_it_passes_what_the_json_module_writes(tmp_path, monkeypatch):
    rows = [good_row(i) for i in range(300)]
    (tmp_path / "rows.json").write_text(json.dumps(rows, indent=1))
    looked_at = []
    check = json_file.RowCheck.check
    monkeypatch.setattr(json_file.RowCheck, "check", lambda *args: looked_at.append(args[2]) or check(*args))
    report = validate(tmp_path / "rows.json", SCHEMA)
    assert (report.rows, report.findings, looked_at) == (300, (), [299])


# -- the kernel alone


def field(name: bytes = b"id", kind: str | None = "int64", **more: Any) -> tuple[Any, ...]:
    given = {
        "item": None,
        "optional": False,
        "nullable": False,
        "digits": 38,
        "low": -9,
        "top": 9,
        "count": 0,
        "max_bytes": 5,
    }
    return (name, kind, *(given | more).values())


def fine(*fields: Any, later: int = 8, forbidden: tuple[bytes, ...] = (), others: bool = False) -> Any:
    room = np.zeros((later, 5), np.int64)
    return kernel.RowChecker(fields or [field()], forbidden, others, room), room


@pytest.mark.parametrize(
    ("text", "comma", "passed", "rest"),
    [
        (b'{"id":1}', False, 1, b""),
        (b'{"id":1} \n{"id":2}\n', False, 2, b""),
        (b'{"id":1}{"id":2}', False, 2, b""),
        (b'{"id":1}\n{"id":', False, 1, b'{"id":'),
        (b'{"id":1},{"id":2} , {"id":3}]', True, 2, b'{"id":3}]'),
        (b'{"id":1},{"id":10},', True, 1, b'{"id":10},'),
        (b'{"id":1},', True, 1, b""),
        (b'{"id":1', False, 0, b'{"id":1'),
        (b"", False, 0, b""),
    ],
)
def test_where_it_stops(text, comma, passed, rest):
    rows, at, later = fine()[0].json_rows(text, 0, 99, comma)
    assert (rows, text[at:], later) == (passed, rest, 0)
    assert fine()[0].json_rows(text, 0, 0, comma)[0] == 0
    if passed:
        assert fine()[0].json_rows(text, 0, 1, comma)[0] == 1


def test_values_for_later():
    one, room = fine(field(kind="geometry"), field(b"x", "sparse"), later=4)
    text = b'{"id":"a","x":{"1":1}}{"x":{"2":1,"1":1},"id":[1]}{"id":2,"x":{"0x1":1}}'
    rows, at, n = one.json_rows(text, 0, 99, False)
    # The third row has no room for its two.
    assert (rows, text[at:], n) == (2, b'{"id":2,"x":{"0x1":1}}', 3)
    found = [(row, column, text[start:stop]) for row, column, start, stop, _ in room[:n].tolist()]
    assert found == [(0, 0, b'"a"'), (1, 1, b'{"2":1,"1":1}'), (1, 0, b"[1]")]


def test_cells_for_later():
    one, room = fine(field(kind="timestamptz"), field(b"x"))
    rows, at, n = one.csv_rows(b'"a""b",1\nc,2\nd,"x"\n', 0, 99, ord(","), b"")
    assert (rows, at, n) == (2, 13, 2)
    assert room[:n].tolist() == [[0, 0, 1, 5, 1], [1, 0, 9, 10, 0]]


@given(st.lists(st.sampled_from(OBJECTS) | st.sampled_from([' {"5": 1} ', '{"5":1}x', '{"5" : 1e3 , "6" :0.5}'])))
def test_text_of_sparse_vectors(texts):
    raw = [text.encode() for text in texts]
    offsets = np.zeros(len(raw) + 1, np.int32)
    np.cumsum([len(one) for one in raw], out=offsets[1:])
    data = np.frombuffer(b"".join(raw), np.uint8)
    first = 0
    while (found := check_sparse(offsets, data, first)) >= 0:
        assert all(form_problem("sparse", text) is None for text in texts[first:found])
        first = found + 1
    assert all(form_problem("sparse", text) is None for text in texts[first:])


def test_sparse_vectors_as_writers_write_them_are_valid():
    data = np.frombuffer(b'{}{"0":0.5,"4294967294":1e-9}', np.uint8)
    offsets = np.array([0, 2, len(data)], np.int32)
    assert check_sparse(offsets, data, 0) == -1
    assert check_sparse(offsets, data[:0], 0) == 0
    assert check_sparse(np.array([0, 99], np.int32), data, 0) == 0
    with pytest.raises(ValueError, match="must not be negative"):
        check_sparse(offsets, data, -1)


def test_what_it_asks_for():
    with pytest.raises(ValueError, match="room for a row"):
        fine(field(), field(b"x"), later=1)
    with pytest.raises(ValueError, match="room for a row"):
        kernel.RowChecker([field()], (), False, np.zeros((4, 4), np.int64))
    with pytest.raises(KeyError):
        fine(field(kind="nonsense"))
    assert fine()[0].json_rows(b"{}", 5, 9, False) == (0, 5, 0)
    assert fine()[0].csv_rows(b"1\n", -1, 9, 44, b"") == (0, -1, 0)


MORE = ['{"b":1}', '{"b":{"id":[]}}', '{"b":1e400}', '{"b":' + "9" * 16 + "}"]


@given(st.lists(st.sampled_from([*TOKENS, *MORE]), max_size=4), st.booleans(), st.sampled_from([15, 300]))
def test_json_that_is_passed_is_plain_json(texts, only_objects, digits):
    raw = [text.encode(errors="surrogatepass") for text in texts]
    offsets = np.cumsum([0, *map(len, raw)]).astype(np.int32)
    data = np.frombuffer(b"".join(raw) + b" ", np.uint8)
    n = kernel.json_passed(offsets, data, None, [b"id"], only_objects, digits, 70_000)
    for text in raw[:n]:
        assert is_plain_json(text, ["id"], only_objects=only_objects, digits=digits, max_bytes=70_000)
    validity = np.zeros(len(raw), np.uint8)
    assert kernel.json_passed(offsets, data, validity, [], only_objects, digits, 70_000) == len(raw)


@pytest.mark.parametrize("text", ["{}", '{"a": [1, 2.5, null, "\\u00e9"], "b": {"c": true}}', ' {"k":-1e5} '])
def test_usual_json_is_passed(text):
    raw = np.frombuffer(text.encode(), np.uint8)
    assert kernel.json_passed(np.array([0, len(raw)], np.int32), raw, None, [b"id"], True, 15, 1000) == 1
