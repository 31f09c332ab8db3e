"""Measure how much memory `convert` takes for files that are far larger than what it may hold. See README.md.

Every conversion runs in a fresh process that is watched from outside, as in bench_memory.py. Sources are written one at
a time and removed before the next: twice their size on disk is enough.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from rich.console import Console
from rich.table import Table

from bench_convert import arrow_lists
from bench_memory import go, read, status, watch
from data import make_schema
from harness import MIB, work_folder
from telling import write_json

DIM = 768
BLOCK_ROWS = 8192
TEXT_ROWS = 1024
Matrices = Iterator[np.ndarray]


def matrices(n_rows: int, block_rows: int = BLOCK_ROWS) -> Matrices:
    """Yield vectors block by block, each with the number of its row in front."""
    block = np.random.default_rng(7).standard_normal((block_rows, DIM), dtype=np.float32)
    for start in range(0, n_rows, block_rows):
        n = min(block_rows, n_rows - start)
        block[:n, 0] = np.arange(start, start + n)
        yield block[:n]


def raw(path: Path, head: bytes, blocks: Iterator[np.ndarray]) -> None:
    with path.open("wb") as file:
        file.write(head)
        for block in blocks:
            block.tofile(file)


def write_npy(path: Path, n_rows: int) -> None:
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (n_rows, DIM)}
        np.lib.format.write_array_header_1_0(file, header)
        for block in matrices(n_rows):
            block.tofile(file)


def write_fbin(path: Path, n_rows: int) -> None:
    raw(path, np.array([n_rows, DIM], "<u4").tobytes(), matrices(n_rows))


def write_fvecs(path: Path, n_rows: int) -> None:
    dim = np.full((BLOCK_ROWS, 1), DIM, "<i4").view(np.float32)
    raw(path, b"", (np.hstack([dim[: len(block)], block]) for block in matrices(n_rows)))


def write_parquet(group_rows: int, **options: Any) -> Callable[[Path, int], None]:
    def write(path: Path, n_rows: int) -> None:
        schema = pa.schema({"vector": pa.list_(pa.float32())})
        with pq.ParquetWriter(path, schema, use_dictionary=False, **options) as writer:
            for block in matrices(n_rows, group_rows):
                writer.write_table(arrow_lists(block).cast(schema), row_group_size=group_rows)

    return write


def write_arrow(path: Path, n_rows: int) -> None:
    schema = pa.schema({"vector": pa.list_(pa.float32())})
    with pa.ipc.new_file(path, schema) as writer:
        for block in matrices(n_rows):
            writer.write_table(arrow_lists(block).cast(schema))


def write_hdf5(**options: Any) -> Callable[[Path, int], None]:
    def write(path: Path, n_rows: int) -> None:
        with h5py.File(path, "w") as file:
            data = file.create_dataset("train", (n_rows, DIM), "f4", **options)
            start = 0
            for block in matrices(n_rows):
                data[start : start + len(block)] = block
                start += len(block)

    return write


def lines(n_rows: int) -> Iterator[bytes]:
    """Yield blocks of JSON lines."""
    for start, block in enumerate(matrices(n_rows, TEXT_ROWS)):
        ids = range(start * TEXT_ROWS, n_rows)
        option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
        rows = zip(ids, block, strict=False)
        yield b"".join(orjson.dumps({"id": i, "text": f"text {i}", "vector": row}, option=option) for i, row in rows)


def write_jsonl(path: Path, n_rows: int) -> None:
    with path.open("wb") as file:
        file.writelines(lines(n_rows))


def write_jsonl_zst(path: Path, n_rows: int) -> None:
    with path.open("wb") as file, zstandard.ZstdCompressor(level=1).stream_writer(file) as packed:
        for block in lines(n_rows):
            packed.write(block)


def write_csv(path: Path, n_rows: int) -> None:
    with path.open("wb") as file:
        file.write(b"id,text,vector\n")
        for start, block in enumerate(matrices(n_rows, TEXT_ROWS)):
            rows = (orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY) for row in block)
            ids = range(start * TEXT_ROWS, n_rows)
            file.writelines(b'%d,text %d,"%s"\n' % (i, i, row) for i, row in zip(ids, rows, strict=False))


# Bytes of a row in the file, roughly: its size is what --gb says.
ROW_BYTES, LINE_BYTES = DIM * 4, 8450
KINDS: dict[str, tuple[str, int, Callable[[Path, int], None]]] = {
    "npy": ("vector.npy", ROW_BYTES, write_npy),
    "fvecs": ("vector.fvecs", ROW_BYTES, write_fvecs),
    "fbin": ("vector.fbin", ROW_BYTES, write_fbin),
    "parquet": ("a.parquet", ROW_BYTES, write_parquet(BLOCK_ROWS, compression="none")),
    "parquet_large": ("a.parquet", ROW_BYTES, write_parquet(200_000, compression="snappy")),
    "arrow": ("a.arrow", ROW_BYTES, write_arrow),
    "hdf5": ("a.hdf5", ROW_BYTES, write_hdf5()),
    "hdf5_gzip": ("a.hdf5", ROW_BYTES, write_hdf5(chunks=(1000, DIM), compression="gzip", compression_opts=1)),
    "jsonl": ("a.jsonl", LINE_BYTES, write_jsonl),
    "jsonl_zst": ("a.jsonl.zst", LINE_BYTES, write_jsonl_zst),
    "csv": ("a.csv", LINE_BYTES, write_csv),
}
TEXT = ("jsonl", "jsonl_zst", "csv")


def child(kind: str, path: str, out: str, file_type: str) -> None:
    """Speak with the parent in lines: ready > go > done."""
    import vecmill

    print(json.dumps({}), flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    schema = make_schema(vecmill, DIM) if kind in TEXT else None
    columns = {"vector": "train"} if kind.startswith("hdf5") else {}
    report = vecmill.convert(path, out, schema=schema, columns=columns, file_type=file_type)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "rows": report.rows, "files": len(report.files)}), flush=True)
    sys.stdin.readline()


def measure(kind: str, gigabytes: float, file_type: str, folder: Path) -> dict[str, Any]:
    name, row_bytes, write = KINDS[kind]
    n_rows = int(gigabytes * 1e9) // row_bytes
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path, out = Path(place) / name, Path(place) / "out"
        write(path, n_rows)
        size = path.stat().st_size
        command = [sys.executable, __file__, "--child", kind, str(path), str(out), file_type]
        with (
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
            closing(process.stdin),
        ):
            read(process)
            go(process)
            peak = watch(process)
            told = read(process)
            after = status(process.pid)
            go(process)
    wrong = None if told["rows"] == n_rows else f"{told['rows']} rows of {n_rows}"
    return {
        "kind": kind,
        "file_type": file_type,
        "in_mib": size / MIB,
        "seconds": told["seconds"],
        "files": told["files"],
        "anonymous_mib": max(peak, after.anonymous),
        "all_mib": after.peak,
        "wrong": wrong,
    }


def empty_process() -> tuple[float, float]:
    """Return the anonymous memory and the peak of all pages, in MiB, of a Python that imports nothing."""
    code = "print(open('/proc/self/status').read())"
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(fields["RssAnon"].split()[0]) / 1024, int(fields["VmHWM"].split()[0]) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--formats", nargs="+", default=["npy", "parquet"], help="what text is not written to: npy")
    parser.add_argument("--gb", type=float, default=4, help="size of each source (%(default)s)")
    parser.add_argument("--limit", type=float, default=400, help="MB over an empty process (%(default)s)")
    parser.add_argument("--dir", help="folder on the disk to write to (current)")
    parser.add_argument("--json", metavar="FILE", help="store figures and environment")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(*args.child)
        return 0
    anonymous, peak = empty_process()
    table = Table(title="memory of a conversion over that of an empty Python process")
    for heading in ("source", "to", "MB in", "seconds", "MB anonymous", "MB all pages (VmHWM)", ""):
        table.add_column(heading, justify="right" if heading.startswith(("MB", "sec")) else "left")
    results = []
    with work_folder(args.dir) as folder:
        for kind in args.only:
            for file_type in args.formats:
                if kind in TEXT and file_type == "npy" and len(args.formats) > 1:
                    continue
                result = measure(kind, args.gb, file_type, folder)
                results.append(result)
                added = [
                    (value - base) * MIB / 1e6
                    for value, base in ((result["anonymous_mib"], anonymous), (result["all_mib"], peak))
                ]
                verdict = result["wrong"] or ("ok" if max(added) <= args.limit else "MISSED")
                figures = (
                    f"{result['in_mib'] * MIB / 1e6:.0f}",
                    f"{result['seconds']:.1f}",
                    *(f"{a:.0f}" for a in added),
                )
                table.add_row(kind, file_type, *figures, verdict)
                print(kind, file_type, *figures, verdict, file=sys.stderr)
        write_json(args.json, folder, [{"name": "convert_memory", "empty": [anonymous, peak], "results": results}])
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return int(any(r["wrong"] for r in results))


if __name__ == "__main__":
    sys.exit(main())
