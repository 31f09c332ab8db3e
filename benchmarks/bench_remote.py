"""Measure the way into a bucket: loopback S3 servers, against pymilvus, a bare put of the same bytes, and local files.

`sink` is a server of our own that throws the bodies away, as fast as Python can: it bounds what a store could give.
"""

import argparse
import http.server
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from data import check_files, make_columns, make_schema
from harness import MIB, work_folder
from servers.s3 import KEY, SECRET, S3Server, running_juicefs, running_seaweed

DIM = 768
BATCH_ROWS = 8192
PYMILVUS_ROWS = 30_000  # it would take minutes for more; its speed is the same


class _Discard(http.server.BaseHTTPRequestHandler):
    """As little of S3 as an upload needs. Bodies are read into nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def _answer(self, body: bytes = b"", **headers: str) -> None:
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            left -= self.rfile.readinto(memoryview(_NOWHERE)[: min(left, len(_NOWHERE))])
        self.send_response_only(200)
        for name, value in {"Content-Length": str(len(body)), "ETag": '"0"', **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        self._answer()

    def do_GET(self) -> None:  # MinIO's client asks for the region
        self._answer(b'<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>')

    def do_HEAD(self) -> None:
        self._answer(Last_Modified="Thu, 01 Jan 2026 00:00:00 GMT")

    def do_DELETE(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        kind = "InitiateMultipartUpload" if "uploads" in self.path else "CompleteMultipartUpload"
        body = '<UploadId>1</UploadId><ETag>"0"</ETag><Bucket>bench</Bucket><Key>key</Key><Location>/</Location>'
        namespace = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
        self._answer(f"<{kind}Result {namespace}>{body}</{kind}Result>".encode())


_NOWHERE = bytearray(MIB)  # of all threads: nobody reads it


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


@contextmanager
def running_sink() -> Iterator[S3Server]:
    """Run the sink in a process of its own: in this one its threads would take the interpreter from the writer."""
    command = [sys.executable, "-c", "import bench_remote; bench_remote.serve_sink()"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent) as process:
        assert process.stdout is not None
        try:
            yield S3Server("sink", int(process.stdout.readline()))
        finally:
            process.terminate()


def serve_sink() -> None:
    with _Server(("127.0.0.1", 0), _Discard) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


Check = Callable[[list[list[str]]], None]
SERVERS: dict[str, Callable[[], Any]] = {"juicefs": running_juicefs, "seaweed": running_seaweed, "sink": running_sink}


def connect(server: S3Server, bucket: str, module: Any) -> Any:
    return module.RemoteBulkWriter.S3ConnectParam(bucket, server.endpoint, KEY, SECRET, secure=False)


def vecmill_remote(
    server: S3Server,
    bucket: str,
    columns: dict[str, np.ndarray],
    file_type: str,
    check: Check | None = None,
    step: int | None = None,
) -> int:
    """Write in one batch, or in batches of ``step`` rows, whose NPY columns wait until the segment is full."""
    import vecmill

    schema, param = make_schema(vecmill, DIM), connect(server, bucket, vecmill)
    with vecmill.RemoteBulkWriter(schema, "bench", param, file_type=file_type) as writer:
        for start in range(0, len(columns["id"]), step or len(columns["id"])):
            writer.append_batch({name: column[start:][:step] for name, column in columns.items()})
    if check is not None:
        check(writer.batch_files)
    return writer.manifest.n_rows


def vecmill_local(folder: Path, columns: dict[str, np.ndarray], file_type: str) -> int:
    import vecmill

    n_bytes = sum(column.nbytes for column in columns.values())
    with vecmill.LocalBulkWriter(make_schema(vecmill, DIM), folder, 2 * n_bytes + MIB, file_type) as writer:
        writer.append_batch(columns)
    return writer.manifest.n_rows


def bare_put(server: S3Server, bucket: str, views: list[memoryview], columns: dict[str, np.ndarray]) -> int:
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        bucket, endpoint=server.url, access_key_id=KEY, secret_access_key=SECRET, region="us-east-1",
        client_options={"allow_http": True, "timeout": "120s"}, unsigned_payload=True, checksum_algorithm="CRC64NVME",
    )  # fmt: skip
    for i, view in enumerate(views):
        obstore.put(store, f"bare/{i}", view, chunk_size=16 * MIB, max_concurrency=4)
    return len(columns["id"])


def pymilvus_remote(server: S3Server, bucket: str, columns: dict[str, np.ndarray], file_type: str, folder: Path) -> int:
    import logging

    import pymilvus
    from pymilvus import bulk_writer

    logging.disable(logging.INFO)
    kind = {"npy": bulk_writer.BulkFileType.NUMPY, "parquet": bulk_writer.BulkFileType.PARQUET}[file_type]
    writer = bulk_writer.RemoteBulkWriter(
        make_schema(pymilvus, DIM),
        "pymilvus",
        connect(server, bucket, bulk_writer),
        1 << 33,
        kind,
        local_path=str(folder),
    )
    names = list(columns)
    ready = {name: column.tolist() if column.ndim == 1 else column for name, column in columns.items()}
    n = min(PYMILVUS_ROWS, len(columns["id"]))
    for i in range(n):
        writer.append_row({name: ready[name][i] for name in names})
    writer.commit()
    return n


def check(server: S3Server, bucket: str, files: list[list[str]], columns: dict[str, np.ndarray], folder: Path) -> None:
    """Fetch the objects and compare every value."""
    local = [[str(folder / key) for key in group] for group in files]
    for key, path in zip(chain(*files), chain(*local), strict=True):
        server.client.fget_object(bucket, key, path)
    check_files(columns)(local, folder)
    for path in chain(*local):
        Path(path).unlink()


def clear(server: S3Server, bucket: str) -> None:
    if server.name != "sink":
        for key in server.keys(bucket):
            server.client.remove_object(bucket, key)


def measure(name: str, n_rows: int, rounds: int, folder: Path) -> list[dict[str, Any]]:
    columns = make_columns(n_rows, DIM)
    n_bytes = sum(column.nbytes for column in columns.values())
    views = [
        memoryview(np.ascontiguousarray(column)).cast("B") for column in columns.values() if column.dtype.kind != "U"
    ]
    found: dict[str, list[float]] = {}
    with SERVERS[name]() as server:
        bucket = "bench" if name == "sink" else server.new_bucket("bench")
        ways: dict[str, Callable[[], int]] = {
            "vecmill npy": lambda: vecmill_remote(server, bucket, columns, "npy"),
            "vecmill npy, batches": lambda: vecmill_remote(server, bucket, columns, "npy", step=BATCH_ROWS),
            "bare put": lambda: bare_put(server, bucket, views, columns),
            "vecmill parquet": lambda: vecmill_remote(server, bucket, columns, "parquet"),
            "local parquet": lambda: vecmill_local(folder, columns, "parquet"),
            "pymilvus npy": lambda: pymilvus_remote(server, bucket, columns, "npy", folder),
        }
        if name != "sink":  # every value, once
            for file_type in ("npy", "parquet"):
                vecmill_remote(
                    server, bucket, columns, file_type, lambda files: check(server, bucket, files, columns, folder)
                )
                clear(server, bucket)
        for round_ in range(rounds + 1):  # the first one warms up
            for way, run in ways.items():
                if way == "pymilvus npy" and round_ not in (0, 1):
                    continue
                began = time.perf_counter()
                done = run()
                seconds = time.perf_counter() - began
                clear(server, bucket)
                if round_ or rounds == 0:
                    found.setdefault(way, []).append(done / seconds)
    return [
        {
            "server": name,
            "way": way,
            "rows_per_s": median(rates),
            "best_rows_per_s": max(rates),
            "mb_per_s": median(rates) * n_bytes / n_rows / 1e6,
        }
        for way, rates in found.items()
    ]


VICTIM = """
import json, sys
sys.path[:0] = sys.argv[5:7]
import numpy as np
import vecmill, obstore, pyarrow
from data import make_schema
bucket, endpoint, key, secret = sys.argv[1:5]
gigabytes, file_type = float(sys.argv[7]), sys.argv[8]
param = vecmill.RemoteBulkWriter.S3ConnectParam(bucket, endpoint, key, secret, secure=False)
written = lambda: int(open("/proc/self/io").read().split("\\nwrite_bytes: ")[1].split()[0])
n = 8192
batch = {"id": np.arange(n), "vector": np.random.default_rng(0).random((n, 768), np.float32)}
batch["text"] = np.array([f"row {i}" for i in range(n)])
peak = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024  # of this process image
before, disk = peak(), written()
with vecmill.RemoteBulkWriter(make_schema(vecmill), "memory", param, 1 << 30, file_type) as writer:
    while writer.total_row_count * 768 * 4 < gigabytes * 1e9:
        writer.append_batch(batch)
