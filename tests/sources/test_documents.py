"""JSON documents: rows that a document wraps, and columns, as databases, REST APIs and pandas write them."""

from __future__ import annotations

import io
import json
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from source_data import check_restarts, collect, refused
from vecmill import DataType, create_schema
from vecmill.convert.opening import text_options
from vecmill.errors import DataError
from vecmill.sources import TextOptions, open_source

ROWS = [{"id": i, "title": f'"{i}" ü\n', "vector": [i + 0.5, -0.25, 1.0]} for i in range(5)]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
TEXT_IDS = [{**row, "id": f"k{row['id']}"} for row in ROWS]


def frame() -> pd.DataFrame:
    return pd.DataFrame(ROWS)


def schema(*names: str) -> TextOptions:
    """Return what a schema says of text: a field for each of these columns."""
    made = create_schema(enable_dynamic_field=False)
    for name in names:
        if name == "vector":
            made.add_field(name, DataType.FLOAT_VECTOR, dim=3)
        elif name == "id":
            made.add_field(name, DataType.INT64, is_primary=True)
        else:
            made.add_field(name, DataType.VARCHAR, max_length=100)
    return text_options(None, made, None)


def write(tmp_path, text: object, name: str = "a.json"):
    path = tmp_path / name
    path.write_text(text if isinstance(text, str) else json.dumps(text, ensure_ascii=False, indent=1))
    return path


def read(path, **options) -> dict[str, list]:
    return collect(open_source(path, text=TextOptions(**options)))


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"took": 5, "hits": {"total": {"value": 5}, "hits": ROWS}}, "hits.hits"),
        ({"result": {"points": ROWS, "next_page_offset": None}, "status": "ok", "time": 0.1}, "result.points"),
        ({"object": "list", "data": ROWS, "usage": {"tokens": [1]}}, "data"),
        ({"objects": ROWS}, "objects"),
        ({"vectors": ROWS, "namespace": ""}, "vectors"),
        ({"data": {"Get": {"Doc": ROWS}}, "errors": None}, "data.Get.Doc"),
        ({"x": [{"a": 1}], "rows": ROWS, "y": [{"b": 2}]}, "rows"),
        ({"a": {"b": {"c": {"d": ROWS}}}}, "a.b.c.d"),
        ({'ü"': ROWS}, 'ü"'),
    ],
)
def test_rows_in_a_document(tmp_path, document, path):
    where = write(tmp_path, document)
    for name in (path, f".{path}[]", f"$.{path}[*]"):
        assert read(where, records=name) == COLUMNS
    if path.count(".") < 3:
        assert read(where) == COLUMNS
    check_restarts(where, COLUMNS, text=TextOptions(records=path, block_bytes=64))
    # The same in one line, as JSON Lines, and packed by the look at its bytes alone.
    for other in ("a.jsonl", "a"):
        assert read(write(tmp_path, json.dumps(document), other), records=path) == COLUMNS


@pytest.mark.parametrize("block_bytes", [32, 100, 1 << 20])
def test_what_stands_around_the_rows_is_passed_over(tmp_path, block_bytes):
    around = {"n": 1, "list": [1, [2, {"x": "]}"}], "s"], "deep": {"a": {"b": [{"no": 1}], "e": {}}}, "none": []}
    document = {**around, "hits": {"before": around, "hits": ROWS, "behind": around}, "z": 1.5}
    where = write(tmp_path, document)
    assert read(where, records="hits.hits", block_bytes=block_bytes) == COLUMNS


def test_values_longer_than_what_is_looked_at_stand_before_the_rows(tmp_path):
    long = list(range(150_000))
    where = write(tmp_path, json.dumps({"big": {"list": long}, "text": "x" * 700_000, "rows": ROWS, "more": long}))
    assert read(where) == COLUMNS
    assert read(where, records="rows") == COLUMNS
    assert read(where, records="rows", block_bytes=1 << 16) == COLUMNS


def test_memory_does_not_grow_with_what_is_passed_over(tmp_path):
    where = tmp_path / "a.json"
    with where.open("w") as file:
        file.write('{"other":[')
        file.write(",".join(['{"x":"' + "y" * 1000 + '"}'] * 80_000))
        file.write(f'],"rows":{json.dumps(ROWS)}}}')
    tracemalloc.start()
    try:
        assert read(where, records="rows", block_bytes=1 << 20) == COLUMNS
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()


def test_documents_follow_one_another(tmp_path):
    pages = [{"hits": {"hits": ROWS[:2]}}, {"hits": {"hits": []}}, {"hits": {"hits": ROWS[2:]}}]
    where = write(tmp_path, "\n".join(map(json.dumps, pages)), "a.jsonl")
    check_restarts(where, COLUMNS, text=TextOptions(records="hits.hits"))
    assert read(where, records="hits.hits", block_bytes=16) == COLUMNS
    paths = [write(tmp_path, page, f"page_{i}.json") for i, page in enumerate(pages)]
    assert collect(open_source(paths)) == COLUMNS


