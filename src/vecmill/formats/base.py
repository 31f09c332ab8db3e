"""What the writer asks of a format."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, Protocol, runtime_checkable

from vecmill.encode.blocks import Span
from vecmill.encode.plan import ColumnPlan
from vecmill.manifest import FileEntry
from vecmill.output_formats import FormatRules
from vecmill.store.sink import SinkFolder, undoing


class SegmentFiles(Protocol):
    """The files of one segment while they are written. All methods raise StoreError."""

    @property
    def n_rows(self) -> int:
        """Rows written so far."""

    @property
    def n_bytes(self) -> int:
        """Encoded bytes of the rows written so far."""

    def fitting(self, span: Span, max_bytes: int) -> int:
        """Return how many rows of a span can be written until the segment has ``max_bytes`` encoded bytes."""

    def write(self, span: Span) -> None:
        """Encode and write the rows of a span. After an error the caller rolls back to a mark, or drops the segment."""

    def mark(self) -> Any:
        """Return a point to roll back to."""

    def rollback(self, mark: Any) -> None:
        """Forget all spans since ``mark``."""

    def seal(self) -> None:
        """Finish and close the files, still unpublished. A second call does nothing."""

    def publish(self, number: int) -> tuple[FileEntry, ...]:
        """Make the sealed files visible as segment ``number``. Return entries with paths in the writer's folder."""

    def withdraw(self) -> None:
        """Undo ``publish``: no file is visible any more. The caller then calls ``drop``."""

    def drop(self) -> None:
        """Close and remove the files."""


class SingleFileSegment(ABC):
    """A segment of one file. Subclasses write to ``self._file`` and count rows in ``n_rows``."""

    def __init__(self, folder: SinkFolder, suffix: str, head: bytes, *, gaps: bool = False) -> None:
        self._folder = folder
        self._sealed: tuple[int, str] | None = None  # (bytes, checksum)
        self.n_rows = 0
        self._file = folder.create_single(suffix, gaps=gaps)
        with undoing(self._file.close):
            self._file.append(head)

    @abstractmethod
    def _tail(self) -> bytes:
        """Return the bytes that end the file."""

    def seal(self) -> None:
        """Write the end of the file and close it."""
        if self._sealed is None:
            self._file.append(self._tail())
            self._sealed = self._file.finish()

    def publish(self, number: int) -> tuple[FileEntry, ...]:
        """Make the file visible."""
        assert self._sealed is not None
        name = self._folder.publish(number)
        return (FileEntry(path=name, rows=self.n_rows, bytes=self._sealed[0], checksum=self._sealed[1]),)

    def withdraw(self) -> None:
        """Take the file back."""
        self._folder.withdraw()

    def drop(self) -> None:
        """Close and remove the file."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._folder.drop)
            stack.callback(self._file.close)


class Format(Protocol):
    """A file format with its options.

    Attributes
    ----------
    rules: what the format carries.
    stage_bytes: bytes of rows that are gathered before they are written.
    span_bytes: largest span, in encoded bytes.
    import_options: options that an import request must have to read the files.
    """

    rules: FormatRules
    stage_bytes: int
    span_bytes: int
    import_options: Mapping[str, str]

    def row_nbytes(self, plans: Sequence[ColumnPlan]) -> int:
        """Return the encoded bytes of a row whose values of variable width have ``TEXT_GUESS`` bytes each."""

    def open(self, plans: Sequence[ColumnPlan], folder: SinkFolder, helper: Executor | None) -> SegmentFiles:
        """Open the files of a segment. ``helper``: a second thread to share the work with. None: there is none."""


@runtime_checkable
class CountedFormat(Format, Protocol):
    """A format whose files begin with their row count. Where the count is known first, files can be sent at once."""

    def nbytes_like(self, plans: Sequence[ColumnPlan], span: Span) -> int:
        """Return the encoded bytes of a row, if all rows are like those of ``span``."""

    def open_counted(
        self, plans: Sequence[ColumnPlan], folder: SinkFolder, row_bytes: int, n_rows: int
    ) -> SegmentFiles:
        """Open the files of a segment of exactly ``n_rows`` of about ``row_bytes`` each. It cannot be rolled back."""


def fitting_rows(grown_nbytes: Callable[[Span], int], span: Span, max_bytes: int) -> int:
    """Return how many rows of a span fit into ``max_bytes``; ``grown_nbytes`` tells the segment's bytes with a span."""
    if grown_nbytes(span) <= max_bytes:
        return span.n_rows
    return bisect_right(range(1, span.n_rows), max_bytes, key=lambda n: grown_nbytes(span.rows(0, n)))
