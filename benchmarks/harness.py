"""Time contenders against each other, round by round, and check what each one wrote.

The clock covers `Contender.run` and nothing else: for a writer that is construction, every append, commit and close,
with the files complete under their final names. Preparing input, reading the output back, removing it and `os.sync()`
lie outside. A result whose output is not right is reported as wrong, never as fast.
"""

import gc
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BatchFiles = list[list[str]]
MIB = 1 << 20


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
