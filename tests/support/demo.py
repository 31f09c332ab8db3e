"""Show vecmill at work on real embeddings: convert the sample, read the files back, compare every value; then load them
into Milvus Lite and search.

Run by ``make demo``. Reads tests/data/, writes to ./demo/ (emptied first), and exits with 1 if a single value of a
single column differs from the original in any bit, or a search finds another text than the nearest one.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pymilvus import MilvusClient
from rich.console import Console
from rich.table import Table

from paths import QUESTIONS, SAMPLE
from vecmill import convert
from vecmill.importer.lite import insert
from vecmill.importer.options import CollectionOptions, Server
from vecmill.output.opening import open_output

if TYPE_CHECKING:
    from vecmill.convert.report import Report

OUT = Path("demo")
ASKED = 5


def read_npy(files: list[list[str]]) -> dict[str, np.ndarray]:
    """Return the columns of NPY sets, by field, with NumPy alone."""
    parts: dict[str, list[np.ndarray]] = {}
    for group in files:
        for path in group:
            parts.setdefault(Path(path).stem, []).append(np.load(path))
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def read_parquet(files: list[list[str]]) -> dict[str, np.ndarray]:
    """Return the columns of Parquet files, by field, with pyarrow alone."""
    return as_arrays(pa.concat_tables([pq.read_table(path) for group in files for path in group]))


def as_arrays(table: pa.Table) -> dict[str, np.ndarray]:
    """Return a table as arrays: lists as (n, dim), text as unicode."""
    arrays = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if column.null_count:
            raise SystemExit(f"column {name!r} holds nulls")
        if pa.types.is_list(column.type):
            arrays[name] = np.asarray(column.flatten()).reshape(len(column), -1)
        elif pa.types.is_string(column.type):
            arrays[name] = np.array(column.to_pylist(), dtype=np.str_)
        else:
            arrays[name] = column.to_numpy()
    return arrays


def difference(want: dict[str, np.ndarray], got: dict[str, np.ndarray]) -> str:
    """Return the first difference in words, or "" when all values are equal bit by bit."""
    if set(want) != set(got):
        return f"columns {sorted(got)} instead of {sorted(want)}"
    for name, expected in want.items():
        found = got[name]
        if expected.dtype.kind == "U":
            if expected.tolist() != found.tolist():
                return f"text of column {name!r}"
        elif (expected.dtype, expected.shape) != (found.dtype, found.shape):
            return f"column {name!r}: {found.dtype} {found.shape} instead of {expected.dtype} {expected.shape}"
        elif expected.tobytes() != found.tobytes():
            return f"values of column {name!r}"
    return ""


def show(results: list[tuple[str, Report, str]]) -> None:
    """Print the table of what was written."""
    table = Table(title=f"{SAMPLE.name} ({SAMPLE.stat().st_size / 1e6:.1f} MB)", title_justify="left")
    for heading in ("format", "rows", "files", "MB", "seconds", "rows/s", "MB/s", "equal"):
        table.add_column(heading, justify="left" if heading in ("format", "equal") else "right")
    for name, report, problem in results:
        table.add_row(
            name,
            f"{report.rows:,}",
            str(sum(len(group) for group in report.files)),
            f"{report.bytes_out / 1e6:.1f}",
            f"{report.seconds:.3f}",
            f"{report.rows_per_s:,.0f}",
            f"{report.mb_per_s:,.0f}",
            f"NO: {problem}" if problem else "yes",
        )
    console = Console()
    for note in results[0][1].notes:
        console.print(note, highlight=False, markup=False)
    console.print(table)
    console.print(f"equal: {'NO' if any(problem for *_, problem in results) else 'yes'}", highlight=False)


def search(want: dict[str, np.ndarray]) -> bool:
    """Go from the sample to the nearest texts in Milvus Lite, and print them; return whether they are the nearest."""
    console = Console()
    began = time.perf_counter()
    report = convert(SAMPLE, OUT / "milvus-lite", file_type="npy")
    database = str(OUT / "demo.db")
    insert(open_output(report.data_path), Server(database), CollectionOptions(name="packages", metric="COSINE"))
    questions = pq.read_table(QUESTIONS).slice(0, ASKED)
    asked = as_arrays(questions)["vector"]
    client = MilvusClient(database)
    client.load_collection("packages")
    found = client.search("packages", list(asked[:1]), limit=1, anns_field="vector", output_fields=["name", "summary"])
    seconds = time.perf_counter() - began
    found = client.search("packages", list(asked), limit=1, anns_field="vector", output_fields=["name", "summary"])
    client.close()
    table = Table(title=f"Milvus Lite, {report.rows:,} rows in {database}", title_justify="left")
    for heading in ("question", "nearest", "its text", "score"):
        table.add_column(heading, max_width=60)
    right = True
    unit = {name: v / np.linalg.norm(v, axis=1, keepdims=True) for name, v in (("a", asked), ("w", want["vector"]))}
    nearest = (unit["a"] @ unit["w"].T).argmax(axis=1)
    for question, hits, best in zip(questions["question"].to_pylist(), found, nearest, strict=True):
        hit = hits[0]
        right &= hit["id"] == want["id"][best]
        table.add_row(question, hit["entity"]["name"], hit["entity"]["summary"], f"{hit['distance']:.3f}")
    console.print(table)
    console.print(f"from the sample to the first hit: {seconds:.1f} s", highlight=False)
    if not right:
        console.print("NO: these are not the nearest texts")
    return right


def main() -> int:
    """Convert, read back, compare, search; return the exit code."""
    shutil.rmtree(OUT, ignore_errors=True)
    want = as_arrays(pq.read_table(SAMPLE))
    convert(SAMPLE, OUT / "warm-up")  # imports and page cache are not what is shown
    shutil.rmtree(OUT)
    results = []
    for file_type, read in (("npy", read_npy), ("parquet", read_parquet)):
        report = convert(SAMPLE, OUT / file_type, file_type=file_type)
        results.append((file_type, report, difference(want, read(report.files))))
    show(results)
    is_right = search(want)
    return 1 if any(problem for *_, problem in results) or not is_right else 0


if __name__ == "__main__":
    sys.exit(main())
