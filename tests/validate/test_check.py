"""`validate` looks at several files at once: as if it were one after another, and until somebody has had enough."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest

from faulty_files import D, rows, schema
from vecmill import StoreError, validate
from vecmill.store.blob import LocalBlob
from vecmill.validate.findings import Findings


def test_findings_come_in_the_order_of_the_files(tmp_path):
    sizes = (5, 5_000, 1, 800, 3, 2_000, 2, 100, 4, 50)
    files = []
    for i, n in enumerate(sizes):
        made = [{"id": k, "v": [0, 1, 2, 3], "x": 300 if k == n - 1 else 0} for k in range(n)]
        (tmp_path / f"{i}.jsonl").write_text("\n".join(map(json.dumps, made)))
        files.append([str(tmp_path / f"{i}.jsonl")])
    report = validate(files, schema(D.INT8))
    assert [(one.file, one.row) for one in report.findings] == [
        (path, n - 1) for (path,), n in zip(files, sizes, strict=True)
    ]
    assert (report.rows, report.files, report.counts) == (sum(sizes), len(files), {"value-range": len(files)})
    capped = validate(files, schema(D.INT8), max_findings=3)
    assert (capped.findings, capped.counts) == (report.findings[:3], report.counts)


@pytest.fixture
def slow_sets(tmp_path, monkeypatch):
    """Sets of files that take a minute to read, each."""
    files = []
    for i in range(6):
        (folder := tmp_path / str(i)).mkdir()
        np.save(folder / "id.npy", np.arange(2_500_000))
        np.save(folder / "v.npy", np.zeros((2_500_000, 4), "f4"))
        files.append([str(folder / "id.npy"), str(folder / "v.npy")])
    read_into, is_reading = LocalBlob.read_into, threading.Event()

    def slowly(blob: LocalBlob, start: int, out: memoryview) -> int:
        is_reading.set()
        time.sleep(60 / 40)
        return read_into(blob, start, out)

    monkeypatch.setattr(LocalBlob, "read_into", slowly)
    (tmp_path / "first.json").write_text(json.dumps(rows()))
    return [[str(tmp_path / "first.json")], *files], is_reading


@pytest.mark.parametrize("error", [KeyboardInterrupt, StoreError("gone", path="x")])
def test_nothing_is_read_when_nobody_waits(error, slow_sets, monkeypatch):
    files, is_reading = slow_sets
    merge = Findings.merge

    def interrupted(*args: Findings) -> None:
        if threading.current_thread() is not threading.main_thread():
            merge(*args)
        elif is_reading.wait(30):
            raise error

    monkeypatch.setattr(Findings, "merge", interrupted)
    threads, start = threading.active_count(), time.monotonic()
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else StoreError):
        validate(files, schema())
    assert time.monotonic() - start < 20
    assert threading.active_count() == threads
