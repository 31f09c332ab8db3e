from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles import crc64 as oracles
from vecmill._native.crc64 import crc64nvme, crc64nvme_combine

NOISE = random.Random(0).randbytes(6000)


def test_check_value():
    assert crc64nvme(b"123456789") == oracles.crc64nvme(b"123456789") == 0xAE8B14860A799888
    assert crc64nvme(b"") == 0


def test_known_values():
    """Published in the NVM Command Set specification, section "Extended Protection Information Formats"."""
    assert crc64nvme(bytes(4096)) == 0x6482D367EB22B64E
    assert crc64nvme(b"\xff" * 4096) == 0xC0DDBA7302ECA3AC
    assert crc64nvme(bytes(range(256)) * 16) == 0x3E729F5F6750449C


@pytest.mark.parametrize("offset", [0, 1, 7, 15])
def test_every_length(offset):
    """Tails 0 .. 130, and past every switch between the table, 128-bit and 512-bit forms."""
    expected = 0
    for length in range(1700):
        assert crc64nvme(memoryview(NOISE)[offset : offset + length]) == expected, length
        expected = oracles.crc64nvme(NOISE[offset + length : offset + length + 1], expected)


@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(0, 2**64 - 1))
def test_streaming_and_combining(a, b, start):
    whole = crc64nvme(a + b)
    assert whole == oracles.crc64nvme(a + b)
    assert crc64nvme(b, crc64nvme(a)) == crc64nvme(b, crc=crc64nvme(a)) == whole
    assert crc64nvme_combine(crc64nvme(a), crc64nvme(b), len(b)) == whole
    assert crc64nvme(a, start) == oracles.crc64nvme(a, start)
    assert crc64nvme_combine(start, 0, len(b)) == oracles.crc64nvme_combine(start, 0, len(b))


@given(st.lists(st.integers(0, len(NOISE)), max_size=4))
def test_streaming_over_long_pieces(cuts):
    crc = 0
    edges = [0, *sorted(cuts), len(NOISE)]
    for start, end in pairwise(edges):
        crc = crc64nvme(memoryview(NOISE)[start:end], crc)
    assert crc == crc64nvme(NOISE)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**31), st.integers(0, 2**31))
def test_combining_huge_lengths_adds_up(crc, first, second):
    in_steps = crc64nvme_combine(crc64nvme_combine(crc, 0, first << 31), 0, second << 31)
    assert in_steps == crc64nvme_combine(crc, 0, (first + second) << 31)
    assert crc64nvme_combine(crc, 0, 2**64 - 1) == crc  # x has order 2^64 - 1 or a divisor of it


def test_any_contiguous_buffer():
    array = np.arange(600, dtype=np.float32).reshape(20, 30)
    expected = crc64nvme(array.tobytes())
    readonly = array.copy()
    readonly.flags.writeable = False
    for same in (array, memoryview(array), readonly, bytearray(array.tobytes()), array.view(np.uint8).ravel()):
        assert crc64nvme(same) == expected
    assert crc64nvme(np.empty((0, 3))) == 0
    assert crc64nvme(array[3:7]) == crc64nvme(array[3:7].tobytes())


def test_threads_agree():
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(crc64nvme, [NOISE] * 64)) == {crc64nvme(NOISE)}


@pytest.mark.parametrize(
    "data", [np.zeros((4, 4))[:, ::2], np.zeros((4, 4), order="F")[:, :3], memoryview(b"abc")[::2]]
)
def test_not_contiguous(data):
    with pytest.raises(ValueError):
        crc64nvme(data)


@pytest.mark.parametrize("data", ["text", None, 7, [1, 2]])
def test_not_a_buffer(data):
    with pytest.raises(TypeError):
        crc64nvme(data)


@pytest.mark.parametrize("crc", [-1, 2**64])
def test_crc_out_of_range(crc):
    with pytest.raises(OverflowError):
        crc64nvme(b"", crc)
    with pytest.raises(OverflowError):
        crc64nvme_combine(0, 0, crc)
