"""Time contenders against each other, round by round, and check what each one wrote.

The clock covers `Contender.run` and nothing else: for a writer that is construction, every append, commit and close,
with the files complete under their final names. Preparing input, reading the output back, removing it and `os.sync()`
lie outside. A result whose output is not right is reported as wrong, never as fast.
"""

import gc
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

BatchFiles = list[list[str]]
MIB = 1 << 20
QUIET_CORES = 0.2  # more than this taken by other processes, and a figure is not to be trusted
PACKAGES = ("vecmill", "numpy", "pyarrow", "pymilvus", "pandas", "ml_dtypes", "orjson", "zstandard")


# --- what is run ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the job. `run(state, folder)` is timed; `prepare` and `check(output)`, which raises, are not."""

    name: str
    n_rows: int
    run: Callable[[Any, Path], Any]
    check: Callable[[Any, Path], None]
    prepare: Callable[[], Any] = lambda: None
    rival: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """`contender` must be at least `ratio` times as fast as `rival`; `goal` is the figure hoped for after that."""

    contender: str
    rival: str
    ratio: float
    goal: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    title: str
    contenders: Sequence[Contender]
    targets: Sequence[Target] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One timed run: seconds on the wall, of our CPU, of other processes' CPU; bytes on disk; what was wrong."""

    wall_s: float
    cpu_s: float
    others_s: float
    out_bytes: int
    wrong: str | None


@dataclass(slots=True)
class Result:
    name: str
    rival: bool
    n_rows: int
    samples: list[Sample] = field(default_factory=list)

    @property
    def wrong(self) -> str | None:
        """First thing found wrong, None if every round was right."""
        return next((s.wrong for s in self.samples if s.wrong), None)

    @property
    def median_s(self) -> float:
        return statistics.median(s.wall_s for s in self.samples)

    @property
    def best_s(self) -> float:
        return min(s.wall_s for s in self.samples)

    @property
    def out_bytes(self) -> int:
        return self.samples[-1].out_bytes

    @property
    def us_per_row(self) -> float:
        return self.median_s / self.n_rows * 1e6


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast a contender is as a rival: of medians, of best rounds, and the range of the rounds."""

    of_medians: float
    of_best: float
    low: float
    high: float


# --- running ----------------------------------------------------------------------------------------------------------


def run_interleaved(case: Case, rounds: int, folder: Path, *, fsync: bool = False) -> list[Result]:
    """Run all contenders once unrecorded, then `rounds` times in rotating order; drop one that fails."""
    results = {c.name: Result(c.name, c.rival, c.n_rows) for c in case.contenders}
    last_bytes: dict[str, int] = {}
    for number in range(-1, rounds):
        shift = max(number, 0) % len(case.contenders)
        for contender in [*case.contenders[shift:], *case.contenders[:shift]]:
            result = results[contender.name]
            if result.wrong:
                continue
            sample = run_once(contender, folder, last_bytes.get(contender.name, 0), fsync=fsync)
            last_bytes[contender.name] = sample.out_bytes
            if number >= 0 or sample.wrong:
                result.samples.append(sample)
    return list(results.values())


def run_once(contender: Contender, folder: Path, expected_bytes: int, *, fsync: bool) -> Sample:
    """Time one run in a fresh folder, check its output, and leave nothing behind."""
    out = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
    wall_s = cpu_s = others_s = float("nan")
    wrong, n_bytes = None, 0
    try:
        state = contender.prepare()
        gc.collect()
        os.sync()
        touch_free_pages(folder, expected_bytes)
        busy, cpu, wall = machine_cpu_s(), time.process_time(), time.perf_counter()
        output = contender.run(state, out)
        if fsync:
            fsync_tree(out)
        wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
        others_s = max(0.0, machine_cpu_s() - busy - cpu_s)
        n_bytes = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
        contender.check(output, out)
    except Exception as error:  # a rival or a half-built writer may fail in any way: say so, and go on with the others
        wrong = f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(out)
        os.sync()
    return Sample(wall_s, cpu_s, others_s, n_bytes, wrong)


def machine_cpu_s() -> float:
    """Return the CPU seconds the whole machine has spent, stolen ones included; 0 where there is no /proc."""
    try:
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except OSError:
        return 0.0
    user, nice, system, _idle, _iowait, irq, softirq, steal = ticks
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def others_cores(results: Sequence[Result]) -> float:
    """Return how many cores other processes kept busy while the clock ran."""
    samples = [s for r in results if not r.wrong for s in r.samples]
    return sum(s.others_s for s in samples) / max(1e-9, sum(s.wall_s for s in samples))


def touch_free_pages(folder: Path, n_bytes: int) -> None:
    """Write and remove a file of that size, so that the page cache has pages the host of a virtual machine backs.

    A guest hands freed pages back; whoever is first to use them again pays up to ten times the price of a write, and
    that was seen to hit one contender or another at random.
    """
    block = bytes(MIB)
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(0, n_bytes, MIB):
            file.write(block)


def fsync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


def ratio(ours: Result, rival: Result) -> Ratio:
    """Speed of `ours` over `rival`, per row."""
    scale = ours.n_rows / rival.n_rows
    each = [r.wall_s / o.wall_s * scale for o, r in zip(ours.samples, rival.samples, strict=True)]
    return Ratio(rival.median_s / ours.median_s * scale, rival.best_s / ours.best_s * scale, min(each), max(each))


@contextmanager
def work_folder(parent: str | None) -> Iterator[Path]:
    """Make a temporary folder, by default below the current one, and remove it with all it holds."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=parent or ".") as folder:
        yield Path(folder).resolve()


