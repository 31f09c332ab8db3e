"""Functions that run in Ray's workers, for the tests of Ray and its benchmark."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vecmill import CollectionSchema, DataType, create_schema
from vecmill.integrations.ray import MilvusDatasink


def schema_of(dim: int) -> CollectionSchema:
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    return schema


def table_of(ids: np.ndarray, dim: int) -> pa.Table:
    """Return rows whose vectors follow from their ids."""
    flat = vectors_of(ids, dim).ravel()
    return pa.table({"id": ids, "vector": pa.FixedSizeListArray.from_arrays(pa.array(flat), dim)})


def vectors_of(ids: np.ndarray, dim: int) -> np.ndarray:
    return ((ids[:, None] * 3 + np.arange(dim)) % 1021).astype(np.float32)


class Troubled(MilvusDatasink):
    """Task 1 is killed in the middle once, task 2 fails once, and task 0 is done twice."""

    def __init__(self, *args: Any, flags: Path, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._flags = flags
        self._trouble: str | None = None

    def write(self, blocks: Iterable[Any], ctx: Any) -> Any:
        blocks = list(blocks)
        self._trouble = {0: "twice", 1: "killed", 2: "failed"}.get(ctx.task_idx)
        if self._trouble is not None and not struck(self._flags / self._trouble):
            self._trouble = None
        self._left = max(1, len(blocks) // 2)
        if self._trouble == "twice":
            super().write(blocks, ctx)
        return super().write(blocks, ctx)

    def _parts(self, block: Any) -> Iterator[Any]:
        yield from super()._parts(block)
        self._left -= 1
        if self._left == 0 and self._trouble == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._left == 0 and self._trouble == "failed":
            raise OSError("the network is gone for a moment")


def struck(flag: Path) -> bool:
    """Return True once for a path, among all processes."""
    try:
        flag.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class Deadly:
    """A job that kills the first process that it comes to."""

    def __init__(self, job: Any, flag: Path) -> None:
        self._job, self._flag = job, flag

    def __reduce__(self) -> tuple[Any, ...]:
        return revived, (self._job, self._flag)


def revived(job: Any, flag: Path) -> Any:
    if struck(flag):
        os.kill(os.getpid(), signal.SIGKILL)
    return job
