"""The gRPC form against the real Milvus: orders, states, refusals, and the rows that come back."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pymilvus import CollectionSchema as TheirSchema
from pymilvus import MilvusClient, connections

from servers.milvus import Milvus
from vecmill import (
    BulkInsertState,
    DataType,
    ImportJobError,
    LocalBulkWriter,
    create_schema,
    do_bulk_insert,
    get_bulk_insert_state,
    list_bulk_insert_tasks,
)

D = DataType
SECONDS = 60
N = 120
FILE_TYPES = ("npy", "parquet", "json")


@pytest.fixture(scope="module")
def client(milvus: Milvus) -> Iterator[MilvusClient]:
    client = MilvusClient(milvus.uri, timeout=SECONDS)
    with warnings.catch_warnings():  # the way of the 2.3 documentation, which pymilvus will give up
        warnings.simplefilter("ignore")
        connections.connect(alias="vecmill-tests", uri=milvus.uri, timeout=SECONDS)
        yield client
        connections.disconnect("vecmill-tests")
    client.close()


def schema_of(**options: Any) -> Any:
    schema = create_schema(enable_dynamic_field=options.pop("dynamic", False))
    schema.add_field("id", D.INT64, is_primary=True, auto_id=options.pop("auto_id", False))
    schema.add_field("shelf", D.VARCHAR, max_length=40, is_partition_key=options.pop("partition_key", False))
    schema.add_field("info", D.JSON)
    schema.add_field("vector", D.FLOAT_VECTOR, dim=8)
    return schema


def rows_of(schema: Any, n: int = N, start: int = 0) -> list[dict[str, Any]]:
    vectors = np.random.default_rng(start).standard_normal((n, 8), dtype="f4")
    rows = [
        {"id": i, "shelf": f"полка {i % 3}", "info": {"n": i, "ü": [None, 0.5]}, "vector": vectors[i - start]}
        for i in range(start, start + n)
    ]
    if schema.auto_id:
        for row in rows:
            row.pop("id")
    if schema.enable_dynamic_field:
        for row in rows:
            row["more"] = row["info"]["n"] * 2
    return rows


def written(schema: Any, folder: Path, rows: list[dict[str, Any]], file_type: str, chunk_size: int = 1 << 30) -> Any:
    if file_type == "json":  # by hand: what the server takes is known, whoever wrote it
        folder.mkdir(exist_ok=True)
        plain = [row | {"vector": row["vector"].tolist()} for row in rows]
        (folder / "1.json").write_text(json.dumps({"rows": plain}, ensure_ascii=False))
        return SimpleNamespace(batch_files=[[str(folder / "1.json")]])
    with LocalBulkWriter(schema, folder, file_type=file_type, chunk_size=chunk_size) as writer:
        writer.append_rows(rows)
    return writer


def order(collection: str, files: list[str], **more: Any) -> int:
    return do_bulk_insert(collection, [str(Path(file).resolve()) for file in files], using="vecmill-tests", **more)


def finished(task: int) -> BulkInsertState:
    stop = time.monotonic() + SECONDS
    while time.monotonic() < stop:
        state = get_bulk_insert_state(task, using="vecmill-tests")
        if state.state == BulkInsertState.ImportCompleted or state.is_failed:
            return state
        time.sleep(0.05)
    raise AssertionError(f"task {task} is still {state}")


def come_back(client: MilvusClient, name: str) -> list[dict[str, Any]]:
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_index(name, index)
    client.load_collection(name)
    found = client.query(name, filter="id >= -9223372036854775807", output_fields=["*"], consistency_level="Strong")
    return sorted(found, key=lambda row: row["info"]["n"])


def assert_same(want: list[dict[str, Any]], got: list[dict[str, Any]]) -> None:
    assert len(want) == len(got)
    for one, other in zip(want, got, strict=True):
        for name in one:
            if name == "vector":
                assert one[name].tobytes() == np.array(other[name], "f4").tobytes()
            else:
                assert one[name] == other[name]


CASES = {
    "plain": {},
    "auto_id": {"auto_id": True},
    "dynamic": {"dynamic": True},
    "partition_key": {"partition_key": True},
}


@pytest.fixture(scope="module")
def imports(client: MilvusClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Any]]:
    """All cases ordered at once: the server begins an import every 2 seconds, whatever its size."""

    def load(name: str, task: int) -> tuple[BulkInsertState, list[dict[str, Any]]]:
        return finished(task), come_back(client, name)

    with ThreadPoolExecutor(4) as loading:
        running = {}
        for case, options in CASES.items():
            for file_type in FILE_TYPES:
                schema, name = schema_of(**options), f"grpc_{case}_{file_type}"
                client.create_collection(name, schema=TheirSchema.construct_from_dict(schema.to_dict()))
                rows = rows_of(schema)
                writer = written(schema, tmp_path_factory.mktemp(name), rows, file_type)
                task = order(name, writer.batch_files[0])
                running[case, file_type] = (name, rows, writer, task, loading.submit(load, name, task))
        yield running


@pytest.mark.parametrize("file_type", FILE_TYPES)
@pytest.mark.parametrize("case", CASES)
def test_rows_come_back(case, file_type, imports, client):
    name, rows, writer, task, loaded = imports[case, file_type]
    state, found = loaded.result()
    assert (state.task_id, state.row_count, state.progress) == (task, N, 100)
    assert (state.state_name, state.failed_reason) == ("Completed", "")
    # With a partition key this server does not say which collection it is.
    assert state.collection_name == ("" if case == "partition_key" else name)
    assert all(Path(path).name in state.files for path in writer.batch_files[0])
    if case == "auto_id":
        assert len(set(state.ids)) == N
        assert {row["id"] for row in found} == set(state.ids)
    assert_same(rows, found)
    client.drop_collection(name)


def test_partitions_and_tasks_side_by_side(client, tmp_path):
    schema = schema_of()
    client.create_collection("grpc_parts", schema=TheirSchema.construct_from_dict(schema.to_dict()))
    client.create_partition("grpc_parts", "old")
    rows = rows_of(schema, 3_000)
    writer = written(schema, tmp_path, rows[:1_500], "npy", chunk_size=60_000)
    assert len(writer.batch_files) > 3
    tasks = [order("grpc_parts", files) for files in writer.batch_files]
    later = written(schema, tmp_path, rows[1_500:], "parquet")
    in_old = order("grpc_parts", later.batch_files[0], partition_name="old")
    assert sum(finished(task).row_count for task in tasks) == 1_500
    assert finished(in_old).partition_name == "old"
    listed = list_bulk_insert_tasks(collection_name="grpc_parts", using="vecmill-tests")
    assert {state.task_id for state in listed} == {*tasks, in_old}
    assert len(list_bulk_insert_tasks(limit=2, collection_name="grpc_parts", using="vecmill-tests")) == 2
    assert_same(rows, come_back(client, "grpc_parts"))
    assert len(client.query("grpc_parts", filter="id >= 0", output_fields=["id"], partition_names=["old"])) == 1_500
    client.drop_collection("grpc_parts")


def test_the_server_s_refusals(client, tmp_path):
    schema = schema_of()
    client.create_collection("grpc_no", schema=TheirSchema.construct_from_dict(schema.to_dict()))
    writer = written(schema, tmp_path, rows_of(schema), "parquet")
    file = writer.batch_files[0]
    with pytest.raises(ImportJobError, match="collection not found") as caught:
        order("grpc_nowhere", file)
    assert caught.value.code == 65535
    with pytest.raises(ImportJobError, match="partition not found"):
        do_bulk_insert("grpc_no", file, "nope", using=client)
    with pytest.raises(ImportJobError, match="partition not found"):
        order("grpc_no", file, partition_name="nope")
    with pytest.raises(ImportJobError, match="import request is empty"):
        order("grpc_no", [])
    with pytest.raises(ImportJobError, match="only accepts one file"):
        order("grpc_no", [*file, str(tmp_path / "x.parquet")])
    with pytest.raises(ImportJobError, match="import job 7: "):
        get_bulk_insert_state(7, using="vecmill-tests")
    with pytest.raises(ImportJobError, match="no connection 'nobody'"):
        get_bulk_insert_state(7, using="nobody")
    with pytest.raises(ValueError, match="list of paths"):
        do_bulk_insert("grpc_no", "a.parquet", using="vecmill-tests")
    pq.write_table(pq.read_table(file[0]).drop_columns(["info"]), tmp_path / "less.parquet")
    state = finished(order("grpc_no", [str(tmp_path / "less.parquet")]))
    assert state.is_failed
    assert "info" in state.failed_reason
    client.drop_collection("grpc_no")


def test_names_and_numbers_are_pymilvus():
    from pymilvus import BulkInsertState as Theirs

    for name in dir(Theirs):
        if name.startswith("Import") or name.isupper():
            assert getattr(BulkInsertState, name) == getattr(Theirs, name)
    properties = {name for name in dir(Theirs) if isinstance(getattr(Theirs, name), property)}
    state = BulkInsertState(1, 6, 3, (1, 4), {"progress_percent": "100"}, 0)
    assert {name for name in properties if not hasattr(state, name)} == set()
    assert state.ids == [1, 2, 3]
