"""kill -9 at any moment leaves whole, published segments and a manifest that is true; and what is hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from failing_calls import check_folder, run_python
from format_names import FORMATS
from outputs import outputs

# One process that imports once, then forks a child for every moment: the child is killed by its own k-th system call
# (before it is made; of those beyond the 50th by every third, and of all by every third for two of the three formats of
# text, which make the same calls), or by its parent after some milliseconds.
AT_CALL = """
import os, signal, sys
from pathlib import Path
from failing_calls import Faults, columns_of, failing, row_of, small_schema
from vecmill import LocalBulkWriter

def work(root, faults):
    with failing(faults):
        writer = LocalBulkWriter(small_schema(), root, 16 * 1024, sys.argv[2])
        writer.append_batch(columns_of(range(700)))
        writer.append_rows([row_of(i) for i in range(700, 900)])
        writer.commit()
        writer.append_batch(columns_of(range(900, 1700)))
        writer.close()

def die():
    os.kill(os.getpid(), signal.SIGKILL)

k, step = 0, 3 if sys.argv[2] in ("jsonl", "csv") else 1
while True:
    k += step if k < 50 else 3
    child = os.fork()
    if not child:
        faults = Faults(die, k)
        try:
            work(Path(sys.argv[1]) / str(k), faults)
        finally:
            os._exit(0 if faults.n_calls < k else 3)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status):
        print(k, os.WEXITSTATUS(status))
        break
"""

AT_TIME = """
import os, random, signal, sys, time
from pathlib import Path
from failing_calls import columns_of, row_of, small_schema
from vecmill import LocalBulkWriter

random.seed(7)
rows = [row_of(i) for i in range(300)]
for k in range(int(sys.argv[3])):
    reader, ready = os.pipe()
    child = os.fork()
    if not child:
        writer = LocalBulkWriter(small_schema(), Path(sys.argv[1]) / str(k), 64 * 1024, sys.argv[2])
        writer.append_rows(rows)
        writer.commit()
        os.write(ready, b"!")
        start = 300
        while True:
            stop = start + 1 + (start * 7919) % 2500
            writer.append_batch(columns_of(range(start, stop)))
            start = stop
    os.read(reader, 1)
    time.sleep(random.uniform(0, 0.1))  # any moment will do: this is no wait for anything
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def check_killed(folder: Path) -> int:
    roots = outputs(folder)
    assert len(roots) <= 1
    n_rows = 0
    for root in roots:
        ids = check_folder(root, exact=False, checksums=False)
        assert ids == list(range(len(ids)))
        n_rows += len(ids)
    return n_rows


@pytest.mark.parametrize("file_type", FORMATS)
def test_killed_before_every_call(tmp_path, file_type):
    last, status = map(int, run_python(AT_CALL, tmp_path, file_type).split())
    assert status == 0
    counts = {check_killed(folder) for folder in tmp_path.iterdir()}
    assert last > 50
    assert len(counts) > 4
    assert {0, 1700} <= counts


@pytest.mark.parametrize("file_type", FORMATS)
def test_killed_at_any_moment(tmp_path, file_type):
    run_python(AT_TIME, tmp_path, file_type, 12)
    counts = [check_killed(folder) for folder in tmp_path.iterdir()]
    assert len(counts) == 12
    assert min(counts) >= 300
