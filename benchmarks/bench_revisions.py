"""Time this checkout against another one of the project, by turns: is the newer code as fast? See README.md.

Each checkout runs in a process of its own, which imports its own ``src`` (the kernels must be built there: ``make``).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from command import run_command
from contenders import append_all, append_batches, arrow_table, pieces, vecmill_run
from data import check_files, make_columns, make_rows
from harness import BatchFiles, Case, Contender, Target

HERE = Path(__file__).resolve()
# Rounds of equal code differ by about as much on a quiet machine.
AS_FAST = 0.97
_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []


# --- in the process of a checkout -------------------------------------------------------------------------------------


def write_case(feed: Callable[[Any, Any], None], file_type: str, make: Callable[[int], Any]) -> Callable:
    """Make a job that writes data with LocalBulkWriter."""

    def job(n_rows: int) -> Callable[[Path], BatchFiles]:
        return partial(vecmill_run(feed, file_type), make(n_rows))

    return job


def one_batch(n_rows: int) -> list[Mapping[str, np.ndarray]]:
    return [make_columns(n_rows)]


def small_batches(n_rows: int) -> list[Mapping[str, np.ndarray]]:
    return pieces(make_columns(n_rows))


def list_rows(n_rows: int) -> list[dict[str, Any]]:
    return make_rows(make_columns(n_rows), np.ndarray.tolist)


def new_folder() -> Path:
    """Make a folder that is removed when the process ends."""
    _FOLDERS.append(tempfile.TemporaryDirectory(prefix=".bench-", dir="."))
    return Path(_FOLDERS[-1].name).resolve()


def convert_case(n_rows: int) -> Callable[[Path], BatchFiles]:
    """Make a job that converts a Parquet file of pyarrow's to NPY."""
    import pyarrow.parquet as pq

    import vecmill

    source = new_folder() / "source.parquet"
    pq.write_table(arrow_table(make_columns(n_rows)), source, row_group_size=8192, use_dictionary=False)
    return lambda out: vecmill.convert(source, out, schema=schema_dict(), file_type="NUMPY").files


def schema_dict() -> Any:
    import vecmill
    from data import make_schema

    return make_schema(vecmill)


def validate_case(n_rows: int) -> Callable[[Path], BatchFiles]:
    """Make a job that looks at every value of an NPY set."""
    import vecmill

    files = vecmill_run(append_batches, "NUMPY")(one_batch(n_rows), new_folder())

    def job(_out: Path) -> BatchFiles:
        report = vecmill.validate(files, schema=schema_dict())
        assert report.ok, report.errors
        return files

    return job


JOBS: Mapping[str, Callable[[int], Callable[[Path], BatchFiles]]] = {
    "npy_batch": write_case(append_batches, "NUMPY", one_batch),
    "npy_batches_of_8192": write_case(append_batches, "NUMPY", small_batches),
    "parquet_batch": write_case(append_batches, "PARQUET", one_batch),
    "parquet_batches_of_8192": write_case(append_batches, "PARQUET", small_batches),
    "list_rows_npy": write_case(append_all, "NUMPY", list_rows),
    "list_rows_parquet": write_case(append_all, "PARQUET", list_rows),
    "jsonl_batch": write_case(append_batches, "JSONL", one_batch),
    "convert_parquet_npy": convert_case,
    "validate_npy": validate_case,
}
_OF_ROWS = ("list_rows", "jsonl")  # cases of --rows; the others have --batch-rows


def serve() -> None:
    """Do what the lines of stdin ask for: a case and its rows, then the folder of each run."""
    job: Callable[[Path], BatchFiles] | None = None
    for line in sys.stdin:
        order = json.loads(line)
        if "case" in order:
            job = JOBS[order["case"]](order["rows"])
            answer: Any = None
        else:
            assert job is not None
            answer = [[str(path) for path in files] for files in job(Path(order["out"]))]
        print(json.dumps(answer), flush=True)


# --- in the process that times ----------------------------------------------------------------------------------------


class Checkout:
    """A process that runs the code of one checkout."""

    def __init__(self, root: Path) -> None:
        paths = [str(root / "src"), str(HERE.parent)]
        self._process = subprocess.Popen(
            [sys.executable, str(HERE), "--serve"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **order: Any) -> Any:
        """Return the answer to an order. Raises RuntimeError if the process has ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of the checkout has ended with {self._process.wait()}")
        return json.loads(line)


def case_of(name: str, checkouts: Mapping[str, Checkout], n_rows: int, n_batch_rows: int) -> Case:
    n = n_rows if name.startswith(_OF_ROWS) else n_batch_rows
    check = check_files(make_columns(n)) if not name.startswith("validate") else lambda _files, _folder: None
    for checkout in checkouts.values():
        checkout.ask(case=name, rows=n)

    def run(checkout: Checkout, out: Path) -> BatchFiles:
        return checkout.ask(out=str(out))

    contenders = [
        Contender(label, n, run, check, prepare=partial(checkouts.get, label), rival=label == "before")
        for label in ("before", "now")
    ]
    return Case(name, f"{name}, {n:,} rows x 768", contenders, [Target("now", "before", AS_FAST)])


def main(arguments: Sequence[str]) -> int:
    if "--serve" in arguments:
        serve()
        return 0
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--against", required=True, help="folder of the other checkout, with its kernels built")
    ours, rest = parser.parse_known_args(arguments)
    sys.argv[1:] = rest
    checkouts = {"before": Checkout(Path(ours.against).resolve()), "now": Checkout(HERE.parents[1])}
    return run_command(str(__doc__), {name: partial(case_of, name, checkouts) for name in JOBS})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
