"""Rows of JSON and of delimited text: where values begin and end, as json and csv see it."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oracles.csv_read import csv_rows
from oracles.json_read import element_at, json_rest, json_row, kind_of, split_elements, split_lines, value_end
from vecmill._native import csv_read as delimited
from vecmill._native import json_read as jsonrows

NAMES = ["a", "b", "ü\n"]
KINDS = {
    "null": [jsonrows.NULL_VALUE], "true": [jsonrows.TRUE], "false": [jsonrows.FALSE], "int": [jsonrows.INT],
    "float": [jsonrows.FLOAT], "string": [jsonrows.STRING, jsonrows.ESCAPED], "array": [jsonrows.ARRAY],
    "object": [jsonrows.OBJECT],
}  # fmt: skip
WHY = {"syntax": (jsonrows.SYNTAX, jsonrows.SHORT), "unknown": (jsonrows.UNKNOWN,), "twice": (jsonrows.TWICE,)}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from([*NAMES, "other"]), values, max_size=4)
styles = st.sampled_from([{}, {"indent": 1}, {"ensure_ascii": False}, {"separators": (",", ":")}])


def walk(raw: bytes, *, strict: bool, row: tuple[int, int] | None = None):
    buffer = np.frombuffer(raw, np.uint8)
    start, end = row or (0, len(raw))
    starts, ends = (np.empty((len(NAMES), 1), np.int64) for _ in range(2))
    kinds = np.empty((len(NAMES), 1), np.uint8)
    walker = jsonrows.ObjectWalker([name.encode() for name in NAMES], strict)
    at = [np.array([position], np.int64) for position in (start, end)]
    done, why, _ = walker.walk(buffer, *at, starts, ends, kinds)
    found = [
        (kinds[i, 0], json.loads(raw[starts[i, 0] : ends[i, 0]]) if starts[i, 0] >= 0 else None)
        for i in range(len(NAMES) if done else 0)
    ]
    return why, found


def check(raw: bytes, strict: bool) -> None:
    want = json_row(raw, NAMES, strict=strict)
    why, found = walk(raw, strict=strict)
    if isinstance(want, str):
        assert why in WHY[want], (raw, want)
        return
    assert why == jsonrows.OK, raw
    for (kind, value), (wanted_kind, wanted) in zip(found, want, strict=True):
        assert kind in KINDS[wanted_kind]
        assert repr(value) == repr(wanted)


@given(objects, styles, st.booleans())
@example({"a": [[], [{}], ']}"\\'], "b": {"x": "}"}}, {}, True)
def test_objects_are_walked_like_json_loads_reads_them(value, style, strict):
    check(json.dumps(value, **style).encode(), strict)


@given(st.lists(objects, min_size=1, max_size=5), styles)
@example([{}, {"a": 1}, {"other": {}}, {"a": 1, "other": [1], "b": 2}], {})
def test_other_members_are_kept_as_they_stand(rows, style):
    lines = [json.dumps(row, **style).encode() for row in rows]
    raw = b"".join(lines)
    ends = np.cumsum([len(line) for line in lines])
    starts = ends - [len(line) for line in lines]
    offsets, out = np.empty(len(rows) + 1, np.int32), np.full(len(raw) + 1, 0xAA, np.uint8)
    spans = [np.empty((len(NAMES), len(rows)), dtype) for dtype in (np.int64, np.int64, np.uint8)]
    walker = jsonrows.ObjectWalker([name.encode() for name in NAMES], False)
    done, why, _ = walker.walk(np.frombuffer(raw, np.uint8), starts, ends, *spans, offsets, out[:-1])
    assert (done, why, out[-1]) == (len(rows), jsonrows.OK, 0xAA)
    for line, start, end in zip(lines, offsets[:-1], offsets[1:], strict=True):
        assert repr(json.loads(out[start:end].tobytes())) == repr(json_rest(line, NAMES))
    for bad in ((offsets[:-1], out), (offsets, out[: len(raw) - 1])):
        with pytest.raises(ValueError, match="room"):
            walker.walk(np.frombuffer(raw, np.uint8), starts, ends, *spans, *bad)


@given(st.lists(values, min_size=1, max_size=5), styles, st.integers(0, 4))
def test_elements_of_arrays(rows, style, index):
    texts = [json.dumps(row, **style).encode() for row in rows]
    ends = np.cumsum([len(text) for text in texts])
    starts = ends - [len(text) for text in texts]
    raw = np.frombuffer(b"".join(texts), np.uint8)
    kinds = np.array([jsonrows.value_end(raw, int(start))[1] for start in starts], np.uint8)
    wrong = jsonrows.elements_at(raw, starts, ends, kinds, index)
    others = [i for i, row in enumerate(rows) if row is not None and not isinstance(row, list)]
    assert wrong == (others[0] if others else -1)
    for i, row in enumerate(rows[: wrong if others else len(rows)]):
        found = json.loads(raw[starts[i] : ends[i]].tobytes()) if kinds[i] else None
        assert repr(found) == repr(element_at(row, index))


@given(objects, st.integers(0, 300))
def test_a_cut_object_is_none(value, cut):
    raw = json.dumps(value).encode()
    raw = raw[: min(cut, len(raw) - 1)]
    assert not raw or walk(raw, strict=False)[0] in WHY["syntax"]


@pytest.mark.parametrize(
    "raw",
    [b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b'{"\\u00fc\\n":1}', b'{"a":1,"z":2}', b"{}", b" { } ", b"{,}", b'{"a"}',
     b'{"a":}', b'{"a":1 "b":2}', b'{"a":1,}', b'{a:1}', b'{"a":"\\x"}', b'{"a":"\\u12g4"}', b'{"a":"\x1f"}', b"[]",
     b'{"a":tru}', b'{"a":-}', b'{"a":[}', b'{"a":{]}', b'{"a":1}}', b'{"a":1}{', b"", b'{"a":+1}'],
)  # fmt: skip
@pytest.mark.parametrize("strict", [True, False])
def test_what_is_no_object(raw, strict):
    if raw:
        check(raw, strict)


@given(st.lists(values, max_size=6), styles, st.integers(0, 400))
def test_elements_of_an_array(elements, style, cut):
    raw = json.dumps(elements, **style).encode()
    buffer = np.frombuffer(raw, np.uint8)
    starts, ends = np.empty(8, np.int64), np.empty(8, np.int64)
    n, position, state, why = jsonrows.split_elements(buffer, 1, True, jsonrows.FIRST, starts, ends)
    assert (n, position, state, why) == (len(elements), len(raw), jsonrows.CLOSED, jsonrows.OK)
    found = [json.loads(raw[starts[i] : ends[i]]) for i in range(n)]
    assert repr(found) == repr(elements) == repr(split_elements(raw))
    cut = 1 + cut % len(raw)
    n, position, state, why = jsonrows.split_elements(buffer[:cut], 1, False, jsonrows.FIRST, starts, ends)
    assert why == jsonrows.OK
    more, position, state, why = jsonrows.split_elements(buffer, position, True, state, starts[n:], ends[n:])
    assert (n + more, position, state, why) == (len(elements), len(raw), jsonrows.CLOSED, jsonrows.OK)


@given(st.lists(st.binary(max_size=9).map(lambda raw: raw.replace(b"\n", b"."))))
def test_lines(parts):
    raw = b"\n".join(parts)
    starts, ends = np.empty(len(parts) + 1, np.int64), np.empty(len(parts) + 1, np.int64)
    n, position = jsonrows.split_lines(np.frombuffer(raw + b" ", np.uint8)[: len(raw)], 0, True, starts, ends)
    found = [raw[starts[i] : ends[i]] for i in range(n)]
    assert found == split_lines(raw)
    assert position == len(raw)
    assert jsonrows.count_lines(np.frombuffer(raw * 50, np.uint8)) == raw.count(b"\n") * 50


def test_kinds_are_told_as_python_tells_them():
    for value in (None, True, False, 1, -1.5, "x", [1], {"a": 1}, float("nan"), float("-inf"), 10**40):
        raw = json.dumps(value).encode()
        end, kind, why = jsonrows.value_end(np.frombuffer(raw, np.uint8), 0)
        assert (end, why) == (len(raw), jsonrows.OK)
        assert kind in KINDS[kind_of(value)]
        wanted = value_end(raw, 0)
        assert wanted is not None and (end, kind in KINDS[wanted[1]]) == (wanted[0], True)


texts = st.text(st.sampled_from('ab ,;"\n\r\\xä\t'), max_size=8)


tables = st.lists(st.lists(texts, min_size=2, max_size=2), max_size=6)


@given(tables, st.sampled_from(["\n", "\r\n"]), st.integers(0, 99))
def test_fields_are_split_like_csv_does(rows, end, cut):
    out = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if any("\r" in text for row in rows for text in row) else csv.QUOTE_MINIMAL
    csv.writer(out, lineterminator=end, quoting=quoting).writerows(rows)
    raw = out.getvalue().encode()
    assert csv_rows(raw) == rows
    room = len(rows) + 1
    spans = np.empty((2, room), np.int64), np.empty((2, room), np.int64), np.empty((2, room), np.uint8)
    at = np.empty(room, np.int64)
    null = np.frombuffer(b"\0", np.uint8)
    slots = np.arange(2, dtype=np.int32)
    buffer = np.frombuffer(raw + b" ", np.uint8)[: len(raw)]
    n, position, why, _ = delimited.split_fields(buffer, 0, True, ord(","), ord('"'), null, slots, room, at, *spans)
    assert (n, position, why) == (len(rows), len(raw), delimited.OK)
    for column, (starts, ends, kinds) in enumerate(zip(*spans, strict=True)):
        offsets, text = np.empty(n + 1, np.int32), np.empty(len(raw) + 1, np.uint8)
        assert delimited.strings_into(buffer, starts[:n], ends[:n], kinds[:n], ord('"'), offsets, text)[0] == -1
        found = [text[offsets[i] : offsets[i + 1]].tobytes().decode() for i in range(n)]
        assert found == [row[column] for row in rows]
    if len(raw):  # a block that ends anywhere gives rows of the same places, and then the others
        n, position, why, _ = delimited.split_fields(
            buffer[: cut % len(raw)], 0, False, ord(","), ord('"'), null, slots, room, at, *spans
        )
        assert why == delimited.OK
        more, position, why, _ = delimited.split_fields(
            buffer, position, True, ord(","), ord('"'), null, slots, room, at, *spans
        )
        assert (n + more, position, why) == (len(rows), len(raw), delimited.OK)
