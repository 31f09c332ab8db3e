"""str -> ``<U`` column: our kernels, as the NPY writer chains them, against ``numpy.array(list)``.

Timed: list of str -> checked UTF-8 -> PLAIN bytes -> zero-padded UCS-4 in recycled memory, for every row. That is all
the work between the caller's list and the bytes of the file; ``numpy.array(list)`` makes the same bytes, unchecked, in
fresh memory. Interleaved rounds, medians; every round compares all values.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np

from vecmill import DataType, create_schema
from vecmill._native import text as kernel
from vecmill.encode.columns import open_column
from vecmill.encode.plan import plan_columns
from vecmill.formats.npy import NpyFormat

STEP = 1024  # 512 KiB of UCS-4, as the writer expands it


def expand(values: list[str], width: int, sink: np.ndarray) -> list[tuple[int, int]]:
    """Encode ``values`` and expand them into ``sink`` (STEP, width) piece by piece; return the pieces."""
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=4 * width)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    plan = plan_columns(schema, NpyFormat.rules)[1]
    source = open_column(plan, values, len(values))
    start, pieces = 0, []
    plain = np.empty(STEP * (4 + 4 * width), np.uint8)
    while start < len(values):
        block = source.take(start, min(start + STEP, len(values)), STEP * 4 * width)
        longest = kernel.longest_codepoints(block.offsets, block.data)
        assert longest <= width
        used = kernel.plain_byte_array_into(block.offsets, block.data, None, plain)
        kernel.ucs4_from_plain_into(plain[:used], sink[: block.n_rows])
        pieces.append((start, block.n_rows))
        start += block.n_rows
    return pieces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rng = np.random.default_rng(7)
    words = np.array(["vector", "search", "mill", "größe", "東京", "embedding", "of", "the"])
    lengths = rng.integers(40, 121, args.rows)
    ascii_values = ["x" * int(n) for n in lengths]
    mixed = [" ".join(words[rng.integers(0, len(words), 12)]) for _ in range(args.rows)]
    results = []
    for name, values in (("ascii 40-120 chars", ascii_values), ("mixed scripts", mixed)):
        width = max(map(len, values))
        sink = np.empty((STEP, width), np.uint32)
        ours, rival = [], []
        for _ in range(args.rounds):
            start = time.perf_counter()
            expand(values, width, sink)
            ours.append(time.perf_counter() - start)
            start = time.perf_counter()
            array = np.array(values)
            rival.append(time.perf_counter() - start)
        check = np.empty((len(values), width), np.uint32)
        for low in range(0, len(values), STEP):
            part = values[low : low + STEP]
            expand(part, width, sink)
            check[low : low + len(part)] = sink[: len(part)]
        equal = bool((check.view(array.dtype).reshape(-1) == array).all())
        ratio = statistics.median(rival) / statistics.median(ours)
        results.append({"case": name, "ours_s": ours, "numpy_s": rival, "ratio": ratio, "equal": equal})
        print(
            f"str -> <U, {name}: ours {statistics.median(ours) * 1e3:.1f} ms, numpy.array "
            f"{statistics.median(rival) * 1e3:.1f} ms, {ratio:.2f}x (target >= 2.5x), equal: {equal}"
        )
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
