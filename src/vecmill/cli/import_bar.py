"""Progress of ``vecmill import``, on stderr: a bar on a terminal, elsewhere a line for every phase."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vecmill.importer.reply import JobProgress

Look = Callable[["JobProgress", int], object]
_STALLED_S = 60


def quieten() -> None:
    """Silence the logs of pymilvus and Milvus Lite, which tell every refusal with a traceback."""
    for name in ("pymilvus", "milvus_lite", "grpc"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


@contextmanager
def looking(n_rows: int, *, shown: bool) -> Iterator[Look | None]:
    """Yield what is to be called after every look at a job, with it and the rows of completed jobs. None: nothing."""
    if not shown:
        yield None
    elif not sys.stderr.isatty():
        yield _Lines().look
    else:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} rows"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=n_rows)

            def look(seen: JobProgress, done: int) -> None:
                here = 0 if seen.is_over else seen.imported_rows or 0
                bar.update(task, completed=min(n_rows, done + here), description=_words(seen))

            yield look


class _Lines:
    """Prints a line when a job reaches another phase."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def look(self, seen: JobProgress, done: int) -> None:
        if self._told.get(seen.job_id) != seen.phase:
            self._told[seen.job_id] = seen.phase
            print(_words(seen), file=sys.stderr, flush=True)


def _words(seen: JobProgress) -> str:
    still = f"; nothing has changed for {seen.stalled_s:.0f} s" if seen.stalled_s >= _STALLED_S else ""
    return f"{seen}{still}"
