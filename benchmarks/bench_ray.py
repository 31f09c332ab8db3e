"""Measure exports on a local Ray cluster: nothing lost when workers die, two workers against one, the driver's memory.

`export`    2,000,000 x 128 to an S3 server; one worker is killed in the middle, one task fails and is tried again, one
            is done twice. DuckDB counts the ids in the files that came of it.
`scaling`   the same rows from NPY files to a folder by `convert --engine ray`, one worker against two, by turns; beside
            it the same ranges in a pool of processes without Ray, which is what the machine allows.
`overhead`  time of a Ray worker in `MilvusDatasink.write` against `append_batch` of the same tables in one process.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import ray

from buckets import param
from harness import MIB, work_folder
from ray_functions import Troubled, schema_of, table_of, vectors_of
from servers.s3 import running_juicefs, running_seaweed
from vecmill import LocalBulkWriter
from vecmill.convert.job import prepare
from vecmill.convert.options import ConvertOptions
from vecmill.convert.ranges import RangeJob, RangeResult, run_range, run_ranges
from vecmill.integrations.ray import MilvusDatasink, convert_on_ray

DIM = 128
BLOCK_ROWS = 50_000


@contextmanager
def cluster(n_cpus: int) -> Iterator[None]:
    """A cluster with warm workers, which import what they run from here."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    ray.init(
        num_cpus=n_cpus, include_dashboard=False, _node_ip_address="127.0.0.1", object_store_memory=1 << 30,
        log_to_driver=False,
    )  # fmt: skip
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        ray.get([_warm.remote() for _ in range(2 * n_cpus)])
        yield
    finally:
        ray.shutdown()


@ray.remote
def _warm() -> None:
    import vecmill.integrations.ray  # noqa: F401

    time.sleep(1)


