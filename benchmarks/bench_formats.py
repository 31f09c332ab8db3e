"""Time JSON Lines, JSON and CSV against pymilvus and against a loop of orjson. See README.md.

The vectors are float32. ``one thread`` is the writer as it works on a machine of one core.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import orjson

from command import run_command
from contenders import append_all, append_batches, fresh, pymilvus_run, vecmill_run
from data import check_files, make_columns, make_rows
from harness import BatchFiles, Case, Contender, Target

RATIOS = {"JSONL": (24.0, 24.0), "JSON": (40.0, 65.0), "CSV": (42.0, 70.0)}


def on_one_core(run: Callable[[Any, Path], BatchFiles]) -> Callable[[Any, Path], BatchFiles]:
    def alone(data: Any, out: Path) -> BatchFiles:
        with mock.patch.object(os, "cpu_count", return_value=1):
            return run(data, out)

    return alone


def orjson_lines(rows: Sequence[dict[str, Any]], out: Path) -> BatchFiles:
    """Write a line a row; the vectors are float32 arrays, whose shortest digits orjson writes."""
    path = out / "1.jsonl"
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY))
            file.write(b"\n")
    return [[str(path)]]


def text_format(file_type: str) -> Callable[[int, int], Case]:
    """Make the case of one format; a fifth of the rows, since pymilvus writes 1,000 to 3,000 a second."""

    def case(n_rows: int, n_batch_rows: int) -> Case:
        n = max(100, n_rows // 5)
        columns = make_columns(n)
        arrays = make_rows(columns, lambda vector: vector)
        lists = make_rows(columns, np.ndarray.tolist)
        add = partial(Contender, n_rows=n, check=check_files(columns))
        pymilvus = add("pymilvus", run=pymilvus_run(file_type), prepare=fresh(arrays), rival=True)
        batch = [columns | {"text": columns["text"].tolist()}]
        run = partial(vecmill_run, file_type=file_type)
        ours = [
            add("append_batch", run=run(append_batches), prepare=lambda: batch),
            add("append_rows, arrays", run=run(append_all), prepare=lambda: arrays),
            add("append_rows, lists", run=run(append_all), prepare=lambda: lists),
        ]
        alone = add("append_batch, one thread", run=on_one_core(run(append_batches)), prepare=lambda: batch)
        one, two = RATIOS[file_type]
        targets = [Target(alone.name, pymilvus.name, one), *(Target(c.name, pymilvus.name, two) for c in ours)]
        rivals = [pymilvus]
        if file_type == "JSONL":
            rivals.append(add("orjson loop", run=orjson_lines, prepare=lambda: arrays, rival=True))
            targets += [Target(alone.name, "orjson loop", 1.1), *(Target(c.name, "orjson loop", 1.8) for c in ours[:2])]
        title = f"768-d float32 -> {file_type}, {n:,} rows"
        return Case(file_type.lower(), title, [*rivals, alone, *ours], targets)

    return case


CASES: Mapping[str, Callable[[int, int], Case]] = {name.lower(): text_format(name) for name in RATIOS}

if __name__ == "__main__":
    sys.exit(run_command(__doc__, CASES))
