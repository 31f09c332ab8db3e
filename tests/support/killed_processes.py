"""Processes that are killed: forked from one that has imported everything, which takes longer than what they do."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from failing_calls import SRC
from paths import SUPPORT

_END = "ended with"
# Forks for every line of arguments. The child tells its number before it begins, so that nobody can kill it earlier.
_PARENT = f"""
import gc, importlib, json, os, sys, traceback
work = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])
gc.freeze()  # what is imported is no concern of theirs
for line in sys.stdin:
    child = os.fork()
    if not child:
        status = 1
        try:
            print(os.getpid(), flush=True)
            work(*json.loads(line))
            status = 0
        except SystemExit as end:
            status = end.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print("{_END}", status, flush=True)
"""


class Victim:
    """One process. ``read_line`` waits for a line that it prints, or for its end."""

    def __init__(self, stdout: IO[str]) -> None:
        self._stdout = stdout
        self._fd = os.pidfd_open(int(stdout.readline()))
        self._returncode: int | None = None

    @property
    def runs(self) -> bool:
        return select.select([self._fd], [], [], 0) == ([], [], [])

    def read_line(self) -> str:
        if self._returncode is not None:
            return ""
        line = self._stdout.readline()
        assert line, "the parent of the victims has ended"
        if line.startswith(_END):
            self._returncode = int(line.removeprefix(_END))
            return ""
        return line

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it was faster
            signal.pidfd_send_signal(self._fd, signal.SIGKILL)

    def wait(self) -> int:
        """Return the exit code, negative for a signal."""
        while self._returncode is None:
            self.read_line()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        return self._returncode


@contextlib.contextmanager
def victims(work: Callable[..., None]) -> Iterator[Callable[..., Victim]]:
    """Yield what starts ``work``, a function of a module, in a process of its own; one after the other."""
    path = os.pathsep.join([str(SRC), str(SUPPORT), str(Path(str(sys.modules[work.__module__].__file__)).parent)])
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, work.__module__, work.__name__],
        env=os.environ | {"PYTHONPATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as parent:  # fmt: skip
        assert parent.stdin is not None and parent.stdout is not None
        stdin, stdout = parent.stdin, parent.stdout

        def start(*args: Any) -> Victim:
            stdin.write(json.dumps(args, default=str) + "\n")
            stdin.flush()
            return Victim(stdout)

        yield start
