"""Damaged text: a file gives the rows that Python's json and csv find, up to the first one that is refused."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from examples import examples
from vecmill.errors import DataError
from vecmill.sources import TextOptions, open_source

JSON_TYPES = {"id": pa.int64(), "t": pa.string(), "v": pa.list_(pa.float32(), 3)}
calm = examples(80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
TOKENS = [
    '"', "{", "}", "[", "]", ",", ":", "\\", "\\u0041", "\\ud83d\\ude00", "\\ud800", "\n", "\r\n", "\0", "\x1f", " ",
    "1e400", "-0", "4.9e-324", "NaN", "null", "true", "1" * 30, "0.1", "-", "01", "1.", "é", "\ufeff", "\\/", "\u2028",
    '"id":7,', '"t":"again",',
]  # fmt: skip


def changed(raw: bytes, changes: list[tuple[int, int, str]]) -> bytes:
    """Put a token at a place, or take some bytes away; a place may lie within a character."""
    for place, n, token in changes:
        at = place % (len(raw) + 1)
        raw = raw[:at] + token.encode() + raw[at + n :]
    return raw


changes = st.lists(st.tuples(st.integers(0), st.integers(0, 9), st.sampled_from(["", *TOKENS])), max_size=3)


def read(path: Path, options: TextOptions, batch_rows: int | None) -> tuple[list[tuple[Any, ...]], DataError | None]:
    rows: list[tuple[Any, ...]] = []
    try:
        for batch in open_source(path, text=options).batches(list(options.types), batch_rows=batch_rows):
            rows += zip(*(map(plain, batch[name]) for name in options.types), strict=True)
    except DataError as err:
        return rows, err
    return rows, None


def plain(value: Any) -> Any:
    value = value.as_py() if isinstance(value, pa.Scalar) else value
    return np.asarray(value, np.float32).tobytes() if isinstance(value, list | np.ndarray) else value


# -- JSON -------------------------------------------------------------------------------------------------------------


def json_rows(raw: bytes) -> tuple[list[tuple[Any, ...]], bool]:
    """Return the rows before the first bad line, and whether there is one."""
    rows: list[tuple[Any, ...]] = []
    for line in raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if line.strip(b" \t\r\n"):
            try:
                rows.append(json_row(line))
            except ValueError:
                return rows, True
    return rows, False


class Whole(int):
    """An integer that remembers its text: ``-0`` is a float32 of its own."""

    def __new__(cls, text: str) -> Whole:
        number = super().__new__(cls, text)
        number.text = text
        return number


def json_row(line: bytes) -> tuple[Any, ...]:
    def once(items: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in items]
        if any(keys.count(key) > 1 for key in JSON_TYPES):
            raise ValueError("twice")
        return dict(items)

    row = json.loads(line.decode("utf-8", "surrogateescape"), object_pairs_hook=once, parse_int=Whole)
    if type(row) is not dict:
        raise ValueError("no object")
    number, text, vector = (row.get(name) for name in JSON_TYPES)
    if number is not None and (type(number) is not Whole or not -(1 << 63) <= number < 1 << 63):
        raise ValueError("no int64")
    if text is not None and type(text) is not str:
        raise ValueError("no text")
    (text or "").encode()
    if vector is None:
        return number, text, None
    if type(vector) is not list or len(vector) != 3 or not {type(one) for one in vector} <= {Whole, float}:
        raise ValueError("no vector")
    with np.errstate(over="ignore"):
        return number, text, np.array([float(getattr(one, "text", one)) for one in vector]).astype(np.float32).tobytes()


@calm
@given(
    st.lists(st.tuples(st.sampled_from(["a", 'é"\\\n', "😀", "", "x" * 30]), st.booleans()), min_size=1, max_size=4),
    changes, st.sampled_from(["plain", "gz", "zst"]), st.sampled_from([None, 1, 2]),
)  # fmt: skip
@example([("a", True)] * 3, [(0, 0, "\ufeff")], "plain", None)
@example([("a", True)] * 3, [(3, 0, '"id":7,')], "zst", None)
@example([("a", True)] * 3, [(12, 1, "\\ud800")], "plain", 1)
def test_json_lines(tmp_path, texts, changes, packing, batch_rows):
    vector = [0.5, -1, 3.4e38]
    rows = [json.dumps({"id": i, "t": t, "v": vector}, ensure_ascii=a) for i, (t, a) in enumerate(texts)]
    raw = changed("\n".join(rows).encode(), changes)
    if raw[:2] in (b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff"):
        return
    pieces = [raw[i : i + 50] for i in range(0, len(raw), 50)] or [b""]
    pack = {"plain": bytes, "gz": gzip.compress, "zst": zstandard.compress}[packing]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(map(pack, pieces)))
    found, err = read(path, TextOptions(kind="jsonl", types=JSON_TYPES), batch_rows)
    wanted, is_bad = json_rows(raw)
    if keys_are_lost(raw):  # a wanted key that was changed is another key, whose value nobody looks into
        return
    assert found == wanted
    assert (err is not None) == is_bad
    if err is not None:
        assert err.row == len(wanted)


def keys_are_lost(raw: bytes) -> bool:
    return any(raw.count(b'"%s"' % name.encode()) < raw.count(b"{") for name in JSON_TYPES)


# -- CSV --------------------------------------------------------------------------------------------------------------

cells = st.text("ab\"',\n é😀\\", max_size=5)


@calm
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=4), changes, st.booleans(), st.sampled_from([None, 1, 2]))
@example([("a", "b")] * 3, [(9, 1, "é"), (10, 1, "")], False, None)
@example([("", ""), ("", "é")], [(5, 0, '"')], False, None)
def test_csv(tmp_path, rows, changes, quote_all, batch_rows):
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL)
    writer.writerows(rows)
    raw = b"a,b\r\n" + changed(out.getvalue().encode(), changes)
    if b"\r" in raw.replace(b"\r\n", b""):  # for Python a lone CR ends a line; RFC 4180 does not say so
        return
    path = tmp_path / "rows.csv"
    path.write_bytes(raw)
    types = {"a": pa.string(), "b": pa.string()}
    found, err = read(path, TextOptions(kind="csv", types=types), batch_rows)
    found = [tuple(cell or "" for cell in row) for row in found]  # what is empty is null
    wanted: list[tuple[str, ...]] = []
    whole = True
    try:
        lines = csv.reader(io.StringIO(raw.decode("utf-8", "surrogateescape"), newline=""), strict=True)
        wanted += [tuple(line) for line in lines if line][1:]
    except csv.Error:
        whole = False
    if not changes:
        assert (found, err) == (wanted, None)
    elif err is None:  # Python's module takes more than we do, never less
        assert whole
        assert found == wanted
    elif whole:
        assert found == wanted[: len(found)]
        assert err.row in (None, len(found))


def test_bytes_that_are_no_utf8_in_a_row_that_is_passed_over(tmp_path):
    """Where such a row ends is asked for without decoding it."""
    (tmp_path / "rows.csv").write_bytes(b"a,b\n1,x\n2,\xff,3\n3,y\n")
    source = open_source(tmp_path / "rows.csv")
    assert [batch["a"].to_pylist() for batch in source.batches(start_row=2)] == [[3]]
    (tmp_path / "first.csv").write_bytes(b"a,b\n2,\xff,3\n3,y\n")
    with pytest.raises(DataError, match="expected 2 fields, got 3") as caught:
        list(open_source(tmp_path / "first.csv").batches())
    assert caught.value.row == 0


# -- packed -----------------------------------------------------------------------------------------------------------


SKIPPABLE = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        zstandard.compress,
        zstandard.ZstdCompressor(write_checksum=True).compress,
        lambda raw: SKIPPABLE + zstandard.compress(raw),
    ],
    ids=["gz", "zst", "zst with checksum", "behind a skippable frame"],
)
def test_a_packed_file_that_is_cut_anywhere_is_refused(tmp_path, pack):
    packed = pack(b"".join(b'{"id":%d,"t":"x%d"}\n' % (i, i) for i in range(20)))
    path = tmp_path / "rows.jsonl"
    path.write_bytes(packed)
    options = TextOptions(kind="jsonl", types={"id": pa.int64(), "t": pa.string()})
    assert read(path, options, None) == ([(i, f"x{i}") for i in range(20)], None)
    for cut in range(1, len(packed)):
        if packed[:cut] == SKIPPABLE:  # a whole frame
            continue
        path.write_bytes(packed[:cut])
        assert read(path, options, None)[1] is not None, cut
