"""Numbers in text: bit for bit what Python's float() and int() make of them."""

from __future__ import annotations

import json
import math
import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oracles.number_read import integer_of, number_of
from vecmill._native import number_read as numbers


def spans(texts: list[str]) -> tuple:
    raw = [text.encode() for text in texts]
    ends = np.cumsum([len(part) for part in raw]).astype(np.int64)
    starts = (ends - [len(part) for part in raw]).astype(np.int64)
    return np.frombuffer(b"".join(raw) + b" ", np.uint8), starts, ends, np.ones(len(raw), np.uint8)


def parsed(text: str, *, lenient: bool = False) -> float | None:
    out = np.empty(1)
    row, _ = numbers.float64s_into(*spans([text]), out, lenient)
    return float(out[0]) if row < 0 else None


def bits(value: float | None) -> bytes | None:
    return None if value is None else b"nan" if math.isnan(value) else struct.pack("<d", value)


def from_bits(i: int) -> float:
    return struct.unpack("<d", struct.pack("<Q", i))[0]


def from_bits32(i: int) -> float:
    return float(np.uint32(i).view(np.float32))


finite = st.integers(0, (1 << 64) - 1).map(from_bits).filter(math.isfinite)
finite32 = st.integers(0, (1 << 32) - 1).map(from_bits32).filter(math.isfinite)
digits = st.text("0123456789", min_size=1, max_size=40)
written = st.one_of(
    finite.map(repr),
    finite.map(json.dumps),
    finite.map(lambda x: f"{x:.16e}"),
    finite.map(lambda x: f"{x:.18E}"),
    finite.map(lambda x: f"{x:.25g}"),
    finite32.map(lambda x: str(np.float32(x))),
    finite32.map(lambda x: f"{x:.9g}"),
    st.floats(-1, 1).map(lambda x: f"{x:.10f}"),
    st.builds(lambda a, b, e: f"{a}.{b}e{e}", digits, digits, st.integers(-400, 400)),
    st.builds(lambda a, e: f"-{a}e{e}", digits, st.integers(-400, 400)),
    digits,
)


@given(written)
@example("9007199254740993")
@example("9007199254740992.5")
@example("4.9e-324")
@example("2.4703282292062327e-324")
@example("2.4703282292062328e-324")
@example("1.7976931348623159e308")
@example("2.2250738585072011e-308")
@example("-0.0")
@example("-0")
@example("0e999999999999")
@example("1e-400")
@example("0." + "0" * 300 + "1")
@example("1" + "0" * 400)
@example("0.000000000000000000000000000000000012345678901234567")
@example("123456789012345678901234567890e-20")
@example("1.00000017881393432617187499")  # just below half way between two float32
@example("6.4e-1")
def test_numbers_are_those_of_python(text):
    assert bits(parsed(text)) == bits(number_of(text, lenient=False))
    assert bits(parsed(text, lenient=True)) == bits(float(text))


@given(st.text("+-.0123456789eEnaNiIfty, \t", max_size=12), st.booleans())
@example("NaN", False)
@example("-Infinity", False)
@example("-NaN", False)
@example("-NaN", True)
@example("nan", False)
@example("infinit", True)
@example("", False)
@example("01", False)
@example("1.", False)
@example(".5", True)
@example(".", True)
@example("1e", True)
@example("--1", True)
@example("1_0", True)
def test_what_is_no_number_is_refused(text, lenient):
    got = parsed(text, lenient=lenient)
    want = number_of(text, lenient=lenient)
    assert bits(got) == bits(want), (text, got, want)


