"""What the writer relies on, of every format: one test class over `FORMATS`. A new format adds its reader here."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from other_readers import D, schema_of
from vecmill._native.crc64 import crc64nvme
from vecmill.encode.blocks import Span
from vecmill.encode.plan import plan_columns
from vecmill.encode.stage import Stage
from vecmill.formats import open_format
from vecmill.formats.base import SegmentFiles
from vecmill.manifest import FileEntry
from vecmill.output_formats import FORMATS, BulkFileType
from vecmill.store.local import LocalSink

SCHEMA = schema_of(("t", D.VARCHAR, {"max_length": 99}), ("v", D.FLOAT_VECTOR, {"dim": 4}))


def _npy(paths: Sequence[Path]) -> list[tuple[int, str, list[float]]]:
    columns = {path.stem: np.load(path) for path in paths}
    return list(zip(columns["id"].tolist(), columns["t"].tolist(), columns["v"].tolist(), strict=True))


def _parquet(paths: Sequence[Path]) -> list[tuple[int, str, list[float]]]:
    return [(row["id"], row["t"], row["v"]) for row in pq.read_table(paths[0]).to_pylist()]


def _json(paths: Sequence[Path]) -> list[tuple[int, str, list[float]]]:
    return [(row["id"], row["t"], row["v"]) for row in json.loads(paths[0].read_bytes())["rows"]]


def _jsonl(paths: Sequence[Path]) -> list[tuple[int, str, list[float]]]:
    rows = [json.loads(line) for line in paths[0].read_bytes().splitlines()]
    return [(row["id"], row["t"], row["v"]) for row in rows]


def _csv(paths: Sequence[Path]) -> list[tuple[int, str, list[float]]]:
    with paths[0].open(newline="") as file:
        return [(int(row["id"]), row["t"], json.loads(row["v"])) for row in csv.DictReader(file, strict=True)]


READERS: Mapping[BulkFileType, Callable[[Sequence[Path]], list[tuple[int, str, list[float]]]]] = {
    BulkFileType.NUMPY: _npy,
    BulkFileType.PARQUET: _parquet,
    BulkFileType.JSON: _json,
    BulkFileType.JSONL: _jsonl,
    BulkFileType.CSV: _csv,
}


def row_of(i: int) -> tuple[int, str, list[float]]:
    return i, f'é "{i}"' * (i % 4), [float(i), -0.5, 1e-7, 0.0]


class TestFormat:
    @pytest.fixture(params=list(FORMATS), ids=lambda form: form.name)
    def file_type(self, request: Any) -> BulkFileType:
        return request.param

    @pytest.fixture(autouse=True, params=[False, True], ids=["alone", "helped"])
    def place(self, request: Any, file_type: BulkFileType, tmp_path: Path) -> Iterator[None]:
        self.root, self.file_type, self.tokens = tmp_path, file_type, 0
        self.form = open_format(file_type, SCHEMA, None)
        self.plans = plan_columns(SCHEMA, self.form.rules)
        self.stages: list[Stage] = []
        with ThreadPoolExecutor(1) as pool:
            self.helper = pool if request.param else None
            yield

    def opened(self) -> SegmentFiles:
        self.tokens += 1
        return self.form.open(self.plans, LocalSink(self.root).open_segment(self.tokens), self.helper)

    def span(self, start: int, stop: int) -> Span:
        stage = Stage(self.plans, 1 << 20)
        self.stages.append(stage)  # a span is a view of its memory
        for i in range(start, stop):
            number, text, vector = row_of(i)
            assert not stage.scatter.put({"id": number, "t": text, "v": np.float32(vector)})
        return stage.span()

    def found(self, entries: Sequence[FileEntry]) -> list[tuple[int, str, list[float]]]:
        """Return the rows of published files, which must be what their entries say."""
        paths = [self.root / entry.path for entry in entries]
        known = FORMATS[self.file_type]
        assert {path.suffix for path in paths} == {known.endings[0]}
        assert (len(paths) > 1) == known.is_set
        for entry, path in zip(entries, paths, strict=True):
            data = path.read_bytes()
            assert entry.bytes == len(data)
            assert entry.checksum == f"crc64nvme:{crc64nvme(data):016x}"
            assert (entry.field is not None) == known.is_set
        rows = READERS[self.file_type](paths)
        assert {entry.rows for entry in entries} == {len(rows)}
        return rows

    def visible(self) -> set[str]:
        return {path.name for path in self.root.iterdir() if not path.name.startswith(".")}

    def test_rows_of_spans_come_back_in_order(self) -> None:
        segment = self.opened()
        for start in range(0, 90, 30):
            segment.write(self.span(start, start + 30))
            assert segment.n_rows == start + 30
        segment.seal()
        segment.seal()
        assert self.visible() == set()
        entries = segment.publish(7)
        assert {Path(entry.path).parts[0].partition(".")[0] for entry in entries} == {"7"}
        rows = self.found(entries)
        assert [(i, text, np.float32(v).tolist()) for i, text, v in rows] == [
            (i, text, np.float32(v).tolist()) for i, text, v in map(row_of, range(90))
        ]

    def test_what_came_since_a_mark_is_forgotten(self) -> None:
        segment = self.opened()
        first = segment.mark()
        segment.write(self.span(50, 60))
        segment.rollback(first)
        assert segment.n_rows == 0
        segment.write(self.span(0, 10))
        bytes_before, mark = segment.n_bytes, segment.mark()
        for _ in range(2):
            segment.write(self.span(100, 143))
            segment.rollback(mark)
            assert (segment.n_rows, segment.n_bytes) == (10, bytes_before)
        segment.write(self.span(10, 12))
        segment.seal()
        assert [row[0] for row in self.found(segment.publish(1))] == list(range(12))

    def test_a_segment_without_rows(self) -> None:
        segment = self.opened()
        assert segment.n_rows == 0
        segment.seal()
        assert self.found(segment.publish(1)) == []

    def test_rows_that_fit_leave_a_file_within_the_limit(self) -> None:
        span = self.span(0, 400)
        whole = self.opened()
        assert whole.fitting(span, 1 << 30) == 400
        whole.write(span)
        whole.seal()
        size = sum(entry.bytes for entry in whole.publish(1))
        taken = []
        for number, limit in enumerate((1, size // 3, size // 2, size * 3 // 4), 2):
            segment = self.opened()
            n = segment.fitting(span, limit)
            taken.append(n)
            if n:
                segment.write(span.rows(0, n))
            segment.seal()
            written = sum(entry.bytes for entry in segment.publish(number))
            assert written <= limit or n == 0
        assert taken == sorted(taken)
        assert taken[0] == 0 < taken[-1] < 400

    def test_bytes_told_are_those_of_the_files(self) -> None:
        segment = self.opened()
        segment.write(self.span(0, 100))
        told = segment.n_bytes
        segment.seal()
        size = sum(entry.bytes for entry in segment.publish(1))
        assert told <= size  # of Parquet without the footer
        assert told == size or self.file_type is BulkFileType.PARQUET
        # What a row is guessed to take makes the stage: it must be of the right order.
        assert size / 400 < self.form.row_nbytes(self.plans) < size / 10

    def test_a_withdrawn_segment_is_gone(self) -> None:
        segment = self.opened()
        segment.write(self.span(0, 5))
        segment.seal()
        segment.publish(1)
        assert self.visible() != set()
        segment.withdraw()
        assert self.visible() == set()
        segment.drop()
        assert list(self.root.iterdir()) == []

    @pytest.mark.parametrize("sealed", [False, True])
    def test_a_dropped_segment_leaves_nothing(self, sealed: bool) -> None:
        segment = self.opened()
        segment.write(self.span(0, 5))
        if sealed:
            segment.seal()
        segment.drop()
        assert list(self.root.iterdir()) == []


def test_every_format_is_read_here() -> None:
    assert READERS.keys() == FORMATS.keys()
