"""convert(on_error="skip"): bad rows are left out and told of, all others are written, and every row is counted."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversions import read_parquet, small_schema, vectors, visible_data_files, write
from examples import examples
from vecmill.convert import convert
from vecmill.convert.rejects import REJECTS_NAME, Rejects, take_around, value_text
from vecmill.errors import DataError, SchemaError
from vecmill.schema.collection import create_schema
from vecmill.sources import TextOptions, open_source
from vecmill.sources.base import Column
from vecmill.types.kind import DataType


def rejects_of(report) -> list[dict]:
    return [json.loads(line) for line in Path(report.rejects).read_text().splitlines()]


def write_with_bad(folder: Path, n: int, bad: set[int], n_files: int = 2, row_group_size: int = 100) -> None:
    """Write ids, vectors and texts; in the bad rows the vector is too short, or the text too long, in turn."""
    folder.mkdir()
    rows: list = list(vectors(n))
    texts = ["ok"] * n
    for i, row in enumerate(sorted(bad)):
        if i % 2:
            rows[row] = rows[row][:7]
        else:
            texts[row] = "x" * 300
    bounds = np.linspace(0, n, n_files + 1).astype(int)
    for i, (a, b) in enumerate(itertools.pairwise(bounds)):
        columns = {"id": range(a, b), "vector": pa.array(rows[a:b], pa.list_(pa.float32())), "text": texts[a:b]}
        pq.write_table(pa.table(columns), folder / f"{i}.parquet", row_group_size=row_group_size)


def text_schema():
    schema = small_schema()
    schema.add_field("text", DataType.VARCHAR, max_length=10)
    return schema


@pytest.mark.parametrize(
    "bad",
    [set(), {0}, {999}, {499, 500}, {3, 4, 5, 77, 700}, set(range(0, 1000, 2)), set(range(1000)), set(range(10, 990))],
    ids=lambda bad: f"{len(bad)}",
)
def test_bad_rows_are_left_out_and_all_others_written(tmp_path, bad):
    write_with_bad(tmp_path / "in", 1000, bad)
    report = convert(tmp_path / "in", tmp_path / "out", schema=text_schema(), on_error="skip")
    good = [i for i in range(1000) if i not in bad]
    assert (report.rows, report.rows_rejected, report.rows_read) == (len(good), len(bad), 1000)
    assert (read_parquet(report)["id"].to_pylist() if good else []) == good
    if not bad:
        assert report.rejects is None
        assert not list((tmp_path / "out").rglob("rejects.jsonl"))
        return
    lines = rejects_of(report)
    assert [line["source_row"] for line in lines] == sorted(bad)
    for i, line in enumerate(lines):
        row = line["source_row"]
        assert line["file"] == str(tmp_path / "in" / f"{row // 500}.parquet")
        assert line["row"] == row % 500
        assert line["field"] == ("vector" if i % 2 else "text")
        assert line["reason"] == (
            "expected 8 float32 values, got 7 values"
            if i % 2
            else "expected text of at most 10 UTF-8 bytes, got 300 bytes (300 characters)"
        )
        assert len(line["value"]) <= 200


def test_a_row_with_two_bad_fields_is_rejected_once(tmp_path):
    write(tmp_path / "t.parquet", 50, text=["ok"] * 20 + ["x" * 99] + ["ok"] * 29)
    table = pq.read_table(tmp_path / "t.parquet")
    rows = table["vector"].to_pylist()
    rows[20] = rows[20][:3]
    table = table.set_column(1, "vector", pa.array(rows, pa.list_(pa.float32())))
    pq.write_table(table, tmp_path / "t.parquet")
    report = convert(tmp_path / "t.parquet", tmp_path / "out", schema=text_schema(), on_error="skip")
    assert (report.rows, report.rows_rejected) == (49, 1)


def test_large_batches_that_fill_segments_are_split_too(tmp_path):
    n, dim = 4000, 1024
    matrix = vectors(n, dim)
    bad = [0, 1, 777, 2047, 3999]
    matrix[bad, 5] = np.nan
    np.save(tmp_path / "vector.npy", matrix)
    report = convert(
        open_source(tmp_path / "vector.npy", batch_rows=n), tmp_path / "out", segment_size=1 << 20, on_error="skip"
    )
    assert [line["source_row"] for line in rejects_of(report)] == bad
    want = np.delete(matrix, bad, axis=0)
    got = read_parquet(report)["vector"].combine_chunks()
    assert np.asarray(got.flatten()).tobytes() == want.tobytes()


def test_casts_that_refuse_a_row_reject_it(tmp_path):
    values = ["1", "two", "3", None, "five", "6"]
    write(tmp_path / "t.parquet", 6, x=values)
    schema = small_schema()
    schema.add_field("x", DataType.INT64, nullable=True)
    report = convert(tmp_path / "t.parquet", tmp_path / "out", schema=schema, cast="unsafe", on_error="skip")
    assert read_parquet(report)["x"].to_pylist() == [1, 3, None, 6]
    assert [(line["row"], line["value"]) for line in rejects_of(report)] == [(1, "two"), (4, "five")]


def test_what_no_single_row_is_to_blame_for_stops_nevertheless(tmp_path):
    write(tmp_path / "t.parquet", 50, text=list(range(50)))
    with pytest.raises(DataError, match="'text'"):
        convert(tmp_path / "t.parquet", tmp_path / "out", schema=text_schema(), on_error="skip")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_word_that_is_none(tmp_path):
    write(tmp_path / "t.parquet", 5)
    with pytest.raises(SchemaError, match="on_error is"):
        convert(tmp_path / "t.parquet", tmp_path / "out", on_error="ignore")


def test_nothing_is_left_where_nothing_was_written(tmp_path):
    write_with_bad(tmp_path / "in", 10, {3})
    with pytest.raises(DataError):
        convert(tmp_path / "in", tmp_path / "out", schema=text_schema())
    assert list((tmp_path / "out").iterdir()) == []
    assert visible_data_files(tmp_path / "out") == []


# -- rows that the source refuses itself ------------------------------------------------------------------------------


class Lines:
    """A source that meets lines it cannot read, as text files do: the rows before one come first, then a DataError."""

    n_rows = None
    n_bytes = 0

    def __init__(self, n: int, unreadable: set[int], batch_rows: int = 7) -> None:
        self._n, self._unreadable, self._batch_rows = n, unreadable, batch_rows
        self.columns = (Column("id", "id", pa.int64(), 0), Column("vector", "vector", pa.list_(pa.float32(), 4), 0))

    def batches(self, names=None, *, batch_rows=None, start_row=0):
        start = start_row
        while start < self._n:
            if start in self._unreadable:
                raise DataError(file="lines", row=start, expected="JSON", got="something else")
            stop = min(start + self._batch_rows, self._n, *(one for one in self._unreadable if one > start), self._n)
            batch = {"id": np.arange(start, stop), "vector": np.ones((stop - start, 4), np.float32)}
            yield {name: batch[name] for name in names or batch}
            start = stop

    def locate(self, row, name=None):
        return "lines", row


@pytest.mark.parametrize("unreadable", [set(), {0}, {99}, {13, 14, 15, 70}, set(range(100))], ids=len)
@pytest.mark.parametrize("more", [{}, {"skip": 10, "limit": 62}, {"check_duplicates": True, "keep": "first"}])
def test_lines_that_cannot_be_read_are_rejected(tmp_path, unreadable, more):
    schema = small_schema().to_dict()
    schema["fields"][1]["params"]["dim"] = 4
    report = convert(Lines(100, unreadable), tmp_path / "out", schema=schema, on_error="skip", **more)
    rows = range(100)[more.get("skip", 0) :][: more.get("limit", 100)]
    good = [row for row in rows if row not in unreadable]
    assert (read_parquet(report)["id"].to_pylist() if good else []) == good
    assert (report.rows, report.rows_rejected) == (len(good), len(rows) - len(good))
    if report.rejects:
        lines = rejects_of(report)
        assert [line["row"] for line in lines] == [row for row in rows if row in unreadable]
        assert lines[0]["reason"] == "expected JSON, got something else"
    if good:
        inferred = convert(Lines(100, unreadable), tmp_path / "inferred", on_error="skip", **more)
        assert (inferred.rows, inferred.rows_read) == (len(good), len(rows))
    if unreadable & set(rows):
        with pytest.raises(DataError, match="expected JSON") as caught:
            convert(Lines(100, unreadable), tmp_path / "stop", schema=schema, **more)
        assert caught.value.row == min(unreadable & set(rows))


def test_an_error_of_the_source_that_is_of_no_row_stops(tmp_path):
    class Damaged(Lines):
        def batches(self, names=None, *, batch_rows=None, start_row=0):
            yield from Lines(10, set()).batches(names)
            raise DataError(file="lines", expected="a whole file", got="half of one")

    with pytest.raises(DataError, match="half of one"):
        convert(Damaged(100, set()), tmp_path / "out", on_error="skip")


# -- the parts --------------------------------------------------------------------------------------------------------


@examples(300)
@given(n=st.integers(0, 300), data=st.data())
def test_take_around_takes_every_good_row_once_and_in_order(n, data):
    bad = data.draw(st.sets(st.integers(0, max(0, n - 1))) if n else st.just(set()))
    # A refusal names some bad row of the range, which need not be the first.
    pick = data.draw(st.randoms(use_true_random=False))
    taken: list[int] = []
    rejected: list[int] = []
    work = 0

    def attempt(start, stop):
        nonlocal work
        assert start < stop
        work += stop - start
        found = [row for row in range(start, stop) if row in bad]
        if found:
            raise DataError(row=pick.choice(found), expected="a", got="b")
        taken.extend(range(start, stop))

    def reject(row, err):
        assert err.row == row
        assert all(one in rejected or one in taken for one in range(row))
        rejected.append(row)

    take_around(n, attempt, reject)
    assert taken == [row for row in range(n) if row not in bad]
    assert rejected == sorted(bad)


@pytest.mark.parametrize("every", [1, 2, 3, 10, 100, 1000, 10_000])
def test_the_work_around_bad_rows_is_a_small_multiple_of_the_rows(every):
    n, work, calls = 20_000, 0, 0

    def attempt(start, stop):
        nonlocal work, calls
        work += stop - start
        calls += 1
        first = -(-start // every) * every
        if first < stop:
            raise DataError(row=first, expected="a", got="b")

    take_around(n, attempt, lambda row, err: None)
    assert work <= 4 * n
    assert calls <= 2 * (n / every) * (2 + np.log2(every)) + 20


def test_values_are_shortened():
    assert value_text(np.arange(3.0), 1) == "1.0"
    assert value_text(np.zeros((2, 768)), 1).endswith("...] (768 values)")
    assert value_text(pa.array(["a" * 500, None]), 0) == "a" * 197 + "..."
    assert value_text(pa.array(["a", None]), 1) is None
    assert value_text([b"\xff"], 0) == "b'\\xff'"
    assert all(len(value_text(pa.array([["y" * 999] * 99]), 0)) <= 250 for _ in range(1))


def test_dates_beyond_what_python_has_are_shown_all_the_same():
    assert value_text(pa.array([0, 10**7], pa.date32()), 1) == "29349-01-26"
    assert value_text(pa.array([10**15], pa.timestamp("s")), 0) == "<value out of range: 1000000000000000>"
    assert value_text(pa.array([[10**7]], pa.list_(pa.date32())), 0) == "[29349-01-26]"


def test_a_time_that_has_no_text_is_refused_with_its_row(tmp_path):
    when = pa.array([0, 10**15, 60], pa.timestamp("ms"))
    write(tmp_path / "in.parquet", 3, when=when)
    with pytest.raises(DataError, match=r"field 'when', row 1: expected a time in the years .* out of range: 10"):
        convert(tmp_path / "in.parquet", tmp_path / "out")
    report = convert(tmp_path / "in.parquet", tmp_path / "out", on_error="skip")
    (line,) = rejects_of(report)
    assert (line["row"], line["field"]) == (1, "when")
    assert line["value"].startswith("<value out of range: 1000000")
    assert read_parquet(report)["when"].to_pylist() == ["1970-01-01T00:00:00.000", "1970-01-01T00:00:00.060"]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a.jsonl", ['{"id": 1, "vector": [1.5, 2.5]}', '{"id": 2, "vector": [1.5, 2.5, 3.5]}', '{"id": "x\\"y"}']),
        ("a.csv", ["id,vector", '1,"[1.5, 2.5]"', '2,"[1.5, 2.5, 3.5]"', '"x""y","[1.5, 2.5]"']),
    ],
)
def test_values_of_text_that_its_own_reader_refuses_are_shown(tmp_path, name, lines):
    (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    types = TextOptions(types={"id": "bigint"})
    report = convert(tmp_path / name, tmp_path / "out", schema=schema, on_error="skip", text=types)
    assert [(line["row"], line["field"], line["value"]) for line in rejects_of(report)] == [
        (1, "vector", "[1.5, 2.5, 3.5]"),
        (2, "id", 'x"y'),
    ]


@examples(100)
@given(rejected=st.sets(st.integers(0, 30)), n_taken=st.integers(0, 30))
def test_the_row_to_go_on_with(tmp_path_factory, rejected, n_taken):
    folder = tmp_path_factory.mktemp("rejects")
    lines = [json.dumps({"source_row": row}) + "\n" for row in sorted(rejected)]
    (folder / "rejects.jsonl").write_text("".join(lines) + '{"source_row": 1')  # the last line was cut by the kill
    rejects = Rejects(folder / REJECTS_NAME, None)
    want = 0
    for _ in range(n_taken):  # as a conversion goes: take a row, leave out what is bad before the next
        while want in rejected:
            want += 1
        want += 1
    row = rejects.resume(n_taken)
    assert row == want
    assert rejects.n_rows == row - n_taken
    kept = (folder / "rejects.jsonl").read_text().splitlines() if (folder / "rejects.jsonl").exists() else []
    assert [json.loads(line)["source_row"] for line in kept] == sorted(one for one in rejected if one < row)
