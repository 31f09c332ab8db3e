"""Sources to convert, and what came of them: shared by the tests of convert."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vecmill.schema.collection import create_schema
from vecmill.types.kind import DataType


def vectors(n: int, dim: int = 8, start: int = 0) -> np.ndarray:
    return np.random.default_rng(start).standard_normal((n, dim)).astype(np.float32)


def as_list(matrix: np.ndarray) -> pa.Array:
    n, dim = matrix.shape
    return pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32) * dim), pa.array(matrix.ravel()))


def write(path: Path, n: int, start: int = 0, row_group_size: int = 100, **columns) -> pa.Table:
    table = pa.table({"id": np.arange(start, start + n), "vector": as_list(vectors(n, start=start))} | columns)
    pq.write_table(table, path, row_group_size=row_group_size)
    return table


def read_parquet(report) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for group in report.files for path in group])


def read_npy(report) -> dict[str, np.ndarray]:
    parts: dict[str, list[np.ndarray]] = {}
    for group in report.files:
        for path in group:
            parts.setdefault(Path(path).stem, []).append(np.load(path))
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def visible_data_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix in (".npy", ".parquet"))


def small_schema(**kwargs):
    schema = create_schema(**kwargs)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    return schema


def bad_dim(folder: Path) -> Path:
    """Write two Parquet files; row 30 of the second has a vector of another dim. Return the folder."""
    folder.mkdir()
    for name, dims in (("1", [4] * 50), ("2", [4] * 30 + [3] + [4] * 19)):
        rows = pa.array([[0.5] * dim for dim in dims], pa.list_(pa.float32()))
        pq.write_table(pa.table({"id": np.arange(50), "vector": rows}), folder / f"{name}.parquet", row_group_size=9)
    return folder
