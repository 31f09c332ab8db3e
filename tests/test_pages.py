"""native/pages.pyx against its Python twin: the levels of dense vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracles
from vecmill._native.pages import vector_levels


def split(levels: bytes) -> tuple[bytes, bytes]:
    """Cut the two length-prefixed runs apart; nothing may follow them."""
    size = int.from_bytes(levels[:4], "little")
    repetition, rest = levels[4 : 4 + size], levels[4 + size :]
    assert int.from_bytes(rest[:4], "little") == len(rest) - 4
    return repetition, rest[4:]


def check(n: int, dim: int, validity: list[int] | None) -> None:
    given_validity = None if validity is None else np.array(validity, np.uint8)
    repetition, definition = split(vector_levels(n, dim, given_validity))
    expected = oracles.vector_levels([1] * n if validity is None else validity, dim)
    assert oracles.hybrid_decode(repetition, 1, len(expected[0])) == expected[0]
    assert oracles.hybrid_decode(definition, 2, len(expected[1])) == expected[1]


@settings(max_examples=200, deadline=None)
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