def dataset(n_rows: int) -> Any:
    made = ray.data.range(n_rows, override_num_blocks=max(1, n_rows // BLOCK_ROWS))
    return made.map_batches(lambda batch: table_of(batch["id"], DIM), batch_size=None, batch_format="numpy")


class Memory:
    """Samples the memory of this process while it is entered."""

    def __enter__(self) -> "Memory":
        self.samples: list[tuple[float, float]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            text = Path("/proc/self/status").read_text()
            kib = sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(("RssAnon", "RssShmem")))
            self.samples.append((time.perf_counter(), kib / 1024))

    def told(self) -> dict[str, float]:
        """Return MiB at the start, at a quarter of the time, at the end, and the most of all."""
        sizes = [size for _, size in self.samples]
        return {
            "start": sizes[0], "quarter": sizes[len(sizes) // 4], "end": sizes[-1], "most": max(sizes),
        }  # fmt: skip


def export(folder: Path, n_rows: int, server_name: str) -> dict[str, Any]:
    running = {"seaweed": running_seaweed, "juicefs": running_juicefs}[server_name]
    flags = folder / "flags"
    flags.mkdir()
    with running() as server, cluster(2):
        bucket = server.new_bucket("exports")
        sink = Troubled(schema_of(DIM), "a", segment_size=64 * MIB, connect_param=param(server, bucket), flags=flags)
        began = time.perf_counter()
        with Memory() as memory:
            dataset(n_rows).write_datasink(sink, ray_remote_args={"retry_exceptions": [OSError], "max_retries": 3})
        seconds = time.perf_counter() - began
        happened = sorted(path.name for path in flags.iterdir())
        assert happened == ["failed", "killed", "twice"], happened
        listed = sorted(key for group in sink.report.files for key in group)
        assert server.keys(bucket, "a") == listed, "something is there that the manifest does not list"
        paths = []
        for i, (key,) in enumerate(sink.report.files):
            paths.append(folder / f"{i}.parquet")
            paths[-1].write_bytes(server.read(bucket, key))
    names = [str(path) for path in paths]
    query = "select count(*), count(distinct id), min(id), max(id) from read_parquet($names)"
    counts = duckdb.sql(query, params={"names": names}).fetchall()[0]
    assert counts == (n_rows, n_rows, 0, n_rows - 1), counts
    wrong = duckdb.sql(
        "select count(*) from read_parquet($names) where vector[1] != (id * 3) % 1021 or vector[128] != (id * 3 + 127)"
        " % 1021",
        params={"names": names},
    ).fetchall()[0]
    assert wrong == (0,), wrong
    return {
        "rows": n_rows, "mb": sink.report.bytes / 1e6, "files": len(names), "seconds": seconds,
        "rows_per_s": n_rows / seconds, "trouble": happened, "driver_mib": memory.told(),
    }  # fmt: skip


def source(folder: Path, n_rows: int) -> Path:
    folder.mkdir()
    ids = np.arange(n_rows)
    np.save(folder / "id.npy", ids)
    out = np.lib.format.open_memmap(folder / "vector.npy", "w+", np.float32, (n_rows, DIM))
    for start in range(0, n_rows, BLOCK_ROWS):
        out[start : start + BLOCK_ROWS] = vectors_of(ids[start : start + BLOCK_ROWS], DIM)
    return folder


def scaling(folder: Path, n_rows: int, rounds: int, file_types: Sequence[str]) -> dict[str, Any]:
    src = source(folder / "in", n_rows)
    seconds: dict[str, list[float]] = {}

    def timed(name: str, file_type: str, run: Any) -> None:
        settings = ConvertOptions.of(schema=schema_of(DIM), file_type=file_type, segment_size=32 * MIB)
        plan = prepare(src, settings)
        os.sync()
        began = time.perf_counter()
        report = run(plan, folder / "out")
        seconds.setdefault(f"{file_type}, {name}", []).append(time.perf_counter() - began)
        assert (report.rows, report.rows_rejected) == (n_rows, 0)
        shutil.rmtree(folder / "out")

    for _ in range(rounds):
        for n in (1, 2):
            with cluster(n):
                for file_type in file_types:
                    timed(f"ray {n}", file_type, convert_on_ray)
            with ProcessPoolExecutor(n, multiprocessing.get_context("spawn")) as pool:
                list(pool.map(_pause, range(n)))  # started, and imported

                def spread(jobs: Sequence[RangeJob], pool: ProcessPoolExecutor = pool) -> Iterator[RangeResult]:
                    yield from pool.map(run_range, jobs)

                for file_type in file_types:
                    timed(
                        f"pool {n}", file_type,
                        lambda plan, dst, n=n, spread=spread: run_ranges(plan, dst, spread, n_workers=n),
                    )  # fmt: skip
    best = {name: min(found) for name, found in seconds.items()}
    ratios = {
        f"{file_type}, {kind}": best[f"{file_type}, {kind} 1"] / best[f"{file_type}, {kind} 2"]
        for file_type in file_types
        for kind in ("ray", "pool")
    }
    return {"rows": n_rows, "best_s": best, "two_over_one": ratios, "all_s": seconds}


def _pause(_number: int) -> None:
    time.sleep(1)


class Timed(MilvusDatasink):
    """Notes the CPU and wall seconds of each call of `write`."""

    def __init__(self, *args: Any, notes: Path, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._notes = notes

    def write(self, blocks: Any, ctx: Any) -> Any:
        blocks = list(blocks)
        cpu, wall = time.process_time(), time.perf_counter()
        done = super().write(blocks, ctx)
        spent = [time.process_time() - cpu, time.perf_counter() - wall]
        (self._notes / str(ctx.task_idx)).write_text(json.dumps([sum(len(block) for block in blocks), *spent]))
        return done


def overhead(folder: Path, n_rows: int, rounds: int, file_types: Sequence[str]) -> dict[str, Any]:
    tables = [table_of(np.arange(start, start + BLOCK_ROWS), DIM) for start in range(0, n_rows, BLOCK_ROWS)]
    found: dict[str, list[tuple[float, float]]] = {}
    with cluster(1):
        for _ in range(rounds):
            for file_type in file_types:
                for name, merge in (("worker", True), ("worker, merge=False", False)):
                    per_row = in_workers(folder, n_rows, file_type, merge=merge)
                    found.setdefault(f"{file_type}, {name}", []).append(per_row)
                cpu, wall = time.process_time(), time.perf_counter()
                with LocalBulkWriter(schema_of(DIM), folder / "out", 64 * MIB, file_type) as writer:
                    for table in tables:
                        writer.append_batch(table)
                spent = (time.process_time() - cpu) / n_rows, (time.perf_counter() - wall) / n_rows
                found.setdefault(f"{file_type}, append_batch", []).append(spent)
                shutil.rmtree(folder / "out")
    best = {name: [min(one[i] for one in all_) * 1e9 for i in (0, 1)] for name, all_ in found.items()}
    over = {
        f"{file_type}, {name}": [
            best[f"{file_type}, {name}"][i] / best[f"{file_type}, append_batch"][i] - 1 for i in (0, 1)
        ]
        for file_type in file_types
        for name in ("worker", "worker, merge=False")
    }
    return {"rows": n_rows, "ns_per_row_cpu_and_wall": best, "overhead_cpu_and_wall": over}


def in_workers(folder: Path, n_rows: int, file_type: str, *, merge: bool) -> tuple[float, float]:
    """Return CPU and wall seconds of a row in the write tasks."""
    notes = folder / "notes"
    notes.mkdir()
    sink = Timed(schema_of(DIM), folder / "out", file_type=file_type, segment_size=64 * MIB, merge=merge, notes=notes)
    dataset(n_rows).write_datasink(sink)
    told = [json.loads(path.read_text()) for path in notes.iterdir()]
    assert sum(one[0] for one in told) == n_rows
    shutil.rmtree(folder / "out")
    shutil.rmtree(notes)
    return sum(one[1] for one in told) / n_rows, sum(one[2] for one in told) / n_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=["export", "scaling", "overhead"])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", choices=["seaweed", "juicefs"], default="seaweed")
    parser.add_argument("--file-types", nargs="*", default=["parquet", "npy", "jsonl"])
    parser.add_argument("--dir", type=Path, default=Path())
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = {}
    for name in args.only:
        with work_folder(args.dir) as folder:
            if name == "export":
                found[name] = export(folder, args.rows, args.server)
            elif name == "scaling":
                found[name] = scaling(folder, args.rows, args.rounds, args.file_types)
            else:
                found[name] = overhead(folder, args.rows // 2, args.rounds, args.file_types)
        print(name, json.dumps(found[name], indent=1))
    if args.json is not None:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
