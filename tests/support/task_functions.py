"""Tasks for processes of their own, which import what they run: shared by the tests of tasks."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

from failing_calls import columns_of, small_schema
from vecmill import write_task
from vecmill.manifest import FileEntry

ROWS = 2000
SEGMENT = 48 << 10


def batches(task: int, *, size: int = 300, rows: int = ROWS) -> Iterator[dict[str, Any]]:
    """Yield the rows ``task * rows`` and on, of this many tasks."""
    for start in range(task * rows, (task + 1) * rows, size):
        yield columns_of(range(start, min(start + size, (task + 1) * rows)))


def write(task: int, url: Any, file_type: str, options: dict[str, Any] | None = None) -> list[FileEntry]:
    return write_task(
        batches(task), url, task, schema=small_schema(), file_type=file_type, segment_size=SEGMENT, **options or {}
    )


def write_and_die(task: int, url: Any, file_type: str, options: dict[str, Any] | None = None) -> None:
    """Write some segments of a task, and be killed."""
    size = 600_000 if file_type == "parquet" else 60_000  # more than the stage, in which rows gather

    def deadly() -> Iterator[dict[str, Any]]:
        yield columns_of(range(size))
        time.sleep(0.5)  # what is full is published in the background
        os.kill(os.getpid(), signal.SIGKILL)

    write_task(deadly(), url, task, schema=small_schema(), file_type=file_type, segment_size=12 * size, **options or {})
