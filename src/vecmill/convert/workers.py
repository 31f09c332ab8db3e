"""Runs the ranges of a conversion on several cores of this machine, in threads or in processes.

Threads are enough for reading, decoding and encoding, which do not hold the GIL. Python code that changes values (casts
to text, keys from hashes, rejected rows) does hold it: then every range runs in a process of its own.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)

from vecmill.convert.job import Plan, run
from vecmill.convert.opening import PathLike
from vecmill.convert.pump import Progress
from vecmill.convert.ranges import RangeJob, RangeResult, run_range, run_ranges
from vecmill.convert.report import Report
from vecmill.errors import SchemaError, StoreError

_UNGUARDED = 'a script with convert(workers=) outside of `if __name__ == "__main__":`, which every worker runs anew'


def carry_out(plan: Plan, dst: PathLike, *, progress: Progress | None = None, began: float | None = None) -> Report:
    """Write what was planned, with the number of workers in its options. Raises as `convert` does."""
    do = run if plan.options.workers == 1 else convert_with_workers
    return do(plan, dst, progress=progress, began=began)


def convert_with_workers(
    plan: Plan, dst: PathLike, *, progress: Progress | None = None, began: float | None = None
) -> Report:
    """Write what was planned, in ranges of rows, ``workers`` of them at a time. The rows keep their order.

    Raises as `run_ranges` does. Ranges that are running are finished first, and kept for a resume.
    """
    n_workers = plan.options.workers

    def spread(jobs: Sequence[RangeJob]) -> Generator[RangeResult, None, None]:
        with _pool(plan, min(n_workers, len(jobs))) as pool:
            try:
                for done in as_completed(_submitted(pool, jobs)):
                    yield done.result()
            except BrokenExecutor as err:
                pool.shutdown(wait=False, cancel_futures=True)
                reason = f"a process that converts a range has ended early: killed, out of memory, or {_UNGUARDED}"
                raise StoreError(reason, path=os.fspath(dst)) from err
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    # Threads and spawned processes have the same current folder.
    return run_ranges(plan, dst, spread, n_workers=n_workers, elsewhere=False, progress=progress, began=began)


def _submitted(pool: Executor, jobs: Sequence[RangeJob]) -> list[Future[RangeResult]]:
    """Submit all jobs to a pool. Raises SchemaError if a process cannot be started (script without a main guard)."""
    try:
        return [pool.submit(run_range, job) for job in jobs]
    except BrokenExecutor:
        raise
    except RuntimeError as err:  # from multiprocessing: the process imports the script that started it
        raise SchemaError(f"workers cannot be started: this is {_UNGUARDED}") from err


def needs_python(plan: Plan) -> bool:
    """Return True if Python code changes or checks the values one by one."""
    options = plan.options
    hashed = (options.id_from or "").startswith("hash")
    return hashed or options.skips or any(cast is not None for cast in plan.casts.values())


def _pool(plan: Plan, n_workers: int) -> Executor:
    if not needs_python(plan):
        return ThreadPoolExecutor(n_workers, thread_name_prefix="vecmill-range")
    import multiprocessing

    # Not forked: the threads of a bucket client do not survive a fork.
    return ProcessPoolExecutor(n_workers, mp_context=multiprocessing.get_context("spawn"))
