"""How fast is `validate`? A full look at an NPY set against reading its bytes, and headers of many files.

``cat FILES > /dev/null`` reads the same files from the page cache: what cannot be beaten by far. Interleaved, medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from vecmill import DataType, create_schema, validate

DIM = 768
GIB = 1 << 30


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


def timed(act) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=2.0, help="size of the set")
    parser.add_argument("--files", type=int, default=1_000, help="files for the level headers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", type=Path, default=Path())
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    schema = make_schema()
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=args.dir, prefix=".bench-validate-") as name:
        paths = make_set(Path(name), int(args.gib * GIB))
        n_bytes = sum(path.stat().st_size for path in paths)

        def cat() -> None:
            with Path("/dev/null").open("wb") as sink:
                subprocess.run(["cat", *map(str, paths)], stdout=sink, check=True)

        def full() -> None:
            report = validate([[str(path) for path in paths]], schema)
            assert report.ok and not report.counts and report.rows

        cat()
        samples = [(timed(cat), timed(full)) for _ in range(args.rounds)]
        found["cat_gb_s"], found["full_gb_s"] = (
            n_bytes / statistics.median(x) / 1e9 for x in zip(*samples, strict=True)
        )
        found["full_to_cat"] = statistics.median(cat_s / full_s for cat_s, full_s in samples)
        print(f"full, {n_bytes / 1e9:.2f} GB: {found['full_gb_s']:.2f} GB/s; cat {found['cat_gb_s']:.2f} GB/s; "
              f"{found['full_to_cat']:.2f}x")  # fmt: skip
    with tempfile.TemporaryDirectory(dir=args.dir, prefix=".bench-validate-") as name:
        sets = []
        for i in range(-(-args.files // 3)):
            (folder := Path(name) / str(i)).mkdir()
            sets.append([str(path) for path in make_set(folder, 100_000)])
        n_files = sum(map(len, sets))
        found["headers_s"] = statistics.median(
            timed(lambda: validate(sets, schema, level="headers")) for _ in range(args.rounds)
        )
        print(f"headers, {n_files} files: {found['headers_s']:.3f} s")
    if args.json:
        args.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
