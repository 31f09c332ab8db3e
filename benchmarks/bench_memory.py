"""Measure how much memory a writer adds while it takes in far more data than it may hold. See README.md.

Every measurement is a fresh process. It imports, makes its input buffer, says where it stands and waits; the parent
then samples its /proc/<pid>/status from outside (no GIL to wait for) until the writer is closed. Counted is RssAnon +
RssShmem: an anonymous shared map, as Python's `mmap.mmap(-1, n)` makes, is in RssShmem only. VmHWM, reset at the start,
is the exact peak of all resident pages, mapped files included: it shows a peak that fell between two samples.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from data import make_columns, make_schema, read_columns, same_values
from harness import MIB, BatchFiles, work_folder
from telling import write_json

BATCH_ROWS = 8192
DIM = 768
ROW_BYTES = DIM * 4
CHUNK_BYTES = 128 * MIB
SAMPLE_S = 0.005
FEEDS = ("batch", "append_row", "append_rows")


@dataclass(frozen=True, slots=True)
class Plan:
    writer: str
    file_type: str
    feed: str
    gigabytes: float

    @property
    def n_rows(self) -> int:
        return int(self.gigabytes * 1e9) // ROW_BYTES


@dataclass(frozen=True, slots=True)
class Status:
    """Resident memory of a process in MiB: anonymous (private and shared), all, and the peak of all since the reset."""

    anonymous: float
    resident: float
    peak: float


def status(pid: int | str) -> Status:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    anon, shmem, rss, peak = (int(fields[k].split()[0]) / 1024 for k in ("RssAnon", "RssShmem", "VmRSS", "VmHWM"))
    return Status(anon + shmem, rss, peak)


# --- the child --------------------------------------------------------------------------------------------------------


def batches(base: dict[str, np.ndarray], n_rows: int) -> Iterator[dict[str, Any]]:
    """Refill one buffer per batch: new ids and texts, and a new first and last value in every vector."""
    vectors = base["vector"]
    for start in range(0, n_rows, BATCH_ROWS):
        n = min(BATCH_ROWS, n_rows - start)
        ids = np.arange(start, start + n, dtype=np.int64)
        vectors[:n, 0] = vectors[:n, -1] = ids % 65521
        yield {"id": ids, "text": base["text"][:n], "vector": vectors[:n]}


def rows(base: dict[str, np.ndarray], n_rows: int) -> Iterator[dict[str, Any]]:
    """Make the same data as row dicts with list[float] vectors, one alive at a time."""
    texts = base["text"].tolist()
    for i in range(n_rows):
        vector = base["vector"][i % BATCH_ROWS].tolist()
        vector[0] = vector[-1] = float(i % 65521)
        yield {"id": i, "text": texts[i % BATCH_ROWS], "vector": vector}


def write(plan: Plan, module: Any, bulk: Any, base: dict[str, np.ndarray], out: str) -> BatchFiles:
    kind = getattr(bulk.BulkFileType, plan.file_type)
    writer = bulk.LocalBulkWriter(make_schema(module, DIM), out, chunk_size=CHUNK_BYTES, file_type=kind)
    if plan.feed == "batch":
        for batch in batches(base, plan.n_rows):
            writer.append_batch(batch)
    elif plan.feed == "append_rows":
        writer.append_rows(rows(base, plan.n_rows))
    else:
        for row in rows(base, plan.n_rows):
            writer.append_row(row)
    writer.commit()
    if hasattr(writer, "close"):
        writer.close()
    return writer.batch_files


def check(batch_files: BatchFiles, base: dict[str, np.ndarray], n_rows: int) -> None:
    """Compare every value written with what `batches` and `rows` make; one file set in memory at a time."""
    start = 0
    for columns in map(read_columns, batch_files):
        n = len(columns["id"])
        ids = np.arange(start, start + n, dtype=np.int64)
        assert same_values(columns["id"], ids), f"ids differ, rows {start}..{start + n}"
        for first in range(0, n, BATCH_ROWS):
            part = slice(first, min(first + BATCH_ROWS, n))
            at = ids[part] % BATCH_ROWS
            want = base["vector"][at]
            want[:, 0] = want[:, -1] = ids[part] % 65521
            assert same_values(columns["text"][part], base["text"][at]), f"texts differ after row {start + first}"
            assert same_values(columns["vector"][part], want), f"vectors differ after row {start + first}"
        start += n
    assert start == n_rows, f"{start} rows of {n_rows}"


def child(plan: Plan, out: str) -> None:
    """Speak with the parent in lines: ready > go > done, peak > go > verdict."""
    base = make_columns(BATCH_ROWS, DIM)
    if plan.writer == "pymilvus":
        import logging

        import pymilvus as module
        from pymilvus import bulk_writer as bulk

        logging.disable(logging.INFO)
    else:
        import vecmill as module

        bulk = module
    Path("/proc/self/clear_refs").write_text("5")
    tell({})
    start = time.perf_counter()
    batch_files = write(plan, module, bulk, base, out)
    tell({"seconds": time.perf_counter() - start, "files": sum(map(len, batch_files))})
    try:
        check(batch_files, base, plan.n_rows)
        print(json.dumps({"wrong": None}))
    except Exception as error:
        print(json.dumps({"wrong": f"{type(error).__name__}: {error}"}))


def tell(facts: dict[str, Any]) -> None:
    print(json.dumps({**facts, "status": asdict(status("self"))}), flush=True)
    sys.stdin.readline()


# --- the parent -------------------------------------------------------------------------------------------------------


def measure(plan: Plan, folder: Path) -> dict[str, Any]:
    """Run one plan in its own process and return its figures in MiB; the output is removed."""
    out = tempfile.mkdtemp(prefix="bench-", dir=folder)
    command = [sys.executable, __file__, "--child", json.dumps(asdict(plan)), "--dir", out]
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            before = Status(**read(process)["status"])
            go(process)
            peak = watch(process)
            done = read(process)
            after = Status(**done["status"])
            go(process)
            verdict = read(process)
        out_mib = sum(p.stat().st_size for p in Path(out).rglob("*") if p.is_file()) / MIB
    except (EOFError, KeyError) as error:
        return {**asdict(plan), "wrong": f"the process died: {error!r}"}
    finally:
        shutil.rmtree(out)
    return {
        **asdict(plan),
        **verdict,
        "n_rows": plan.n_rows,
        "seconds": done["seconds"],
        "files": done["files"],
        "out_mib": out_mib,
        "before_mib": before.anonymous,
        "added_mib": max(peak, after.anonymous) - before.anonymous,
        "kept_mib": after.anonymous - before.anonymous,
        "added_all_pages_mib": after.peak - before.resident,
    }


def read(process: subprocess.Popen) -> dict[str, Any]:
    line = process.stdout.readline()
    if not line:
        raise EOFError("no answer; its error is above")
    return json.loads(line)


def go(process: subprocess.Popen) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


def watch(process: subprocess.Popen) -> float:
    """Sample until the child has something to say or is gone; return the largest anonymous MiB seen."""
    import select

    peak = 0.0
    while not select.select([process.stdout], [], [], SAMPLE_S)[0]:
        try:
            peak = max(peak, status(process.pid).anonymous)
        except (OSError, KeyError):  # gone, or a zombie, which has no memory fields
            break
    return peak


def empty_process_mib() -> float:
    """Return the anonymous memory of a Python process that imports nothing."""
    code = "print(open('/proc/self/status').read())"
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("RssAnon")) / 1024


def plans(args: argparse.Namespace) -> Iterator[Plan]:
    for file_type in args.formats:
        for feed in args.feeds:
            for size in args.batch_gb if feed == "batch" else args.row_gb:
                yield Plan("vecmill", file_type, feed, size)
        if not args.no_pymilvus:
            for size in args.pymilvus_gb:
                yield Plan("pymilvus", file_type, "append_row", size)


def show(console: Console, results: Sequence[dict[str, Any]], empty_mib: float) -> None:
    table = Table(title=f"MiB over the process before the first append; an empty Python has {empty_mib:.0f} MiB")
    headings = (
        "writer",
        "format",
        "feed",
        "GB in",
        "seconds",
        "before",
        "peak added",
        "over empty",
        "kept",
        "all pages",
    )
    for heading in headings:
        table.add_column(heading, justify="left" if heading in headings[:3] else "right")
    for r in results:
        key = (r["writer"], r["file_type"], r["feed"], f"{r['gigabytes']:g}")
        if r["wrong"]:
            table.add_row(*key, f"[red]WRONG {r['wrong'][:120]}")
            continue
        over_empty = r["before_mib"] + r["added_mib"] - empty_mib
        figures = (r["before_mib"], r["added_mib"], over_empty, r["kept_mib"], r["added_all_pages_mib"])
        table.add_row(*key, f"{r['seconds']:.1f}", *(f"{f:.0f}" for f in figures))
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--formats", nargs="+", default=["NUMPY", "PARQUET"], help="names of BulkFileType")
    parser.add_argument("--feeds", nargs="+", default=["batch", "append_row", "append_rows"], choices=FEEDS)
    parser.add_argument("--batch-gb", nargs="*", type=float, default=[2, 4], help="GB of vectors fed as batches")
    parser.add_argument("--row-gb", nargs="*", type=float, default=[0.5, 1], help="GB fed as dicts with lists")
    parser.add_argument("--pymilvus-gb", nargs="*", type=float, default=[0.25, 0.5], help="GB fed to pymilvus")
    parser.add_argument("--no-pymilvus", action="store_true")
    parser.add_argument("--pymilvus-only", action="store_true")
    parser.add_argument("--dir", help="folder on the disk to write to (current)")
    parser.add_argument("--json", metavar="FILE", help="store figures and environment")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(Plan(**json.loads(args.child)), args.dir)
        return 0
    empty_mib = empty_process_mib()
    results = []
    with work_folder(args.dir) as folder:
        for plan in plans(args):
            if args.pymilvus_only and plan.writer != "pymilvus":
                continue
            results.append(measure(plan, folder))
        write_json(args.json, folder, [{"name": "memory", "empty_process_mib": empty_mib, "results": results}])
    show(Console(width=None if sys.stdout.isatty() else 160), results, empty_mib)
    return int(any(r["wrong"] for r in results))


if __name__ == "__main__":
    sys.exit(main())