def test_more_than_one_array_of_objects(tmp_path):
    document = {"hits": {"hits": ROWS}, "aggs": {"buckets": [{"key": 1}]}}
    words = ("one array of objects", "--records", "'hits.hits'", "'aggs.buckets'")
    refused(write(tmp_path, document), *words)
    assert read(write(tmp_path, document), records="hits.hits") == COLUMNS
    # Behind more rows than are looked at.
    many = {"hits": {"hits": [{"id": i, "text": "x" * 1000} for i in range(10_000)]}, "aggs": {"buckets": [{"key": 1}]}}
    with pytest.raises(DataError, match=r"one array of objects.*'hits\.hits' and 'aggs\.buckets'"):
        read(write(tmp_path, many))
    assert len(read(write(tmp_path, many), records="hits.hits")["id"]) == 10_000


@pytest.mark.parametrize(
    ("document", "records", "words"),
    [
        ({"hits": {"hits": ROWS}}, "hits.items", ("'hits.items'", "none")),
        ({"hits": {"hits": ROWS}}, "hits.hits.x", ("'hits.hits.x'", "none")),
        ({"hits": {"hits": 5}}, "hits.hits", ("an array of objects", "hits.hits", "'5")),
        ({"a": {"x": 1}}, "a", ("an array of objects at 'a'", "'x'")),
        ([1], "a", ("an object with rows at 'a'",)),
    ],
)
def test_nothing_at_the_path(tmp_path, document, records, words):
    refused(write(tmp_path, document), *words, text=TextOptions(records=records))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"data":[{"a":1}]', ("'}'", "the end of the file")),
        ('{"data":[{"a":1}],"x":[1,}', ("[1,}",)),
        ('{"data":[{"a":1}] "x":1}', ("',' or '}'",)),
        ('{"data":[{"a":1}],1:2}', ("a key and its value",)),
        ('{"data":[{"a":1}]} [', ("nothing behind the rows",)),
    ],
)
def test_damage_around_the_rows(tmp_path, text, words):
    with pytest.raises(DataError) as caught:
        read(write(tmp_path, text))
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_row_is_no_document(tmp_path):
    row = {"id": 1, "vector": [0.5, 1.0], "chunks": [{"text": "a"}, {"text": "b"}]}
    assert read(write(tmp_path, row))["id"] == [1]
    bare = {"id": 1, "chunks": [{"text": "a"}]}
    two = "\n".join([json.dumps(bare, indent=1)] * 2)
    assert read(write(tmp_path, two))["id"] == [1, 1]
    assert read(write(tmp_path, json.dumps(bare), "a.jsonl"))["id"] == [1]
    # A field of the schema is no document around others, either.
    found = collect(open_source(write(tmp_path, bare), columns=["id"], text=schema("id")))
    assert found["id"] == [1]


def test_a_document_without_rows_names_its_keys(tmp_path):
    where = write(tmp_path, {"namespace": "", "usage": {"units": 1}})
    refused(where, "'namespace', 'usage'", "--records", text=schema("id", "vector"))


def test_an_array_in_a_file_of_lines(tmp_path):
    for indent in (None, 1):
        assert read(write(tmp_path, json.dumps(ROWS, indent=indent), "a.jsonl")) == COLUMNS
    refused(write(tmp_path, '["id"]\n[1]\n', "b.jsonl"), "a JSON object", row=0)
    refused(write(tmp_path, "[[1,[0.5]],[2,[0.5]]]"), "arrays", "do not name their values")


def text_of_frame(orient: str) -> str:
    return frame().to_json(orient=orient)


@pytest.mark.parametrize("orient", ["columns", "split", "records", "index"])
def test_what_pandas_writes(tmp_path, orient):
    where = write(tmp_path, text_of_frame(orient))
    assert read(where) == COLUMNS
    check_restarts(where, COLUMNS)
    indexed = frame().set_index(pd.Index(list("vwxyz")))
    found = read(write(tmp_path, indexed.to_json(orient=orient)))
    if orient != "records":
        index = "key" if orient == "index" else "index"
        assert found.pop(index) == list("vwxyz")
    assert found == COLUMNS


def test_the_table_of_pandas(tmp_path):
    assert read(write(tmp_path, frame().to_json(orient="table"))) == COLUMNS
    indexed = frame().set_index(pd.Index(list("vwxyz")))
    assert read(write(tmp_path, indexed.to_json(orient="table"))) == {"index": list("vwxyz"), **COLUMNS}
    assert read(write(tmp_path, frame().to_json(orient="table", index=False))) == COLUMNS


def test_an_object_without_members_is_no_column(tmp_path):
    vectors = {f"k{i}": row["vector"] for i, row in enumerate(ROWS)}
    found = read(write(tmp_path, {"embedding_dict": vectors, "metadata_dict": {}}))
    assert found == {"index": list(vectors), "embedding_dict": COLUMNS["vector"]}


def test_an_index_beside_a_column_of_that_name(tmp_path):
    indexed = frame().rename(columns={"title": "index"}).set_index(pd.Index(list("vwxyz")))
    for orient in ("columns", "split"):
        found = read(write(tmp_path, indexed.to_json(orient=orient)))
        assert (found["level_0"], found["index"]) == (list("vwxyz"), COLUMNS["title"])


