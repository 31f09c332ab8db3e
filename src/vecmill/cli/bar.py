"""The progress bar, on stderr and only on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def row_bar(n_rows: int | None, *, shown: bool) -> Iterator[Callable[[int, int], object] | None]:
    """Show a progress bar on stderr if that is a terminal. Yields what is called with rows and bytes done."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(
            "{task.completed:,.0f} rows" if n_rows is None else "{task.completed:,.0f} of {task.total:,.0f} rows"
        ),
        BarColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rows", total=n_rows, speed="")
        began = time.perf_counter()

        def advance(rows: int, n_bytes: int) -> None:
            seconds = max(time.perf_counter() - began, 1e-9)
            speed = f"{rows / seconds:,.0f} rows/s  {n_bytes / 1e6 / seconds:,.0f} MB/s"
            bar.update(task, completed=rows, speed=speed)

        yield advance


@contextmanager
def byte_bar(what: str, *, shown: bool) -> Iterator[Callable[[int, int], object] | None]:
    """Show a progress bar of bytes. Yields what is called with the bytes done and all of them."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
