from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oracles import half as oracles
from vecmill._native import half

CONVERSIONS = {
    "float32_to_float16_into": (np.float32, np.float16, np.uint16),
    "float32_to_bfloat16_into": (np.float32, ml_dtypes.bfloat16, np.uint16),
    "float64_to_float16_into": (np.float64, np.float16, np.uint16),
    "float64_to_bfloat16_into": (np.float64, ml_dtypes.bfloat16, np.uint16),
    "float64_to_float32_into": (np.float64, np.float32, np.float32),
}
SCANS = {
    "float16_finite": (np.uint16, np.float16),
    "bfloat16_finite": (np.uint16, ml_dtypes.bfloat16),
    "float32_finite": (np.float32, np.float32),
    "float64_finite": (np.float64, np.float64),
}
each_conversion = pytest.mark.parametrize("name", CONVERSIONS)
each_scan = pytest.mark.parametrize("name", SCANS)
bits_of = {2: np.uint16, 4: np.uint32, 8: np.uint64}


def as_bits(array: np.ndarray) -> np.ndarray:
    return array.view(bits_of[array.dtype.itemsize])


def convert(name: str, src: np.ndarray) -> tuple[int, np.ndarray]:
    out = np.empty(src.shape, CONVERSIONS[name][2])
    return getattr(half, name)(src, out), as_bits(out)


def convert_finite(name: str, src: np.ndarray) -> np.ndarray:
    """Convert what stays finite, and check by the oracle's rounding that the kernel stops at all the rest."""
    bad, out = convert(name, src)
    assert bad == -1
    return out


def interesting(name: str) -> np.ndarray:
    """Every value of the target, each with its neighbour half way up, and all of these one source unit up and down."""
    source, target, _ = CONVERSIONS[name]
    if target is np.float32:  # too many to list: exponents times a few mantissas
        steps = (np.arange(255, dtype=np.uint32)[:, None] << 23) + np.array([0, 1, 2, 3, 0x555555, 0x7FFFFE, 0x7FFFFF])
        values = steps.astype(np.uint32).ravel().view(np.float32).astype(np.float64)
        upper = (steps.astype(np.uint32).ravel() + 1).view(np.float32).astype(np.float64)
        upper[-1] = 2.0**128  # as if the exponents went on
    else:
        infinity = 0x7C00 if target is np.float16 else 0x7F80
        values = np.arange(infinity, dtype=np.uint16).view(target).astype(np.float64)
        upper = np.append(values[1:], 2 * values[-1] - values[-2])
    with np.errstate(over="ignore"):
        middles = (values + upper) / 2
        points = np.concatenate([values, middles]).astype(source)
        points = points[np.isfinite(points)]
        points = np.concatenate([points, np.nextafter(points, source(0)), np.nextafter(points, source(np.inf))])
    points = points[np.isfinite(points)]
    return np.concatenate([points, -points])


@each_conversion
def test_values_ties_and_their_neighbours(name):
    """All finite patterns of the half types are among them, subnormals and the overflow threshold too."""
    target = CONVERSIONS[name][1]
    src = interesting(name)
    sample = src if src.size < 30_000 else np.concatenate([src[:3000], src[::37], src[-3000:]])
    exponent_bits, mantissa_bits = {np.float16: (5, 10), np.float32: (8, 23)}.get(target, (8, 7))
    infinity = (2**exponent_bits - 1) << mantissa_bits
    expected = np.array([oracles.round_float(float(x), exponent_bits, mantissa_bits) for x in sample])
    finite = expected & infinity != infinity
    assert 0 < finite.sum() < finite.size
    np.testing.assert_array_equal(convert_finite(name, sample[finite]), expected[finite])
    for x in sample[~finite]:
        assert convert(name, np.array([x]))[0] == 0

    with np.errstate(over="ignore"):
        rival = src.astype(target)
    kept = np.isfinite(rival)
    if name == "float64_to_bfloat16_into":  # ml_dtypes rounds twice; equal where the first rounding is exact
        kept &= src.astype(np.float32) == src
    np.testing.assert_array_equal(convert_finite(name, src[kept]), as_bits(rival[kept]))


