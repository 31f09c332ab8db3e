"""native/columns.pyx against its Python twin: every kind of value, every reason to stop, whatever the row."""

from __future__ import annotations

import array
import enum
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from oracles import columns as oracles
from oracles.columns import Column
from vecmill._native import columns as kernel
from vecmill.encode.plan import TextRules
from vecmill.types.lookup import TYPES

CAPACITY = 4
EXAMPLES = examples(150)

INTEGER_VECTORS = [kind for kind in TYPES.values() if kind.group == "dense" and kind.encoding == "integers"]
COLUMNS = [
    Column("bool", "bool", width=1, nullable=True),
    Column("int8", "int8", width=1, default=7),
    Column("int16", "int16", width=2, nullable=True, default=-1),
    Column("int32", "int32", width=4),
    Column("int64", "int64", width=8),
    Column("float", "float", width=4, nullable=True),
    Column("double", "double", width=8),
    Column("text", "text", max_bytes=6, text_rules=TextRules(refuse_nul=True)),
    Column("cell", "text", max_bytes=6, text_rules=TextRules(False, True, b"\\N"), nullable=True),
    Column("free", "text", nullable=True, default="d"),
    Column("json", "json", max_bytes=20, encode=json.dumps, nullable=True),
    Column("fv", "float_vector", width=8, dim=2),
    Column("hv", "float16_vector", width=4, dim=2, nullable=True),
    Column("bv", "bfloat16_vector", width=4, dim=2),
    *(Column(kind.name, kind.name, width=kind.vector_nbytes(2), dim=2) for kind in INTEGER_VECTORS),
    Column("bits", "binary_vector", width=2, dim=16),
]

integers = st.integers(-(2**65), 2**65) | st.sampled_from(
    [s * 2**k + d for s in (1, -1) for k in (7, 15, 31, 63) for d in (-1, 0, 1)]
)
floats = (
    st.floats()
    | st.floats(width=16)
    | st.sampled_from([-0.0, 65519.99, 65520.0, 3.4028235677973366e38, 3.3961775292304601e38, 1e-45, 5e-324])
)
numbers = integers | floats
texts = st.text(st.characters(), max_size=8) | st.sampled_from(["a\0b", "\ud800", "é" * 3, "é" * 4, "𝄞"])
vectors = st.lists(numbers | st.booleans(), min_size=1, max_size=3) | st.lists(
    st.integers(-130, 130), min_size=2, max_size=2
)
bit_rows = st.lists(st.integers(0, 1) | st.booleans(), min_size=16, max_size=16) | st.lists(
    st.integers(0, 2), min_size=15, max_size=16
)
anything = st.none() | st.booleans() | numbers | texts | st.binary(max_size=5) | vectors


def likely(column: Column) -> st.SearchStrategy:
    """Values that mostly fit the column."""
    if column.kind == "bool":
        return st.booleans()
    if column.kind.startswith("int") and not column.dim:
        top = 2 ** (8 * column.width - 1)
        return st.integers(-top, top - 1)
    if column.kind in ("float", "double"):
        return st.floats(allow_nan=False, allow_infinity=False, width=32) | st.integers(-1000, 1000)
    if column.kind in ("text", "json"):
        return st.text("aé𝄞", max_size=2)
    if column.kind == "binary_vector":
        return bit_rows | st.binary(min_size=2, max_size=2)
    kind = next(one for one in TYPES.values() if one.name == column.kind)
    low = st.integers(*kind.limits) if kind.limits else st.integers(-128, 127) | st.floats(-1000, 1000)
    return st.lists(low, min_size=2, max_size=2) | st.tuples(low, low) | st.binary(min_size=4, max_size=4)


class Stage:
    """Column buffers of one scatter, and how to read them."""

    def __init__(self, columns: list[Column], capacity: int = CAPACITY, room: int = 4096) -> None:
        self.columns = columns
        self.memory, buffers = [], []
        for one in columns:
            text = one.width == 0
            values = np.full(room if text else capacity * one.width, 0xEE, np.uint8)
            offsets = np.zeros(capacity + 1, np.int32) if text else None
            validity = np.full(capacity, 0xEE, np.uint8) if one.nullable else None
            self.memory.append((values, offsets, validity))
            buffers.append(
                kernel.ColumnBuffer(
                    name=one.name, kind=one.kind, capacity=capacity, values=values, width=one.width, dim=one.dim,
                    offsets=offsets, validity=validity, max_bytes=one.max_bytes,
                    text_rules=one.text_rules, default=one.default, encode=one.encode,
                )
            )  # fmt: skip
        self.buffers = buffers
        self.scatter = kernel.RowScatter(buffers, columns[-1].kind == "meta")

    def row(self, row: int) -> list[bytes | None]:
        """Return the bytes of a row, None for null."""
        found: list[bytes | None] = []
        for one, (values, offsets, validity) in zip(self.columns, self.memory, strict=True):
            if offsets is not None:
                raw = values[offsets[row] : offsets[row + 1]].tobytes()
            else:
                raw = values[row * one.width : (row + 1) * one.width].tobytes()
            if validity is not None and validity[row] == 0:
                assert not any(raw), "a null row holds zeros"
                found.append(None)
            else:
                assert validity is None or validity[row] == 1
                found.append(raw)
        return found


