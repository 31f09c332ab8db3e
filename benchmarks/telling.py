"""Tables for the reader, JSON for the record."""

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness import Case, Ratio, Result, Target, others_cores, ratio

QUIET_CORES = 0.2  # more than this taken by other processes, and a figure is not to be trusted
PACKAGES = ("vecmill", "numpy", "pyarrow", "pymilvus", "pandas", "ml_dtypes", "orjson", "zstandard")


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
