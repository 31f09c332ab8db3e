"""Measure cost against size: what a row costs at 1x, 2x and 4x the rows must stay the same. See README.md."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table

from contenders import (
    append_all,
    append_batches,
    append_each,
    fresh,
    numpy_save,
    pieces,
    pymilvus_run,
    vecmill,
    vecmill_run,
)
from data import check_files, make_columns, make_rows
from harness import Case, Contender, Ratio, Result, others_cores, ratio, run_interleaved, work_folder
from telling import ratio_text, write_json

SIZES = (1, 2, 4)
FLAT = 1.15  # per-row cost at 4x over that at 1x which still counts as flat: the noise of a shared machine


def batch_contender(size: int, n_rows: int, run: Callable) -> Contender:
    columns = make_columns(n_rows)
    return Contender(f"{size}x", n_rows, run, check_files(columns), lambda: pieces(columns))


def save_contender(size: int, n_rows: int) -> Contender:
    columns = make_columns(n_rows)
    return Contender(f"{size}x", n_rows, numpy_save, check_files(columns), lambda: columns)


def rows_contender(size: int, n_rows: int, run: Callable) -> Contender:
    columns = make_columns(n_rows)
    rows = make_rows(columns, np.ndarray.tolist)
    return Contender(f"{size}x", n_rows, run, check_files(columns), fresh(rows))


def cases(rows: int, batch_rows: int) -> dict[str, tuple[int, Callable[[int, int], Contender]]]:
    """Name each case: its rows at 1x, and how to make the contender of one size."""
    table: dict[str, tuple[int, Callable[[int, int], Contender]]] = {
        "numpy_save": (batch_rows, save_contender),  # the control: if this grows too, the machine does it
        "pymilvus_npy": (rows, lambda size, n: rows_contender(size, n, pymilvus_run("NUMPY"))),
    }
    if vecmill is not None:
        for file_type in ("NUMPY", "PARQUET"):
            name = file_type.lower()
            table[f"batch_{name}"] = (batch_rows, partial(batch_contender, run=vecmill_run(append_batches, file_type)))
            for feed in (append_all, append_each):
                run = vecmill_run(feed, file_type)
                table[f"{feed.__name__}_{name}"] = (rows, partial(rows_contender, run=run))
    return table


def growth_of(results: list[Result]) -> Ratio:
    """Return cost per row of the largest size over the smallest: the speed of the smallest over the largest."""
    return ratio(results[0], results[-1])


def verdict_on(growth: Ratio) -> str:
    """Judge by the medians; "unsure" if the best rounds, which other work on the machine hurts least, say otherwise."""
    flat = growth.of_medians <= FLAT
    unsure = "" if flat == (growth.of_best <= FLAT) else " unsure"
    return f"[green]flat{unsure}" if flat else f"[red]GROWS{unsure}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cases, or how their names begin")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=10_000, help="rows at 1x of the row cases (%(default)s)")
    parser.add_argument("--batch-rows", type=int, default=100_000, help="rows at 1x of the batch cases (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, 3 rounds: a smoke test, no figure")
    parser.add_argument("--dir", help="folder on the disk to write to (current)")
    parser.add_argument("--json", metavar="FILE", help="store figures and environment")
    args = parser.parse_args()
    shrink, rounds = (10, 3) if args.quick else (1, args.rounds)
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table(title="microseconds per row, median")
    for heading in (
        "case",
        "rows at 1x",
        *(f"{size}x" for size in SIZES),
        f"{SIZES[-1]}x over 1x (min..max)",
        "verdict",
        "others' cores",
    ):
        table.add_column(heading, justify="left" if heading == "case" else "right")
    stored, failed = [], False
    with work_folder(args.dir) as folder:
        for name, (n_rows, make) in cases(args.rows // shrink, args.batch_rows // shrink).items():
            if args.only and not any(name.startswith(n) for n in args.only):
                continue
            case = Case(name, "cost per row against size", [make(size, n_rows * size) for size in SIZES])
            results = run_interleaved(case, rounds, folder)
            if wrong := next((r.wrong for r in results if r.wrong), None):
                failed = True
                table.add_row(name, f"{n_rows:,}", f"[red]WRONG {wrong[:80]}")
                stored.append({"name": name, "wrong": wrong})
                continue
            growth, busy = growth_of(results), others_cores(results)
            costs = [f"{r.us_per_row:.2f}" for r in results]
            table.add_row(name, f"{n_rows:,}", *costs, ratio_text(growth), verdict_on(growth), f"{busy:.1f}")
            stored.append(
                {"name": name, "growth": asdict(growth), "others_cores": busy, "results": [asdict(r) for r in results]}
            )
        write_json(args.json, folder, stored)
    console.print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
