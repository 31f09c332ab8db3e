"""The real Milvus imports what vecmill writes and gives every row back, every value with the same bits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymilvus import CollectionSchema, MilvusClient

from other_readers import SCALARS, D, exact
from paths import DATA
from servers.milvus import Milvus, MilvusError
from vecmill import DataType, LocalBulkWriter, convert, create_schema

SAMPLE = DATA / "embeddings.parquet"
QUESTIONS = DATA / "questions.parquet"
TEXT_BYTES = 60
PAGE = 2_000  # rows of one query
SECONDS = 60

TEXTS = [
    "", "plain", "héllo wörld", "東京 🗼", " \t\n\"'\\ ",
    "x" * TEXT_BYTES, "é" * (TEXT_BYTES // 2), "🗼" * (TEXT_BYTES // 4),
]  # fmt: skip
JSONS = [
    {}, [], {"a": None, "ü": ["🗼", True, False]}, {"big": 2**63 - 1, "small": -(2**63), "odd": 2**53 + 1},
    {"f": 0.1, "whole": 1.0, "tiny": 5e-324, "huge": 1.7976931348623157e308}, [1, "two", {"three": [3]}], 7, True,
]  # fmt: skip
EDGES = {
    D.BOOL: [True, False],
    **{dtype: [0, -1, -(2 ** (n - 1)), 2 ** (n - 1) - 1] for dtype, n in ((D.INT8, 8), (D.INT16, 16), (D.INT32, 32))},
    D.INT64: [0, -1, -(2**63), 2**63 - 1, 2**53 + 1],
    D.FLOAT: [float(x) for x in np.array([0.0, -0.0, 1e-45, 1.1754944e-38, 3.4028235e38, -1 / 3], "f4")],
    D.DOUBLE: [0.0, -0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1 / 3],
}


@dataclass(frozen=True)
class Case:
    """What is written, and how: ``way`` the rows come in, ``output`` "npy", "json" or a codec of Parquet."""

    vector: DataType
    dim: int
    output: str
    key: str
    way: str
    n_rows: int = 300
    chunk_size: int = 1 << 30
    n_files: int = 1  # at least
    n_row_groups: int = 1  # at least, of the first file

    @property
    def name(self) -> str:
        return f"{self.vector.name}_{self.dim}_{self.output}_{self.key}_{self.way}".lower()


FLOAT, BINARY = D.FLOAT_VECTOR, D.BINARY_VECTOR
CASES = [
    Case(FLOAT, 768, "npy", "int64", "arrow", n_rows=3_000, chunk_size=7_000_000, n_files=2),
    Case(FLOAT, 8, "npy", "varchar", "append_row"),
    Case(FLOAT, 1, "npy", "int64", "append_rows"),
    Case(BINARY, 1024, "npy", "auto", "numpy", n_rows=3_000),
    Case(FLOAT, 1, "none", "int64", "numpy"),
    Case(FLOAT, 768, "none", "auto", "append_rows"),
    Case(BINARY, 1024, "none", "varchar", "append_row"),
    Case(FLOAT, 8, "snappy", "auto", "arrow"),
    Case(FLOAT, 768, "snappy", "varchar", "numpy", n_rows=9_000, n_row_groups=2),
    Case(BINARY, 1024, "snappy", "int64", "append_rows", n_rows=3_000, chunk_size=300_000, n_files=2),
    Case(FLOAT, 8, "zstd", "int64", "append_rows"),
    Case(FLOAT, 768, "zstd", "varchar", "append_row"),
    Case(BINARY, 1024, "zstd", "auto", "arrow"),
    Case(FLOAT, 768, "json", "int64", "numpy", n_rows=3_000),
    Case(FLOAT, 8, "json", "varchar", "append_rows"),
    Case(BINARY, 1024, "json", "auto", "arrow"),
]
# NPY carries none.
ARRAYS = {"numbers": [[], [2**63 - 1], [-1, 0, 1]], "words": [["ü", ""], [], ["🗼" * 5]]}


@dataclass(frozen=True)
class Imported:
    """A collection that the server was told to import: ``rows`` are what it must give back."""

    collection: str
    fields: dict[str, DataType]
    rows: list[dict[str, Any]]
    tasks: list[int]
    metric: str


@pytest.fixture(scope="module")
def client(milvus: Milvus) -> Iterator[MilvusClient]:
    client = MilvusClient(milvus.uri, timeout=SECONDS)
    yield client
    client.close()


@pytest.fixture(scope="module")
def imports(
    request: pytest.FixtureRequest, milvus: Milvus, client: MilvusClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[object, Future[Imported]]]:
    """Write, import and load what the selected tests ask for, while others of them read already.

    The server begins an import every 2 seconds and loads a collection in 3, whatever their size.
    """
    jobs: dict[object, Callable[[object, Milvus, MilvusClient, Path], Imported]] = {}
    for item in request.session.items:
        if item.path == request.path and hasattr(item, "callspec"):
            jobs |= {job: begin_case if name == "case" else begin_sample for name, job in item.callspec.params.items()}
    with ThreadPoolExecutor(1) as writing, ThreadPoolExecutor(4) as loading:
        loaded = {}
        for job, begin in jobs.items():
            begun = writing.submit(begin, job, milvus, client, tmp_path_factory.mktemp("written"))
            loaded[job] = loading.submit(load, begun, milvus, client)
        yield loaded
        writing.shutdown(cancel_futures=True)
        loading.shutdown(cancel_futures=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_row_comes_back(case, imports, client):
    job = imports[case].result()
    assert_same_rows(job, client)
    client.drop_collection(job.collection)


@pytest.mark.parametrize("sample_as", ["npy", "parquet"])
def test_the_sample_answers_questions(sample_as, imports, client):
    job = imports[sample_as].result()
    assert_same_rows(job, client, key="id")
    questions = pq.read_table(QUESTIONS)
    asked = matrix(questions["vector"])
    answers = client.search(
        job.collection, asked.tolist(), anns_field="vector", limit=3, output_fields=["name", "summary"],
        search_params={"metric_type": "IP", "params": {}},
    )  # fmt: skip
    scores = asked.astype("f8") @ np.array([row["vector"] for row in job.rows], "f8").T
    assert len(answers) == len(scores) == 16
    for text, hits, score in zip(questions["question"].to_pylist(), answers, scores, strict=True):
        best = job.rows[int(score.argmax())]
        found = {"id": hits[0]["id"], **hits[0]["entity"]}
        assert found == {name: best[name] for name in ("id", "name", "summary")}, text
        assert hits[0]["distance"] == pytest.approx(score.max(), abs=1e-5)


def test_what_does_not_fit_the_collection_is_refused_by_the_server(milvus, client, tmp_path):
    """The other tests prove something only if a refusal shows."""
    schema = create_schema()
    schema.add_field("id", D.INT64, is_primary=True)
    schema.add_field("vector", FLOAT, dim=8)
    create(client, "other_dim", schema.to_dict())
    np.save(tmp_path / "id.npy", np.arange(3))
    np.save(tmp_path / "vector.npy", np.zeros((3, 4), "f4"))
    tasks = milvus.begin_import("other_dim", [sorted(tmp_path.iterdir())])
    with pytest.raises(MilvusError, match=r"illegal dimension 4 .* should be 8"):
        milvus.finish_import(tasks)


# -- writing and importing


def begin_case(case: Case, milvus: Milvus, client: MilvusClient, folder: Path) -> Imported:
    schema = case_schema(case)
    columns = case_columns(case)
    options: dict[str, Any] = {"file_type": case.output}
    if case.output not in ("npy", "json"):
        options = {"file_type": "parquet", "config": {"compression": case.output}}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    with LocalBulkWriter(schema, folder, chunk_size=case.chunk_size, **options) as writer:
        put(writer, case, columns, rows)
    assert len(writer.batch_files) >= case.n_files
    if options["file_type"] == "parquet":
        assert pq.ParquetFile(writer.batch_files[0][0]).num_row_groups >= case.n_row_groups
    create(client, case.name, schema.to_dict())
    fields = {field.name: field.dtype for field in schema.fields}
    metric = "HAMMING" if case.vector == BINARY else "L2"
    return Imported(case.name, fields, rows, milvus.begin_import(case.name, writer.batch_files), metric)


def begin_sample(file_type: str, milvus: Milvus, client: MilvusClient, folder: Path) -> Imported:
    report = convert(SAMPLE, folder, file_type=file_type)
    name = f"sample_{file_type}"
    create(client, name, report.schema)
    fields = {field["name"]: DataType(field["type"]) for field in report.schema["fields"]}
    rows = pq.read_table(SAMPLE).to_pylist()
    return Imported(name, fields, rows, milvus.begin_import(name, report.files), "IP")


def case_schema(case: Case) -> Any:
    schema = create_schema(enable_dynamic_field=True)
    if case.key == "varchar":
        schema.add_field("id", D.VARCHAR, max_length=40, is_primary=True)
    else:
        schema.add_field("id", D.INT64, is_primary=True, auto_id=case.key == "auto")
    schema.add_field("n", D.INT64)
    for dtype in EDGES:
        schema.add_field(dtype.name.lower(), dtype)
    schema.add_field("text", D.VARCHAR, max_length=TEXT_BYTES)
    schema.add_field("json", D.JSON)
    if case.output != "npy":
        schema.add_field("numbers", D.ARRAY, element_type=D.INT64, max_capacity=3)
        schema.add_field("words", D.ARRAY, element_type=D.VARCHAR, max_capacity=3, max_length=20)
    schema.add_field("vector", case.vector, dim=case.dim)
    return schema


def case_columns(case: Case) -> dict[str, Any]:
    """Return the values of every field, and of two dynamic ones; ``n`` is the number of the row."""
    rng = np.random.default_rng(case.dim)
    n = case.n_rows
    columns: dict[str, Any] = {"n": list(range(n))}
    if case.key != "auto":
        columns["id"] = [f"ключ-{i}" for i in range(n)] if case.key == "varchar" else [i * 7 - 1_000 for i in range(n)]
    columns |= {dtype.name.lower(): cycled(edges, n) for dtype, edges in EDGES.items()}
    columns |= {"text": cycled(TEXTS, n), "json": cycled(JSONS, n)}
    if case.output != "npy":
        columns |= {name: cycled(values, n) for name, values in ARRAYS.items()}
    if case.vector == BINARY:
        columns["vector"] = rng.integers(0, 256, (n, case.dim // 8), dtype="u1")
    else:
        columns["vector"] = rng.standard_normal((n, case.dim), dtype="f4")
        columns["vector"].flat[: len(EDGES[D.FLOAT])] = EDGES[D.FLOAT]
    return columns | {"more": [i % 5 for i in range(n)], "tags": cycled([[], ["ü", "🗼"], ["z"]], n)}


def put(writer: LocalBulkWriter, case: Case, columns: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    if case.way == "append_rows":
        writer.append_rows(rows)
    elif case.way == "append_row":
        for row in rows:
            vector = row["vector"].tobytes() if case.vector == BINARY else row["vector"].tolist()
            writer.append_row({**row, "vector": vector})
    elif case.way == "numpy":
        kinds = {"n": "q", "text": np.str_} | {dtype.name.lower(): SCALARS[dtype] for dtype in EDGES}
        writer.append_batch(columns | {name: np.array(columns[name], kind) for name, kind in kinds.items()})
    else:
        kinds = {dtype.name.lower(): pa.from_numpy_dtype(np.dtype(SCALARS[dtype])) for dtype in EDGES}
        flat = pa.array(columns["vector"].reshape(-1))
        vector = pa.FixedSizeListArray.from_arrays(flat, columns["vector"].shape[1])
        texts = [json.dumps(value) for value in columns["json"]]
        given = columns | {"vector": vector, "json": texts}
        writer.append_batch(pa.table({name: pa.array(given[name], kinds.get(name)) for name in given}))


def create(client: MilvusClient, name: str, schema: dict[str, Any]) -> None:
    client.create_collection(name, schema=CollectionSchema.construct_from_dict(schema), consistency_level="Strong")


def load(begun: Future[Imported], milvus: Milvus, client: MilvusClient) -> Imported:
    """Wait until everything is imported, and make it ready for queries."""
    job = begun.result()
    assert milvus.finish_import(job.tasks) == len(job.rows)
    index = client.prepare_index_params()
    kind = "BIN_FLAT" if job.metric == "HAMMING" else "FLAT"
    index.add_index("vector", index_type=kind, metric_type=job.metric)
    client.create_index(job.collection, index)
    client.load_collection(job.collection)
    return job


# -- reading


def assert_same_rows(job: Imported, client: MilvusClient, key: str = "n") -> None:
    """Query all rows, by ``key``, a column of integers; compare them bit by bit."""
    assert client.query(job.collection, filter="", output_fields=["count(*)"]) == [{"count(*)": len(job.rows)}]
    wanted = sorted(job.rows, key=lambda row: row[key])
    keys = set()
    for start in range(0, len(wanted), PAGE):
        page = wanted[start : start + PAGE]
        found = client.query(
            job.collection, filter=f"{page[0][key]} <= {key} <= {page[-1][key]}", output_fields=["*"], limit=PAGE + 1
        )
        assert len(found) == len(page)
        # Not found.sort(): pymilvus fills rows when they are taken, by their place in its list.
        for want, got in zip(page, sorted(found, key=lambda row: row[key]), strict=True):
            keys.add(got["id"])
            if "id" not in want:
                got.pop("id")
            assert differences(want, got, job.fields) == {}
    assert len(keys) == len(wanted)


def differences(want: dict[str, Any], got: dict[str, Any], fields: dict[str, DataType]) -> dict[str, tuple[Any, Any]]:
    """Return the values that are not the same bit by bit, (wanted, found), by name."""
    missing = object()
    return {
        name: (want.get(name, missing), got.get(name, missing))
        for name in want.keys() | got.keys()
        if name not in want
        or name not in got
        or comparable(fields.get(name, D.JSON), want[name]) != comparable(fields.get(name, D.JSON), got[name])
    }


def comparable(dtype: DataType, value: Any) -> Any:
    """Return a value, as given or as it came back, in a form whose equality is that of its bits."""
    if dtype == D.JSON:
        return json.dumps(value, sort_keys=True)
    if dtype == D.ARRAY:
        return list(value)
    if dtype == FLOAT:
        return np.asarray(value, "f4").tobytes()
    if dtype == BINARY:
        return b"".join(value) if isinstance(value, list) else bytes(value)
    return exact(dtype, value)


def cycled(values: list[Any], n: int) -> list[Any]:
    return [values[i % len(values)] for i in range(n)]


def matrix(column: pa.ChunkedArray) -> np.ndarray:
    return np.stack(column.to_numpy())
