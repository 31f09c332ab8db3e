"""Where batches are cut: every row once, segments that fit, no more ranges than cores."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vecmill.writer.batch_ranges import Cuts, Rows, even_share

MIB = 1 << 20


@st.composite
def cuts(draw: st.DrawFn) -> Cuts:
    segment_bytes = draw(st.integers(1, 1 << 30))
    return Cuts(
        segment_bytes=segment_bytes,
        span_bytes=even_share(segment_bytes, draw(st.integers(1, 64 * MIB))),
        row_bytes=draw(st.integers(1, 100_000)),
        n_columns=draw(st.integers(1, 64)),
        n_cores=draw(st.integers(1, 8)),
    )


def check_all_rows(ranges: list[Rows], start: int, stop: int) -> None:
    assert ranges[0][0] == start
    assert ranges[-1][1] == stop
    assert all(low < high for low, high in ranges)
    assert all(before[1] == after[0] for before, after in pairwise(ranges))


@given(cuts(), st.data())
def test_ranges(cut: Cuts, data: st.DataObject) -> None:
    start = data.draw(st.integers(1, 10_000), "start")
    n_rows = data.draw(st.integers(start + 1, 10_000_000), "n_rows")
    open_rows = data.draw(st.integers(1, 20_000), "open_rows")
    open_bytes = data.draw(st.integers(1, cut.segment_bytes), "open_bytes")
    ranges = cut.ranges(n_rows, start, open_rows, open_bytes)
    check_all_rows(ranges, start, n_rows)
    assert len(ranges) <= cut.n_cores
    # The ranges that begin a segment of their own have the same number of whole segments, the last one what is left.
    sizes = [high - low for low, high in ranges]
    assert len(set(sizes[1:-1])) <= 1
    assert len(sizes) < 3 or sizes[-1] <= sizes[1]


@given(cuts(), st.integers(1, 10_000_000), st.floats(0.5, 100_000))
def test_counted(cut: Cuts, n_rows: int, row_bytes: float) -> None:
    ranges = cut.counted(n_rows, row_bytes)
    if not ranges:
        return
    check_all_rows(ranges, 0, n_rows)
    sizes = [stop - start for start, stop in ranges]
    assert len(set(sizes[:-1])) <= 1
    assert sizes[-1] <= sizes[0]
    assert max(sizes) * row_bytes + 256 * cut.n_columns <= cut.segment_bytes
    # Half a segment, or the batch is one segment of that size.
    assert sizes[0] * row_bytes >= 0.48 * (cut.segment_bytes - 256 * cut.n_columns) - row_bytes


@given(cuts(), st.integers(1, 10_000_000))
def test_spans_are_even(cut: Cuts, n_rows: int) -> None:
    step = cut.even_step(n_rows)
    n_spans = -(-n_rows // step)
    assert 1 <= step <= cut.span_rows
    assert n_spans == -(-n_rows // cut.span_rows) or step * n_spans - n_rows < step


@given(st.integers(1, 1 << 34), st.integers(1, 1 << 28))
def test_spans_fill_a_segment(segment_bytes: int, most: int) -> None:
    share = even_share(segment_bytes, most)
    assert 1 <= share <= max(1, most)
    n_spans = -(-segment_bytes // most)
    assert share == 1 or 0.98 * segment_bytes - n_spans - 1 <= share * n_spans <= 0.98 * segment_bytes


def test_no_sharing_on_a_core_of_its_own() -> None:
    cut = Cuts(segment_bytes=128 * MIB, span_bytes=8 * MIB, row_bytes=1024, n_columns=2, n_cores=1)
    assert not cut.is_shared(10_000_000)


def test_what_a_batch_becomes() -> None:
    """A million rows of 1 KiB on four cores, behind a head of 8,192 in the open segment."""
    cut = Cuts(segment_bytes=128 * MIB, span_bytes=8 * MIB, row_bytes=1024, n_columns=2, n_cores=4)
    assert cut.is_shared(1_000_000)
    assert not cut.is_shared(16_384)
    assert cut.ranges(1_000_000, 8_192, 8_192, 8 * MIB) == [
        (8_192, 363_871),
        (363_871, 727_117),
        (727_117, 1_000_000),
    ]
    assert cut.may_be_counted(32_768)
    assert not cut.may_be_counted(32_767)
    assert cut.counted(200_000, 1024) == [(0, 100_000), (100_000, 200_000)]
    assert cut.counted(60_000, 1024) == []
