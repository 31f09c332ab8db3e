"""native/text.pyx against its Python twins."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from examples import examples
from oracles import text as oracles
from vecmill._native import text as kernel
from vecmill.encode.plan import TextRules

EXAMPLES = examples(200)
texts = st.lists(
    st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(["", "a\0", "é" * 9, "𝄞" * 3]), max_size=6
)
# Bytes that are nearly UTF-8: every kind of lead byte, and continuation bytes at the edges of what they allow.
NEAR = [
    "61 00 7f 80 c1bf c280 dfbf e09fbf e0a080 ed9fbf eda080 efbfbf f08fbfbf f0908080",
    "f48fbfbf f4908080 f5808080 e282 f09f c3 ff c3a9 e282ac f09d849e",
]
near_utf8 = st.lists(st.sampled_from(" ".join(NEAR).split()).map(bytes.fromhex), max_size=5).map(b"".join)


def column(values: list[bytes], before: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets and data of a text column that starts ``before`` bytes into its data."""
    offsets = np.array(list(accumulate(map(len, values), initial=before)), np.int32)
    return offsets, np.frombuffer(b"\xff" * before + b"".join(values), np.uint8)


@EXAMPLES
@given(st.lists(near_utf8 | st.binary(max_size=20), max_size=6), st.integers(-1, 12), st.booleans(), st.integers(0, 2))
@example([b"x" * 9, b"\xc3"], -1, False, 1)
def test_check_text(values, max_bytes, refuse_nul, before):
    offsets, data = column(values, before)
    rules = TextRules(refuse_nul=refuse_nul)
    expected = oracles.check_text(offsets.tolist(), data.tobytes(), max_bytes, rules)
    assert kernel.check_text(offsets, data, max_bytes, rules) == expected
    if not refuse_nul:
        assert kernel.check_text(offsets, data, max_bytes) == expected


@EXAMPLES
@given(
    st.lists(
        st.tuples(st.sampled_from([b"", b"\\N", b"\\", b"a\r\n", b"\r", b"\n", b"\r\r\n", b"\xff"]), st.booleans())
    ),
    st.booleans(),
    st.sampled_from([None, b"", b"\\N"]),
    st.booleans(),
    st.integers(0, 2),
)
def test_what_csv_refuses(pairs, refuse_crlf, null_text, all_valid, before):
    offsets, data = column([value for value, _ in pairs], before)
    validity = None if all_valid else np.array([valid for _, valid in pairs], np.uint8)
    rules = TextRules(False, refuse_crlf, null_text)
    found = kernel.check_text(offsets, data, -1, rules, validity)
    assert found == oracles.check_text(
        offsets.tolist(), data.tobytes(), -1, rules, None if all_valid else validity.tolist()
    )


def test_every_pair_of_bytes_is_judged_as_python_judges_it():
    for first in range(256):
        values = [bytes([first, second]) for second in range(256)]
        for raw in values:
            offsets, data = column([raw])
            assert kernel.check_text(offsets, data, -1) == oracles.check_text([0, 2], raw, -1, TextRules())


@EXAMPLES
@given(texts, st.integers(0, 2))
def test_longest_codepoints(values, before):
    offsets, data = column([value.encode() for value in values], before)
    assert kernel.longest_codepoints(offsets, data) == max(map(len, values), default=0)
    assert oracles.longest_codepoints(offsets.tolist(), data.tobytes()) == max(map(len, values), default=0)


@EXAMPLES
@given(st.lists(st.tuples(st.binary(max_size=9), st.booleans()), max_size=6), st.booleans(), st.integers(0, 2))
def test_plain_byte_array(pairs, all_valid, before):
    values = [raw for raw, _ in pairs]
    validity = None if all_valid else np.array([valid for _, valid in pairs], np.uint8)
    offsets, data = column(values, before)
    out = np.empty(4 * len(values) + sum(map(len, values)), np.uint8)
    used = kernel.plain_byte_array_into(offsets, data, validity, out)
    assert out[:used].tobytes() == oracles.plain_byte_array(values, validity)


@EXAMPLES
@given(st.integers(0, 5), st.integers(1, 9), st.data())
def test_fixed_byte_array(n, width, data):
    rows = [data.draw(st.binary(min_size=width, max_size=width)) for _ in range(n)]
    validity = data.draw(st.none() | st.lists(st.integers(0, 1), min_size=n, max_size=n))
    values = np.frombuffer(b"".join(rows), np.uint8).reshape(n, width)
    out = np.empty(n * (4 + width), np.uint8)
    used = kernel.fixed_byte_array_into(values, None if validity is None else np.array(validity, np.uint8), out)
    assert out[:used].tobytes() == oracles.plain_byte_array(rows, validity)


