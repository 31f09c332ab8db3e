"""An import from the options of the command to its requests, without a server."""

from __future__ import annotations

import pyarrow as pa
import pytest

from vecmill import convert
from vecmill.importer.options import CollectionOptions, ImportOptions, JobOptions, OutputOptions, Server
from vecmill.importer.session import prepare

TABLE = pa.table({"id": [1, 2], "v": pa.array([[0.5, 1.0]] * 2, pa.list_(pa.float32(), 2))})


@pytest.mark.parametrize(
    ("config", "given", "sent"),
    [
        ({}, {}, None),
        ({}, {"timeout": "300s"}, {"timeout": "300s"}),
        ({"sep": ";", "nullkey": "NULL"}, {}, {"sep": ";", "nullkey": "NULL"}),
        ({"sep": ";"}, {"timeout": "9s"}, {"sep": ";", "timeout": "9s"}),
        ({"sep": ";"}, {"sep": "|"}, {"sep": "|"}),
    ],
)
def test_the_server_is_told_how_csv_was_written(tmp_path, config, given, sent) -> None:
    out = convert(TABLE, tmp_path / "out", file_type="csv", config=config).data_path
    options = ImportOptions(
        output=OutputOptions(src=out),
        server=Server("http://127.0.0.1:1"),
        collection=CollectionOptions(name="c"),
        jobs=JobOptions(options=given),
    )
    (request,) = prepare(options).shown()["requests"]
    assert (request["body"].get("options") or None) == sent
