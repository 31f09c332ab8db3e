from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles import bits as oracles
from vecmill._native.bits import pack_bits_into


def random_bits(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (n, dim), dtype=np.uint8)


@given(st.integers(0, 5), st.integers(0, 20), st.integers(0, 2**32), st.booleans())
def test_equals_oracle_and_numpy(n, n_bytes, seed, as_bool):
    matrix = random_bits(n, 8 * n_bytes, seed)
    matrix = matrix.view(np.bool_) if as_bool else matrix
    out, twin = np.full((2, n, n_bytes), 0xAA, np.uint8)
    assert pack_bits_into(matrix, out) == oracles.pack_bits_into(matrix, twin) == -1
    assert out.tobytes() == twin.tobytes() == np.packbits(matrix, axis=1).tobytes()


@given(st.integers(1, 4), st.integers(1, 20), st.dictionaries(st.integers(0, 639), st.integers(0, 255), max_size=4))
def test_names_the_first_bad_element(n, n_bytes, changes):
    matrix = random_bits(n, 8 * n_bytes)
    for index, value in changes.items():
        matrix.flat[index % matrix.size] = value
    out = np.zeros((n, n_bytes), np.uint8)
    assert pack_bits_into(matrix, out) == oracles.pack_bits_into(matrix, out.copy())


@pytest.mark.parametrize("n_bytes", range(131))
def test_every_tail_length_on_unaligned_slices(n_bytes):
    for offset in (0, 1, 3):
        source = random_bits(1, 8 * n_bytes + offset, n_bytes)[:, offset:]
        target = np.full(n_bytes + offset + 1, 0xAA, np.uint8)
        out = target[offset:-1].reshape(1, n_bytes)
        assert pack_bits_into(source, out) == -1
        assert out.tobytes() == np.packbits(source, axis=1).tobytes()
        assert set(target[:offset]) | {target[-1]} == {0xAA}  # nothing written outside


@pytest.mark.parametrize("value", [2, 3, 0x80, 0xFE, 0xFF])
def test_bad_element_at_every_position(value):
    matrix = random_bits(2, 136)
    out = np.empty((2, 17), np.uint8)
    for index in range(matrix.size):
        bad = matrix.copy()
        bad.flat[index] = value
        bad.flat[index + 1 :: 7] = 255
        assert pack_bits_into(bad, out) == index


@pytest.mark.parametrize("index", [0, 8191, 8192, 16384, 99_999])
def test_bad_element_in_later_blocks(index):
    matrix = np.ones((125, 800), np.uint8)
    matrix.flat[[index, 99_999]] = 2
    assert pack_bits_into(matrix, np.empty((125, 100), np.uint8)) == index


def test_read_only_input():
    matrix = random_bits(3, 64)
    matrix.flags.writeable = False
    out = np.empty((3, 8), np.uint8)
    assert pack_bits_into(matrix, out) == -1
    assert out.tobytes() == np.packbits(matrix, axis=1).tobytes()


def test_bit_order():
    out = np.empty((1, 1), np.uint8)
    pack_bits_into(np.array([[1, 0, 0, 0, 0, 0, 1, 1]], np.uint8), out)
    assert out[0, 0] == 0b1000_0011


def readonly(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


U8 = np.uint8


@pytest.mark.parametrize(
    ("matrix", "out"),
    [
        (np.zeros((2, 12), U8), np.zeros((2, 1), U8)),  # dim no multiple of 8
        (np.zeros((2, 16), U8), np.zeros((2, 1), U8)),
        (np.zeros((2, 16), U8), np.zeros((1, 2), U8)),
        (np.zeros((0, 16), U8), np.zeros((1, 2), U8)),
        (np.zeros(16, U8), np.zeros((1, 2), U8)),
        (np.zeros((2, 16), U8), np.zeros(4, U8)),
        (np.zeros((2, 16), np.int8), np.zeros((2, 2), U8)),
        (np.zeros((2, 16), np.uint16), np.zeros((2, 2), U8)),
        (np.zeros((2, 16), U8), np.zeros((2, 2), np.int8)),
        (np.zeros((2, 32), U8)[:, ::2], np.zeros((2, 2), U8)),
        (np.zeros((2, 16), U8, order="F"), np.zeros((2, 2), U8)),
        (np.zeros((2, 16), U8), np.zeros((2, 4), U8)[:, ::2]),
        (np.zeros((2, 16), U8), readonly(np.zeros((2, 2), U8))),
        ([[0] * 8], np.zeros((1, 1), U8)),
        (None, np.zeros((1, 1), U8)),
        (np.zeros((1, 8), U8), None),
    ],
)
def test_wrong_arguments(matrix, out):
    with pytest.raises((ValueError, TypeError)):
        pack_bits_into(matrix, out)
