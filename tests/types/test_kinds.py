"""The rows of types: what holds for all of them, and that no other file knows a dense type by name."""

import math
import re

import numpy as np
import pytest

from paths import ROOT
from vecmill import DataType
from vecmill._native.columns import ColumnBuffer
from vecmill.types.kind import FLOAT32, FLOAT32_LIMIT, FLOAT32_MAX, Kind
from vecmill.types.lookup import TYPES
from vecmill.types.text import META

FIXED = [kind for kind in TYPES.values() if kind.descr is not None]
DENSE = [kind for kind in TYPES.values() if kind.group == "dense"]
_DENSE_NAMES = re.compile("|".join(kind.dtype.name for kind in DENSE if kind.dtype is not DataType.FLOAT_VECTOR), re.I)


def ids(kind: Kind) -> str:
    return kind.dtype.name


def test_few_files_name_a_dense_type():
    found = [
        path.relative_to(ROOT).as_posix()
        for folder in ("src", "native")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".pyi", ".pyx", ".pxd", ".pxi", ".h") and _DENSE_NAMES.search(path.read_text())
    ]
    assert len(found) <= 6, found
    assert {"src/vecmill/types/kind.py", "src/vecmill/types/vectors.py"} >= {one for one in found if "src/" in one}


@pytest.mark.parametrize("kind", [*TYPES.values(), META], ids=ids)
def test_kernels_know_every_kind(kind):
    dim = 16 if kind.group == "dense" else 8
    width = kind.vector_nbytes(dim) or kind.itemsize
    offsets = None if width else np.zeros(2, np.int32)
    flag = ColumnBuffer(name="x", kind="bool", capacity=1, values=np.zeros(1, np.uint8), width=1)
    items = [flag] if kind.group in ("array", "struct") else []
    values = np.zeros(64, np.uint8)
    buffer = ColumnBuffer(
        name="x", kind=kind.name, capacity=1, values=values, width=width, dim=dim, offsets=offsets, items=items
    )
    assert buffer.capacity == 1


@pytest.mark.parametrize("kind", FIXED, ids=ids)
def test_fixed_width_kinds_say_how_they_are_encoded(kind):
    assert kind.encoding is not None
    assert kind.npy
    assert 0 < (kind.text_usual or kind.text_most) <= kind.text_most


@pytest.mark.parametrize("kind", [kind for kind in FIXED if kind.encoding == "integers"], ids=ids)
def test_limits_are_those_of_the_element(kind):
    info = np.iinfo(np.dtype(kind.descr))
    assert kind.limits == (info.min, info.max)
    assert kind.text_most == max(len(str(info.min)), len(str(info.max))) + 1
    assert f"{info.min} to {info.max}" in kind.expected_value(dim=2)


@pytest.mark.parametrize("kind", DENSE, ids=ids)
def test_dense_kinds_fill_whole_elements(kind):
    assert kind.n_elements(16) * kind.itemsize == kind.vector_nbytes(16) == 2 * kind.bits_per_dim
    assert kind.n_numbers(16) == (2 if kind.is_bits else 16)
    assert (kind.floats is None) != (kind.limits is None)
    assert kind.in_struct is not None and kind.in_struct_row


@pytest.mark.parametrize("kind", [kind for kind in DENSE if kind.parquet_nested.dictionary], ids=ids)
def test_a_dictionary_of_bytes_maps_each_byte_to_its_number(kind):
    signed = kind.parquet_nested.annotation == "INT_8"
    numbers = np.frombuffer(kind.parquet_nested.dictionary, "<i4")
    assert np.array_equal(numbers, np.arange(256, dtype=np.uint8).view(np.int8 if signed else np.uint8))


def test_numbers_that_become_infinite():
    with np.errstate(over="ignore"):
        assert np.float64(FLOAT32_MAX).astype(np.float32) == np.float32(FLOAT32_MAX)
        assert np.isinf(np.float64(FLOAT32_LIMIT).astype(np.float32))
        assert np.isfinite(np.float64(FLOAT32.largest_text).astype(np.float32))
        assert np.isinf(np.float64(65520.0).astype(np.float16))
        assert np.isfinite(np.float64(math.nextafter(65520.0, 0)).astype(np.float16))
