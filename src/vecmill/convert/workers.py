"""Ranges of a conversion on several cores of this machine: threads, or processes where Python itself has to work.

Threads share the process, and all that they do runs beside one another: reading, decoding and encoding hold no lock of
the interpreter. Changing values (casts to text, keys from hashes, rows that are left out) is Python's work, of which a
process does one at a time: then each range has a process of its own.
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
    """Write what was planned, with as many workers as its options say. Raises as `convert` does."""
    do = run if plan.options.workers == 1 else convert_with_workers
    return do(plan, dst, progress=progress, began=began)


def convert_with_workers(
    plan: Plan, dst: PathLike, *, progress: Progress | None = None, began: float | None = None
) -> Report:
    """Write what was planned, in ranges of rows, ``workers`` of them at a time; the rows keep their order.

    Raises as `run_ranges` does: what is under way is finished before an error is raised, and kept for a resume.
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

    # Threads and spawned processes have this folder for theirs.
    return run_ranges(plan, dst, spread, n_workers=n_workers, elsewhere=False, progress=progress, began=began)


def _submitted(pool: Executor, jobs: Sequence[RangeJob]) -> list[Future[RangeResult]]:
    """Hand all jobs to a pool. Raises SchemaError where no process can be started yet."""
    try:
        return [pool.submit(run_range, job) for job in jobs]
    except BrokenExecutor:
        raise
    except RuntimeError as err:  # of multiprocessing, in a process that imports the script which has started it
        raise SchemaError(f"workers cannot be started: this is {_UNGUARDED}") from err


def needs_python(plan: Plan) -> bool:
    """Whether rows are changed or judged by Python code, one value after another."""
    options = plan.options
    hashed = (options.id_from or "").startswith("hash")
    return hashed or options.skips or any(cast is not None for cast in plan.casts.values())


def _pool(plan: Plan, n_workers: int) -> Executor:
    if not needs_python(plan):
        return ThreadPoolExecutor(n_workers, thread_name_prefix="vecmill-range")
    import multiprocessing

    # Not by fork: the threads of the client of a bucket do not survive it.
    return ProcessPoolExecutor(n_workers, mp_context=multiprocessing.get_context("spawn"))
