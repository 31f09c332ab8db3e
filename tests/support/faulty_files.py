"""Files, good and bad, for the tests of `validate`: three rows of an id, a field x, and a vector v of 4 dimensions."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vecmill import CollectionSchema, DataType, create_schema

D = DataType
Make = Callable[[Path], Any]

IDS = np.arange(3)
VECTORS = np.arange(12, dtype="f4").reshape(3, 4)
VALUES = VECTORS.tobytes()
HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }"


def schema(
    x: DataType | None = None, *, dynamic: bool = False, auto_id: bool = False, **params: Any
) -> CollectionSchema:
    made = create_schema(enable_dynamic_field=dynamic)
    made.add_field("id", D.INT64, is_primary=True, auto_id=auto_id)
    if x is not None:
        made.add_field("x", x, **params)
    made.add_field("v", D.FLOAT_VECTOR, dim=4)
    return made


def npy(x: Any = None, **columns: Any) -> Make:
    """Make an NPY set; a column that is bytes is the file, None leaves it out."""
    given = {"id": IDS, "x": x, "v": VECTORS, **columns}

    def make(folder: Path) -> list[list[str]]:
        paths = []
        for name, column in given.items():
            if column is None:
                continue
            path = folder / f"{name}.npy"
            if isinstance(column, bytes):
                path.write_bytes(column)
            else:
                np.save(path, column)
            paths.append(str(path))
        return [paths]

    return make


def npy_bytes(header: str, data: bytes, *, version: int = 1, newline: bool = True) -> bytes:
    text = (header + ("\n" if newline else "")).encode()
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def saved(array: Any) -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def arrow(x: Any = None, **columns: Any) -> pa.Table:
    v = pa.array(VECTORS.tolist(), pa.list_(pa.float32()))
    given = {"id": pa.array(IDS), "x": x, "v": v, **columns}
    return pa.table({name: column for name, column in given.items() if column is not None})


def parquet(x: Any = None, *, options: dict[str, Any] | None = None, **columns: Any) -> Make:
    def make(folder: Path) -> str:
        path = folder / "rows.parquet"
        pq.write_table(arrow(x, **columns), path, **{"store_schema": False, **(options or {})})
        return str(path)

    return make


def rows(x: Any = None, **more: Any) -> list[dict[str, Any]]:
    """Return three rows, of which the second one has ``x`` and ``more``."""
    made = [{"id": i, "v": VECTORS[i].tolist()} for i in range(3)]
    made[1] |= ({"x": x} if x is not None else {}) | more
    return made


def with_all(value: Any, x: Any = None) -> list[dict[str, Any]]:
    """Return three rows that all have ``value`` as x, but the second one ``x``."""
    return [{**row, "x": value if i != 1 or x is None else x} for i, row in enumerate(rows())]


def text_file(name: str, text: str | bytes) -> Make:
    def make(folder: Path) -> str:
        path = folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return make


def json_list(made: list[dict[str, Any]]) -> Make:
    return text_file("rows.json", json.dumps(made))


def json_lines(made: list[Any]) -> Make:
    return text_file("rows.jsonl", "\n".join(map(json.dumps, made)))


def csv_file(made: list[dict[str, Any]], *, quoting: int = csv.QUOTE_MINIMAL) -> Make:
    def make(folder: Path) -> str:
        path = folder / "rows.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n", quoting=quoting)
            writer.writerow(made[0])
            for row in made:
                writer.writerow([json.dumps(cell) if isinstance(cell, list | dict) else cell for cell in row.values()])
        return str(path)

    return make
