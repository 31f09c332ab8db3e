"""Batches: columns of every layout, taken whole or refused whole, in the order in which they were offered."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from examples import examples
from format_names import FORMATS
from other_readers import D, columns, exact, refusal, schema_of, write
from vecmill import LocalBulkWriter
from vecmill.errors import DataError

WIDE = schema_of(
    ("n", D.INT32, {}), ("d", D.DOUBLE, {}), ("b", D.BOOL, {}), ("t", D.VARCHAR, {"max_length": 16}),
    ("fv", D.FLOAT_VECTOR, {"dim": 3}), ("hv", D.FLOAT16_VECTOR, {"dim": 3}), ("bv", D.BFLOAT16_VECTOR, {"dim": 3}),
    ("iv", D.INT8_VECTOR, {"dim": 3}), ("xv", D.BINARY_VECTOR, {"dim": 16}),
)  # fmt: skip
TYPES = {field.name: field.dtype for field in WIDE.fields}


def wide_batch(n: int) -> dict[str, np.ndarray]:
    matrix = np.arange(3 * n, dtype=np.float32).reshape(n, 3) % 97 - 40
    return {
        "id": np.arange(n), "n": np.arange(n, dtype="i4"), "d": np.arange(n) / 7, "b": np.arange(n) % 3 == 0,
        "t": np.array([f"é{i}" for i in range(n)]), "fv": matrix, "hv": matrix.astype("f2"),
        "bv": matrix.astype(ml_dtypes.bfloat16), "iv": matrix.astype("i1"),
        "xv": np.arange(2 * n, dtype="u1").reshape(n, 2),
    }  # fmt: skip


def misaligned(array: np.ndarray) -> np.ndarray:
    out = np.ndarray(array.shape, array.dtype, bytearray(array.nbytes + 1), offset=1)
    out[...] = array
    return out


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS = {
    "plain": lambda a: a,
    "read-only": read_only,
    "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "fortran": np.asfortranarray,
    "column slice": lambda a: np.concatenate([a, a], axis=-1)[..., : a.shape[-1]] if a.ndim == 2 else a,
    "misaligned": lambda a: a if a.dtype.kind == "U" else misaligned(a),
    "big-endian": lambda a: a if a.dtype.kind == "V" else a.astype(a.dtype.newbyteorder(">")),
    "wider": lambda a: a.astype({"f": "f8", "i": "i8", "V": "f4"}.get(a.dtype.kind, a.dtype)),
    "objects": lambda a: np.array([*a, None], object)[:-1],
    "list": list,
    "tuple of rows": tuple,
    "iterator": iter,
    "dlpack": lambda a: Tensor(a) if a.dtype.kind in "fiub" else a,
    "subclass": lambda a: a.view(type("Mine", (np.ndarray,), {})),
    "masked, none of them": np.ma.array,
}


class Tensor:
    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("n", [5, 1000])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("file_type", FORMATS)
def test_arrays_of_every_layout(tmp_path, file_type, layout, n):
    batch = wide_batch(n)
    given_batch = {name: LAYOUTS[layout](array) for name, array in batch.items()}
    flags = {name: getattr(one, "flags", None) and one.flags.writeable for name, one in given_batch.items()}
    before = {name: copy.deepcopy(one) for name, one in given_batch.items() if isinstance(one, np.ndarray)}
    # A segment of the size of a few blocks: a part of the batch fits the stage, the rest goes past it.
    found = columns(
        write(tmp_path, WIDE, lambda w: w.append_batch(given_batch), file_type=file_type, chunk_size=70_000)
    )
    for name, array in batch.items():
        stored = array.view("u1") if name in ("hv", "bv") else array
        expected = [exact(TYPES[name], one) for one in stored.tolist()]
        assert [exact(TYPES[name], one if name != "xv" else list(one)) for one in found[name]] == expected, name
    for name, one in before.items():
        assert repr(given_batch[name].tolist()) == repr(one.tolist())
        assert given_batch[name].flags.writeable == flags[name]


BAD = {
    "n": 2**40, "d": float("nan"), "t": "x" * 17, "fv": [1.0, 2.0, float("inf")], "hv": [0.0, 0.0, 1e6],
    "iv": [1, 2, 300], "b": None, "xv": [1] * 15 + [2],
}  # fmt: skip


@pytest.mark.parametrize("field", BAD)
@pytest.mark.parametrize("file_type", FORMATS)
@pytest.mark.parametrize("n", [4, 1500])
def test_a_batch_with_one_bad_row_is_refused_whole(tmp_path, file_type, field, n):
    good = {name: array[:3] for name, array in wide_batch(3).items()}
    bad = {name: list(array) for name, array in wide_batch(n).items()}
    bad[field][n - 1] = BAD[field]
    with LocalBulkWriter(WIDE, tmp_path, file_type=file_type, chunk_size=20_000) as writer:
        writer.append_batch(good)
        for row in range(2):
            with pytest.raises(DataError) as caught:
                writer.append_batch(bad)
            assert (caught.value.field, caught.value.row) == (field, 3 + row * n + n - 1)
            assert writer.total_row_count == 3
        writer.append_batch(good)
        writer.commit()
        writer.append_row({name: array[1] for name, array in good.items()})
    assert columns(writer)["id"] == [0, 1, 2, 0, 1, 2, 1]
    assert [Path(files[0]).exists() for files in writer.batch_files] == [True, True]
    assert sum(entry.rows for entry in writer.manifest.files if entry.field in (None, "id")) == 7


@pytest.mark.parametrize("file_type", FORMATS)
@pytest.mark.parametrize("chunk_size", [1, 3000, 2**20])
def test_a_bad_stream_leaves_nothing_though_it_spanned_segments(tmp_path, file_type, chunk_size):
    schema = schema_of(("t", D.VARCHAR, {"max_length": 8}))
    v = pa.array([[1.0, 2.0]] * 20, pa.list_(pa.float32()))
    parts = [pa.record_batch({"id": pa.array(range(i, i + 20)), "t": ["ok"] * 20, "v": v}) for i in range(0, 120, 20)]
    bad = pa.record_batch({"id": pa.array(range(20)), "t": ["ok"] * 19 + ["much too long"], "v": v})

    def breaking():
        yield from parts[:2]
        raise OSError("the network is down")

    with LocalBulkWriter(schema, tmp_path, file_type=file_type, chunk_size=chunk_size) as writer:
        rows = [{"id": -i, "t": "row", "v": [0.0, 0.0]} for i in range(3)]
        writer.append_row(rows[0])
        with pytest.raises(DataError) as caught:
            writer.append_batch(pa.Table.from_batches([*parts, bad]))
        assert (caught.value.field, caught.value.row) == ("t", 1 + 120 + 19)
        writer.append_row(rows[1])
        with pytest.raises(OSError, match="network"):
            writer.append_batch(pa.RecordBatchReader.from_batches(parts[0].schema, breaking()))
        writer.append_batch(pa.Table.from_batches(parts))
        writer.append_row(rows[2])
        assert writer.total_row_count == 123
    assert columns(writer)["id"] == [0, -1, *range(120), -2]
    numbers = [
        Path(files[0]).parent.name if file_type == "npy" else Path(files[0]).stem for files in writer.batch_files
    ]
    assert numbers == [str(i + 1) for i in range(len(numbers))]
    leftovers = {path for path in writer.data_path.rglob("*") if path.is_file()} - {
        Path(p) for f in writer.batch_files for p in f
    }
    assert not leftovers


KINDS = ["row", "rows", "arrays", "lists", "arrow", "stream", "bad row", "bad rows", "bad batch", "commit"]
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 40)), max_size=10)


def rows_of(table: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]


def offer(writer: LocalBulkWriter, kind: str, table: dict[str, list[Any]]) -> list[int]:
    """Give the writer a table in one of the ways; return the ids that it has to take."""
    ids = table["id"]
    bad = {**table, "t": [*table["t"][:-1], "é" * 151]} if ids else table
    if kind == "commit":
        writer.commit()
        return []
    if kind == "row":
        for row in rows_of(table)[:3]:
            writer.append_row(row)
        return ids[:3]
    if kind.startswith("bad") and ids:
        with pytest.raises(DataError):
            if kind == "bad row":
                writer.append_row(rows_of(bad)[-1])
            elif kind == "bad rows":
                writer.append_rows(rows_of(bad))
            else:
                writer.append_batch(pa.table(bad).to_reader(max_chunksize=7) if len(ids) % 2 else bad)
        return ids[:-1] if kind == "bad rows" else []
    if kind == "arrays":
        writer.append_batch({**table, "id": np.array(ids, int), "v": np.array(table["v"], np.float32).reshape(-1, 2)})
    elif kind in ("arrow", "stream"):
        arrow = pa.table(table)
        writer.append_batch(arrow if kind == "arrow" else arrow.to_reader(max_chunksize=7))
    elif kind == "lists":
        writer.append_batch(table)
    else:
        writer.append_rows(rows_of(table))
    return ids


@pytest.mark.parametrize("file_type", FORMATS)
def test_the_order_of_rows_is_that_of_offering(tmp_path, file_type):
    schema = schema_of(
        ("t", D.VARCHAR, {"max_length": 300, "nullable": file_type in ("parquet", "json")}), dynamic=True
    )

    @examples(25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(STEPS, st.sampled_from([900, 5000, 2**27]))
    def check(steps, chunk_size):
        taken: list[int] = []
        number = 0
        with LocalBulkWriter(schema, tmp_path, file_type=file_type, chunk_size=chunk_size) as writer:
            for kind, n in steps:
                ids = list(range(number, number + n))
                number += n
                texts = ["é" * (i % 7 * i % 150) for i in ids]
                table = {"id": ids, "t": texts, "v": [[i, -i] for i in ids], "extra": [str(i) for i in ids]}
                taken += offer(writer, kind, table)
            assert writer.total_row_count == len(taken)
        found = columns(writer)
        assert found.get("id", []) == taken
        assert found.get("t", []) == ["é" * (i % 7 * i % 150) for i in taken]
        assert found.get("v", []) == [[i, -i] for i in taken]
        assert found.get("$meta", []) == [f'{{"extra":"{i}"}}' for i in taken]

    check()


@pytest.mark.parametrize("file_type", FORMATS)
def test_chunk_size_one_makes_a_segment_of_every_row(tmp_path, file_type):
    def put(writer):
        for i in range(10):
            writer.append_row({"id": i, "v": [i, i]})
        writer.append_batch({"id": np.arange(10, 20), "v": np.zeros((10, 2))})

    written = write(tmp_path, schema_of(), put, file_type=file_type, chunk_size=1)
    assert len(written.batch_files) == 20
    assert columns(written)["id"] == list(range(20))


@pytest.mark.parametrize("file_type", FORMATS)
def test_texts_larger_than_a_segment_and_texts_at_the_limit(tmp_path, file_type):
    schema = schema_of(("t", D.VARCHAR, {"max_length": 65_535}), dynamic=True)
    texts = ["a" * 65_535, "é" * 32_767, "", "𝄞" * 16_383] * 3
    rows = [{"id": i, "v": [0, 0], "t": text, "k": text[:16_000]} for i, text in enumerate(texts)]
    batch = {name: [row[name] for row in rows] for name in rows[0]}
    for chunk_size in (1, 100_000, 2**27):
        for put in (
            lambda w: w.append_rows(rows),
            lambda w: w.append_batch(batch),
            lambda w: w.append_batch(pa.table(batch)),
        ):
            written = write(tmp_path, schema, put, file_type=file_type, chunk_size=chunk_size)
            assert columns(written)["t"] == texts
            assert [len(text) for text in columns(written)["$meta"]] == [len(text[:16_000]) + 8 for text in texts]
    too_long = {**batch, "t": [*texts[:-1], "é" * 32_768]}
    error = refusal(tmp_path, schema, lambda w: w.append_batch(too_long), file_type=file_type)
    assert (error.field, error.row) == ("t", len(texts) - 1)


V2 = [[1.0, 2.0], [3.0, 4.0]]
REFUSED = [
    ({}, None, None, "at least one column"),
    ([{"id": 1}], None, None, "for row dicts use append_rows"),
    ("id", None, None, "a mapping of name to array"),
    ({"id": [1, 2], "v": V2[:1]}, "v", None, "2 values, as 'id' has"),
    ({"id": [1, 2]}, "v", None, "no such column"),
    ({"id": [1, 2], "v": V2, "zz": [1, 2]}, "zz", None, "only fields of the schema"),
    ({"id": [1, 2], "v": V2, 5: [1, 2]}, None, None, "names of type str"),
    ({"id": {2, 1}, "v": V2}, "id", None, "a set of length 2"),
    ({"id": "12", "v": V2}, "id", None, "a column of values"),
    ({"id": {"a": 1}, "v": V2}, "id", None, "a column of values"),
    ({"id": np.array(5), "v": V2}, "id", None, "a column of values"),
    ({"id": None, "v": V2}, "id", None, "a column of values"),
    ({"id": np.array([[1], [2]]), "v": V2}, "id", 0, "one value a row"),
    ({"id": [1, 2], "v": np.ones(2)}, "v", 0, "one vector a row"),
    ({"id": [1, 2], "v": np.ones((2, 2, 1))}, "v", 0, "one vector a row"),
    ({"id": [1, 2], "v": np.ones((2, 3))}, "v", 0, "3 values a row"),
    ({"id": [1, 2], "v": [[1, 2], [1]]}, "v", 1, "1 values"),
    ({"id": [1, 2], "v": [[1, 2], [[1], [2]]]}, "v", 1, "list of length 1 at position 0"),
    ({"id": [1, 2], "v": np.ma.array(V2, mask=[[0, 0], [0, 1]])}, "v", 1, "None at position 1"),
    ({"id": np.ma.array([1, 2], mask=[0, 1]), "v": V2}, "id", 1, "None"),
    ({"id": np.array([1.0, 2.0**53]), "v": V2}, "id", 1, "9007199254740992"),
    ({"id": np.array([1, np.inf], "f2"), "v": V2}, "id", 1, "inf"),
    ({"id": np.array([1, 2**63], "f4"), "v": V2}, "id", 1, "9.223372"),
    ({"id": np.array([1, 2], "M8[s]"), "v": V2}, "id", 0, "datetime64"),
    ({"id": np.array([1, 2], "m8[s]"), "v": V2}, "id", 0, "timedelta64"),
    ({"id": np.array([1, 2], complex), "v": V2}, "id", 0, "complex128"),
    ({"id": np.array([True, False]), "v": V2}, "id", 0, "bool"),
    ({"id": np.array(["1", "2"]), "v": V2}, "id", 0, "<U1"),
    ({"id": [1, 2], "v": np.array([[1, 2], [1, 1e39]])}, "v", 1, "1e+39, beyond the range of float at position 1"),
    ({"id": [1, 2], "v": np.array([[1, 2], [np.nan, 1]], "f4")}, "v", 1, "nan at position 0"),
    ({"id": [1, 2], "v": np.array([["1", "2"]] * 2)}, "v", 0, "<U1"),
]


@pytest.mark.parametrize(("batch", "field", "row", "words"), REFUSED)
def test_batches_that_are_refused(tmp_path, batch, field, row, words):
    for file_type in FORMATS:
        error = refusal(tmp_path, schema_of(), lambda w: w.append_batch(batch), file_type=file_type)
        assert (error.field, error.row or 0) == (field, row or 0)
        assert words in str(error)


@pytest.mark.parametrize(
    ("texts", "row", "words"),
    [
        (np.array(["ok", "ééééé"]), 1, "10 bytes (5 characters)"),
        (np.array(["ok", "é" * 9, "x"], "U9")[:2], 1, "18 bytes"),
        (np.array([b"ok", b"\xff"]), 1, "not UTF-8"),
        (np.array([65, 0xD800], "u4").view("U1"), 1, "U+D800"),
        (np.array([65, 0x110000], "u4").view("U1"), 1, "U+110000"),
        (np.array(["a", 5], object), 1, "int 5"),
        (np.array([1, 2]), None, "int64 array"),
        (np.array([["a"], ["b"]]), None, "shape (2, 1)"),
    ],
)
def test_text_arrays_that_are_refused(tmp_path, texts, row, words):
    schema = schema_of(("t", D.VARCHAR, {"max_length": 8}))
    error = refusal(tmp_path, schema, lambda w: w.append_batch({"id": [1, 2], "v": V2, "t": texts}))
    assert (error.field, error.row) == ("t", row)
    assert words in str(error)


@pytest.mark.parametrize("dtype", ["U", "S", "T", ">U6", "U0", object])
@pytest.mark.parametrize("file_type", FORMATS)
def test_text_arrays_of_every_type(tmp_path, file_type, dtype):
    values = ["", "é", "abc", "𝄞"] if dtype != "U0" else ["", "", "", ""]
    raw = [value.encode() for value in values] if dtype == "S" else values
    array = np.ndarray(4, "U0") if dtype == "U0" else np.array(raw, np.dtypes.StringDType() if dtype == "T" else dtype)
    schema = schema_of(("t", D.VARCHAR, {"max_length": 8}))
    for one in (array, np.repeat(array, 2)[::2]):
        batch = {"id": np.arange(4), "v": np.zeros((4, 2)), "t": one}
        assert (
            columns(write(tmp_path, schema, lambda w, b=batch: w.append_batch(b), file_type=file_type))["t"] == values
        )


@pytest.mark.parametrize("file_type", FORMATS)
def test_memory_may_be_reused_once_the_call_returns(tmp_path, file_type):
    """Large batches are written from the caller's memory, several blocks at a time: all of it before the return."""
    n, schema = 20_000, schema_of(("t", D.VARCHAR, {"max_length": 8}), ("x", D.FLOAT_VECTOR, {"dim": 32}))
    batch = {"id": np.empty(n, "i8"), "t": np.empty(n, "U6"), "x": np.empty((n, 32), "f4")}
    with LocalBulkWriter(schema, tmp_path, file_type=file_type, chunk_size=2_000_000) as writer:
        for i in range(3):
            batch["id"][:], batch["t"][:] = np.arange(n) + i * n, f"té{i}"
            batch["x"][:] = np.arange(32) + i
            writer.append_batch(batch)
            for array in batch.values():
                array[...] = 0
    found = columns(writer)
    assert found["id"] == list(range(3 * n))
    assert found["t"] == ["té0"] * n + ["té1"] * n + ["té2"] * n
    assert (np.array(found["x"]) == np.arange(32) + np.repeat([0, 1, 2], n)[:, None]).all()