@each_conversion
@given(data=st.data())
def test_equals_oracle(name, data):
    source, _, result = CONVERSIONS[name]
    width = 8 * np.dtype(source).itemsize
    patterns = st.integers(0, 2**width - 1)
    floats = st.floats(width=width).map(lambda x: int(as_bits(np.array([x], source))[0]))
    src = np.array(data.draw(st.lists(patterns | floats, max_size=40)), bits_of[width // 8]).view(source)
    out, twin = np.zeros((2, src.size), result)
    bad = getattr(half, name)(src, out)
    assert bad == getattr(oracles, name)(src, twin)
    valid = slice(0, None if bad < 0 else bad)
    assert as_bits(out[valid]).tolist() == as_bits(twin[valid]).tolist()


@each_conversion
@given(seed=st.integers(0, 2**32))
def test_random_bits_equal_numpy(name, seed):
    """Long enough for the widest vectors."""
    source, target, _ = CONVERSIONS[name]
    src = np.frombuffer(np.random.default_rng(seed).bytes(16_000), source)
    with np.errstate(over="ignore", invalid="ignore"):
        if name == "float64_to_bfloat16_into":
            src = src.astype(np.float32).astype(np.float64)
        rival = src.astype(target)
    kept = np.isfinite(rival)
    np.testing.assert_array_equal(convert_finite(name, src[kept]), as_bits(rival[kept]))
    first = int(np.argmin(kept)) if not kept.all() else -1
    assert convert(name, src)[0] == first


def test_all_half_patterns_survive_the_way_out_and_back():
    for target, names in (
        (np.float16, ("float32_to_float16_into", "float64_to_float16_into")),
        (ml_dtypes.bfloat16, ("float32_to_bfloat16_into", "float64_to_bfloat16_into")),
    ):
        patterns = np.arange(65536, dtype=np.uint16)
        with np.errstate(invalid="ignore"):  # ml_dtypes, of signalling NaN
            finite = patterns[np.isfinite(patterns.view(target))]
        for name in names:
            src = finite.view(target).astype(CONVERSIONS[name][0])
            np.testing.assert_array_equal(convert_finite(name, src), finite)


def test_float64_rounds_once():
    """1 + half a unit + a trace: by way of float32 the trace is lost and the tie goes down, to even."""
    assert convert("float64_to_float16_into", np.array([1 + 2.0**-11 + 2.0**-40]))[1].tolist() == [0x3C01]
    assert convert("float64_to_bfloat16_into", np.array([1 + 2.0**-8 + 2.0**-40]))[1].tolist() == [0x3F81]
    assert convert("float64_to_bfloat16_into", np.array([2.0**-134 + 2.0**-180]))[1].tolist() == [1]
    assert convert("float64_to_float16_into", np.array([2.0**-25 + 2.0**-70, 2.0**-25, 5e-324]))[1].tolist() == [
        1,
        0,
        0,
    ]


@each_scan
def test_all_patterns_of_the_scans(name):
    held, target = SCANS[name]
    if held is np.uint16:
        patterns = np.arange(65536, dtype=np.uint16)
        with np.errstate(invalid="ignore"):  # ml_dtypes, of signalling NaN
            finite = np.isfinite(patterns.view(target))
        found = [getattr(half, name)(patterns[i : i + 1]) for i in range(65536)]
        np.testing.assert_array_equal(found, np.where(finite, -1, 0))
    else:
        info = np.finfo(held)
        edges = [0.0, -0.0, info.max, info.min, info.tiny, info.smallest_subnormal, -info.smallest_subnormal]
        assert getattr(half, name)(np.array(edges, held)) == -1
        width = np.dtype(held).itemsize
        quiet, signalling = (0x7FC0_0000, 0x7F80_0001) if width == 4 else (0x7FF8 << 48, (0x7FF0 << 48) + 1)
        for bits in (quiet, signalling):
            for sign in (0, 1 << (8 * width - 1)):
                assert getattr(half, name)(np.array([bits | sign], bits_of[width]).view(held)) == 0


@each_scan
@given(data=st.data())
def test_scan_equals_oracle(name, data):
    values = data.draw(arrays(SCANS[name][0], st.integers(0, 60)))
    assert getattr(half, name)(values) == getattr(oracles, name)(values)


@each_conversion
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf, "overflow"])
def test_non_finite_at_every_position(name, value):
    source, target, _ = CONVERSIONS[name]
    if value == "overflow":
        value = {np.float16: 65520.0, np.float32: 2.0**128}.get(target, 3.3961775292304957e38)
    for position in range(70):
        src = np.linspace(-2, 2, 70).astype(source)
        src[position] = value
        src[position + 1 :: 5] = np.inf
        assert convert(name, src)[0] == position


