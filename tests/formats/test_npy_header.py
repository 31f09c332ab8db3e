from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib import format as npy_format

import oracles
from vecmill._native.npy import npy_header, patch_row_count

DESCRS = ["|b1", "|u1", "|i1", "<i2", "<i4", "<i8", "<u2", "<f2", "<f4", "<f8", "<U1", "<U65535", "|S7", "|V16"]
ROWS = st.one_of(st.integers(0, 10**18), st.integers(0, 20))


def numpy_header(descr: str, shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    npy_format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


@given(st.sampled_from(DESCRS), st.lists(ROWS, max_size=4).map(tuple))
def test_equals_numpy_and_oracle(descr, shape):
    assert npy_header(descr, shape) == numpy_header(descr, shape) == oracles.npy_header(descr, shape)


@pytest.mark.parametrize("n_characters", range(130))
def test_every_padding(n_characters):
    """NumPy pads a header that is aligned already by another 64 bytes."""
    descr = "x" * n_characters
    header = npy_header(descr, (1, 2))
    assert header == numpy_header(descr, (1, 2)) == oracles.npy_header(descr, (1, 2))
    assert len(header) % 64 == 0


@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "f2", "f4", "f8", "U12"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 768), (5, 768), (2, 3, 4)])
def test_equals_np_save(dtype, shape):
    array = np.zeros(shape, dtype)
    file = io.BytesIO()
    np.save(file, array)
    assert npy_header(array.dtype.str, array.shape) + array.tobytes() == file.getvalue()


@given(st.sampled_from(DESCRS), st.lists(st.integers(0, 10**6), max_size=2), ROWS, ROWS)
def test_patched_equals_built(descr, rest, first, second):
    header = bytearray(npy_header(descr, (first, *rest)) + b"data, 'shape': (7,")
    twin = bytearray(header)
    patch_row_count(header, second)
    oracles.patch_row_count(twin, second)
    assert header == twin == npy_header(descr, (second, *rest)) + b"data, 'shape': (7,"


@pytest.mark.parametrize("digits", range(1, 20))
def test_length_does_not_depend_on_the_row_count(digits):
    for descr in DESCRS:
        header = npy_header(descr, (10**digits - 1, 32768))
        assert len(header) == len(npy_header(descr, (0, 32768))) == 128


def test_patched_file_loads():
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    header = bytearray(npy_header("<f4", (0, 3)))
    patch_row_count(header, 4)
    np.testing.assert_array_equal(np.load(io.BytesIO(header + array.tobytes())), array)


@pytest.mark.parametrize(
    "kind", [bytearray, lambda b: memoryview(bytearray(b)), lambda b: np.frombuffer(b, "u1").copy()]
)
def test_kinds_of_buffer(kind):
    header = kind(npy_header("<i8", (0,)))
    patch_row_count(header, np.int64(10**15))
    assert bytes(header) == npy_header("<i8", (10**15,))
    patch_row_count(header, 3)
    assert bytes(header) == npy_header("<i8", (3,))


def test_structured_descr_with_a_field_called_shape():
    header = bytearray(npy_header("'shape': (1,", (5, 6)))
    patch_row_count(header, 77)
    assert header == npy_header("'shape': (1,", (77, 6))


def test_reserve():
    header = bytearray(npy_header("<f4", (0, 768), 0))
    assert len(header) == 128
    with pytest.raises(ValueError, match="no room"):
        patch_row_count(bytearray(npy_header("x" * 58, (9, 2), reserve=1)), 10**70)
    assert npy_header("<f4", (), 5) == npy_header("<f4", ())


def test_numpy_integers_are_printed_plain():
    assert npy_header("<f4", (np.int64(3), np.uint8(4))) == npy_header("<f4", (3, 4))


@pytest.mark.parametrize("shape", [(-1,), (3, -1)])
def test_negative_dimension(shape):
    with pytest.raises(ValueError):
        npy_header("<f4", shape)


@pytest.mark.parametrize(
    ("descr", "shape"), [("<f4", [3]), ("<f4", (1.5,)), ("<f4", ("3",)), (b"<f4", (3,)), ("<f4", 3)]
)
def test_wrong_types(descr, shape):
    with pytest.raises(TypeError):
        npy_header(descr, shape)


def test_too_long_for_version_1():
    with pytest.raises(ValueError):
        npy_header("x" * 70_000, (3,))


GOOD = npy_header("<f4", (3, 4))


@pytest.mark.parametrize(
    "header",
    [
        GOOD,  # bytes: read-only
        bytearray(),
        bytearray(GOOD[:9]),
        bytearray(GOOD[:100]),
        bytearray(b"\x93NUMPY\x02\x00" + GOOD[8:]),
        bytearray(b"PK" + GOOD[2:]),
        bytearray(npy_header("<f4", ())),
        bytearray(GOOD.replace(b"shape", b"shade")),
        memoryview(bytearray(GOOD * 2))[::2],
    ],
)
def test_wrong_header_is_left_alone(header):
    before = bytes(header)
    with pytest.raises(ValueError):
        patch_row_count(header, 7)
    assert bytes(header) == before


def test_wrong_row_count():
    header = bytearray(GOOD)
    with pytest.raises(ValueError):
        patch_row_count(header, -1)
    for n_rows in (1.0, "1", None):
        with pytest.raises(TypeError):
            patch_row_count(header, n_rows)
    with pytest.raises(ValueError, match="no room"):
        patch_row_count(header, 10**70)
    with pytest.raises(TypeError):
        patch_row_count("text", 1)
    assert header == GOOD
