from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib import format as npy_format

from vecmill.formats.npy_header import npy_header

DESCRS = ["|b1", "|u1", "|i1", "<i2", "<i4", "<i8", "<u2", "<f2", "<f4", "<f8", "<U1", "<U65535", "|S7", "|V16"]
ROWS = st.one_of(st.integers(0, 10**18), st.integers(0, 20))


def numpy_header(descr: str, shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    npy_format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


@given(st.sampled_from(DESCRS), st.lists(ROWS, max_size=4).map(tuple))
def test_equals_numpy(descr, shape):
    assert npy_header(descr, shape) == numpy_header(descr, shape)


@pytest.mark.parametrize("n_characters", range(130))
def test_every_padding(n_characters):
    """NumPy pads a header that is aligned already by another 64 bytes."""
    descr = "x" * n_characters
    header = npy_header(descr, (1, 2))
    assert header == numpy_header(descr, (1, 2))
    assert len(header) % 64 == 0


@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "f2", "f4", "f8", "U12"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 768), (5, 768), (2, 3, 4)])
def test_equals_np_save(dtype, shape):
    array = np.zeros(shape, dtype)
    file = io.BytesIO()
    np.save(file, array)
    assert npy_header(array.dtype.str, array.shape) + array.tobytes() == file.getvalue()


@pytest.mark.parametrize("digits", range(1, 20))
def test_length_does_not_depend_on_the_row_count(digits):
    for descr in DESCRS:
        header = npy_header(descr, (10**digits - 1, 32768))
        assert len(header) == len(npy_header(descr, (0, 32768))) == 128


def test_numpy_integers_are_printed_plain():
    assert npy_header("<f4", (np.int64(3), np.uint8(4))) == npy_header("<f4", (3, 4))


@pytest.mark.parametrize("shape", [(-1,), (3, -1)])
def test_negative_dimension(shape):
    with pytest.raises(ValueError):
        npy_header("<f4", shape)


@pytest.mark.parametrize("shape", [(1.5,), ("3",), 3])
def test_wrong_types(shape):
    with pytest.raises(TypeError):
        npy_header("<f4", shape)


def test_too_long_for_version_1():
    with pytest.raises(ValueError):
        npy_header("x" * 70_000, (3,))
