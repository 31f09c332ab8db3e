"""Segments while they are filled, and the mark that a refused batch goes back to, without files."""

from __future__ import annotations

from typing import Any

import pytest

from vecmill import StoreError
from vecmill.encode.blocks import Span
from vecmill.writer.segments import Outgrown, Segments, Stopped
from vecmill.writer.transaction import Mark

ROW_BYTES = 10
LOG: list[tuple[str, Any]] = []


class FakeSegment:
    """A segment that counts. ``fails``: names of the methods that raise StoreError."""

    def __init__(self, name: str, *fails: str) -> None:
        self.name = name
        self.fails = fails
        self.n_rows = 0

    @property
    def n_bytes(self) -> int:
        return self.n_rows * ROW_BYTES

    def fitting(self, span: Span, max_bytes: int) -> int:
        return min(span.n_rows, max(0, max_bytes // ROW_BYTES - self.n_rows))

    def write(self, span: Span) -> None:
        self.n_rows += span.n_rows

    def mark(self) -> int:
        return self.n_rows

    def rollback(self, mark: int) -> None:
        self._do("rollback")
        self.n_rows = mark

    def seal(self) -> None:
        self._do("seal")

    def drop(self) -> None:
        self._do("drop")

    def _do(self, what: str) -> None:
        LOG.append((what, self.name))
        if what in self.fails:
            raise StoreError(f"{what} fails", path=self.name)


class Fake:
    """Stage, sink and publisher in one: notes what is asked of it."""

    def clear(self) -> None:
        LOG.append(("clear", "stage"))

    def release(self) -> None:
        LOG.append(("release", "sink"))

    def pause(self) -> None:
        LOG.append(("pause", "publisher"))

    def seal(self, segment: FakeSegment) -> None:
        LOG.append(("seal later", segment.name))


@pytest.fixture(autouse=True)
def _no_log() -> None:
    LOG.clear()


def segments(*made: FakeSegment, **options: Any) -> Any:
    """Return segments of 10 rows, which are opened in this order."""
    coming = iter(made or [FakeSegment(name) for name in "abcdef"])
    return Segments(lambda: next(coming), 10 * ROW_BYTES, **options)  # type: ignore[arg-type, return-value]


def rows(n: int) -> Span:
    return Span(n, [])


def mark_of(files: Any) -> Mark:
    fake: Any = Fake()
    return Mark(fake, files, fake, fake)


def full_of(files: Any) -> list[tuple[str, int]]:
    full = []
    while files.has_full:
        segment = files.pop_full()
        full.append((segment.name, segment.n_rows))
    return full


def test_a_span_goes_over_as_many_segments_as_it_takes() -> None:
    files = segments()
    files.write(rows(25))
    assert (files.current.name, files.current.n_rows) == ("c", 5)
    assert full_of(files) == [("a", 10), ("b", 10)]


def test_a_segment_that_is_nearly_full_is_not_given_a_part() -> None:
    files = segments()
    files.write(rows(9))
    files.write(rows(3))
    assert (files.current.name, files.current.n_rows) == ("b", 3)
    assert full_of(files) == [("a", 9)]


def test_a_full_segment_is_finished_before_the_next_one_is_opened() -> None:
    def opened() -> Any:
        LOG.append(("open", ""))
        return FakeSegment("x")

    files = Segments(opened, 10 * ROW_BYTES)
    files.write(rows(15), lambda segment: LOG.append(("full", "")))
    assert [what for what, _ in LOG] == ["open", "full", "open"]


def test_an_empty_segment_is_not_rolled() -> None:
    files = segments(current=FakeSegment("empty"))
    files.roll()
    assert (files.current.name, files.has_full) == ("empty", False)


def test_a_counted_segment_is_outgrown() -> None:
    files = segments(is_counted=True)
    files.write(rows(10))
    with pytest.raises(Outgrown):
        files.write(rows(1))
    files.start_over(lambda: FakeSegment("again"))
    files.write(rows(11))
    assert ("drop", "a") in LOG
    assert full_of(files) == [("again", 10)]


def test_a_thread_is_stopped() -> None:
    files = segments()
    files.stop()
    with pytest.raises(Stopped):
        files.write(rows(1))


def test_segments_of_others_are_taken_over_in_order() -> None:
    files, first, second = (
        segments(FakeSegment("a")),
        segments(FakeSegment("b"), FakeSegment("c")),
        segments(FakeSegment("d")),
    )
    files.write(rows(10))
    files.roll()
    first.write(rows(12))  # stopped in the middle: its open segment is not the last one
    second.write(rows(3))
    files.absorb([first, second])
    assert files.current.name == "d"
    assert full_of(files) == [("a", 10), ("b", 10), ("c", 2)]


def test_every_segment_is_dropped_whatever_one_raises() -> None:
    files = segments(FakeSegment("a", "drop"), FakeSegment("b", "drop"), FakeSegment("c"))
    files.write(rows(25))
    with pytest.raises(StoreError):
        files.drop()
    assert sorted(LOG) == [("drop", "a"), ("drop", "b"), ("drop", "c")]
    assert (files.current, files.has_full) == (None, False)


def test_going_back_to_a_mark() -> None:
    files = segments()
    files.write(rows(4))
    mark = mark_of(files)
    files.write(rows(30), mark.seal_later)
    assert LOG == [("seal later", "b"), ("seal later", "c")]  # a can be rolled back only while it is not sealed
    LOG.clear()
    mark.restore()
    assert (files.current.name, files.current.n_rows, files.has_full) == ("a", 4, False)
    assert LOG[:2] == [("pause", "publisher"), ("clear", "stage")]
    assert sorted(LOG[2:-2]) == [("drop", "b"), ("drop", "c"), ("drop", "d")]
    assert LOG[-2:] == [("rollback", "a"), ("release", "sink")]


def test_going_back_to_nothing() -> None:
    files = segments()
    mark = mark_of(files)
    files.write(rows(15), mark.seal)
    mark.restore()
    assert (files.current, files.has_full) == (None, False)
    assert LOG[0] == ("seal", "a")
    assert LOG[-1] == ("release", "sink")


@pytest.mark.parametrize(("failing", "words"), [(("drop",), "drop"), (("rollback",), "rollback")])
def test_every_step_back_is_taken(failing: tuple[str, ...], words: str) -> None:
    files = segments(FakeSegment("a", *failing), FakeSegment("b", *failing))
    files.write(rows(4))
    mark = mark_of(files)
    files.write(rows(10))
    with pytest.raises(StoreError, match=words):
        mark.restore()
    assert files.current.name == "a"
    assert [what for what, _ in LOG] == ["pause", "clear", "drop", "rollback", "release"]
