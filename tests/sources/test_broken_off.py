"""Reading that is broken off: what it had open is let go, and nobody waits for its thread."""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path

import pytest

from failing_calls import run_python
from vecmill.sources import open_source

ENDS_WITHIN = 10.0  # seconds
N_ROWS = 20_000


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"id":{i},"text":"{"x" * 2000}"}}\n' for i in range(N_ROWS)))
    return path


def reading_threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("vecmill-text")]


def is_open(path: Path) -> bool:
    return any(link.readlink() == path for link in Path("/proc/self/fd").iterdir() if link.is_symlink())


@pytest.mark.parametrize("how", ["closed", "collected"])
def test_no_thread_is_joined_and_the_file_is_let_go(path, how, monkeypatch):
    """The collector runs anywhere, also where `threading` holds the lock that a join takes."""

    def joined(self, timeout=None):
        raise AssertionError(f"{self.name} is joined")

    batches = open_source(path).batches()
    next(batches)
    assert reading_threads()
    unraisable = []
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", joined)
        patch.setattr("sys.unraisablehook", unraisable.append)
        if how == "closed":
            batches.close()
        else:
            ring = [batches]
            ring.append(ring)
            del ring, batches
            gc.collect()
    assert unraisable == []
    stop = time.monotonic() + ENDS_WITHIN
    while (reading_threads() or is_open(path)) and time.monotonic() < stop:
        time.sleep(0.01)
    assert reading_threads() == []
    assert not is_open(path)


COLLECTED_ANYWHERE = """
import gc, random, sys, threading
from pathlib import Path
from vecmill.sources import open_source

random.seed(0)
source = open_source(Path(sys.argv[1]))
for _ in range(1500):
    gc.disable()
    ring = [source.batches()]
    next(ring[0])
    ring.append(ring)
    del ring
    gc.enable()
    gc.set_threshold(gc.get_count()[0] + random.randrange(1, 40))
    threading.Thread(target=int).start()
print("all threads have started")
"""


def test_threads_start_while_readings_are_collected(tmp_path):
    """Before, one in some hundred of these starts hung for ever."""
    path = tmp_path / "few.jsonl"
    path.write_text('{"id":1}\n' * 3)
    assert run_python(COLLECTED_ANYWHERE, path) == "all threads have started\n"
