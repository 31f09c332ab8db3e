"""NumPy arrays -> the bytes of fixed width columns, checked. A view where the bytes are right already.

Each encoder takes an array whose first axis is rows, and returns (n, width) uint8, C-contiguous: a view of the input or
``out[:n]`` (the caller's scratch, uint8, at least n rows). It raises Misfit with the first bad row. The row of the type
says which encoder it is (``Kind.encoding``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmill._native import bits, half
from vecmill.encode.blocks import Bytes
from vecmill.encode.misfit import Misfit
from vecmill.encode.plan import ColumnPlan
from vecmill.types.kind import BFLOAT16, FLOAT16, FloatFormat, Kind

Array = NDArray[Any]
# From 2**53 on a float may stand for the integer beside it: an ID would change unnoticed.
_FLOAT64_EXACT = 2**53 - 1


def encode_fixed(plan: ColumnPlan, array: Array, out: Bytes) -> Bytes:
    """Return the encoded rows of a column: vectors from (n, m), scalars from (n,). See the module for the contract."""
    if plan.is_vector:
        if array.ndim != 2:
            raise Misfit(f"one vector a row ({plan.expected})", f"an array of shape {array.shape}")
        same = array.dtype == plan.element and array.shape[1] * array.itemsize == plan.width
        if same and not array.flags.c_contiguous:
            # Rows with gaps are closed up in the scratch: fresh memory for every block costs as much as all the rest.
            closed = out[: len(array)].view(plan.element)
            np.copyto(closed, array)
            array = closed
    elif array.ndim != 1:
        raise Misfit(f"one value a row ({plan.expected})", f"an array of shape {array.shape}")
    return _ENCODERS[plan.kind.encoding](plan, array, out)


def native(array: Array) -> Array:
    """Return the array in native byte order and C order: itself if it is so already."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def is_bfloat16(dtype: np.dtype[Any]) -> bool:
    """Return True for the bfloat16 of ml_dtypes, by its name: the package need not be installed."""
    return dtype.name == "bfloat16"


def _as_bytes(array: Array) -> Bytes:
    return array.reshape(len(array), -1).view(np.uint8)


def _wrong_type(plan: ColumnPlan, array: Array) -> Misfit:
    return Misfit(plan.expected, f"{array.dtype} values")


def _wrong_dim(plan: ColumnPlan, array: Array) -> Misfit:
    return Misfit(plan.expected, f"{array.shape[1]} values a row", 0)


