"""Single values: what is taken beside the plain types, what is refused and in which words."""

from __future__ import annotations

import array
import collections
import datetime as dt
import enum
import json
import re
import types
import uuid
from decimal import Decimal
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from examples import examples
from format_names import FORMATS
from other_readers import D, columns, exact, refusal, schema_of, write
from vecmill import LocalBulkWriter
from vecmill.errors import DataError

PARAMS: dict[Any, dict[str, Any]] = {
    D.VARCHAR: {"max_length": 8},
    D.FLOAT_VECTOR: {"dim": 2},
    D.FLOAT16_VECTOR: {"dim": 2},
    D.BFLOAT16_VECTOR: {"dim": 2},
    D.INT8_VECTOR: {"dim": 2},
    D.BINARY_VECTOR: {"dim": 8},
}


def schema_with(dtype: Any, **params: Any) -> Any:
    return schema_of(("x", dtype, {**PARAMS.get(dtype, {}), **params}))


def row_of(schema: Any, **values: Any) -> dict[str, Any]:
    row = {"id": 1, "v": [1.0, 2.0], **values}
    return {key: value for key, value in row.items() if key != "v" or any(f.name == "v" for f in schema.fields)}


def ways(schema: Any, value: Any) -> list[Any]:
    """Return every way to offer one value as row 0: a row, rows, a column."""
    row = row_of(schema, x=value)
    return [
        lambda w: w.append_row(row),
        lambda w: w.append_rows([row]),
        lambda w: w.append_batch({name: [one] for name, one in row.items()}),
    ]


class Color(enum.IntEnum):
    RED = 3


class Word(str, enum.Enum):  # noqa: UP042  StrEnum is what users have too, this is the older form
    HELLO = "héllo"


class Plain(enum.Enum):
    ONE = 1


class Index:
    def __index__(self) -> int:
        return 9


class Floats(list):
    pass