print(json.dumps({"peak_mib": peak() - before, "disk_bytes": written() - disk, "rows": writer.manifest.n_rows}))
"""


def measure_memory(gigabytes: float, file_type: str) -> dict[str, Any]:
    """Peak memory over the process that has imported everything and holds one batch; bytes written to disks."""
    here = Path(__file__).parent
    with running_sink() as server:
        done = subprocess.run(
            [
                sys.executable, "-c", VICTIM, "bench", server.endpoint, KEY, SECRET,
                str(here), str(here.parent / "src"), str(gigabytes), file_type,
            ],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    return {"file_type": file_type, "gigabytes": gigabytes, **json.loads(done.stdout)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gb", type=float, default=1.0, help="size of the set")
    parser.add_argument("--memory-gb", type=float, default=4.0, help="size of the export whose memory is measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--servers", nargs="*", default=list(SERVERS))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    console, results = Console(), []
    n_rows = int(args.gb * 1e9 / (DIM * 4))
    for name in args.servers:
        with work_folder(None) as folder:
            rows = measure(name, n_rows, args.rounds, folder)
        results += rows
        rates = {row["way"]: row for row in rows}
        table = Table(title=f"{args.gb} GB to {name}", title_justify="left")
        for heading in ("way", "rows/s", "MB/s", "ratio"):
            table.add_column(heading, justify="left" if heading in ("way", "ratio") else "right")
        told = {
            "vecmill npy": [("bare put", 0.7), ("pymilvus npy", 25)],
            "vecmill parquet": [("local parquet", 0.8)],
        }
        for row in rows:
            ratios = []
            for rival, least in told.get(row["way"], []):
                if rival in rates:
                    middle, best = (row[key] / rates[rival][key] for key in ("rows_per_s", "best_rows_per_s"))
                    ratios.append(f"{middle:.2f}x {rival}, best against best {best:.2f}x (wanted {least})")
            table.add_row(row["way"], f"{row['rows_per_s']:,.0f}", f"{row['mb_per_s']:,.0f}", "\n".join(ratios))
        console.print(table)
    if args.memory_gb:
        found = measure_memory(args.memory_gb, "parquet")
        results.append(found)
        console.print(
            f"memory: {found['peak_mib']:.0f} MiB over the process before (at most 300 wanted), "
            f"{found['disk_bytes']} bytes to disks, {args.memory_gb} GB to Parquet"
        )
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
