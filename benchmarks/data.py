"""What is fed to the contenders, and how what they wrote is compared with it."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness import BatchFiles


def make_columns(n_rows: int, dim: int = 768) -> dict[str, np.ndarray]:
    """Make `id`, `text` (16 to 30 characters, one in fifty not ASCII) and `vector`, the same for the same arguments."""
    rng = np.random.default_rng(20240607)
    tails = rng.integers(0, 15, n_rows).tolist()
    return {
        "id": np.arange(n_rows, dtype=np.int64) * 7 + 1_000_000_007,
        "text": np.array(
            [f"{'größe' if i % 50 == 0 else 'chunk'}-{i:010d}{'abcdefghijklmno'[:t]}" for i, t in enumerate(tails)]
        ),
        "vector": rng.standard_normal((n_rows, dim), dtype=np.float32),
    }


def make_rows(columns: Mapping[str, np.ndarray], vector: Callable[[np.ndarray], Any]) -> list[dict[str, Any]]:
    """Make row dicts of Python values, each vector as `vector` makes it from its row."""
    ids, texts = columns["id"].tolist(), columns["text"].tolist()
    return [{"id": i, "text": t, "vector": vector(v)} for i, t, v in zip(ids, texts, columns["vector"], strict=True)]


def make_schema(module: Any, dim: int = 768, vector_type: str = "FLOAT_VECTOR", **params: Any) -> Any:
    """Build the schema of `make_columns` from the names of `module` (vecmill or pymilvus); `params` of the vector."""
    kind, field_schema = module.DataType, module.FieldSchema
    return module.CollectionSchema(
        [
            field_schema("id", kind.INT64, is_primary=True, auto_id=False),
            field_schema("text", kind.VARCHAR, max_length=64),
            field_schema("vector", getattr(kind, vector_type), dim=dim, **params),
        ]
    )


def same_values(got: np.ndarray, want: np.ndarray) -> bool:
    """Whether two arrays are equal, floats bit for bit, text by its characters whatever the width."""
    if got.shape != want.shape or got.dtype.kind != want.dtype.kind:
        return False
    if want.dtype.kind == "U":
        return np.array_equal(got, want)
    if got.dtype != want.dtype:
        return False
    if want.dtype.kind == "f":
        bits = f"u{want.dtype.itemsize}"
        got, want = np.ascontiguousarray(got).view(bits), np.ascontiguousarray(want).view(bits)
    return np.array_equal(got, want)


def _is_note(path: Path) -> bool:
    """Whether a file is a note about an output: of this release beside its folder, of an older one in it."""
    return path.parent.name.startswith("_vecmill") or path.name in ("manifest.json", "convert.json", "rejects.jsonl")


def check_files(want: Mapping[str, np.ndarray]) -> Callable[[BatchFiles, Path], None]:
    """Make a check that reads a writer's `batch_files` back with NumPy or PyArrow and compares every value."""

    def check(batch_files: BatchFiles, folder: Path) -> None:
        named = {Path(p) for files in batch_files for p in files}
        found = {p for p in folder.rglob("*") if p.is_file() and not _is_note(p)}
        stray = found - named
        assert not stray, f"files nobody named: {sorted(map(str, stray))[:3]}"
        start = 0
        for columns in map(read_columns, batch_files):
            assert columns.keys() == want.keys(), f"fields {sorted(columns)}"
            n = len(next(iter(columns.values())))
            for name, got in columns.items():
                expected = want[name][start : start + n]
                assert same_values(got, expected), f"field {name!r} differs, rows {start}..{start + n} ({got.dtype})"
            start += n
        expected_rows = len(next(iter(want.values())))
        assert start == expected_rows, f"{start} rows of {expected_rows}"

    return check


def read_columns(files: Sequence[str]) -> dict[str, np.ndarray]:
    """Read one NPY set, or one file of another format, into arrays by field name."""
    if str(files[0]).endswith(".npy"):
        return {Path(p).stem: np.load(p) for p in files}
    (path,) = files
    if not str(path).endswith(".parquet"):
        return columns_of_text(str(path))
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    return {name: arrow_values(table[name].combine_chunks()) for name in table.column_names}


def columns_of_text(path: str) -> dict[str, np.ndarray]:
    """Read a file of `id`, `text` and `vector` as float32, row by row."""
    ids, texts, vectors = [], [], []
    for row in text_rows(path):
        ids.append(int(row["id"]))
        texts.append(row["text"])
        vectors.append(np.array(row["vector"], np.float64).astype(np.float32))
    return {"id": np.array(ids), "text": np.array(texts), "vector": np.stack(vectors)}


def text_rows(path: str) -> Iterator[dict[str, Any]]:
    import orjson

    if path.endswith(".csv"):
        csv.field_size_limit(1 << 24)
        with Path(path).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                yield {**row, "vector": orjson.loads(row["vector"])}
    elif path.endswith(".jsonl"):
        with Path(path).open("rb") as file:
            yield from map(orjson.loads, file)
    else:
        yield from orjson.loads(Path(path).read_bytes())["rows"]


def arrow_values(column: Any) -> np.ndarray:
    """Turn an Arrow column without nulls into the array it stands for: vectors become (n, dim)."""
    import pyarrow as pa

    assert column.null_count == 0, "nulls"
    n = len(column)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        lengths = np.diff(column.offsets.to_numpy())
        assert (lengths == lengths[0]).all(), "vectors of different lengths"
        return column.flatten().to_numpy().reshape(n, lengths[0])
    if pa.types.is_binary(column.type):
        return np.frombuffer(b"".join(column.to_pylist()), np.uint8).reshape(n, -1)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.to_pylist())
    return column.to_numpy()