class Tensor:
    """A tensor as torch has it, for those who only know DLPack."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


class OnGpu:
    def __array__(self, *_args: Any, **_options: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


F32 = np.array([1.5, -0.0], np.float32)
PAIR = F32.tolist()
F16 = F32.astype(np.float16)
BF16 = F32.astype(ml_dtypes.bfloat16)
UNALIGNED = np.ndarray(2, np.float32, bytearray(b"x" + F32.tobytes()), offset=1)
READ_ONLY = np.frombuffer(F32.tobytes(), np.float32)
BITS = [1, 0, 1, 0, 1, 0, 1, 1]

TAKEN = [
    (D.BOOL, np.bool_(True), True),
    (D.BOOL, np.array(False), False),
    (D.INT8, np.int64(-128), -128),
    (D.INT16, np.uint8(255), 255),
    (D.INT32, Color.RED, 3),
    (D.INT32, Index(), 9),
    (D.INT32, np.array(5), 5),
    (D.INT32, 5.0, 5),
    (D.INT32, np.float16(2048), 2048),
    (D.INT64, np.uint64(2**63 - 1), 2**63 - 1),
    (D.INT64, float(2**53 - 1), 2**53 - 1),
    (D.FLOAT, 3, 3.0),
    (D.FLOAT, 2**100, 2.0**100),
    (D.FLOAT, Index(), 9.0),
    (D.FLOAT, np.uint8(3), 3.0),
    (D.FLOAT, ml_dtypes.bfloat16(1.5), 1.5),
    (D.FLOAT, np.array(1.5), 1.5),
    (D.FLOAT, 3.4028235e38, float(np.finfo("f4").max)),
    (D.DOUBLE, np.float16(0.1), float(np.float16(0.1))),
    (D.DOUBLE, 10**300, 1e300),
    (D.VARCHAR, np.str_("ab"), "ab"),
    (D.VARCHAR, Word.HELLO, "héllo"),
    (D.VARCHAR, "éééé", "éééé"),
    (D.VARCHAR, "héll".encode(), "héll"),
    (D.VARCHAR, Decimal("1.50"), "1.50"),
    (D.INT32, Decimal("5.0"), 5),
    (D.INT64, Decimal(-(2**63)), -(2**63)),
    (D.FLOAT, Decimal("1.50"), 1.5),
    (D.DOUBLE, Decimal("0.1"), 0.1),
    (D.JSON, [dt.timedelta(days=1, seconds=2, microseconds=500_000), np.timedelta64(-90, "m"), pd.Timedelta(1, "ns")],
     '["P1DT2.5S","PT-1H-30M","PT0.000000001S"]'),
    (D.JSON, b'{"a": 1}', '{"a": 1}'),
    (D.JSON, {"a": types.MappingProxyType({"b": collections.OrderedDict(c=1)}), 5: {2.5: 0}},
     '{"a":{"b":{"c":1}},"5":{"2.5":0}}'),
    (D.JSON, {"d": Decimal("1.10"), "i": Decimal("12345678901234567890"), "e": Decimal("1E+3")},
     '{"d":1.1,"i":12345678901234567890,"e":1000}'),
    (D.JSON, uuid.UUID(int=5), '"00000000-0000-0000-0000-000000000005"'),
    (D.JSON, dt.date(2024, 5, 1), '"2024-05-01"'),
    (D.JSON, [dt.datetime(2024, 5, 1, 12), dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))),
              dt.datetime(2024, 5, 1, 12, 0, 0, 500), dt.time(1, 2, 3), pd.Timestamp("2024-05-01T12:00:00.000000001Z"),
              np.datetime64("2024-05-01"), np.datetime64("2024-05-01T12:00:00.5", "ns"),
              np.datetime64("2024-05-01T12", "m"),
              np.array(["2024-05-01", "2024-05-02"], "M8[ns]")],
     '["2024-05-01T12:00:00","2024-05-01T10:00:00Z","2024-05-01T12:00:00.000500","01:02:03",'
     '"2024-05-01T12:00:00.000000001Z","2024-05-01","2024-05-01T12:00:00.500000","2024-05-01T12:00:00",'
     '["2024-05-01T00:00:00","2024-05-02T00:00:00"]]'),
    (D.JSON, {"é": (1, None, np.float32(0.5), np.arange(2))}, '{"é":[1,null,0.5,[0,1]]}'),
    (D.JSON, [1, "x"], '[1,"x"]'),
    (D.JSON, '{"a": 1.0}', '{"a": 1.0}'),
    (D.JSON, '"\\ud834\\udd1e"', '"\\ud834\\udd1e"'),
    (D.JSON, 2**64, "18446744073709551616"),
    *(
        (D.FLOAT_VECTOR, value, PAIR)
        for value in (
            PAIR, tuple(PAIR), Floats(PAIR), collections.deque(PAIR), array.array("f", PAIR), array.array("d", PAIR),
            F32, F32.astype("f2"), F32.astype("f8"), F32.astype(">f4"), F32.astype(">f8"), BF16, UNALIGNED, READ_ONLY,
            np.repeat(F32, 2)[::2], F32[::-1].copy()[::-1], np.array(PAIR, object), memoryview(F32), Tensor(F32),
            pd.Series(PAIR), pl.Series(PAIR), pa.array(PAIR), [np.float32(1.5), np.float16(-0.0)], list(BF16),
            F32.tobytes(), bytearray(F32.tobytes()), [F32.tobytes()], Floats([F32.tobytes()]),
            [Fraction(3, 2), -0.0], memoryview(b"x" + F32.tobytes())[1:].cast("f"), np.ma.array(F32),
        )
    ),
    (D.FLOAT_VECTOR, range(2), [0.0, 1.0]),
    (D.FLOAT_VECTOR, [2, np.int8(-3)], [2.0, -3.0]),
    (D.FLOAT_VECTOR, np.array([2, 3], np.uint64), [2.0, 3.0]),
    *((D.FLOAT16_VECTOR, value, F16.tobytes()) for value in (
        PAIR, F32, F16, F16.astype(">f2"), F32.astype("f8"), BF16, F16.tobytes(), [F16.tobytes()], Tensor(F16),
        bytearray(F16.tobytes()),
        F16.view("u1"), list(F16), UNALIGNED)),
    *((D.BFLOAT16_VECTOR, value, BF16.tobytes()) for value in (
        PAIR, F32, F16, F32.astype("f8"), BF16, BF16.tobytes(), BF16.view("u1"), list(BF16), BF16[::-1].copy()[::-1])),
    (D.BFLOAT16_VECTOR, [1 + 2**-8, 1 + 3 * 2**-8], np.array([0x3F80, 0x3F82], "u2").tobytes()),  # ties to even
    (D.FLOAT16_VECTOR, [1 + 2**-11 + 2**-40, 65519.9], np.array([0x3C01, 0x7BFF], "u2").tobytes()),  # rounded once
    *((D.INT8_VECTOR, value, [-128, 127]) for value in (
        [-128, 127], (-128, 127), np.array([-128, 127], "i1"), np.array([-128, 127], ">i8"), bytes([128, 127]),
        [np.int64(-128), np.uint8(127)], [bytes([128, 127])])),
    *((D.BINARY_VECTOR, value, b"\xab") for value in (
        BITS, tuple(BITS), [bool(b) for b in BITS], np.array(BITS, "u1"), np.array(BITS, bool), np.array(BITS, "i8"),
        b"\xab", bytearray(b"\xab"), [b"\xab"], (b"\xab",), [0xAB], (0xAB,), np.array([0xAB]), np.array([0xAB], ">u2"),
        [np.int16(0xAB)], np.array([0xAB], "u1"), [np.uint8(b) for b in BITS], [np.bool_(b) for b in BITS])),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "value", "stored"), TAKEN, ids=lambda one: getattr(one, "name", type(one).__name__))
def test_values_that_are_taken(tmp_path, dtype, value, stored):
    schema = schema_with(dtype)
    for file_type in FORMATS:
        for way in ways(schema, value):
            found = columns(write(tmp_path, schema, way, file_type=file_type))["x"]
            expected = [exact(dtype, stored, file_type=file_type)]
            assert [exact(dtype, one, file_type=file_type) for one in found] == expected


MASKED = np.ma.array(F32, mask=[0, 1])
REFUSED = [
    (D.BOOL, 1, "a bool", "int 1"),
    (D.BOOL, np.uint8(1), "a bool", "uint8"),
    (D.BOOL, "true", "a bool", "a str of length 4"),
    (D.INT8, 128, "from -128 to 127", "128"),
    (D.INT8, np.int16(-129), "from -128 to 127", "-129"),
    (D.INT16, np.float16(32768), "to 32767", "32768"),
    (D.INT32, np.float32(2**31), "to 2147483647", "2147483648"),
    (D.INT32, np.float16("inf"), "an integer", "inf"),
    (D.INT32, True, "an integer", "bool True"),
    (D.INT32, np.bool_(True), "an integer", "True"),
    (D.INT32, 1.5, "an integer", "1.5"),
    (D.INT32, float("nan"), "an integer", "nan"),
    (D.INT32, "5", "an integer", "a str of length 1"),
    (D.INT32, Decimal("5.5"), "an integer", "Decimal"),
    (D.INT32, Decimal("1E+99999"), "an integer", "Decimal"),
    (D.INT64, Decimal("NaN"), "an integer", "Decimal"),
    (D.INT32, np.timedelta64(5, "s"), "an integer", "timedelta64"),
    (D.INT32, np.datetime64("2020"), "an integer", "datetime64"),
    (D.INT32, dt.datetime(2020, 1, 1), "an integer", "datetime"),
    (D.INT32, np.ma.masked, "masked", "shape"),
    (D.INT32, np.ma.array(5, mask=True), "masked", "shape"),
    (D.INT32, [5], "an integer", "a list of length 1"),
    (D.INT32, np.array([5]), "an integer", r"shape \(1,\)"),
    (D.INT64, 2**63, "to 9223372036854775807", "9223372036854775808"),
    (D.INT64, -(2**63) - 1, "from -9223372036854775808", "-9223372036854775809"),
    (D.INT64, np.uint64(2**63), "an integer", "9223372036854775808"),
    (D.INT64, float(2**53), "an integer", "9007199254740992"),  # may have been 2**53 + 1 once
    (D.INT64, 10**5000, "an integer", "int that cannot be shown"),
    (D.INT64, Unprintable(), "an integer", "Unprintable that cannot be shown"),
    (D.INT64, OnGpu(), "an integer", "raises TypeError: can't convert cuda"),
    (D.FLOAT, 1e39, "a finite float32", "1e.39, beyond the range of float"),
    (D.FLOAT, 3.4028235677973366e38, "a finite float32", "beyond the range"),
    (D.FLOAT, 2**200, "a finite float32", "beyond the range"),
    (D.FLOAT, float("nan"), "a finite float32", "nan"),
    (D.FLOAT, np.float32("-inf"), "a finite float32", "-inf"),
    (D.FLOAT, True, "a finite float32", "bool True"),
    (D.FLOAT, np.bool_(True), "a finite float32", "True"),
    (D.DOUBLE, Decimal("0.12345678901234567890"), "a finite float64", "Decimal"),
    (D.FLOAT, Decimal("Infinity"), "a finite float32", "Decimal"),
    (D.FLOAT, np.complex64(1), "a finite float32", "complex64"),
    (D.FLOAT, "1", "a finite float32", "a str"),
    (D.FLOAT, np.ma.masked, "masked", "shape"),
    (D.DOUBLE, float("inf"), "a finite float64", "inf"),
    (D.DOUBLE, 10**400, "a finite float64", "int 1000"),
    (D.VARCHAR, "ééééé", "at most 8 UTF-8 bytes", r"10 bytes \(5 characters\)"),
    (D.VARCHAR, "\ud800", "Unicode", "lone surrogate at position 0"),
    (D.VARCHAR, b"a\xff", "text in UTF-8", "bytes that are not UTF-8"),
    (D.VARCHAR, 5, "text", "int 5"),
    (D.JSON, "not json", "JSON", "not JSON text"),
    (D.JSON, '{"a":NaN}', "JSON", "NaN is not JSON"),
    (D.JSON, '"\\ud800"', "JSON", "lone surrogate"),
    (D.JSON, '{"a":[-1e400]}', "JSON", "a number beyond float64, -1e400"),
    (D.JSON, '"x":' + "1" * 310, "JSON", "not JSON text"),
    (D.JSON, "1" * 310, "JSON", "a number beyond float64, 111"),
    (D.JSON, {"a": [10**400]}, "JSON", "a number beyond float64, 1000"),
    (D.JSON, {"a": float("nan")}, "JSON", "nan, which is not JSON compliant at 'a'"),
    (
        D.JSON,
        {"a": {"b": [1, {"c": np.float32("inf")}]}},
        "JSON",
        r"inf, which is not JSON compliant at 'a\.b\[1\]\.c'",
    ),
    (D.JSON, {"a": np.array([1, np.nan])}, "JSON", r"nan, which is not JSON compliant at 'a\[1\]'"),
    (D.JSON, [float("nan")], "JSON", r"nan, which is not JSON compliant at '\[0\]'"),
    (D.JSON, float("-inf"), "JSON", "^-inf, which is not JSON compliant$"),
    (D.JSON, {1: "a", "1": "b"}, "JSON", "the keys 1 and '1' in one object"),
    (D.JSON, [{"x": {True: 1, "true": 2}}], "JSON", r"the keys True and 'true' in one object.*at '\[0\]\.x'"),
    (D.JSON, {"x": ({None: 1, "null": 2},)}, "JSON", "the keys None and 'null'"),
    (D.JSON, {"1.5": 1, 1.5: 2}, "JSON", "the keys '1.5' and 1.5"),
    (D.JSON, types.MappingProxyType({0: 1, "0": 2}), "JSON", "the keys 0 and '0'"),
    (D.JSON, {(1, 2): 1}, "JSON", "keys must be str"),
    (D.JSON, {"a": "\ud800"}, "Unicode", "lone surrogate"),
    (D.JSON, {"a": "x" * 65_530}, "65536 bytes", "65538 bytes"),
    (D.JSON, json.dumps("x" * 65_536), "65536 bytes", "65538 bytes"),
    (D.JSON, {"a": {1}}, "JSON", "set has no JSON form"),
    (D.JSON, {"a": b"x"}, "JSON", "bytes has no JSON form"),
    (D.JSON, {"a": pd.NaT}, "JSON", r"NaT has no JSON form \(None is a null\) at 'a'"),
    (D.JSON, {"a": np.array(["2020", "NaT"], "M8[s]")}, "JSON", "NaT has no JSON form"),
    (D.JSON, {"a": np.datetime64("2020-01", "M")}, "JSON", r"datetime64\[M\] has no JSON form at 'a'"),
    (D.JSON, {"a": np.timedelta64(1, "M")}, "JSON", "timedelta64 has no JSON form"),
    (D.JSON, {"a": np.longdouble(1)}, "JSON", "longdouble has no JSON form"),
    (D.JSON, {"a": pd.NA}, "JSON", "NAType has no JSON form at 'a'"),
    (D.JSON, {"a": Decimal("0.1234567890123456789")}, "JSON", "more digits than a number in JSON"),
    (D.JSON, {"a": Decimal("NaN")}, "JSON", "Decimal NaN has no JSON form"),
    (D.JSON, {"a": Plain.ONE}, "JSON", "Plain has no JSON form at 'a'"),
    (D.TIMESTAMPTZ, pd.NaT, "a time", "NaT, which is no time"),
    (D.TIMESTAMPTZ, np.datetime64("NaT"), "a time", "NaT, which is no time"),
    (D.TIMESTAMPTZ, float("nan"), "a time", "a float"),
    (D.FLOAT_VECTOR, [1.0], "2 float32 values", "1 values"),
    (D.FLOAT_VECTOR, [], "2 float32 values", "0 values"),
    (D.FLOAT_VECTOR, [1.0, None], "2 float32 values", "None at position 1"),
    (D.FLOAT_VECTOR, [1.0, True], "2 float32 values", "bool True at position 1"),
    (D.FLOAT_VECTOR, [1.0, "2"], "2 float32 values", "a str of length 1 at position 1"),
    (D.FLOAT_VECTOR, [[1.0], [2.0]], "2 float32 values", "list of length 1 at position 0"),
    (D.FLOAT_VECTOR, [np.complex64(1), 2.0], "2 float32 values", "complex64"),
    (D.FLOAT_VECTOR, [1j, 2.0], "2 float32 values", "complex"),
    (D.FLOAT_VECTOR, [np.datetime64(5, "s")] * 2, "2 float32 values", "datetime64"),
    (D.FLOAT_VECTOR, [np.timedelta64(5, "s"), 1], "2 float32 values", "timedelta64"),
    (D.FLOAT_VECTOR, [float("nan"), 1.0], "all finite", "nan at position 0"),
    (D.FLOAT_VECTOR, [1.0, 1e39], "all finite", "1e.39, beyond the range of float at position 1"),
    (D.FLOAT_VECTOR, np.array([1, np.inf], "f4"), "all finite", "inf at position 1"),
    (D.FLOAT_VECTOR, F32[None], "one dimension", r"shape \(1, 2\)"),
    (D.FLOAT_VECTOR, np.array([True, False]), "2 float32 values", "bool"),
    (D.FLOAT_VECTOR, np.array(["1", "2"]), "2 float32 values", "<U1"),
    (D.FLOAT_VECTOR, MASKED, "without masked values", "shape"),
    (D.FLOAT_VECTOR, F32.tobytes()[:6], "2 float32 values, or 8 bytes", "6 bytes"),
    (D.FLOAT_VECTOR, np.frombuffer(F32.tobytes(), "u1"), "2 float32 values", "8 values"),
    (D.FLOAT_VECTOR, list(F32.tobytes()), "2 float32 values", "8 values"),
    (D.FLOAT_VECTOR, np.float32([1, np.inf]).tobytes(), "all finite", "inf at position 1"),
    (D.FLOAT_VECTOR, [F32.tobytes(), F32.tobytes()], "2 float32 values", "a bytes of length 8 at position 0"),
    (D.FLOAT_VECTOR, "ab", "2 float32 values", "a str of length 2"),
    (D.FLOAT_VECTOR, {0: 1.0, 1: 2.0}, "2 float32 values", "a dict of length 2"),
    (D.FLOAT_VECTOR, {1.0, 2.0}, "2 float32 values", "a set of length 2"),
    (D.FLOAT_VECTOR, OnGpu(), "2 float32 values", "can't convert cuda"),
    (D.FLOAT16_VECTOR, [65520, 0], "all finite", "65520.0, beyond the range of float16 at position 0"),
    (D.FLOAT16_VECTOR, np.array([0, np.nan], "f2"), "all finite", "at position 1"),
    (D.FLOAT16_VECTOR, b"\0\x7c\0\0", "all finite", "at position 0"),
    (D.FLOAT16_VECTOR, b"\0\0\0", "4 bytes", "3 bytes"),
    (D.BFLOAT16_VECTOR, [0, 3.3961776e38], "all finite", "beyond the range of bfloat16 at position 1"),
    (D.BFLOAT16_VECTOR, b"\0\0\x80\x7f", "all finite", "at position 1"),
    (D.INT8_VECTOR, [1, 128], "from -128 to 127", "128"),
    (D.INT8_VECTOR, [1.0, 2.0], "from -128 to 127", "float64 values"),
    (D.INT8_VECTOR, np.array([0, 200], "u1"), "from -128 to 127", "200"),
    (D.BINARY_VECTOR, [*BITS[:7], 2], "0 or 1", "neither 0 nor 1 at position 7"),
    (D.BINARY_VECTOR, np.array([*BITS[:7], 256]), "0 or 1", "neither 0 nor 1 at position 7"),
    (D.BINARY_VECTOR, b"\xab\xcd", "1 bytes", "2 bytes"),
    (D.BINARY_VECTOR, np.ones(8, "f4"), "0 or 1", "float32"),
    (D.BINARY_VECTOR, [256], "0 or 1, or 1 bytes, 0 to 255", "256 at position 0"),
    (D.BINARY_VECTOR, np.array([-1]), "0 to 255", "-1 at position 0"),
    (D.BINARY_VECTOR, [True], "0 or 1", "bool True at position 0"),
    (D.BINARY_VECTOR, [22.0], "0 or 1", "1 values"),
    *(
        (
            dtype,
            np.array([15360, 0], bits),
            "2 b?float16 values",
            rf"{bits} values; .*give \.view\({words}\) or their bytes",
        )
        for dtype, words in ((D.FLOAT16_VECTOR, "np.float16"), (D.BFLOAT16_VECTOR, "ml_dtypes.bfloat16"))
        for bits in ("uint16", "int16")
    ),
]


@pytest.mark.parametrize(
    ("dtype", "value", "expected", "got"), REFUSED, ids=lambda one: getattr(one, "name", type(one).__name__)
)
def test_values_that_are_refused(tmp_path, dtype, value, expected, got):
    for schema in (schema_with(dtype), schema_with(dtype, nullable=True)):
        for way in ways(schema, value):
            error = refusal(tmp_path, schema, way)
            assert (error.field, error.row) == ("x", 0)
            assert str(error) == f"field 'x', row 0: expected {error.expected}, got {error.got}"
            assert re.search(expected, error.expected), error
            assert re.search(got, error.got), error


@pytest.mark.parametrize(
    "dtype", [*PARAMS, D.BOOL, D.INT8, D.INT64, D.FLOAT, D.DOUBLE, D.JSON], ids=lambda one: one.name
)
def test_a_missing_value_is_refused_with_its_reason(tmp_path, dtype):
    for file_type, nullable, reason in (
        ("npy", False, "not nullable"), ("parquet", False, "not nullable"), ("npy", True, "NPY cannot carry a null"),
    ):  # fmt: skip
        schema = schema_with(dtype, nullable=nullable)
        for way in ways(schema, None):
            error = refusal(tmp_path, schema, way, file_type=file_type)
            assert (error.field, error.row) == ("x", 0)
            assert reason in str(error)
            assert "None" in error.got
        bare = row_of(schema)
        without = {key: [value] for key, value in bare.items()}
        error = refusal(tmp_path, schema, lambda w, row=bare: w.append_row(row), file_type=file_type)
        assert (error.field, error.row, error.got) == ("x", 0, "no value")
        error = refusal(tmp_path, schema, lambda w, batch=without: w.append_batch(batch), file_type=file_type)
        assert (error.field, error.row, error.got) == ("x", None, "no such column")


def test_npy_refuses_nul_in_text_and_parquet_takes_it(tmp_path):
    schema = schema_with(D.VARCHAR)
    for way in ways(schema, "a\0b"):
        error = refusal(tmp_path, schema, way, file_type="npy")
        assert (error.field, error.row) == ("x", 0)
        assert "U+0000" in str(error)
        assert columns(write(tmp_path, schema, way))["x"] == ["a\0b"]
    in_json = {"a": "\0"}
    for way in ways(schema_with(D.JSON), in_json):
        assert columns(write(tmp_path, schema_with(D.JSON), way, file_type="npy"))["x"] == ['{"a":"\\u0000"}']


@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(-(2**70), 2**70) | st.floats() | st.booleans() | st.none() | st.text(max_size=2)),
        max_size=8,
    )
)
def test_whatever_is_offered_is_stored_as_it_is_or_refused(tmp_path, offered):
    """The one law: what is read back equals what was offered, and what cannot is refused."""
    for dtype in (D.INT8, D.INT64, D.DOUBLE, D.BOOL):
        taken = []
        with LocalBulkWriter(schema_with(dtype), tmp_path) as writer:
            for (value,) in offered:
                try:
                    writer.append_row({"id": 0, "v": PAIR, "x": value})
                except DataError:
                    continue
                taken.append(value)
        found = columns(writer).get("x", [])
        # DOUBLE is the one type that may round: an int beyond 2**53 to the nearest float64.
        assert found == [float(value) if dtype is D.DOUBLE else value for value in taken]