@EXAMPLES
@given(
    texts | st.lists(near_utf8.map(lambda raw: raw.decode("utf-8", "surrogateescape")), max_size=3),
    st.integers(1, 12),
    st.integers(0, 3),
)
def test_ucs4_from_plain(values, width, cut):
    plain = oracles.plain_byte_array([value.encode("utf-8", "surrogateescape") for value in values], None)
    plain = plain[: len(plain) - cut]
    out = np.full((len(values), width), 7, np.uint32)
    try:
        rows, used = oracles.ucs4_from_plain(plain, len(values), width)
    except ValueError:
        with pytest.raises(ValueError, match=r"value|empty"):
            kernel.ucs4_from_plain_into(np.frombuffer(plain, np.uint8), out)
        return
    assert kernel.ucs4_from_plain_into(np.frombuffer(plain, np.uint8), out) == used
    assert out.tolist() == rows
    if values:
        assert out.view(f"<U{width}").ravel().tolist() == [value.rstrip("\0") for value in values]


points = st.integers(0, 0x10FFFF) | st.sampled_from(
    [0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xD800, 0xDFFF, 0xE000, 0xFFFF, 0x110000, 0xFFFFFFFF]
)


@EXAMPLES
@given(st.integers(1, 4), st.data(), st.integers(1, 40), st.booleans())
def test_utf8_from_ucs4(width, data, room, refuse_nul):
    rows = data.draw(st.lists(st.lists(points, min_size=width, max_size=width), max_size=5))
    values = np.array(rows, np.uint32).reshape(len(rows), width)
    offsets, out = np.full(len(rows) + 1, -1, np.int32), np.empty(room, np.uint8)
    n, reason = kernel.utf8_from_ucs4_into(values, offsets, out, refuse_nul)
    taken, expected = oracles.utf8_from_ucs4(rows, room, refuse_nul)
    assert (n, reason) == (len(taken), expected)
    assert oracles.values_of(offsets[: n + 1].tolist(), out.tobytes()) == taken


@given(texts)
@examples(50)
def test_numpys_own_strings_survive_the_way_there_and_back(values):
    array = np.array(values or [""], np.str_)
    units = array.view(np.uint32).reshape(len(array), -1)
    offsets, out = np.empty(len(array) + 1, np.int32), np.empty(4 * units.size, np.uint8)
    assert kernel.utf8_from_ucs4_into(units, offsets, out, False) == (len(array), kernel.FINE)
    plain = np.empty(4 * len(array) + int(offsets[-1]), np.uint8)
    used = kernel.plain_byte_array_into(offsets, out, None, plain)
    back = np.empty_like(units)
    assert kernel.ucs4_from_plain_into(plain[:used], back) == used
    assert back.view(array.dtype).ravel().tolist() == array.tolist()


@pytest.mark.parametrize("offsets", [[], [-1, 2], [0, 9], [2, 0]])
def test_offsets_outside_the_data_are_refused(offsets):
    with pytest.raises(ValueError, match="offsets"):
        kernel.check_text(np.array(offsets, np.int32), np.zeros(4, np.uint8), -1)


def test_offsets_that_go_astray_between_the_ends_are_refused():
    data = np.zeros(4, np.uint8)
    assert kernel.check_text(np.array([0, 3, 1, 4], np.int32), data, -1) == (1, kernel.NOT_UTF8)
    assert kernel.check_text(np.array([0, 9, 9, 4], np.int32), data, -1) == (0, kernel.NOT_UTF8)
    with pytest.raises(ValueError, match="outside"):
        kernel.check_text(np.array([0, 9, 0], np.int32), data[:0], -1)
    assert kernel.check_text(np.zeros(3, np.int32), data[:0], -1) == (-1, kernel.FINE)


def test_memory_that_is_too_small_is_refused():
    offsets, data = column([b"ab", b"c"])
    with pytest.raises(ValueError, match="too small"):
        kernel.plain_byte_array_into(offsets, data, None, np.empty(10, np.uint8))
    with pytest.raises(ValueError, match="validity"):
        kernel.plain_byte_array_into(offsets, data, np.ones(1, np.uint8), np.empty(11, np.uint8))
    with pytest.raises(ValueError, match="too small"):
        kernel.fixed_byte_array_into(np.zeros((2, 3), np.uint8), None, np.empty(13, np.uint8))
    with pytest.raises(ValueError, match="validity"):
        kernel.fixed_byte_array_into(np.zeros((2, 3), np.uint8), np.ones(1, np.uint8), np.empty(14, np.uint8))
    with pytest.raises(ValueError, match="n \\+ 1"):
        kernel.utf8_from_ucs4_into(np.zeros((2, 1), np.uint32), np.zeros(2, np.int32), np.empty(9, np.uint8), False)
    with pytest.raises(ValueError, match="empty"):
        kernel.utf8_from_ucs4_into(np.zeros((2, 1), np.uint32), np.zeros(3, np.int32), np.empty(0, np.uint8), False)