CHROMA = {
    "ids": [f"k{i}" for i in range(5)],
    "embeddings": COLUMNS["vector"],
    "documents": COLUMNS["title"],
    "uris": None,
    "included": ["embeddings", "documents", "metadatas"],
    "data": None,
    "metadatas": [{"page": 1}, None, {"page": 3}, None, {}],
}


def test_what_chroma_gives(tmp_path):
    found = read(write(tmp_path, CHROMA))
    assert found["ids"] == CHROMA["ids"]
    assert found["embeddings"] == CHROMA["embeddings"]
    assert found["documents"] == CHROMA["documents"]
    assert [json.loads(one) if one else None for one in found["metadatas"]] == CHROMA["metadatas"]
    assert read(write(tmp_path, {"result": CHROMA}), records="result")["ids"] == CHROMA["ids"]
    refused(write(tmp_path, {**CHROMA, "documents": ["a"]}), "columns of one length", "5 in 'ids'", "1 in 'documents'")
    without = {**CHROMA, "embeddings": None}
    assert list(read(write(tmp_path, without))) == ["ids", "documents", "metadatas"]


def test_lists_by_name(tmp_path):
    assert read(write(tmp_path, frame().to_dict("list"))) == COLUMNS


def test_what_clickhouse_writes(tmp_path):
    meta = [{"name": name, "type": "?"} for name in COLUMNS]
    end = {"rows": 5, "statistics": {"elapsed": 0.1, "rows_read": 5}}
    assert read(write(tmp_path, {"meta": meta, "data": ROWS, **end})) == COLUMNS
    compact = {"meta": meta, "data": [list(row.values()) for row in ROWS], **end}
    assert read(write(tmp_path, compact)) == COLUMNS
    assert read(write(tmp_path, {"meta": meta, "data": COLUMNS, **end})) == COLUMNS
    compact["data"][3].append(5)
    refused(write(tmp_path, compact), "3 values in every row", "4 in row 3")


@pytest.mark.parametrize("inside", [ROWS, TEXT_IDS])
def test_objects_by_key(tmp_path, inside):
    document = {"namespace": "", "vectors": {f"k{i}": row for i, row in enumerate(inside)}}
    expected = {name: [row[name] for row in inside] for name in inside[0]}
    found = read(write(tmp_path, document), records="vectors")
    if inside is ROWS:  # the keys are nowhere else
        assert found.pop("key") == [f"k{i}" for i in range(5)]
    assert found == expected
    refused(write(tmp_path, document), "'namespace', 'vectors'", "--records", text=schema("id", "vector"))


def test_columns_that_are_not_of_one_shape(tmp_path):
    split = json.loads(text_of_frame("split"))
    split["index"].pop()
    refused(write(tmp_path, split), "an index of 5 rows", "4")
    split = json.loads(text_of_frame("split"))
    split["columns"][0] = None
    refused(write(tmp_path, split), "a name each")
    refused(write(tmp_path, text_of_frame("columns")[:-4]), "JSON")


def test_columns_are_read_in_one_piece_up_to_a_bound(tmp_path, monkeypatch):
    rng = np.random.default_rng(5)
    made = pd.DataFrame({"id": range(20_000), "vector": list(rng.random((20_000, 32)).tolist())})
    for orient in ("columns", "split"):
        where = write(tmp_path, made.to_json(orient=orient, double_precision=15))
        assert where.stat().st_size > 8 << 20
        found = read(where)
        assert found["id"] == list(range(20_000))
        assert np.array_equal(np.array(found["vector"], np.float32), np.array(made["vector"].tolist(), np.float32))
    monkeypatch.setattr("vecmill.sources.text.columnar.MAX_BYTES", 1 << 20)
    refused(where, "at most 1048576 bytes", "JSON Lines")


def test_columns_from_standard_input(monkeypatch):
    for text in (text_of_frame("columns"), json.dumps({"data": ROWS})):
        for spool in (True, False):
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
            assert read("-", spool=spool) == COLUMNS


def test_a_wrong_value_in_columns_is_named_by_its_row(tmp_path):
    other = json.loads(text_of_frame("columns"))
    other["vector"]["3"] = [1.0]
    error = refused(write(tmp_path, other), row=3, text=schema("id", "vector"), columns=["id", "vector"])
    assert error.field == "vector"
    assert "line" not in str(error)


@pytest.mark.parametrize("action", [{"index": {"_index": "d", "_id": "a"}}, {"create": {}}, {"index": {"_id": "1"}}])
def test_the_input_of_bulk_requests_is_named(tmp_path, action):
    lines = "".join(f"{json.dumps(action)}\n{json.dumps(row)}\n" for row in ROWS)
    refused(write(tmp_path, lines, "a.ndjson"), "_bulk", "sed", row=0)
    assert read(write(tmp_path, '{"index": 1}\n{"index": 2}\n', "b.jsonl")) == {"index": [1, 2]}