@given(st.one_of(st.integers().map(str), st.text("+-0123456789.", max_size=22)), st.booleans())
@example(str((1 << 63) - 1), False)
@example(str(1 << 63), False)
@example(str(-(1 << 63)), False)
@example(str(-(1 << 63) - 1), False)
@example("18446744073709551616", False)
@example("99999999999999999999x", False)
@example("-0", False)
@example("007", False)
@example("-", True)
def test_integers_are_exact_or_refused(text, lenient):
    out = np.empty(1, np.int64)
    row, reason = numbers.int64s_into(*spans([text]), out, lenient)
    want = integer_of(text, lenient=lenient)
    if isinstance(want, int):
        assert (row, int(out[0])) == (-1, want)
    else:
        assert (row, reason) == (0, numbers.RANGE if want == "range" else numbers.BAD)


@given(
    st.lists(st.lists(written, min_size=3, max_size=3), min_size=1, max_size=5), st.sampled_from([",", ", ", " ,\n "])
)
def test_lists_are_float32_of_python_floats(rows, separator):
    texts = ["[" + separator.join(row) + "]" for row in rows]
    out = np.empty((len(rows), 3), np.float32)
    got = numbers.float32_lists_into(*spans(texts), out, False)
    grammatical = [all(number_of(text, lenient=False) is not None for text in row) for row in rows]
    if all(grammatical):
        with np.errstate(over="ignore"):
            want = np.array([[np.float32(float(text)) for text in row] for row in rows], np.float32)
        assert got[:2] == (-1, numbers.OK)
        assert out.tobytes() == want.tobytes()
    else:
        assert got[:2] == (grammatical.index(False), numbers.BAD)


plain = st.builds(
    lambda sign, whole, point, fraction: f"{sign}{whole}{point}{fraction}",
    st.sampled_from(["", "-", " ", " -", "  ", "+"]),
    st.sampled_from("0123456789") | st.sampled_from(["", "00", "12", "x"]),
    st.sampled_from([".", ".", ".", ".", "", ",", ":"]),
    st.text("0123456789", min_size=0, max_size=22) | st.sampled_from(["5e-3", "5 ", "1/", "1-", "17:", "1]"]),
)
usual = st.builds(
    lambda sign, whole, fraction: f"{sign}{whole}.{fraction}",
    st.sampled_from(["", "-", " ", " -"]),
    st.sampled_from("0123456789"),
    st.text("0123456789", min_size=1, max_size=19),
)


@given(st.lists(usual, min_size=1, max_size=40), st.integers(1, 12), plain | written, st.integers(0), st.booleans())
@example(["0.5"], 1, "9.9999999999999999999", 0, False)
@example(["1.5"] * 40, 12, "0.9999999999999999999", 1, False)
@example(["0.0"] * 40, 1, "9.999999999999999999", 20, False)
@example(["0.1234567", "-0.12345678901234"], 12, "9.007199254740993", 77, False)
def test_long_lists_hold_the_same_numbers_and_mistakes(some, times, odd, place, lenient):
    """Most numbers are plain, any may be odd, and the list may be longer than what is searched in one go."""
    pieces = some * times
    pieces[place % len(pieces)] = odd
    numerals = ",".join(pieces).split(",")  # the odd one may be two
    text = "[" + ",".join(pieces) + "]"
    out = np.empty((1, len(numerals)), np.float32)
    row, reason, _ = numbers.float32_lists_into(*spans([text]), out, lenient)
    values = [number_of(numeral.strip(), lenient=lenient) for numeral in numerals]
    if None in values:
        assert (row, reason) == (0, numbers.BAD)
        return
    with np.errstate(over="ignore"):
        want = np.array(values).astype(np.float32)
    assert (row, reason) == (-1, numbers.OK)
    assert out.tobytes() == want.tobytes()
    for other in (len(numerals) - 1, len(numerals) + 1):
        short = np.empty((1, other), np.float32)
        assert numbers.float32_lists_into(*spans([text]), short, lenient) == (0, numbers.LENGTH, len(numerals))


