"""How fast is `validate`? Full looks at NPY sets against reading their bytes, other formats against their readers.

``cat FILES > /dev/null`` reads the same files from the page cache: what cannot be beaten by far. The other formats are
read by pyarrow (all batches), a loop of ``orjson.loads``, and the csv module with ``orjson.loads`` for the vectors.
Headers of many files, and peak memory over that of a process that has validated a small set. Interleaved, medians.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq

from vecmill import DataType, LocalBulkWriter, create_schema, validate
from vecmill.manifest import FileEntry, Manifest, Segment
from vecmill.store.notes import notes_path
from vecmill.store.spool import checksum_of, mapped_file

DIM = 768
GIB = 1 << 30
ROWS = {"parquet": 200_000, "jsonl": 20_000, "csv": 20_000}

PEAK = """
import json, sys
from vecmill import validate
small, files, schema = json.loads(sys.stdin.read())
validate([small], schema)
def peak():  # of this program: ru_maxrss remembers the one that started it
    return int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
before = peak()
assert validate(files, schema).ok
print((peak() - before) / 1024)
"""


def make_schema():
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("title", DataType.VARCHAR, max_length=100)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    return schema


def make_set(folder: Path, n_bytes: int) -> list[Path]:
    """Write about so many bytes of ids, titles of 20 characters and vectors."""
    n = n_bytes // (8 + 80 + 4 * DIM)
    np.save(folder / "id.npy", np.arange(n))
    np.save(folder / "title.npy", np.char.add("a title of number ", (np.arange(n) % 100).astype("U2")))
    vectors = np.lib.format.open_memmap(folder / "vector.npy", "w+", np.float32, (n, DIM))
    rng = np.random.default_rng(1)
    for start in range(0, n, 65_536):
        vectors[start : start + 65_536] = rng.standard_normal((min(65_536, n - start), DIM), dtype="f4")
    vectors.flush()
    del vectors
    return sorted(folder.iterdir())


def add_manifest(paths: list[Path]) -> Path:
    """Write a manifest beside a set, with checksums."""
    n = len(np.load(paths[0], mmap_mode="r"))
    sums = [checksum_of(mapped_file(path)) for path in paths]
    entries = tuple(
        FileEntry(path.name, n, path.stat().st_size, one, path.stem) for path, one in zip(paths, sums, strict=True)
    )
    manifest = Manifest("bench", "NUMPY", make_schema().to_dict(), [Segment(1, n, entries)])
    place = notes_path(paths[0].parent) / "manifest.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(manifest.to_json())
    return place


def timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def interleaved(rounds: int, *acts: Callable[[], object]) -> list[float]:
    """Return the median seconds of each, one after another in every round."""
    acts[0]()
    samples = [[timed(act) for act in acts] for _ in range(rounds)]
    return [statistics.median(one) for one in zip(*samples, strict=True)]


def full_look(given, schema) -> None:
    report = validate(given, schema)
    assert report.ok and not report.counts and report.rows


def peak_mib(small: list[str], files: object, schema) -> float:
    """Return how much a process grows that validates ``files``."""
    told = json.dumps([small, files, schema.to_dict()])
    done = subprocess.run([sys.executable, "-c", PEAK], input=told, capture_output=True, text=True, check=True)
    return float(done.stdout)


def bench_npy(gib: float, args: argparse.Namespace, small: list[str], found: dict[str, float]) -> None:
    schema = make_schema()
    with tempfile.TemporaryDirectory(dir=args.dir, prefix=".bench-validate-") as name:
        paths = make_set(Path(name), int(gib * GIB))
        n_bytes = sum(path.stat().st_size for path in paths)
        group = [[str(path) for path in paths]]

        def cat() -> None:
            with Path("/dev/null").open("wb") as sink:
                subprocess.run(["cat", *group[0]], stdout=sink, check=True)

        manifest = add_manifest(paths)
        cat_s, full_s, sums_s = interleaved(
            args.rounds, cat, lambda: full_look(group, schema), lambda: full_look(str(manifest), schema)
        )
        key = f"npy_{gib:g}gib"
        found |= {
            f"{key}_cat_gb_s": n_bytes / cat_s / 1e9, f"{key}_full_to_cat": cat_s / full_s,
            f"{key}_checksums_to_cat": cat_s / sums_s, f"{key}_peak_mib": peak_mib(small, group, schema),
        }  # fmt: skip
        print(
            f"full, NPY, {n_bytes / 1e9:.2f} GB: {n_bytes / full_s / 1e9:.2f} GB/s, {cat_s / full_s:.2f}x cat "
            f"({n_bytes / cat_s / 1e9:.2f} GB/s); with checksums {cat_s / sums_s:.2f}x; "
            f"peak {found[f'{key}_peak_mib']:.0f} MiB"
        )


def read_parquet(path: str) -> None:
    for batch in pq.ParquetFile(path).iter_batches():
        assert batch.num_rows


def read_jsonl(path: str) -> None:
    with Path(path).open("rb") as file:
        for line in file:
            assert orjson.loads(line)


def read_csv(path: str) -> None:
    with Path(path).open(newline="") as file:
        rows = csv.reader(file)
        at = next(rows).index("vector")
        for row in rows:
            assert orjson.loads(row[at])


RIVALS = {"parquet": read_parquet, "jsonl": read_jsonl, "csv": read_csv}


def bench_format(form: str, args: argparse.Namespace, small: list[str], found: dict[str, float]) -> None:
    schema = make_schema()
    with tempfile.TemporaryDirectory(dir=args.dir, prefix=".bench-validate-") as name:
        rng = np.random.default_rng(1)
        with LocalBulkWriter(schema, name, file_type=form, chunk_size=16 * GIB) as writer:
            for start in range(0, ROWS[form], 10_000):
                batch = {"id": np.arange(start, start + 10_000), "title": [f"title {i}" for i in range(10_000)]}
                writer.append_batch(batch | {"vector": rng.standard_normal((10_000, DIM), dtype="f4")})
        ((path,),) = writer.batch_files
        n_bytes = Path(path).stat().st_size
        rival_s, full_s = interleaved(args.rounds, lambda: RIVALS[form](path), lambda: full_look(path, schema))
        found[f"{form}_to_rival"] = rival_s / full_s
        found[f"{form}_peak_mib"] = peak_mib(small, path, schema)
        print(
            f"full, {form}, {n_bytes / 1e6:.0f} MB: {n_bytes / full_s / 1e6:.0f} MB/s, {rival_s / full_s:.2f}x its "
            f"reader ({n_bytes / rival_s / 1e6:.0f} MB/s); peak {found[f'{form}_peak_mib']:.0f} MiB"
        )


def bench_many(args: argparse.Namespace, found: dict[str, float]) -> None:
    """Eight files of a format, together and one after another."""
    schema = make_schema()
    for form in (*args.formats, "npy"):
        with tempfile.TemporaryDirectory(dir=args.dir, prefix=".bench-validate-") as name:
            rng = np.random.default_rng(1)
            with LocalBulkWriter(schema, name, file_type=form, chunk_size=16 * GIB) as writer:
                for _ in range(8):
                    n = ROWS.get(form, ROWS["parquet"]) // 4
                    columns = {"id": np.arange(n), "title": [f"title {i}" for i in range(n)]}
                    writer.append_batch(columns | {"vector": rng.standard_normal((n, DIM), dtype="f4")})
                    writer.commit()
            files = [[str(path) for path in group] for group in writer.batch_files]

            def singly(files: list[list[str]] = files) -> None:
                for one in files:
                    full_look([one], schema)

            singly_s, together_s = interleaved(args.rounds, singly, lambda files=files: full_look(files, schema))
            found[f"{form}_8_files_together"] = singly_s / together_s
            print(f"full, 8 files of {form}: together {singly_s / together_s:.2f}x as fast as one after another")


def bench_headers(args: argparse.Namespace, found: dict[str, float]) -> None:
    schema = make_schema()
    with tempfile.TemporaryDirectory(dir=args.dir, prefix=".bench-validate-") as name:
        sets, tables = [], []
        for i in range(-(-args.files // 3)):
            (folder := Path(name) / str(i)).mkdir()
            sets.append([str(path) for path in make_set(folder, 100_000)])
        for i in range(args.files):
            with LocalBulkWriter(schema, f"{name}/p{i}") as writer:
                writer.append_batch({"id": [1], "title": ["x"], "vector": np.ones((1, DIM), "f4")})
            tables += [*writer.batch_files]
        for form, files in (("npy", sets), ("parquet", tables)):
            (seconds,) = interleaved(args.rounds, lambda files=files: validate(files, schema, level="headers"))
            found[f"headers_{form}_s"] = seconds
            print(f"headers, {sum(map(len, files))} files of {form}: {seconds:.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, nargs="*", default=[4.0, 1.0], help="sizes of the NPY sets")
    parser.add_argument("--formats", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--files", type=int, default=1_000, help="files for the level headers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", type=Path, default=Path())
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=args.dir, prefix=".bench-validate-") as name:
        small = [str(path) for path in make_set(Path(name), 100_000)]
        for gib in args.gib:
            bench_npy(gib, args, small, found)
        for form in args.formats:
            bench_format(form, args, small, found)
    bench_many(args, found)
    bench_headers(args, found)
    if args.json:
        args.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