def _bad_float(plan: ColumnPlan, source: Array, index: int, dim: int) -> Misfit:
    value = source.reshape(-1)[index]
    where = f" at position {index % dim}" if plan.is_vector else ""
    text = repr(float(value))
    if np.isfinite(np.float64(value)):
        text += f", beyond the range of {plan.kind.name.removesuffix('_vector')}"
    return Misfit(plan.expected if not plan.is_vector else f"{plan.expected}, all finite", text + where, index // dim)


def _real(plan: ColumnPlan, array: Array) -> Array:
    """Return floats or integers as native contiguous float32 or float64, the narrower one that holds them exactly."""
    kind = array.dtype.kind
    if is_bfloat16(array.dtype):
        return float32_of_bfloat16(array)
    if kind == "f" and array.dtype.itemsize <= 8:
        return native(array) if array.dtype.itemsize > 2 else native(array).astype(np.float32)
    if kind in "iu":
        return np.ascontiguousarray(array).astype(np.float64)
    raise _wrong_type(plan, array)


def _float32(plan: ColumnPlan, array: Array, out: Bytes) -> Bytes:
    """Float32, scalars and vectors: finite."""
    dim = max(plan.dim, 1)
    if plan.is_vector and array.shape[1] != dim:
        raise _wrong_dim(plan, array)
    real = _real(plan, array)
    if real.dtype == np.float32:
        bad = half.float32_finite(real.reshape(-1))
        result = _as_bytes(real)
    else:
        result = out[: len(real)]
        bad = half.float64_to_float32_into(real.reshape(-1), result.view(np.float32).reshape(-1))
    if bad >= 0:
        raise _bad_float(plan, real, bad, dim)
    return result


def _double(plan: ColumnPlan, array: Array, out: Bytes) -> Bytes:
    real = _real(plan, array)
    bad = half.float32_finite(real) if real.dtype == np.float32 else half.float64_finite(real)
    if bad >= 0:
        raise _bad_float(plan, real, bad, 1)
    return _as_bytes(real.astype(np.float64, copy=False))


@dataclass(frozen=True, slots=True)
class HalfKernels:
    """Kernels of a 16-bit float format: each returns the index of the first bad value, or -1.

    ``finite`` takes its bits (uint16); ``from_float32`` and ``from_float64`` round to nearest even into such bits.
    """

    finite: Callable[[NDArray[np.uint16]], int]
    from_float32: Callable[[Array, NDArray[np.uint16]], int]
    from_float64: Callable[[Array, NDArray[np.uint16]], int]


HALF_KERNELS: Mapping[FloatFormat | None, HalfKernels] = {
    FLOAT16: HalfKernels(half.float16_finite, half.float32_to_float16_into, half.float64_to_float16_into),
    BFLOAT16: HalfKernels(half.bfloat16_finite, half.float32_to_bfloat16_into, half.float64_to_bfloat16_into),
}


def _half(plan: ColumnPlan, array: Array, out: Bytes) -> Bytes:
    """Vectors of 16-bit floats: their own bits, their bytes (n, 2 * dim), or other numbers rounded to nearest even.

    Integers of 16 bits are refused: most who have them hold the bits of floats in them.
    """
    kernels = HALF_KERNELS[plan.kind.floats]
    dim, is_float16 = plan.dim, plan.kind.floats is FLOAT16
    if array.dtype.kind in "iu" and array.dtype.itemsize == 2:
        bits = ".view(np.float16)" if is_float16 else ".view(ml_dtypes.bfloat16)"
        got = f"{array.dtype} values; if they are the bits of floats, give {bits} or their bytes"
        raise Misfit(plan.expected, f"{got}, if they are numbers, .astype(np.float32)")
    raw = array.dtype == np.uint8 and array.shape[1] == 2 * dim
    if not raw and array.shape[1] != dim:
        raise _wrong_dim(plan, array)
    own = array.dtype.type is np.float16 if is_float16 else is_bfloat16(array.dtype)
    if raw or own:
        result = _as_bytes(np.ascontiguousarray(array) if raw or not is_float16 else native(array))
        if result.ctypes.data % 2:  # the kernel reads uint16
            out[: len(result)] = result
            result = out[: len(result)]
        bad = kernels.finite(result.view(np.uint16).reshape(-1))
        if bad >= 0:
            raise Misfit(f"{plan.expected}, all finite", f"NaN or Inf at position {bad % dim}", bad // dim)
        return result
    real = _real(plan, array)
    result = out[: len(real)]
    kernel = kernels.from_float32 if real.dtype == np.float32 else kernels.from_float64
    bad = kernel(real.reshape(-1), result.view(np.uint16).reshape(-1))
    if bad >= 0:
        raise _bad_float(plan, real, bad, dim)
    return result


def _integers(plan: ColumnPlan, array: Array, out: Bytes) -> Bytes:
    """Integers, scalars and vectors: in range; a float only where it is a whole number that float64 holds exactly."""
    if plan.is_vector and array.shape[1] != plan.dim:
        raise _wrong_dim(plan, array)
    target = plan.element
    kind = array.dtype.kind
    if kind not in "iu" and (kind != "f" or plan.is_vector or is_bfloat16(array.dtype)):
        raise _wrong_type(plan, array)
    source = native(array)
    if source.dtype == target:
        return _as_bytes(source)
    limits = np.iinfo(target)
    if kind == "f":
        if source.dtype.itemsize < 8:
            source = source.astype(np.float64)  # a limit rounded to float16 or float32 would let 2**15 or Inf through
        with np.errstate(invalid="ignore"):
            low, high = max(limits.min, -_FLOAT64_EXACT), min(limits.max, _FLOAT64_EXACT)
            good = (source >= low) & (source <= high) & (np.trunc(source) == source)
    elif np.can_cast(source.dtype, target):
        good = None
    else:
        good = source <= limits.max
        if kind == "i":
            good &= source >= limits.min
    if good is not None and not good.all():
        index = int(np.argmin(good.reshape(-1)))
        dim = max(plan.dim, 1)
        raise Misfit(plan.expected, f"{source.dtype} {source.reshape(-1)[index]!s}", index // dim)
    result = out[: len(source)]
    result.view(target).reshape(source.shape)[...] = source
    return result


def _bool(plan: ColumnPlan, array: Array, out: Bytes) -> Bytes:
    if array.dtype != np.bool_:
        raise _wrong_type(plan, array)
    return _as_bytes(np.ascontiguousarray(array))


def _binary(plan: ColumnPlan, array: Array, out: Bytes) -> Bytes:
    """Vectors of bits: packed bytes (n, dim / 8) as they are, or 0/1 (n, dim), the first dim into the highest bit."""
    n, m = array.shape
    if m == plan.packed_length(array.dtype) != plan.dim:
        wrong = np.zeros(0) if array.dtype == np.uint8 else (array < 0) | (array > 255)
        if wrong.any():
            row, at = (int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
            raise Misfit(f"{plan.expected}, 0 to 255", f"{array[row, at]} at position {at}", row)
        return _as_bytes(np.ascontiguousarray(array, np.uint8))
    if m != plan.dim:
        raise _wrong_dim(plan, array)
    if array.dtype.kind not in "iub":
        raise _wrong_type(plan, array)
    if array.dtype.itemsize > 1:
        # Anything but 0 and 1 becomes 2 before it is narrowed, so that 256 does not pass as 0.
        array = np.where((array == 0) | (array == 1), array, 2)
    matrix = np.ascontiguousarray(array).astype(np.uint8, copy=False)
    bad = bits.pack_bits_into(matrix, out[:n])
    if bad >= 0:
        raise Misfit(plan.expected, f"a value that is neither 0 nor 1 at position {bad % m}", bad // m)
    return out[:n]


_ENCODERS: Mapping[str | None, Callable[[ColumnPlan, Array, Bytes], Bytes]] = {
    "bool": _bool,
    "integers": _integers,
    "float32": _float32,
    "float64": _double,
    "half": _half,
    "bits": _binary,
}


def numbers_of_bytes(kind: Kind, raw: Bytes) -> Array:
    """Return the numbers (n, dim) of vectors that are stored as bytes (n, width): float16, float32, or 0 and 1."""
    raw = np.ascontiguousarray(raw)
    if kind.floats is FLOAT16:
        return raw.view(np.float16)
    return float32_of_bfloat16(raw) if kind.floats is BFLOAT16 else np.unpackbits(raw, axis=1)


def float32_of_bfloat16(array: Array) -> Array:
    """Return bfloat16 values as float32, exactly; from their bytes (n, 2 * dim) as (n, dim)."""
    return (np.ascontiguousarray(array).view(np.uint16).astype(np.uint32) << 16).view(np.float32)
