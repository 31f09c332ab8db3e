"""The command line that the benchmarks of writers share."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.console import Console

from contenders import vecmill
from harness import Case, run_interleaved, work_folder
from telling import report, write_json

MakeCase = Callable[[int, int], Case]


def without_ours(case: Case) -> Case:
    return Case(case.name, case.title, [c for c in case.contenders if c.rival])


def chosen(cases: Mapping[str, MakeCase], names: Sequence[str] | None) -> Iterator[str]:
    """Yield the cases asked for; a name stands for every case that starts with it."""
    for name in cases:
        if not names or any(name.startswith(n) for n in names):
            yield name


def run_command(description: str, cases: Mapping[str, MakeCase], *, without_vecmill: Sequence[str] = ()) -> int:
    """Run the cases that the command line asks for; return the exit code.

    ``without_vecmill``: cases that show something even where vecmill cannot be imported.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help=f"cases, or how their names begin: {', '.join(cases)}"
    )
    parser.add_argument("--rounds", type=int, help="recorded rounds (5; 3 with --quick)")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the row cases (%(default)s)")
    parser.add_argument("--batch-rows", type=int, default=100_000, help="rows of the batch cases (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, 3 rounds: a smoke test, no figure")
    parser.add_argument("--rivals-only", action="store_true", help="leave vecmill out")
    parser.add_argument("--fsync", action="store_true", help="fsync every file inside the clock, for all alike")
    parser.add_argument("--dir", help="folder on the disk to write to (current)")
    parser.add_argument("--json", metavar="FILE", help="store figures and environment")
    args = parser.parse_args()
    shrink = 10 if args.quick else 1
    rounds = args.rounds or (3 if args.quick else 5)
    console = Console(width=None if sys.stdout.isatty() else 200)
    if vecmill is None:
        console.print("[yellow]vecmill cannot be imported (PYTHONPATH=src?): timing the rivals only")
    if args.quick:
        console.print("[yellow]--quick is a smoke test: its ratios are no figures")
    stored, wrong = [], False
    with work_folder(args.dir) as folder:
        for name in chosen(cases, args.only):
            case = cases[name](args.rows // shrink, args.batch_rows // shrink)
            if args.rivals_only or (vecmill is None and name not in without_vecmill):
                case = without_ours(case)
            results = run_interleaved(case, rounds, folder, fsync=args.fsync)
            stored.append(report(console, case, results))
            wrong |= any(r.wrong for r in results)
            write_json(args.json, folder, stored)
    return int(wrong)
