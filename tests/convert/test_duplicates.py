"""convert(check_duplicates=True): repeated primary keys are found, named, or left out; in bounded memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversions import read_parquet, vectors, visible_data_files
from examples import examples
from vecmill.convert import convert, duplicates
from vecmill.convert.duplicates import find_repeated
from vecmill.errors import DataError, SchemaError
from vecmill.sources import open_source
from vecmill.sources.base import Column


class Keys:
    """A source of one column, in batches of some rows."""

    n_bytes = 0

    def __init__(self, values: pa.Array, batch_rows: int = 7, n_rows: int | None = -1) -> None:
        self._values = values
        self._batch_rows = batch_rows
        self.columns = (Column("id", "id", values.type, None),)
        self.n_rows = len(values) if n_rows == -1 else n_rows

    def batches(self, names=None, *, batch_rows=None, start_row=0):
        step = batch_rows or self._batch_rows
        for start in range(start_row, len(self._values), step):
            yield {"id": self._values[start : start + step]}

    def locate(self, row, name=None):
        return "keys", row


def expected(values: list, keep: str) -> list[bool]:
    seen: set = set()
    flags = []
    for value in reversed(values) if keep == "last" else values:
        flags.append(value is not None and value in seen)
        seen.add(value)
    return flags[::-1] if keep == "last" else flags


KEYS = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1)), max_size=200),
    st.lists(st.one_of(st.none(), st.sampled_from("abcé"), st.text(max_size=3)), max_size=200),
)


@examples(150)
@given(values=KEYS, keep=st.sampled_from(["first", "last", "error"]), known=st.booleans())
def test_repeated_keys_are_found_whatever_they_are(tmp_path_factory, values, keep, known):
    folder = tmp_path_factory.mktemp("keys")
    is_text = any(isinstance(value, str) for value in values)
    source = Keys(pa.array(values, pa.string() if is_text else pa.int64()), n_rows=-1 if known else None)
    at_once, duplicates._AT_ONCE = duplicates._AT_ONCE, 13  # small pieces and several files
    try:
        found = find_repeated(source, "id", folder, keep=keep)
    finally:
        duplicates._AT_ONCE = at_once
    want = expected(values, keep)
    assert found.n_rows == sum(want)
    assert (found.flags.tolist() if found.flags is not None else [False] * len(values)) == want
    if keep == "error":
        rows = [row for row, flag in enumerate(want) if flag][:5]
        assert list(found.first) == [(row, values.index(values[row])) for row in rows]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", ["int32", "uint8", "large_string", "string_view", "dictionary"])
def test_every_layout_of_keys(tmp_path, kind):
    texts = ["a", "b", "a", None, "c"]
    if kind == "dictionary":
        array = pa.array(texts).dictionary_encode()
    elif "string" in kind:
        array = pa.array(texts, getattr(pa, kind)())
    else:
        array = pa.array([1, 2, 1, None, 3], getattr(pa, kind)())
    assert find_repeated(Keys(array), "id", tmp_path).flags.tolist() == [False, False, True, False, False]


def test_one_half_of_a_hash_is_not_enough(tmp_path, monkeypatch):
    class Half:
        def __init__(self, text, digest_size):
            self._text = text

        def digest(self):
            return b"the same" + self._text.ljust(8)

    monkeypatch.setattr(duplicates.hashlib, "blake2b", Half)
    values = ["b", "a", "b", "c", "a", "a"]
    found = find_repeated(Keys(pa.array(values)), "id", tmp_path)
    assert found.flags.tolist() == expected(values, "first")


def test_values_that_are_no_keys(tmp_path):
    with pytest.raises(DataError, match="integers or text"):
        find_repeated(Keys(pa.array([1.5])), "id", tmp_path)


# -- through convert --------------------------------------------------------------------------------------------------


def write_keys(folder: Path, *shards: list) -> None:
    folder.mkdir()
    for i, ids in enumerate(shards):
        flat = pa.array(vectors(len(ids), 4, start=i).ravel())
        table = pa.table({"id": ids, "vector": pa.FixedSizeListArray.from_arrays(flat, 4)})
        pq.write_table(table, folder / f"{i}.parquet", row_group_size=3)


@pytest.mark.parametrize("as_text", [False, True])
def test_the_first_offenders_are_named(tmp_path, as_text):
    shards = [[1, 2, 3, 4, 5], [6, 2, 7, 2, 5, 8]]
    write_keys(tmp_path / "in", *([[f"k{i}" for i in ids] for ids in shards] if as_text else shards))
    with pytest.raises(DataError) as caught:
        convert(tmp_path / "in", tmp_path / "out", check_duplicates=True)
    err, prefix = caught.value, "k" if as_text else ""
    one, two = (str(tmp_path / "in" / f"{i}.parquet") for i in range(2))
    assert (err.file, err.field, err.row) == (two, "id", 1)
    assert err.got == f"{prefix}2, as in row 1 of {one!r}"
    assert err.__notes__ == [
        "3 rows repeat a key",
        f"row 3 of {two!r} has {prefix}2, as in row 1 of {one!r}",
        f"row 4 of {two!r} has {prefix}5, as in row 4 of {one!r}",
    ]
    assert not (tmp_path / "out").exists()
    assert convert(tmp_path / "in", tmp_path / "out").rows == 11  # unless asked for, nobody looks


@pytest.mark.parametrize(("keep", "want"), [("first", [1, 2, 3, 4, 5, 6, 7, 8]), ("last", [1, 3, 4, 6, 7, 2, 5, 8])])
def test_one_row_of_each_key_is_kept(tmp_path, keep, want):
    write_keys(tmp_path / "in", [1, 2, 3, 4, 5], [6, 2, 7, 2, 5, 8])
    report = convert(tmp_path / "in", tmp_path / "out", check_duplicates=True, keep=keep)
    assert read_parquet(report)["id"].to_pylist() == want
    assert (report.rows, report.rows_rejected, report.rows_read) == (8, 3, 11)
    lines = [json.loads(line) for line in Path(report.rejects).read_text().splitlines()]
    rows = {"first": [(1, "2"), (3, "2"), (4, "5")], "last": [(1, "2"), (4, "5"), (1, "2")]}[keep]
    assert [(line["row"], line["value"]) for line in lines] == rows
    assert {line["field"] for line in lines} == {"id"}


def test_repeated_keys_and_bad_rows_together(tmp_path):
    n = 3000
    keys = np.random.default_rng(0).integers(0, 2000, n)
    matrix = vectors(n)
    bad = set(np.random.default_rng(1).choice(n, 50, replace=False).tolist())
    matrix[sorted(bad), 0] = np.nan
    np.save(tmp_path / "id.npy", keys)
    np.save(tmp_path / "vector.npy", matrix)
    src = open_source([tmp_path / "id.npy", tmp_path / "vector.npy"], batch_rows=100)
    report = convert(src, tmp_path / "out", keep="first", check_duplicates=True, on_error="skip")
    repeated = {row for row, flag in enumerate(expected(keys.tolist(), "first")) if flag}
    good = [row for row in range(n) if row not in bad | repeated]
    back = read_parquet(report)
    assert back["id"].to_pylist() == keys[good].tolist()
    assert np.asarray(back["vector"].combine_chunks().flatten()).tobytes() == matrix[good].tobytes()
    told = [json.loads(line)["source_row"] for line in Path(report.rejects).read_text().splitlines()]
    assert sorted(told) == sorted(bad | repeated)
    with pytest.raises(DataError) as caught:
        convert(src, tmp_path / "stop", keep="first", check_duplicates=True)
    assert caught.value.row == min(bad - repeated)
    assert visible_data_files(tmp_path / "stop") == []


def test_a_key_that_the_server_makes_is_not_checked(tmp_path):
    np.save(tmp_path / "vector.npy", vectors(10))
    with pytest.raises(SchemaError, match="auto_id"):
        convert(tmp_path / "vector.npy", tmp_path / "out", check_duplicates=True)
    with pytest.raises(SchemaError, match="keep is"):
        convert(tmp_path / "vector.npy", tmp_path / "out", keep="none")


def test_rows_of_every_layout_are_left_out():
    flags = np.array([False, True, False])
    batch = {
        "view": pa.array(["a", "b", None], pa.string_view()),
        "coded": pa.array(["a", "b", "a"]).dictionary_encode(),
        "list": pa.array([[1], None, [2, 3]]),
        "struct": pa.array([{"a": 1}, None, {"a": 3}]),
        "matrix": np.arange(6).reshape(3, 2),
    }
    got = {name: part.tolist() for name, part in duplicates.without(batch, flags).items()}
    assert got == {name: [part.tolist()[i] for i in (0, 2)] for name, part in batch.items()}