# --- checking ---------------------------------------------------------------------------------------------------------


def same_values(got: np.ndarray, want: np.ndarray) -> bool:
    """Whether two arrays are equal, floats bit for bit, text by its characters whatever the width."""
    if got.shape != want.shape or got.dtype.kind != want.dtype.kind:
        return False
    if want.dtype.kind == "U":
        return np.array_equal(got, want)
    if got.dtype != want.dtype:
        return False
    if want.dtype.kind == "f":
        bits = f"u{want.dtype.itemsize}"
        got, want = np.ascontiguousarray(got).view(bits), np.ascontiguousarray(want).view(bits)
    return np.array_equal(got, want)


def check_files(want: Mapping[str, np.ndarray]) -> Callable[[BatchFiles, Path], None]:
    """Make a check that reads a writer's `batch_files` back with NumPy or PyArrow and compares every value."""

    def check(batch_files: BatchFiles, folder: Path) -> None:
        named = {Path(p) for files in batch_files for p in files}
        stray = {p for p in folder.rglob("*") if p.is_file() and "manifest" not in p.name} - named
        assert not stray, f"files nobody named: {sorted(map(str, stray))[:3]}"
        start = 0
        for columns in map(read_columns, batch_files):
            assert columns.keys() == want.keys(), f"fields {sorted(columns)}"
            n = len(next(iter(columns.values())))
            for name, got in columns.items():
                expected = want[name][start : start + n]
                assert same_values(got, expected), f"field {name!r} differs, rows {start}..{start + n} ({got.dtype})"
            start += n
        expected_rows = len(next(iter(want.values())))
        assert start == expected_rows, f"{start} rows of {expected_rows}"

    return check


def read_columns(files: Sequence[str]) -> dict[str, np.ndarray]:
    """Read one NPY set, or one Parquet file, into arrays by field name."""
    if not str(files[0]).endswith(".parquet"):
        return {Path(p).stem: np.load(p) for p in files}
    import pyarrow.parquet as pq

    (path,) = files
    table = pq.read_table(path)
    return {name: arrow_values(table[name].combine_chunks()) for name in table.column_names}


def arrow_values(column: Any) -> np.ndarray:
    """Turn an Arrow column without nulls into the array it stands for: vectors become (n, dim)."""
    import pyarrow as pa

    assert column.null_count == 0, "nulls"
    n = len(column)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        lengths = np.diff(column.offsets.to_numpy())
        assert (lengths == lengths[0]).all(), "vectors of different lengths"
        return column.flatten().to_numpy().reshape(n, lengths[0])
    if pa.types.is_binary(column.type):
        return np.frombuffer(b"".join(column.to_pylist()), np.uint8).reshape(n, -1)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.to_pylist())
    return column.to_numpy()


# --- data and schemas -------------------------------------------------------------------------------------------------


def make_columns(n_rows: int, dim: int = 768) -> dict[str, np.ndarray]:
    """Make `id`, `text` (16 to 30 characters, one in fifty not ASCII) and `vector`, the same for the same arguments."""
    rng = np.random.default_rng(20240607)
    tails = rng.integers(0, 15, n_rows).tolist()
    return {
        "id": np.arange(n_rows, dtype=np.int64) * 7 + 1_000_000_007,
        "text": np.array(
            [f"{'größe' if i % 50 == 0 else 'chunk'}-{i:010d}{'abcdefghijklmno'[:t]}" for i, t in enumerate(tails)]
        ),
        "vector": rng.standard_normal((n_rows, dim), dtype=np.float32),
    }


def make_rows(columns: Mapping[str, np.ndarray], vector: Callable[[np.ndarray], Any]) -> list[dict[str, Any]]:
    """Make row dicts of Python values, each vector as `vector` makes it from its row."""
    ids, texts = columns["id"].tolist(), columns["text"].tolist()
    return [{"id": i, "text": t, "vector": vector(v)} for i, t, v in zip(ids, texts, columns["vector"], strict=True)]