@pytest.mark.parametrize("column", COLUMNS, ids=lambda one: one.name)
def test_one_value_is_put_as_the_oracle_puts_it(column):
    @EXAMPLES
    @given(st.lists(likely(column) | anything, min_size=1, max_size=3))
    def check(values):
        stage = Stage([column])
        taken, status = stage.buffers[0].fill(values, 0, len(values), 0)
        expected = [oracles.put(column, value) for value in values]
        good = next((i for i, (code, _) in enumerate(expected) if code), len(values))
        assert (taken, status) == (good, expected[good][0] if good < len(values) else 0)
        for i in range(taken):
            assert stage.row(i) == [expected[i][1]]

    check()


@EXAMPLES
@given(st.data())
def test_rows_are_put_as_the_oracle_puts_them(data):
    stage = Stage(COLUMNS)
    keys = {one.name: likely(one) for one in COLUMNS}
    row_dicts = st.fixed_dictionaries(keys, optional={"extra": st.none()})
    rows = data.draw(st.lists(row_dicts | anything, max_size=6))
    for row in rows:
        if isinstance(row, dict):
            for name in data.draw(st.lists(st.sampled_from(sorted(row)), max_size=1)):
                del row[name]
    at = 0
    for row in rows:
        code = stage.scatter.put(row)
        if at == CAPACITY:
            assert code == kernel.FULL
            continue
        want, encoded = oracles.put_row(COLUMNS, False, row)
        assert code == want
        if not code:
            assert stage.row(at) == encoded
            at += 1
        assert stage.scatter.n_rows == at


def test_put_many_stops_at_the_first_row_that_does_not_go_in_and_goes_on_behind_it():
    stage = Stage([Column("n", "int8", width=1)])
    rows = [{"n": 1}, {"n": 2}, {"n": 300}, {"n": 4}, {"n": 5}, {"n": 6}]
    assert stage.scatter.put_many(rows, 0) == (2, kernel.REFUSED)
    assert stage.scatter.put_many(rows, 3) == (5, kernel.FULL)
    assert [stage.row(i) for i in range(4)] == [[b"\1"], [b"\2"], [b"\4"], [b"\5"]]
    stage.scatter.n_rows = 0
    assert stage.scatter.put_many(rows, 5) == (6, kernel.OK)
    assert stage.scatter.put_many(rows, 99) == (99, kernel.OK)
    with pytest.raises(ValueError, match="negative"):
        stage.scatter.put_many(rows, -1)


def test_text_is_full_before_its_room_ends_and_refused_if_it_never_fits():
    stage = Stage([Column("t", "text")], room=8)
    assert stage.buffers[0].fill(["12345", "1234"], 0, 2, 0) == (1, kernel.FULL)
    assert stage.buffers[0].fill(["123456789"], 0, 1, 0) == (0, kernel.REFUSED)
    assert stage.buffers[0].fill(["1234", "𝄞", "x"], 0, 3, 0) == (2, kernel.FULL)
    assert [stage.row(0), stage.row(1)] == [[b"1234"], ["𝄞".encode()]]


def test_dynamic_values_see_the_whole_row():
    seen = []

    def encode(row):
        seen.append(row)
        if "bad" in row:
            raise row["bad"]
        return json.dumps({k: v for k, v in row.items() if k != "n"})

    stage = Stage([Column("n", "int8", width=1), Column("$meta", "meta", encode=encode, max_bytes=30)])
    rows = [{"n": 1}, {"n": 2, "x": "é"}, {"n": 3, "$meta": None}]
    assert stage.scatter.put_many(rows, 0) == (3, kernel.OK)
    assert [stage.row(i)[1] for i in range(3)] == [b"{}", b'{"x": "\\u00e9"}', b'{"$meta": null}']
    assert seen == rows[1:]  # a row without dynamic values is not even shown
    for error in (ValueError(), KeyError(), RuntimeError("dictionary changed size during iteration")):
        assert stage.scatter.put({"n": 1, "bad": error}) == kernel.REFUSED | 1 << 8
    assert stage.scatter.put({"n": 1, "x": "y" * 30}) == kernel.REFUSED | 1 << 8
    with pytest.raises(KeyboardInterrupt):
        stage.scatter.put({"n": 1, "bad": KeyboardInterrupt()})
    assert stage.scatter.n_rows == 3


class _Color(enum.IntEnum):
    RED = 3


class _Index:
    def __index__(self):
        return 1


