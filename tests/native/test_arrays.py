"""Arrays and struct arrays in native/columns.pyx against their Python twins."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from oracles import columns as oracles
from oracles.columns import Column
from vecmill._native import columns as kernel

MOST = 4
EXAMPLES = examples(200)
ITEMS = [
    Column("bool", "bool", width=1),
    Column("int8", "int8", width=1),
    Column("int16", "int16", width=2),
    Column("int32", "int32", width=4),
    Column("int64", "int64", width=8),
    Column("float", "float", width=4),
    Column("double", "double", width=8),
    Column("text", "text", max_bytes=6),
]
VECTORS = [
    Column("fv", "float_vector", width=8, dim=2),
    Column("hv", "float16_vector", width=4, dim=2),
    Column("bits", "binary_vector", width=2, dim=16),
]
FORMATS = {"bool": "?", "int8": "b", "int16": "h", "int32": "i", "int64": "q", "float": "f", "double": "d"}
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-300, 300)
    | st.integers(-(2**65), 2**65)
    | st.floats()
    | st.text(max_size=8)
    | st.just("\ud800")
)


def buffer_of(item: Column) -> kernel.ColumnBuffer:
    text = item.width == 0
    return kernel.ColumnBuffer(
        name=item.name, kind=item.kind, capacity=1, values=np.empty(item.width or 64, np.uint8), width=item.width,
        dim=item.dim, offsets=np.zeros(2, np.int32) if text else None, max_bytes=item.max_bytes,
    )  # fmt: skip


class Arrays:
    """One array column, and how to read it."""

    def __init__(
        self, kind: str, items: list[Column], *, room: int | None = None, size: int = 4096, **more: Any
    ) -> None:
        self.values, self.offsets = np.full(size, 0xEE, np.uint8), np.zeros(9, np.int32)
        self.validity = np.full(8, 0xEE, np.uint8)
        self.buffer = kernel.ColumnBuffer(
            name="a", kind=kind, capacity=8, values=self.values, dim=MOST, offsets=self.offsets,
            validity=self.validity, room=room, items=[buffer_of(item) for item in items], **more,
        )  # fmt: skip

    def put(self, value: Any, row: int = 0) -> tuple[int, bytes | None]:
        taken, status = self.buffer.fill([value], 0, 1, row)
        assert taken == (status == kernel.OK)
        if status:
            return status, None
        raw = self.values[self.offsets[row] : self.offsets[row + 1]].tobytes()
        return status, raw if self.validity[row] else None


@EXAMPLES
@given(st.sampled_from(ITEMS), st.data())
def test_an_array_is_packed_as_its_twin_packs_it(item: Column, data: st.DataObject) -> None:
    likely = {"bool": st.booleans(), "text": st.text("aé", max_size=3), "float": st.floats(width=16)}
    elements = likely.get(item.kind, st.integers(-100, 100)) | scalars
    value = data.draw(st.lists(elements, max_size=MOST + 1) | st.lists(elements, max_size=MOST).map(tuple) | scalars)
    expected = oracles.packed_array(item, MOST, value)
    status, raw = Arrays("array", [item]).put(value)
    if value is None:
        assert (status, raw) == (kernel.OK, None)
    elif expected is None:
        assert status == kernel.REFUSED
    else:
        assert (status, raw) == (kernel.OK, expected)


@EXAMPLES
@given(st.lists(st.sampled_from(ITEMS + VECTORS), min_size=1, max_size=4, unique_by=lambda item: item.name), st.data())
def test_structs_are_packed_as_their_twin_packs_them(items: list[Column], data: st.DataObject) -> None:
    likely = {
        "bool": st.booleans(), "text": st.text("aé", max_size=3), "bits": st.binary(min_size=2, max_size=2),
        "fv": st.lists(st.integers(0, 9), min_size=2, max_size=2), "hv": st.tuples(st.integers(0, 9), st.just(0.5)),
    }  # fmt: skip
    one = st.fixed_dictionaries({item.name: likely.get(item.name, st.integers(-100, 100)) for item in items})
    odd = (
        st.fixed_dictionaries({item.name: scalars for item in items}) | st.dictionaries(st.just("x"), scalars) | scalars
    )
    value = data.draw(st.lists(one, max_size=MOST + 1) | st.lists(one | odd, max_size=MOST) | scalars)
    expected = oracles.packed_structs(items, MOST, value)
    status, raw = Arrays("struct", items).put(value)
    if value is None:
        assert (status, raw) == (kernel.OK, None)
    elif expected is None:
        assert status == kernel.REFUSED
    else:
        assert (status, raw) == (kernel.OK, expected)


@pytest.mark.parametrize("item", ITEMS[:-1], ids=lambda item: item.name)
def test_a_buffer_of_the_same_type_is_packed_as_a_list(item: Column) -> None:
    dtype = np.dtype(FORMATS[item.kind])
    values = np.array([1, 0, 1], dtype)
    expected = Arrays("array", [item]).put(values.tolist())
    assert Arrays("array", [item]).put(values) == expected
    if item.kind != "bool":
        assert Arrays("array", [item]).put(array.array(FORMATS[item.kind], values.tolist())) == expected
    other = np.float64 if item.kind != "double" else np.float32
    for refused in (values.astype(other), values.astype(dtype.newbyteorder(">")) if item.width > 1 else values[None],
                    np.repeat(values, 2)[::2], np.repeat(values, 2), np.ma.masked_array(values)):  # fmt: skip
        assert Arrays("array", [item]).put(refused) == (kernel.REFUSED, None)
    if item.kind in ("float", "double"):
        assert Arrays("array", [item]).put(np.array([1, np.nan], dtype)) == (kernel.REFUSED, None)
        assert Arrays("array", [item]).put(np.array([-np.inf], dtype)) == (kernel.REFUSED, None)


def test_the_first_row_may_fill_all_the_room_and_later_ones_their_share() -> None:
    column = Arrays("array", [ITEMS[4]], room=16, size=32)
    assert column.put([1, 2, 3, 4]) == (kernel.OK, np.arange(1, 5).tobytes())
    assert column.put([5], row=1) == (kernel.FULL, None)
    column = Arrays("array", [ITEMS[4]], room=16, size=32)
    assert column.put([1])[0] == kernel.OK
    assert column.put([2, 3], row=1) == (kernel.FULL, None)
    assert column.put([2], row=1)[0] == kernel.OK
    assert Arrays("array", [ITEMS[4]], size=24).put([1, 2, 3, 4]) == (kernel.REFUSED, None)
    texts = Arrays("array", [ITEMS[-1]], room=12, size=64)
    assert texts.put(["abc"])[0] == kernel.OK
    assert texts.put(["ab"], row=1) == (kernel.FULL, None)
    structs = Arrays("struct", [ITEMS[4]], room=24, size=64)
    assert structs.put([{"int64": 1}])[0] == kernel.OK
    assert structs.put([{"int64": 1}, {"int64": 2}], row=1) == (kernel.FULL, None)
    assert structs.put([{"int64": 1}], row=1)[0] == kernel.OK


def test_empty_lists_where_they_mean_null_are_refused() -> None:
    for kind in ("array", "struct"):
        assert Arrays(kind, ITEMS[:1]).put([])[0] == kernel.OK
        assert Arrays(kind, ITEMS[:1], refuse_empty=True).put([]) == (kernel.REFUSED, None)
        assert Arrays(kind, ITEMS[:1], refuse_empty=True).put(None) == (kernel.OK, None)
    assert Arrays("array", ITEMS[3:4], refuse_empty=True).put(np.empty(0, np.int32)) == (kernel.REFUSED, None)


def test_arguments_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="needs its items"):
        Arrays("array", [])
    with pytest.raises(TypeError, match="ColumnBuffers"):
        kernel.ColumnBuffer(
            name="a", kind="array", capacity=1, values=np.empty(9, np.uint8), offsets=np.zeros(2, np.int32), items=[5],  # type: ignore[list-item]
        )  # fmt: skip