def test_batches_without_rows_are_nothing(tmp_path):
    empty: list[dict[str, Any]] = [
        {"id": [], "v": []}, {"id": np.array([]), "v": np.empty((0, 2))}, {"id": np.empty(0, "i8"), "v": []},
    ]  # fmt: skip
    for file_type in FORMATS:
        written = write(tmp_path, schema_of(), lambda w: [w.append_batch(one) for one in empty], file_type=file_type)
        assert (written.total_row_count, written.batch_files) == (0, [])


def test_dynamic_columns(tmp_path):
    schema = schema_of(dynamic=True)
    batch = {
        "id": [1, 2], "v": V2, "f": np.array([0.5, -0.0], "f4"), "h": np.array([1, 2], ml_dtypes.bfloat16),
        "m": np.eye(2, dtype="i1"),
        "o": [None, {"a": (1, 2)}], "$meta": ['{"k": 1e2}', None],
    }  # fmt: skip
    found = columns(write(tmp_path, schema, lambda w: w.append_batch(batch)))["$meta"]
    assert found == ['{"k":100.0,"f":0.5,"h":1.0,"m":[1,0],"o":null}', '{"f":-0.0,"h":2.0,"m":[0,1],"o":{"a":[1,2]}}']
    for column, words in (
        (np.array([1, 2], "m8[Y]"), "no JSON form"), (np.array(["2020", "2021"], "M8[Y]"), "no JSON form"),
        (np.array([1.0, np.nan]), "not JSON compliant"), ([1, "\ud800"], "lone surrogate"),
        (np.array([b"a", b"b"]), "no JSON form"),
    ):  # fmt: skip
        error = refusal(tmp_path, schema, lambda w, c=column: w.append_batch({"id": [1, 2], "v": V2, "x": c}))
        assert error.field == "$meta"
        assert words in str(error)
