"""Where batches are cut into spans and segments: arithmetic on row counts and bytes, without any I/O."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

Rows = tuple[int, int]
"""Rows of a batch: the first one, and the one behind the last."""

# A segment is filled up to here: the rest is room for headers and footer.
_FILL = 0.98
# Rows that fill this part of a segment may be a segment of their own, where that lets them leave at once.
_WORTH_A_SEGMENT = 0.5
_HEADER_BYTES = 256  # of a file, estimated


@dataclass(frozen=True, slots=True)
class Cuts:
    """Cuts the batches of one writer.

    ``segment_bytes``: most encoded bytes of a segment. ``span_bytes``: most encoded bytes that are written at once, see
    `even_share`. ``row_bytes``: estimate of the encoded bytes of a row, before any row was seen. ``n_columns``: columns
    of the files. ``n_cores``: segments that may be filled at the same time.
    """

    segment_bytes: int
    span_bytes: int
    row_bytes: int
    n_columns: int
    n_cores: int

    @property
    def span_rows(self) -> int:
        """Most rows of a span."""
        return max(1, self.span_bytes // self.row_bytes)

    def even_step(self, n_rows: int) -> int:
        """Return the rows of a span, if ``n_rows`` are cut into as few spans of one size as possible."""
        n_spans = max(1, -(-n_rows // self.span_rows))
        return -(-n_rows // n_spans)

    def is_shared(self, n_rows: int) -> bool:
        """Whether a batch is large enough to be shared between cores."""
        return self.n_cores > 1 and n_rows > 2 * self.span_rows

    def ranges(self, n_rows: int, start: int, open_rows: int, open_bytes: int) -> list[Rows]:
        """Cut the rows of a batch from ``start`` on into ranges to write at the same time, at most one per core.

        The first range continues the open segment, which has ``open_rows`` rows in ``open_bytes``; those rows tell what
        a row takes, as far as text so far is like text to come. All ranges but the first begin a segment of their own,
        and each has whole segments but for its last one. ``start`` is less than ``n_rows``.
        """
        row_bytes = open_bytes / open_rows
        # A margin for rows that take more: a few rows too many would be a segment of their own.
        row_bytes *= min(1.1, 1.02 + 32 * self.n_columns / row_bytes)
        whole = max(1, int(self.segment_bytes / row_bytes))
        rest = max(0, int((self.segment_bytes - open_bytes) / row_bytes))
        # What the margin, or text that grows, leaves over is one small segment for each range, not for each segment.
        n_segments = -(-(n_rows - start - rest) // whole) + 1
        step = whole * -(-n_segments // self.n_cores)
        return _between([start, *range(min(start + rest + step - whole, n_rows), n_rows, step), n_rows])

    def may_be_counted(self, n_rows: int) -> bool:
        """Whether `counted` is worth a look at the first rows of a batch."""
        return n_rows * self.row_bytes >= _WORTH_A_SEGMENT / 2 * self.segment_bytes

    def counted(self, n_rows: int, row_bytes: float) -> list[Rows]:
        """Cut a batch into segments of its own and of one size, at least half a segment each; [] if it is too small.

        ``row_bytes``: encoded bytes of a row, as the first rows of the batch have them.
        """
        whole = int(_FILL * (self.segment_bytes - _HEADER_BYTES * self.n_columns) / row_bytes)
        if whole < 1:
            return []
        n_segments = -(-n_rows // whole)
        step = -(-n_rows // n_segments)
        return _between([*range(0, n_rows, step), n_rows]) if step >= _WORTH_A_SEGMENT * whole else []


def even_share(segment_bytes: int, span_bytes: int) -> int:
    """Return the bytes of a span, at most ``span_bytes``, of which a whole number fills a segment."""
    n_spans = -(-segment_bytes // span_bytes)
    return max(1, int(segment_bytes * _FILL) // n_spans)


def _between(cuts: list[int]) -> list[Rows]:
    return [(start, stop) for start, stop in pairwise(cuts) if start < stop]