def test_every_float32_of_a_sample_survives_its_shortest_text():
    values = np.random.default_rng(5).integers(0, 1 << 32, 60_000, np.uint32).view(np.float32)
    values = values[np.isfinite(values)]
    values = values[: len(values) // 10 * 10].reshape(-1, 10)
    texts = ["[" + ",".join(map(str, row)) + "]" for row in values]
    out = np.empty_like(values)
    assert numbers.float32_lists_into(*spans(texts), out, False)[0] == -1
    assert out.tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("text", "reason", "found"),
    [
        ("[1,2]", numbers.LENGTH, 2),
        ("[]", numbers.LENGTH, 0),
        ("[1,2,3,4]", numbers.LENGTH, 4),
        ("[1,2,3", numbers.BAD, 0),
        ("1,2,3", numbers.BAD, 0),
        ("[1,,3]", numbers.BAD, 0),
        ("[1,2,3,]", numbers.BAD, 0),
        ("[1 2 3]", numbers.BAD, 0),
        ("[1,2,3] x", numbers.BAD, 0),
        ("[1,null,3]", numbers.BAD, 0),
        ('["1",2,3]', numbers.BAD, 0),
        ("[[1,2,3]]", numbers.BAD, 0),
        ("{1,2,3}", numbers.BAD, 0),
        ("", numbers.BAD, 0),
    ],
)
def test_what_is_no_list_of_three_is_refused(text, reason, found):
    for function, dtype in ((numbers.float32_lists_into, np.float32), (numbers.int64_lists_into, np.int64)):
        out = np.empty((2, 3), dtype)
        got = function(*spans(["[1,2,3]", text]), out, False)
        assert got[:2] == (1, reason)
        assert reason == numbers.BAD or got[2] == found


@pytest.mark.parametrize("text", ["{1,2.5,-3}", "[1. 2.5\n -3.]", "[ 1 ,2.5, -3 ]", "[+1 2.5 -3e0]", " [1,2.5,-3] "])
def test_lenient_lists(text):
    out = np.empty((1, 3), np.float32)
    assert numbers.float32_lists_into(*spans([text]), out, True)[:2] == (-1, numbers.OK)
    assert out.tolist() == [[1, 2.5, -3]]


@pytest.mark.parametrize("text", ["[1-2 3]", "[1 2 ... 3]", "{1,2,3]", "[1,2,NULL]"])
def test_lenient_lists_have_limits(text):
    out = np.empty((1, 3), np.float32)
    assert numbers.float32_lists_into(*spans([text]), out, True)[:2] == (0, numbers.BAD)


def test_nulls_become_zeros_and_spans_are_checked():
    buffer, starts, ends, kinds = spans(["[1,2]", "x"])
    kinds[1] = 0
    out = np.full((2, 2), 9, np.float32)
    assert numbers.float32_lists_into(buffer, starts, ends, kinds, out, False)[0] == -1
    assert out.tolist() == [[1, 2], [0, 0]]
    ends[0] = 99
    with pytest.raises(ValueError, match="outside"):
        numbers.float32_lists_into(buffer, starts, ends, kinds, out, False)
    with pytest.raises(ValueError, match="length"):
        numbers.int64s_into(buffer, starts, ends, kinds, np.empty(3, np.int64), False)


@pytest.mark.parametrize("n_bytes", [0, 1])
def test_null_rows_become_zeros_without_a_buffer_too(n_bytes):
    # A column of nothing but nulls has no text at all; its spans may hold anything.
    buffer, kinds = np.zeros(n_bytes, np.uint8), np.zeros(3, np.uint8)
    starts, ends = np.array([0, -5, 99]), np.array([0, 7, -1])
    for into, dtype, shape in (
        (numbers.int64s_into, np.int64, 3),
        (numbers.float64s_into, np.float64, 3),
        (numbers.float32_lists_into, np.float32, (3, 2)),
        (numbers.int64_lists_into, np.int64, (3, 2)),
    ):
        out = np.full(shape, 9, dtype)
        assert into(buffer, starts, ends, kinds, out, False)[:2] == (-1, numbers.OK)
        assert not out.any()
