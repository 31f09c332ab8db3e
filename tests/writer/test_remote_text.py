"""JSON, JSON Lines and CSV in a bucket: a refused batch leaves no row, though such files cannot have gaps."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from buckets import MIB, new_bucket, param
from failing_calls import columns_of, small_schema
from servers.s3 import S3Server
from vecmill import DataError, RemoteBulkWriter


def ids_in(text: str, file_type: str) -> list[int]:
    if file_type == "csv":
        return [int(row["id"]) for row in csv.DictReader(io.StringIO(text))]
    rows = [json.loads(line) for line in text.splitlines()] if file_type == "jsonl" else json.loads(text)
    return [row["id"] for row in (rows["rows"] if isinstance(rows, dict) else rows)]


@pytest.mark.parametrize("file_type", ["jsonl", "json", "csv"])
def test_a_refused_batch_leaves_no_row(juicefs: S3Server, file_type: str) -> None:
    bucket = new_bucket(juicefs)
    transfer = RemoteBulkWriter.Transfer(part_bytes=5 * MIB)
    with RemoteBulkWriter(
        small_schema(), "x", param(juicefs, bucket), file_type=file_type, transfer=transfer
    ) as writer:
        writer.append_batch(columns_of(range(10_000)))
        bad = columns_of(range(10_000, 200_000))
        bad["vector"][-1, 0] = np.nan
        with pytest.raises(DataError, match="vector"):
            writer.append_batch(bad)
        writer.append_batch(columns_of(range(10_000, 60_000)))
    found = [id_ for (key,) in writer.batch_files for id_ in ids_in(juicefs.read(bucket, key).decode(), file_type)]
    assert found == list(range(60_000))
    assert juicefs.uploads(bucket) == []
