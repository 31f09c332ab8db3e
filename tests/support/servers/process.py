"""A server process that lives as long as a ``with`` block, on a free port of loopback."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

HOST = "127.0.0.1"
START_SECONDS = 60
POLL_SECONDS = 0.05
LOG_TAIL = 4_000  # bytes

# The kernel ends the server when whoever started it is gone, however that came: 1 is PR_SET_PDEATHSIG, 9 is SIGKILL.
RUN_TIED_TO_PARENT = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"


class ServerError(Exception):
    """A server did not start; with its own words."""


def cache_folder() -> Path:
    """Return where what was downloaded or unpacked for the tests is kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vecmill-tests"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def free_ports(count: int) -> list[int]:
    """Return free ports, below those that the operating system gives to outgoing connections.

    Each pytest worker has its own to choose from. SeaweedFS takes its ports + 10,000 as well: none is another one here.
    """
    found: list[int] = []
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    while len(found) < count:
        port = 10_000 + 2_500 * worker + random.randrange(2_500)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            found += [port] * (port not in found)
    return found


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    folder: Path,
    is_up: Callable[[], bool],
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block is left. The block begins once ``is_up``; OSErrors of that mean not yet."""
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN_TIED_TO_PARENT, *map(str, command)],
            cwd=folder, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        stop = time.monotonic() + START_SECONDS
        while not _tried(is_up):
            if process.poll() is not None or time.monotonic() > stop:
                tail = log.read_bytes()[-LOG_TAIL:].decode(errors="replace")
                raise ServerError(f"{command[0]} is not up (exit code {process.poll()}):\n{tail}")
            time.sleep(POLL_SECONDS)
        yield process
    finally:
        process.kill()  # its data go anyway
        process.wait()


def _tried(is_up: Callable[[], bool]) -> bool:
    try:
        return is_up()
    except OSError:
        return False


def listens(port: int) -> bool:
    """Return True if a port of loopback takes connections."""
    with socket.create_connection((HOST, port), timeout=1):
        return True


@contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """Yield a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"vecmill-{name}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
