"""native/scan_check.pyx against its Python twins."""

from __future__ import annotations

import json
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from examples import examples
from oracles import scan_check as oracles
from vecmill._native import scan_check as kernel

EXAMPLES = examples(200)
code_points = st.integers(0, 0x90) | st.sampled_from(
    [0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xD800, 0xDFFF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF, 0x110000, 2**32 - 1]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
json_texts = st.builds(
    lambda value, indent, raw, before, behind: before + json.dumps(value, indent=indent, ensure_ascii=raw) + behind,
    values, st.sampled_from([None, 1]), st.booleans(), st.sampled_from(["", " \n"]), st.sampled_from(["", "\t\r\n "]),
).map(str.encode)  # fmt: skip
NEAR = [
    b"", b" ", b"{}", b"[]", b"[ ]", b"{ }", b"[1,]", b"[,1]", b"{,}", b'{"a":1,}', b'{"a"}', b'{"a":}', b'{1:2}',
    b"[1 2]", b"0", b"-0", b"01", b"-", b"+1", b"1.", b".5", b"1.5e", b"1e+", b"1E-07", b"1e5", b"--1", b"0x10",
    b"NaN", b"Infinity", b"nul", b"nulll", b"true", b"True", b"falsey", b'"', b'"a', b'"\\', b'"\\x"', b'"\\u12g4"',
    b'"\\u12"', b'"\\ud800"', b'"\xff"', b'"\x1f"', b'"a\tb"', b"'a'", b"\xff", b"\xef\xbb\xbf{}", b"{}{}", b"[]]",
    b"[[]", b"// a\n1", b"[1]\x00", b"[\x0b1]",
    b"1e308", b"1e309", b"[1, -1E+400]", b'{"a":1.8e308}', b"1.7976931348623157e308", b"1.7976931348623158e308",
    b"17976931348623158079e289", b"17976931348623159e292", b"0.00017976931348623159e312", b"0.00017976931348623157e312",
    b"1e-400", b"0e999", b"-0.0e+99999999999999999999", b"1e99999999999999999999", b"1e-99999999999999999999",
    b"9" * 308, b"9" * 309, b"1" * 309, b"1" * 310, b"0." + b"0" * 400 + b"1e700", b"0." + b"0" * 400 + b"1e710",
    b"9" * 400 + b"e-100", b"9" * 400 + b".5e-91", b"1" + b"0" * 400 + b"e-92", b"1e0000309", b"1e0000308",
]  # fmt: skip
numbers = st.builds(
    lambda sign, whole, part, power: sign + str(whole) + part + power,
    st.sampled_from(["", "-"]), st.integers(0, 10**320) | st.integers(0, 99),
    st.just("") | st.text("0123456789", min_size=1, max_size=330).map(lambda digits: f".{digits}"),
    st.just("") | st.integers(-700, 700).map(lambda power: f"e{power}"),
).map(str.encode)  # fmt: skip


@EXAMPLES
@given(
    st.integers(1, 20).flatmap(
        lambda w: st.lists(st.lists(code_points, min_size=w, max_size=w), min_size=1, max_size=6)
    )
)
@example([[0x61, 0, 0], [0, 0x61, 0], [0xD800, 0, 0x61]])
def test_scan_ucs4(rows):
    matrix = np.array(rows, np.uint32).reshape(len(rows), -1)
    sizes, flags = np.full(len(rows), -1, np.int64), np.full(len(rows), 9, np.uint8)
    wanted_sizes, wanted_flags = oracles.scan_ucs4(rows)
    assert kernel.scan_ucs4(matrix, sizes, flags) == any(wanted_flags)
    assert flags.tolist() == wanted_flags
    assert [s for s, w in zip(sizes.tolist(), wanted_sizes, strict=True) if w is not None] == [
        w for w in wanted_sizes if w is not None
    ]


def test_scan_ucs4_asks_for_room():
    with pytest.raises(ValueError, match="place for every row"):
        kernel.scan_ucs4(np.zeros((3, 1), np.uint32), np.zeros(2, np.int64), np.zeros(3, np.uint8))


def column(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.array(list(accumulate(map(len, texts), initial=2)), np.int32)
    return offsets, np.frombuffer(b"[[" + b"".join(texts), np.uint8)


@pytest.mark.parametrize("text", NEAR)
def test_what_is_nearly_json(text):
    offsets, data = column([text])
    assert (kernel.check_json(offsets, data, 0, False)[0] < 0) == oracles.is_json(text)


@EXAMPLES
@given(numbers)
def test_numbers_have_to_be_float64(number):
    offsets, data = column([b"1", number])
    assert (kernel.check_json(offsets, data, 0, False) == (-1, -1)) == oracles.is_json(number)
    assert kernel.json_end(number, 0) == (len(number), -1)
    assert kernel.json_end(number, 0, True)[0] == (len(number) if oracles.is_json(number) else kernel.BAD)


@EXAMPLES
@given(st.lists(json_texts, max_size=4))
def test_json_is_taken(texts):
    offsets, data = column(texts)
    assert kernel.check_json(offsets, data, 0, False) == (-1, -1)
    objects = [text.lstrip()[:1] == b"{" for text in texts]
    first = objects.index(False) if False in objects else -1
    assert kernel.check_json(offsets, data, 0, True) == (first, -1)


@EXAMPLES
@given(json_texts, st.integers(0, 10**6), st.binary(max_size=2), st.integers(0, 2))
def test_json_with_an_accident_in_it(text, where, patch, cut):
    at = where % (len(text) + 1)
    broken = text[:at] + patch + text[at + cut :]
    offsets, data = column([b"1", broken, b"2"])
    row, place = kernel.check_json(offsets, data, 0, False)
    assert (row < 0) == oracles.is_json(broken)
    assert row < 0 or (row == 1 and 0 <= place <= len(broken))


@EXAMPLES
@given(st.lists(json_texts, min_size=1, max_size=3), st.integers(0, 10**6))
def test_json_end_goes_from_value_to_value(texts, where):
    whole = b"\n".join(texts)
    at = 0
    for text in texts:
        at, bad = kernel.json_end(whole, at)
        assert bad == -1
        assert json.loads(whole[:at].rpartition(b"\x00")[2][-len(text.strip()) :]) == json.loads(text)
    assert whole[at:].strip() == b""
    cut = texts[0].rstrip()[: where % len(texts[0].rstrip())]
    end, bad = kernel.json_end(cut, 0)
    # What was cut off wants more, unless a number became a shorter one.
    assert end == kernel.MORE or (texts[0].strip()[:1] in b"-0123456789" and end == len(cut))


def test_json_depth_is_bounded():
    assert kernel.json_end(b"[" * 10_000 + b"]" * 10_000, 0) == (20_000, -1)
    assert kernel.json_end(b"[" * 10_001, 0) == (kernel.DEEP, 10_000)
    assert kernel.json_end(b'{"a":' * 5_000_000, 0)[0] == kernel.DEEP
