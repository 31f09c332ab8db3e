"""Options of a writer: declared once, and the same ones at every door."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecmill import (
    BulkFileType,
    DataType,
    LocalBulkWriter,
    RemoteBulkWriter,
    SchemaError,
    commit,
    create_schema,
    write_task,
)
from vecmill.convert import SEGMENT_BYTES, convert
from vecmill.writer.options import KeywordOptions, WriterKeywords, WriterOptions

NAMES = {one.name for one in fields(WriterOptions)}


def test_keywords_and_options_are_the_same() -> None:
    assert set(WriterKeywords.__annotations__) == NAMES
    assert NAMES - set(KeywordOptions.__annotations__) == {
        "file_type",
        "config",
    }  # pymilvus' writers take them by place


def test_every_option_is_explained() -> None:
    assert WriterOptions.__doc__
    lines = WriterOptions.__doc__.splitlines()
    assert [name for name in NAMES if not any(line.startswith(f"    {name}: ") for line in lines)] == []


@pytest.mark.parametrize("door", [LocalBulkWriter, RemoteBulkWriter])
def test_writers_take_pymilvus_arguments_by_place(door: Any) -> None:
    names = list(inspect.signature(door).parameters)
    assert [name for name in names if name != "connect_param"][2:] == ["chunk_size", "file_type", "config", "options"]


@pytest.mark.parametrize(
    ("door", "given"), [(write_task, ((), "out", 0)), (commit, ("out", ())), (LocalBulkWriter, (None, "out"))]
)
def test_an_unknown_option_is_refused(door: Any, given: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="chunk_sise"):
        door(*given, chunk_sise=1, **({} if door is LocalBulkWriter else {"schema": None}))


def test_what_callers_give_becomes_one_value() -> None:
    options = WriterOptions.of(segment_size=7, file_type="npy", config=None, validate=None)
    assert options == WriterOptions(file_type=BulkFileType.NUMPY, segment_size=7)
    assert WriterOptions.of(**options.keywords()) == options
    assert pickle.loads(pickle.dumps(options)) == options


def test_a_config_that_changes_later_is_not_seen() -> None:
    config = {"compression": "zstd"}
    options = WriterOptions.of(config=config)
    config["compression"] = "snappy"
    assert options.config == {"compression": "zstd"}


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"segment_size": 0}, ValueError, "segment_size .* got 0"),
        ({"file_type": "orc"}, SchemaError, "orc"),
        ({"validate": "deep"}, ValueError, "deep"),
        ({"validate": "full", "target": "1.0"}, ValueError, "1.0"),
    ],
)
def test_wrong_options_are_refused(given: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        WriterOptions.of(**given)


def test_one_default_for_conversions_and_tasks() -> None:
    assert inspect.signature(convert).parameters["segment_size"].default == SEGMENT_BYTES
    assert WriterOptions().segment_size == SEGMENT_BYTES == 512 << 20
    assert inspect.signature(LocalBulkWriter).parameters["chunk_size"].default == 128 << 20
    assert inspect.signature(RemoteBulkWriter).parameters["chunk_size"].default == 1024 << 20


def test_a_task_takes_the_options_of_a_writer(tmp_path: Path) -> None:
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    batch = {"id": [1, 2], "vector": np.ones((2, 4), np.float32)}
    options = WriterOptions(file_type=BulkFileType.NUMPY, validate="full", target="2.5").keywords()
    entries = write_task([batch], tmp_path, 0, schema=schema, **options)
    assert commit(tmp_path, entries, schema=schema, **options).n_rows == 2
    with pytest.raises(ValueError, match="not resumed"):
        write_task([batch], tmp_path, 1, schema=schema, resume=True)