@each_scan
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
def test_scan_finds_every_position(name, value):
    held, target = SCANS[name]
    for position in range(140):
        values = np.linspace(-2, 2, 140).astype(target)
        values[position] = value
        values[position + 1 :: 5] = np.nan
        assert getattr(half, name)(values.view(held)) == position


@pytest.mark.parametrize("position", [0, 8191, 8192, 16_383, 16_384, 24_998])
def test_later_blocks(position):
    for name, (source, _, _) in CONVERSIONS.items():
        src = np.ones(25_000, source)
        src[[position, 24_999]] = np.nan
        assert convert(name, src)[0] == position
    for name, (held, target) in SCANS.items():
        values = np.ones(25_000, target)
        values[[position, 24_999]] = np.inf
        assert getattr(half, name)(values.view(held)) == position


@each_conversion
@pytest.mark.parametrize("offset", [0, 1, 2, 3, 5])
def test_every_tail_length_unaligned_and_read_only(name, offset):
    """The offset is in bytes: not even aligned to the element."""
    source, target, result = CONVERSIONS[name]
    step = np.dtype(result).itemsize
    for n in range(131):
        src = np.zeros(n, source)
        src[:] = np.linspace(-70, 70, n)
        raw = bytes(offset) + src.tobytes()  # bytes, so read-only
        target_bytes = np.full(n * step + offset + 8, 0xAA, np.uint8)
        out = np.frombuffer(target_bytes.data, result, n, offset)
        assert getattr(half, name)(np.frombuffer(raw, source, n, offset), out) == -1
        assert out.tobytes() == src.astype(target).tobytes()
        assert set(target_bytes[:offset]) | set(target_bytes[n * step + offset :]) == {0xAA}


@each_scan
@pytest.mark.parametrize("offset", [0, 1, 3])
def test_scan_every_tail_length_unaligned_and_read_only(name, offset):
    held, target = SCANS[name]
    for n in range(131):
        raw = bytes(offset) + np.ones(n, target).tobytes() + b"\xff" * 16  # NaN right behind the end
        assert getattr(half, name)(np.frombuffer(raw, held, n, offset)) == -1


@each_conversion
def test_wrong_arguments_of_conversions(name):
    source, _, result = CONVERSIONS[name]
    kernel = getattr(half, name)
    src, out = np.zeros(4, source), np.zeros(4, result)
    other = np.float64 if source is np.float32 else np.float32
    frozen = out.copy()
    frozen.flags.writeable = False
    for bad_src, bad_out in [
        (src[:3], out),
        (src[:0], out),
        (src, out[:0]),
        (src.astype(other), out),
        (src.astype(src.dtype.newbyteorder()), out),
        (src, out.astype(np.int16)),
        (src, frozen),
        (src.reshape(2, 2), out),
        (src, out.reshape(2, 2)),
        (np.zeros(8, source)[::2], out),
        (src, np.zeros(8, result)[::2]),
        ([0.0] * 4, out),
        (src, None),
        (None, out),
    ]:
        with pytest.raises((ValueError, TypeError)):
            kernel(bad_src, bad_out)


@each_scan
def test_wrong_arguments_of_scans(name):
    held = SCANS[name][0]
    values = np.zeros(4, held)
    other = np.int16 if held is np.uint16 else np.int32
    for bad in (values.reshape(2, 2), values[::2], values.astype(other), [1.0], None):
        with pytest.raises((ValueError, TypeError)):
            getattr(half, name)(bad)