def make_schema(module: Any, dim: int = 768, vector_type: str = "FLOAT_VECTOR") -> Any:
    """Build the schema of `make_columns` from the names of `module` (vecmill or pymilvus)."""
    kind, field_schema = module.DataType, module.FieldSchema
    return module.CollectionSchema(
        [
            field_schema("id", kind.INT64, is_primary=True, auto_id=False),
            field_schema("text", kind.VARCHAR, max_length=64),
            field_schema("vector", getattr(kind, vector_type), dim=dim),
        ]
    )


# --- telling ----------------------------------------------------------------------------------------------------------


def report(console: Console, case: Case, results: Sequence[Result]) -> dict[str, Any]:
    """Print one table for the case and return the same facts for JSON."""
    rivals = [r for r in results if r.rival and not r.wrong]
    table = Table(title=escape(f"{case.name}: {case.title}"), title_justify="left")
    for heading in (
        "contender",
        "median s",
        "best s",
        "cpu s",
        "rows/s",
        "MB out",
        *(f"x {r.name} (min..max)" for r in rivals),
        "target",
    ):
        table.add_column(heading, justify="left" if heading == "contender" else "right")
    entries = []
    for result in results:
        if result.wrong:
            table.add_row(escape(result.name), f"[red]WRONG {escape(result.wrong[:200])}")
            entries.append({"name": result.name, "rival": result.rival, "wrong": result.wrong})
            continue
        ratios = {r.name: ratio(result, r) for r in rivals if r is not result}
        verdicts = [judge(t, ratios[t.rival]) for t in case.targets if t.contender == result.name and t.rival in ratios]
        table.add_row(
            escape(result.name),
            f"{result.median_s:.3f}",
            f"{result.best_s:.3f}",
            f"{statistics.median(s.cpu_s for s in result.samples):.3f}",
            f"{1e6 / result.us_per_row:,.0f}",
            f"{result.out_bytes / 1e6:.1f}",
            *(ratio_text(ratios.get(r.name)) for r in rivals),
            "; ".join(text for _, text in verdicts),
            style="dim" if result.rival else "",
        )
        entries.append(
            {
                "name": result.name,
                "rival": result.rival,
                "n_rows": result.n_rows,
                "median_s": result.median_s,
                "best_s": result.best_s,
                "us_per_row": result.us_per_row,
                "out_bytes": result.out_bytes,
                "samples": [asdict(s) for s in result.samples],
                "ratios": {name: asdict(value) for name, value in ratios.items()},
                "targets_met": [met for met, _ in verdicts],
            }
        )
    console.print(table)
    if (busy := others_cores(results)) > QUIET_CORES:
        console.print(f"[yellow]not quiet: other processes kept {busy:.1f} cores busy while the clock ran")
    return {
        "name": case.name,
        "title": case.title,
        "others_cores": busy,
        "targets": [asdict(t) for t in case.targets],
        "results": entries,
    }


def ratio_text(value: Ratio | None) -> str:
    return "" if value is None else f"{value.of_medians:.2f} ({value.low:.2f}..{value.high:.2f})"


def judge(target: Target, value: Ratio) -> tuple[bool, str]:
    """Tell whether the medians meet the target; "unsure" if the best rounds say otherwise."""
    met = value.of_medians >= target.ratio
    unsure = "" if met == (value.of_best >= target.ratio) else " unsure"
    goal = f", goal {target.goal:g}" if target.goal else ""
    return met, f"[{'green' if met else 'red'}]>= {target.ratio:g} {'met' if met else 'MISSED'}{unsure}{goal}"


def environment(folder: Path) -> dict[str, Any]:
    """Describe the machine, the versions, the revision and the command, to be stored with the figures."""
    git = ["git", "-C", str(Path(__file__).resolve().parent)]
    return {
        "command": sys.argv,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "git": command_output([*git, "rev-parse", "HEAD"]),
        "git_changed_files": len(command_output([*git, "status", "--porcelain"]).splitlines()),
        "cpu": proc_field("/proc/cpuinfo", "model name") or platform.processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_average": os.getloadavg(),
        "memory": proc_field("/proc/meminfo", "MemTotal"),
        "system": platform.platform(),
        "filesystem": command_output(["stat", "-f", "-c", "%T", str(folder)]),
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in PACKAGES},
    }


def command_output(command: Sequence[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def proc_field(path: str, name: str) -> str:
    """Return the first value of `name` in a `name: value` file of /proc, "" where there is none."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.split(":", 1)[0].strip() == name), "")


def package_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def write_json(path: str | None, folder: Path, cases: Sequence[Mapping[str, Any]]) -> None:
    """Write the figures with the environment they were taken in; nothing without a path."""
    if path:
        Path(path).write_text(json.dumps({"environment": environment(folder), "cases": cases}, indent=1) + "\n")
