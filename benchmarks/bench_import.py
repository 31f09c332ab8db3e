"""Measure the way into the real Milvus 2.3.5: convert and import, against pymilvus' insert(). See README.md."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from pymilvus import CollectionSchema, MilvusClient

from contenders import arrow_lists
from data import make_columns
from harness import Case, Contender, Target, run_interleaved, work_folder
from servers.milvus import running_milvus
from telling import report, write_json
from vecmill import DataType, convert, create_schema
from vecmill.importer.grouping import group_files
from vecmill.importer.jobs import GrpcJobs, plan_jobs
from vecmill.importer.journal import Journal
from vecmill.importer.options import CollectionOptions, ImportOptions, OutputOptions, Server, Way
from vecmill.importer.reply import JobProgress
from vecmill.importer.resume import run_jobs
from vecmill.output.opening import open_output

Spent = list[dict[str, float]]

INSERT_ROWS = 5_000  # of one insert(): 8 MB, what pymilvus users send
CHECKED = 300
NAME = "bench"


def make_schema(dim: int) -> Any:
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=200)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    return schema


def vecmill_import(
    client: MilvusClient, uri: str, schema: Any, file_type: str, n_files: int, spent: Spent, source: Path, out: Path
) -> None:
    """Convert the source and import it; return when the server calls it completed and counts the same rows.

    ``spent``: seconds of each phase, by what was under way when they went by.
    """
    began = time.perf_counter()
    size = source.stat().st_size // n_files + (1 << 20) if n_files > 1 else 1 << 30
    converted = convert(source, out, schema=schema, file_type=file_type, segment_size=size)
    output = open_output(converted.data_path)
    options = ImportOptions(
        output=OutputOptions(src=converted.data_path),
        server=Server(uri),
        collection=CollectionOptions(name=NAME),
        way=Way.GRPC,
    )
    planned = plan_jobs(options, output.manifest, group_files(output.files(), options.limits()))
    phases = {"convert": time.perf_counter() - began}
    seen_at, phase = time.perf_counter(), "ordered"

    def looked(seen: JobProgress, _rows: int) -> None:
        nonlocal seen_at, phase
        now = time.perf_counter()
        phases[phase] = phases.get(phase, 0.0) + now - seen_at
        seen_at, phase = now, str(seen.state)

    jobs = GrpcJobs(client, options.server, NAME)
    run_jobs(planned, jobs, Journal(None), options.jobs, options.patience, looked)
    spent.append(phases)


def pymilvus_insert(client: MilvusClient, flush: bool, source: Path, out: Path) -> None:
    """Read the source, insert its rows; ``flush``: until they are in segments, as an import leaves them."""
    for batch in pq.ParquetFile(source).iter_batches(INSERT_ROWS):
        vectors = np.asarray(batch["vector"].flatten()).reshape(len(batch), -1)
        rows = zip(batch["id"].to_pylist(), batch["text"].to_pylist(), vectors, strict=True)
        client.insert(NAME, [{"id": i, "text": text, "vector": vector} for i, text, vector in rows])
    if flush:
        client.flush(NAME, timeout=600)


def fresh_collection(client: MilvusClient, schema: Any, source: Path) -> Path:
    if client.has_collection(NAME):
        client.drop_collection(NAME)
    client.create_collection(
        NAME, schema=CollectionSchema.construct_from_dict(schema.to_dict()), consistency_level="Strong"
    )
    return source


def check(client: MilvusClient, columns: dict[str, np.ndarray], _output: Any, _folder: Path) -> None:
    """Load the collection; compare the count, and rows from everywhere bit by bit."""
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.flush(NAME, timeout=600)
    client.create_index(NAME, index)
    client.load_collection(NAME, timeout=600)
    counted = client.query(NAME, filter="", output_fields=["count(*)"])[0]["count(*)"]
    if counted != len(columns["id"]):
        raise ValueError(f"{counted} rows instead of {len(columns['id'])}")
    at = np.random.default_rng(0).choice(len(columns["id"]), CHECKED, replace=False)
    ids = [int(columns["id"][i]) for i in at]
    found = {row["id"]: row for row in client.query(NAME, ids=ids, output_fields=["text", "vector"])}
    for i, key in zip(at, ids, strict=True):
        if found[key]["text"] != columns["text"][i]:
            raise ValueError(f"text of row {i}")
        if np.array(found[key]["vector"], "f4").tobytes() != columns["vector"][i].tobytes():
            raise ValueError(f"vector of row {i}")


def told(name: str, spent: Spent) -> str:
    """Say where the time of an import went: only converting and the pause before the last look are ours."""
    phases = {phase: median(one.get(phase, 0.0) for one in spent) for one in spent for phase in one}
    return f"{name}: " + ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in phases.items())


def case_of(client: MilvusClient, uri: str, folder: Path, n_rows: int, dim: int, spent: dict[str, Spent]) -> Case:
    columns = make_columns(n_rows, dim)
    source = folder / "source.parquet"
    table = {name: arrow_lists(one) if one.ndim == 2 else pa.array(one) for name, one in columns.items()}
    pq.write_table(pa.table(table), source)
    schema = make_schema(dim)
    prepare = partial(fresh_collection, client, schema, source)

    def contender(name: str, act: Callable[..., None], *arguments: Any, rival: bool = False) -> Contender:
        go = partial(act, client, *arguments)
        return Contender(name, n_rows, go, partial(check, client, columns), prepare, rival)

    def importing(name: str, file_type: str, n_files: int = 1) -> Contender:
        return contender(name, vecmill_import, uri, schema, file_type, n_files, spent.setdefault(name, []))

    contenders = [
        importing("convert + NPY import", "npy"),
        importing("convert + NPY import, 4 sets", "npy", 4),
        importing("convert + Parquet import", "parquet"),
        importing("convert + Parquet import, 4 files", "parquet", 4),
        contender("pymilvus insert + flush", pymilvus_insert, True, rival=True),
        contender("pymilvus insert", pymilvus_insert, False, rival=True),
    ]
    targets = [Target("convert + NPY import", rival, 3) for rival in ("pymilvus insert + flush", "pymilvus insert")]
    title = f"{n_rows:,} rows of id, text and {dim} floats from a Parquet file into Milvus 2.3.5"
    return Case("import", title, contenders, targets)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="rows (%(default)s)")
    parser.add_argument("--dim", type=int, default=384, help="floats of a vector (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="recorded rounds (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, 1 round: a smoke test, no figure")
    parser.add_argument("--dir", help="folder on the disk to write to (current)")
    parser.add_argument("--json", metavar="FILE", help="store figures and environment")
    args = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 200)
    with work_folder(args.dir) as folder, tempfile.TemporaryDirectory() as kept, running_milvus() as server:
        client = MilvusClient(server.uri, timeout=600)
        spent: dict[str, Spent] = {}
        case = case_of(client, server.uri, Path(kept), args.rows // (10 if args.quick else 1), args.dim, spent)
        results = run_interleaved(case, 1 if args.quick else args.rounds, folder)
        stored = report(console, case, results)
        for name, phases in spent.items():
            console.print(told(name, phases))
        client.close()
        write_json(args.json, folder, [stored])
    return 1 if any(result.wrong for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
