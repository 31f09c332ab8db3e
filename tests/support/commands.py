"""The command ``vecmill`` in a process of its own, forked from one that has imported what commands import."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import os
import pty
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from killed_processes import Victim, victims
from vecmill.cli import app

# What a command imports once it knows what to do.
for _module in (
    "pyarrow.parquet",
    "vecmill.convert",
    "vecmill.convert.infer",
    "vecmill.convert.inspect",
    "vecmill.validate",
):
    importlib.import_module(_module)


def run_app(words: list[str], streams: list[str], env: dict[str, str], cwd: str) -> None:
    """Run the command line in this process, with other streams."""
    for fd, (path, flags) in enumerate(zip(streams, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)):
        os.dup2(os.open(path, flags), fd)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = ["vecmill", *words]
    app(prog_name="vecmill")


@functools.cache
def _starter() -> Callable[..., Victim]:
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(victims(run_app))


def run_vecmill(
    *words: object, cwd: Path | None = None, env: Mapping[str, str] = os.environ, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run ``vecmill`` with these words; return its exit code and what it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ("stdin", "stdout", "stderr")]
        for path in streams:
            path.write_text(stdin if path.name == "stdin" else "")
        process = _starter()([str(word) for word in words], streams, dict(env), cwd or Path.cwd())
        code = process.wait()
        return subprocess.CompletedProcess(words, code, streams[1].read_text(), streams[2].read_text())


def on_a_terminal(stream: str, columns: int, *words: object, term: str = "xterm") -> tuple[int, str, str]:
    """Run the command, in a process of its own, with "stdout" or "stderr" on a pseudo terminal of so many columns.

    Return exit code, what came on stdout if that was no terminal, and what the terminal showed.
    """
    master, slave = pty.openpty()
    streams: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, stream: slave}
    process = subprocess.Popen(
        [sys.executable, "-m", "vecmill", *map(str, words)],
        text=True, env=os.environ | {"TERM": term, "COLUMNS": str(columns)}, **streams,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # Linux says EIO when the other end is closed
        while chunk := os.read(master, 4096):
            shown += chunk
    os.close(master)
    stdout, _ = process.communicate(timeout=60)
    return process.returncode, stdout or "", shown.decode()


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line on stderr of a command that failed."""
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line
