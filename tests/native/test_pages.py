"""native/pages.pyx against its Python twin: the levels of dense vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from oracles import columns, pages
from oracles.columns import Column
from vecmill._native.pages import list_levels, struct_part_into, text_counts_into, vector_levels


def split(levels: bytes) -> tuple[bytes, bytes]:
    """Cut the two length-prefixed runs apart; nothing may follow them."""
    size = int.from_bytes(levels[:4], "little")
    repetition, rest = levels[4 : 4 + size], levels[4 + size :]
    assert int.from_bytes(rest[:4], "little") == len(rest) - 4
    return repetition, rest[4:]


def check(n: int, dim: int, validity: list[int] | None) -> None:
    given_validity = None if validity is None else np.array(validity, np.uint8)
    repetition, definition = split(vector_levels(n, dim, given_validity))
    expected = pages.vector_levels([1] * n if validity is None else validity, dim)
    assert pages.hybrid_decode(repetition, 1, len(expected[0])) == expected[0]
    assert pages.hybrid_decode(definition, 2, len(expected[1])) == expected[1]


@examples(200)
@given(st.integers(1, 200), st.none() | st.lists(st.integers(0, 1), min_size=1, max_size=20))
def test_levels_decode_to_those_of_the_oracle(dim, validity):
    check(7 if validity is None else len(validity), dim, validity)


@pytest.mark.parametrize("dim", [1, 2, 63, 64, 65, 8192, 32_768])
@pytest.mark.parametrize("validity", [None, [0], [1], [0, 0], [1, 0], [0, 1], [1, 1]])
def test_levels_at_the_edges(dim, validity):
    check(2 if validity is None else len(validity), dim, validity)


def test_any_non_zero_byte_is_valid():
    assert vector_levels(3, 2, np.array([1, 255, 2], np.uint8)) == vector_levels(3, 2, np.ones(3, np.uint8))


def test_arguments_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="dim"):
        vector_levels(1, 0, None)
    with pytest.raises(ValueError, match="validity"):
        vector_levels(2, 1, np.ones(1, np.uint8))


lists = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 40)), max_size=30)


@examples(200)
@given(lists, st.booleans(), st.sampled_from([(0, 3), (0, 4), (1, 6), (2, 6), (300, 6)]))
def test_levels_of_lists_decode_to_those_of_the_oracle(rows, nullable, shape):
    dim, max_def = shape
    validity = [valid for valid, _ in rows] if nullable else None
    counts = [count * valid if nullable else count for valid, count in rows]
    given_validity = np.array(validity, np.uint8) if nullable else None
    repetition, definition = split(list_levels(np.array(counts, np.int64), given_validity, dim, max_def))
    expected = pages.list_levels(counts, validity, dim, max_def)
    assert pages.hybrid_decode(repetition, 2 if dim else 1, len(expected[0])) == expected[0]
    assert pages.hybrid_decode(definition, max_def.bit_length(), len(expected[1])) == expected[1]


def test_a_null_row_with_elements_is_refused():
    with pytest.raises(ValueError, match="null row"):
        list_levels(np.array([1], np.int64), np.zeros(1, np.uint8), 0, 3)
    with pytest.raises(ValueError, match="null row"):
        list_levels(np.array([-1], np.int64), None, 0, 3)


def columnar(rows: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.cumsum([5, *map(len, rows)]).astype(np.int32)  # not from zero: a slice of a larger block
    return offsets, np.frombuffer(b"....." + b"".join(rows) + b"..", np.uint8)


texts = st.text(max_size=5)
ITEMS = [
    Column("n", "int16", width=2),
    Column("t", "text"),
    Column("v", "float_vector", width=8, dim=2),
    Column("u", "text"),
]
one_struct = st.fixed_dictionaries(
    {"n": st.integers(-9, 9), "t": texts, "v": st.lists(st.integers(0, 9), min_size=2, max_size=2), "u": texts}
)


@given(st.lists(st.lists(texts, max_size=6), max_size=8))
def test_texts_of_packed_arrays_are_counted(rows):
    packed = [columns.packed_array(Column("t", "text"), 6, row) for row in rows]
    counts = np.empty(len(rows), np.int64)
    text_counts_into(*columnar(packed), counts)
    assert counts.tolist() == [len(row) for row in rows] == [pages.text_counts(one) for one in packed]


@given(st.lists(st.lists(one_struct, max_size=5) | st.none(), max_size=8))
def test_sub_fields_of_packed_structs_are_gathered(rows):
    packed = [b"" if row is None else columns.packed_structs(ITEMS, 5, row) for row in rows]
    offsets, data = columnar(packed)
    widths = np.array([item.width for item in ITEMS], np.int64)
    for i, item in enumerate(ITEMS):
        counts, out = np.empty(len(rows), np.int64), np.empty(len(data), np.uint8)
        used = struct_part_into(offsets, data, None, widths, i, counts, out)
        assert counts.tolist() == [len(row or ()) for row in rows]
        expected = [columns.packed_array(item, 5, [one[item.name] for one in row or ()]) for row in rows]
        parts = [pages.struct_parts(one, widths.tolist())[i] for one in packed]
        assert out[:used].tobytes() == b"".join(expected) == b"".join(raw for part in parts for raw in part)


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=4), st.integers(0, 3))
def test_bytes_that_are_no_packed_values_are_refused_or_read_within_bounds(rows, part):
    offsets, data = columnar(rows)
    counts, out = np.empty(len(rows), np.int64), np.empty(len(data), np.uint8)
    for call in (
        lambda: text_counts_into(offsets, data, counts),
        lambda: struct_part_into(offsets, data, None, np.array([2, 0, 8, 0]), part, counts, out),
    ):
        try:
            call()
        except ValueError as error:
            assert "do not fill their row" in str(error)
