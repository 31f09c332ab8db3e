"""Time what is no dense vector: sparse vectors, and rows that are mostly text, against pymilvus. See README.md."""

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from command import run_command
from contenders import append_all, append_batches, append_each, logging, vecmill
from data import read_columns, same_values, text_rows
from harness import BatchFiles, Case, Contender, Target

NON_ZEROS, DIMS = 30, 30_000
TEXT_COLUMNS, TEXT_CHARS = 10, 100


def sparse_schema(module: Any) -> Any:
    kind, field_schema = module.DataType, module.FieldSchema
    fields = [field_schema("id", kind.INT64, is_primary=True), field_schema("sparse", kind.SPARSE_FLOAT_VECTOR)]
    return module.CollectionSchema(fields)


def text_schema(module: Any) -> Any:
    kind, field_schema = module.DataType, module.FieldSchema
    texts = [field_schema(f"t{i}", kind.VARCHAR, max_length=4 * TEXT_CHARS) for i in range(TEXT_COLUMNS)]
    vector = field_schema("vector", kind.FLOAT_VECTOR, dim=2)
    return module.CollectionSchema([field_schema("id", kind.INT64, is_primary=True), *texts, vector])


def writer_run(make_schema: Callable[[Any], Any], file_type: str, feed: Callable[[Any, Any], None]) -> Callable:
    """Time our writer from its construction to the end of close()."""

    def run(data: Any, out: Path) -> BatchFiles:
        with vecmill.LocalBulkWriter(make_schema(vecmill), str(out), file_type=file_type) as writer:
            feed(writer, data)
            writer.commit()
        return writer.batch_files

    return run


def pymilvus_run(make_schema: Callable[[Any], Any], file_type: str) -> Callable:
    import pymilvus
    from pymilvus.bulk_writer import BulkFileType, LocalBulkWriter

    logging.disable(logging.INFO)

    def run(rows: list[dict], out: Path) -> BatchFiles:
        writer = LocalBulkWriter(make_schema(pymilvus), str(out), file_type=getattr(BulkFileType, file_type))
        append_each(writer, rows)
        writer.commit()
        return writer.batch_files

    return run


def check_sparse(rows: list[dict]) -> Callable[[BatchFiles, Path], None]:
    """Compare every index and every value, as float32, with the rows."""

    def check(batch_files: BatchFiles, folder: Path) -> None:
        got: list[Any] = []
        for files in batch_files:
            if files[0].endswith(".parquet"):
                columns = read_columns(files)
                ids, texts = columns["id"].tolist(), columns["sparse"].tolist()
                got += zip(ids, map(json.loads, texts), strict=True)
            else:
                got += [(row["id"], row["sparse"]) for row in text_rows(files[0])]
        assert len(got) == len(rows), f"{len(got)} rows of {len(rows)}"
        for (key, vector), row in zip(got, rows, strict=True):
            found = {int(index): np.float32(value) for index, value in vector.items()}
            wanted = {index: np.float32(value) for index, value in row["sparse"].items()}
            assert key == row["id"] and found == wanted, f"row {row['id']} differs"

    return check


def sparse(file_type: str) -> Callable[[int, int], Case]:
    """Make a case of sparse vectors of 30 values."""

    def case(n_rows: int, n_batch_rows: int) -> Case:
        rng = np.random.default_rng(7)
        indices = np.sort(np.argsort(rng.random((n_rows, 512)), axis=1)[:, :NON_ZEROS] * (DIMS // 512), axis=1)
        values = rng.random((n_rows, NON_ZEROS), np.float32)
        vectors = [dict(zip(i, v, strict=True)) for i, v in zip(indices.tolist(), values.tolist(), strict=True)]
        rows = [{"id": i, "sparse": vector} for i, vector in enumerate(vectors)]
        cuts = np.arange(0, NON_ZEROS * n_rows + 1, NON_ZEROS)
        matrix = sp.csr_array((values.reshape(-1), indices.reshape(-1), cuts), shape=(n_rows, DIMS))
        add = partial(Contender, n_rows=n_rows, check=check_sparse(rows))
        copied = lambda: [{"id": row["id"], "sparse": dict(row["sparse"])} for row in rows]  # noqa: E731
        pymilvus = add("pymilvus", run=pymilvus_run(sparse_schema, file_type), prepare=copied, rival=True)
        ours = [
            add("append_rows", run=writer_run(sparse_schema, file_type, append_all), prepare=lambda: rows),
            add("append_row", run=writer_run(sparse_schema, file_type, append_each), prepare=lambda: rows),
            add(
                "append_batch, CSR matrix",
                run=writer_run(sparse_schema, file_type, append_batches),
                prepare=lambda: [{"id": np.arange(n_rows), "sparse": matrix}],
            ),
        ]
        targets = [Target(one.name, pymilvus.name, 15.0) for one in ours]
        title = f"sparse vectors of {NON_ZEROS} values -> {file_type}, {n_rows:,} rows"
        return Case(f"sparse {file_type.lower()}", title, [pymilvus, *ours], targets)

    return case


def check_texts(want: Mapping[str, np.ndarray]) -> Callable[[BatchFiles, Path], None]:
    def check(batch_files: BatchFiles, folder: Path) -> None:
        parts = [read_columns(files) for files in batch_files]
        for name, expected in want.items():
            got = np.concatenate([part[name] for part in parts])
            assert same_values(got, expected), f"field {name!r} differs"

    return check


def texts(file_type: str) -> Callable[[int, int], Case]:
    """Make a case of ten columns of 100 characters, one in ten with some that are not ASCII."""

    def case(n_rows: int, n_batch_rows: int) -> Case:
        rng = np.random.default_rng(7)
        columns: dict[str, np.ndarray] = {"id": np.arange(n_rows)}
        for i in range(TEXT_COLUMNS):
            letters = rng.integers(97, 123, (n_rows, TEXT_CHARS)).astype(np.uint32)
            letters[::10, ::9] = ord("ß")
            columns[f"t{i}"] = letters.view(f"<U{TEXT_CHARS}").reshape(n_rows)
        columns["vector"] = rng.random((n_rows, 2), np.float32)
        lists = {name: list(v) if v.ndim == 2 else v.tolist() for name, v in columns.items()}
        rows = [dict(zip(lists, one, strict=True)) for one in zip(*lists.values(), strict=True)]
        add = partial(Contender, n_rows=n_rows, check=check_texts(columns))
        pymilvus = add(
            "pymilvus",
            run=pymilvus_run(text_schema, file_type),
            prepare=lambda: [dict(row) for row in rows],
            rival=True,
        )
        ours = [
            add("append_rows", run=writer_run(text_schema, file_type, append_all), prepare=lambda: rows),
            add("append_batch", run=writer_run(text_schema, file_type, append_batches), prepare=lambda: [lists]),
        ]
        targets = [Target(one.name, pymilvus.name, 10.0) for one in ours]
        title = f"{TEXT_COLUMNS} VARCHAR of {TEXT_CHARS} characters -> {file_type}, {n_rows:,} rows"
        return Case(f"text {file_type.lower()}", title, [pymilvus, *ours], targets)

    return case


CASES: Mapping[str, Callable[[int, int], Case]] = {
    "sparse-parquet": sparse("PARQUET"),
    "sparse-jsonl": sparse("JSONL"),
    "text-parquet": texts("PARQUET"),
    "text-npy": texts("NUMPY"),
}

if __name__ == "__main__":
    sys.exit(run_command(__doc__, CASES))
