"""Rows that tell their own number, a folder checker that believes nothing, and system calls that fail on demand."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from other_readers import rows_of_text
from outputs import notes
from paths import SRC, SUPPORT
from vecmill import CollectionSchema, DataType, create_schema
from vecmill._native.crc64 import crc64nvme  # test_crc64.py holds it to its definition

DIM = 8


# -- rows that tell their own number


def small_schema() -> CollectionSchema:
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    return schema


def columns_of(ids: list[int] | range | np.ndarray) -> dict[str, Any]:
    """Return the batch of these rows: text and vector follow from the id."""
    ids = np.asarray(ids, np.int64)
    vector = (ids[:, None] * 7 + np.arange(DIM)).astype(np.float32)
    return {"id": ids, "text": [f"text {i} \u00e9" for i in ids.tolist()], "vector": vector}


def row_of(number: int) -> dict[str, Any]:
    columns = columns_of([number])
    return {"id": number, "text": columns["text"][0], "vector": columns["vector"][0].tolist()}


# -- the folder as an import would find it


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x9A6C9329AC4BC9B5 if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE = _crc_table()


def slow_crc64nvme(data: bytes) -> int:
    """CRC-64/NVME bit by bit as its catalogue entry says: reflected, initial value and final xor all ones."""
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFFFFFFFFFF


def read_columns(paths: list[Path]) -> dict[str, Any]:
    """Read one segment with NumPy, pyarrow, json or csv alone."""
    if paths[0].suffix == ".npy":
        arrays = {path.stem: np.load(path) for path in paths}
        assert len({len(array) for array in arrays.values()}) == 1, "columns of different lengths"
        return {"id": arrays["id"], "text": arrays["text"].tolist(), "vector": arrays["vector"]}
    if paths[0].suffix != ".parquet":
        rows = rows_of_text(paths[0])
        is_csv = paths[0].suffix == ".csv"
        return {
            "id": [int(row["id"]) for row in rows],
            "text": [row["text"] for row in rows],
            "vector": np.array([json.loads(r["vector"]) if is_csv else r["vector"] for r in rows], np.float32),
        }
    table = pq.read_table(pa.BufferReader(paths[0].read_bytes()))  # a file object of pyarrow's lives on for a while
    flat = table["vector"].combine_chunks().flatten()
    return {
        "id": table["id"].to_numpy(),
        "text": table["text"].to_pylist(),
        "vector": np.asarray(flat).reshape(table.num_rows, DIM),
    }


def ids_in(paths: list[Path]) -> list[int]:
    """Return the ids of a segment, having compared every value with what its id asks for."""
    got = read_columns(paths)
    ids: list[int] = np.asarray(got["id"]).tolist()
    want = columns_of(ids)
    assert got["text"] == want["text"]
    assert np.array_equal(got["vector"], want["vector"])
    return ids


def check_folder(root: Path, *, exact: bool = True, checksums: bool = True) -> list[int]:
    """Check that the folder is true to its manifest and holds no half file. Return the published ids in order.

    ``exact``: what is visible is what the manifest lists. Otherwise (a killed process) the last segment may be visible,
    and whole, without being listed yet.
    """
    if not root.exists():
        return []
    text = (notes(root) / "manifest.json").read_text() if (notes(root) / "manifest.json").exists() else None
    segments = json.loads(text)["segments"] if text else []
    ids: list[int] = []
    listed: set[Path] = set()
    for number, segment in enumerate(segments, 1):
        assert segment["number"] == number
        paths = [root / entry["path"] for entry in segment["files"]]
        listed |= set(paths)
        part = ids_in(paths)
        ids += part
        assert segment["rows"] == len(part) > 0
        for path, entry in zip(paths, segment["files"], strict=True):
            assert entry["rows"] == segment["rows"]
            assert entry["bytes"] == path.stat().st_size
            if checksums:
                assert entry["checksum"] == f"crc64nvme:{crc64nvme(path.read_bytes()):016x}"
    visible = {path for path in root.rglob("*") if path.is_file() and not _is_hidden(path, root)}
    unlisted = visible - listed
    if exact:
        assert not unlisted
    elif unlisted:
        assert len({path.relative_to(root).parts[0] for path in unlisted}) == 1
        ids += ids_in(sorted(unlisted))
    return ids


def hidden_in(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.name.startswith(".")) if root.exists() else []


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def n_open_files() -> int:
    """Return how many files are open. Connections do not count: those to a store that was used end when they like."""
    links = []
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the folder itself
            links.append(str(fd.readlink()))
    return sum(not link.startswith("socket:") for link in links)


def writer_threads() -> list[str]:
    """Return the threads of writers. A source of text reads ahead in one that ends by itself."""
    names = [one.name for one in threading.enumerate() if one.name.startswith("vecmill")]
    return [name for name in names if not name.startswith("vecmill-text")]


# -- system calls that fail

_CALLS: tuple[tuple[Any, str], ...] = (
    (os, "pwritev"), (os, "pread"), (os, "ftruncate"), (os, "posix_fallocate"), (shutil, "rmtree"),
    (pathlib.Path, "open"), (pathlib.Path, "mkdir"), (pathlib.Path, "rename"), (pathlib.Path, "replace"),
    (pathlib.Path, "unlink"), (pathlib.Path, "rmdir"),
)  # fmt: skip
CLEANING = ("unlink", "rmdir", "rmtree")


class Faults:
    """Counts the calls that write files; the ``k``-th does ``act`` instead (with ``stays`` all after it too)."""

    def __init__(self, act: Callable[[], None], k: int = 0, *, stays: bool = False) -> None:
        self._act, self.k, self.stays = act, k, stays
        self._lock = threading.Lock()
        self.n_calls = 0
        self.failed = ""

    def wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                self.n_calls += 1
                hit = self.n_calls == self.k or (self.stays and self.n_calls > self.k > 0)
                if hit and not self.failed:
                    self.failed = name
            if hit:
                self._act()
            return call(*args, **kwargs)

        return counted


@contextlib.contextmanager
def failing(faults: Faults) -> Iterator[Faults]:
    with replaced(faults.wrap):
        yield faults


@contextlib.contextmanager
def replaced(wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for owner, name in _CALLS:
            call = getattr(owner, name)
            stack.callback(setattr, owner, name, call)
            setattr(owner, name, wrap(name, call))
        yield


def raising(number: int) -> Callable[[], None]:
    def act() -> None:
        raise OSError(number, os.strerror(number))

    return act


EIO, ENOSPC = raising(errno.EIO), raising(errno.ENOSPC)


def run_python(code: str, *args: object) -> str:
    """Run a script in a process of its own; return what it prints."""
    path = os.pathsep.join([str(SRC), str(SUPPORT)])
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
