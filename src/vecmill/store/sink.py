"""What formats, pipeline and publisher ask of the place that takes their files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Protocol


@contextlib.contextmanager
def undoing(undo: Callable[[], object]) -> Iterator[None]:
    """Call ``undo`` if the body fails. What goes wrong in that too is noted on the error that is on its way."""
    try:
        yield
    except BaseException as error:
        try:
            undo()
        except OSError as second:
            error.add_note(f"and what was begun could not be removed: {second}")
        raise


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file to come back to: the bytes behind the header and their checksum."""

    n_bytes: int
    crc: int


class SinkFile(Protocol):
    """A file that grows at its end. All of its methods raise StoreError."""

    @property
    def n_bytes(self) -> int:
        """Bytes so far, without the header. Where the next byte goes: ask again after ``rollback``."""

    def append(self, *views: Any) -> None:
        """Write C-contiguous buffers one after another. They may change once the call returns."""

    def append_lasting(self, view: Any) -> None:
        """Write a buffer that will not change before the file is finished or closed."""

    def append_both(
        self, first: Iterable[Any], first_bytes: int, second: Iterable[Any], second_bytes: int, helper: Executor
    ) -> None:
        """Write two runs of buffers of these sizes, one behind the other: ``second`` may be made in the helper."""

    def mark(self) -> Mark:
        """Return the end of the file as it is now."""

    def rollback(self, mark: Mark) -> None:
        """Forget what was appended since ``mark``."""

    def finish(self, header: bytes = b"") -> tuple[int, str]:
        """Write the header and end the file. Return (bytes, checksum) of the whole, as the manifest has them."""

    def close(self) -> None:
        """Let go of the file; one that is not finished is lost. Safe to call twice."""


class ScratchFile(Protocol):
    """A file without a name, to put bytes aside and read them back; gone when closed. Raises StoreError."""

    def append(self, *views: Any) -> None:
        """Write C-contiguous buffers one after another."""

    def read(self, start: int, n_bytes: int) -> bytes:
        """Read back."""

    def mark(self) -> Mark:
        """Return the end of the file as it is now."""

    def rollback(self, mark: Mark) -> None:
        """Forget what was appended since ``mark``."""

    def close(self) -> None:
        """Let go of the file and its room. Safe to call twice."""


class SinkFolder(Protocol):
    """Where the files of one segment are written, unseen until they are published. Raises StoreError."""

    def create(self, name: str, header_bytes: int = 0) -> SinkFile:
        """Open a file of a set: it will be seen as ``<n>/<name>``. ``header_bytes`` are left free for ``finish``."""

    def create_known(self, name: str, header: bytes, n_bytes: int) -> SinkFile:
        """Open a file of a set that begins with ``header``, with ``n_bytes`` to come. It must not be rolled back."""

    def create_single(self, suffix: str, *, gaps: bool = False) -> SinkFile:
        """Open the only file of the segment: it will be seen as ``<n><suffix>``.

        ``gaps``: the format does not mind bytes that nothing refers to. Then ``rollback`` may leave behind what was
        written since the mark, where it cannot be taken back.
        """

    def scratch(self, name: str, n_bytes: int | None = None) -> ScratchFile:
        """Open a file that is never seen, for about ``n_bytes`` where that is known."""

    def publish(self, number: int) -> str:
        """Make the finished files visible as segment ``number``.

        Return the path in the writer's folder: of the file, or of the folder that holds the set.
        """

    def withdraw(self) -> None:
        """Take back ``publish``, as far as that can be done. ``drop`` then removes what is left."""

    def drop(self) -> None:
        """Remove what was written and not published."""


class Sink(Protocol):
    """The folder of one writer: on disk, or in a bucket. Raises StoreError.

    Paths are relative to it, POSIX.
    """

    hold_bytes: int  # for ``hold``; 0 where everything can be taken back
    keeps_headless: bool  # has to keep a file whose header comes last: one that begins with it can leave at once

    @property
    def where(self) -> str:
        """The folder, for messages."""

    @property
    def manifest_name(self) -> str:
        """The path or URL of the manifest, which lies beside the folder."""

    def address(self, path: str) -> str:
        """Return a path as an import takes it."""

    def begin(self, manifest: str) -> None:
        """Make a new folder, and make sure that files can be written to it. ``manifest``: one that lists nothing."""

    def open_segment(self, token: int) -> SinkFolder:
        """Return a place for the files of a segment. No token may be used twice in one folder."""

    def hold(self, n_bytes: int) -> bool:
        """From now on, make sure that all files can be rolled back to where they are, until ``release``.

        ``n_bytes``: about what will be appended. Return False if that is too much for the files that are open, and
        nothing was done.
        """

    def release(self) -> None:
        """What was appended since ``hold`` stays."""

    def replace_manifest(self, text: str) -> None:
        """Replace the manifest: readers see the old one or the new one, never half of it."""

    def read_manifest(self) -> str | None:
        """Return the manifest that is there, if there is one."""

    def clear(self, listed: Collection[str]) -> None:
        """Remove what a writer that was killed has left: hidden files, and files that the manifest does not list."""

    def end(self, *, is_empty: bool) -> None:
        """Release what is held. ``is_empty``: nothing was published; leave no trace then."""