@pytest.mark.parametrize(
    ("kind", "value", "raw"),
    [
        ("int32", np.int16(-5), np.int32(-5)),
        ("int64", np.uint64(5), np.int64(5)),
        ("int64", _Color.RED, np.int64(3)),
        ("float", np.float16(1.5), np.float32(1.5)),
        ("float", np.uint8(3), np.float32(3)),
        ("double", np.float32(0.1), np.float64(np.float32(0.1))),
        # Everything below is for Python to look at.
        ("int64", np.uint64(2**63), None),
        ("int32", np.bool_(True), None),
        ("int32", _Index(), None),
        ("int32", np.array(5), None),
        ("int32", np.ma.masked_all((), np.int32), None),
        ("int32", np.timedelta64(5, "s"), None),
        ("int32", 1.0, None),
        ("bool", np.bool_(True), None),
        ("bool", 1, None),
        ("float", np.bool_(True), None),
        ("float", np.longdouble(1), None),
        ("double", 10**400, None),
    ],
)
def test_scalars_of_other_types(kind, value, raw):
    width = {"bool": 1, "int32": 4, "float": 4}.get(kind, 8)
    stage = Stage([Column("x", kind, width=width)])
    code = stage.scatter.put({"x": value})
    assert code == (kernel.REFUSED if raw is None else kernel.OK)
    if raw is not None:
        assert stage.row(0) == [raw.tobytes()]


F32 = np.array([1.5, -0.0], np.float32)
BITS = np.array([1, 0, 1, 0, 1, 1, 1, 1] * 2, np.uint8)
UNALIGNED = memoryview(b"x" + F32.tobytes())[1:].cast("f")


@pytest.mark.parametrize(
    ("kind", "value", "raw"),
    [
        ("float_vector", F32, F32),
        ("float_vector", F32.astype("f8"), F32),
        ("float_vector", memoryview(F32), F32),
        ("float_vector", array.array("f", F32), F32),
        ("float_vector", array.array("d", F32), F32),
        ("float_vector", np.array([0, 1.5, 0, -0.0], "f4")[1::2].copy(), F32),
        ("float16_vector", F32.astype("f2"), F32.astype("f2")),
        ("int8_vector", np.array([-128, 127], "i1"), np.array([-128, 127], "i1")),
        ("binary_vector", BITS, np.packbits(BITS)),
        ("binary_vector", BITS.astype(bool), np.packbits(BITS)),
        ("binary_vector", np.array([1, 255], "u1"), np.array([1, 255], "u1")),
        ("binary_vector", bytearray(b"\1\xff"), np.array([1, 255], "u1")),
        ("binary_vector", [np.uint8(b) for b in BITS], np.packbits(BITS)),
        # Everything below is for Python to look at.
        ("float_vector", UNALIGNED, None),
        ("float_vector", F32.astype(">f4"), None),
        ("float_vector", F32[::-1], None),
        ("float_vector", F32[None], None),
        ("float_vector", F32.astype("i4"), None),
        ("float_vector", np.array([1, np.inf], "f4"), None),
        ("float_vector", np.array([1, 1e39]), None),
        ("float_vector", np.ones(3, "f4"), None),
        ("float_vector", np.ma.array(F32, mask=[0, 1]), None),
        ("float_vector", [_Index(), 1.0], None),
        ("float16_vector", np.array([1, np.nan], "f2"), None),
        ("float16_vector", F32, None),
        ("int8_vector", np.array([1, 2], "u1"), None),
        ("binary_vector", np.array([1, 0] * 7 + [1, 2], "u1"), None),
        ("binary_vector", BITS.astype("i8"), None),
        ("binary_vector", "1" * 16, None),
    ],
)
def test_vectors_of_other_types(kind, value, raw):
    column = next(one for one in COLUMNS if one.kind == kind)
    stage = Stage([column])
    code = stage.scatter.put({column.name: value})
    assert code == (kernel.REFUSED if raw is None else kernel.OK)
    if raw is not None:
        assert stage.row(0) == [raw.tobytes()]


def test_a_buffer_that_does_not_fit_its_memory_is_refused():
    small = np.zeros(7, np.uint8)
    with pytest.raises(ValueError, match="do not fit"):
        kernel.ColumnBuffer(name="x", kind="int32", capacity=2, values=small, width=4)
    with pytest.raises(ValueError, match="does not take"):
        kernel.ColumnBuffer(name="x", kind="float_vector", capacity=1, values=small, width=4, dim=2)
    with pytest.raises(ValueError, match="offsets"):
        kernel.ColumnBuffer(name="x", kind="text", capacity=1, values=small, offsets=np.zeros(1, np.int32))
    with pytest.raises(ValueError, match="validity"):
        kernel.ColumnBuffer(name="x", kind="int8", capacity=2, values=small, width=1, validity=np.zeros(1, np.uint8))
    with pytest.raises(ValueError, match="without a field"):
        kernel.RowScatter([], False)
    with pytest.raises(TypeError, match="ColumnBuffer"):
        kernel.RowScatter([object()], False)
    stage = Stage([Column("n", "int8", width=1)])
    with pytest.raises(ValueError, match="out of range"):
        stage.scatter.n_rows = CAPACITY + 1
    with pytest.raises(ValueError, match="negative"):
        stage.buffers[0].fill([1], 0, 1, -1)
