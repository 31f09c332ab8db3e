"""Golden files: the writer still writes the very same bytes as when these were checked by hand.

A change of a single byte must be a decision (so is a new release number, which Parquet files carry). After one, write
them anew and look at the difference before committing::

    PYTHONPATH=src:tests/support python tests/formats/test_golden.py

Every type is in them, with edge values; what they hold is in ``ROWS``, and
``tests/formats/test_every_type.py`` proves by other readers that such files mean what was written.
"""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from other_readers import D, schema_of
from paths import DATA
from vecmill import FieldSchema, LocalBulkWriter

GOLDEN = DATA / "golden"
F32_MAX = float(np.finfo(np.float32).max)
STRUCT = [
    FieldSchema("n", D.INT8),
    FieldSchema("t", D.VARCHAR, max_length=9),
    FieldSchema("v", D.FLOAT_VECTOR, dim=2),
]
FIELDS: list[tuple[str, Any, dict[str, Any]]] = [
    ("bool", D.BOOL, {}),
    ("int8", D.INT8, {}),
    ("int16", D.INT16, {}),
    ("int32", D.INT32, {}),
    ("int64", D.INT64, {}),
    ("float", D.FLOAT, {}),
    ("double", D.DOUBLE, {}),
    ("varchar", D.VARCHAR, {"max_length": 16}),
    ("json", D.JSON, {}),
    ("float_vector", D.FLOAT_VECTOR, {"dim": 3}),
    ("float16_vector", D.FLOAT16_VECTOR, {"dim": 3}),
    ("bfloat16_vector", D.BFLOAT16_VECTOR, {"dim": 3}),
    ("int8_vector", D.INT8_VECTOR, {"dim": 3}),
    ("binary_vector", D.BINARY_VECTOR, {"dim": 16}),
]
# What NPY does not carry.
MORE: list[tuple[str, Any, dict[str, Any]]] = [
    ("sparse", D.SPARSE_FLOAT_VECTOR, {}),
    ("numbers", D.ARRAY, {"element_type": D.INT16, "max_capacity": 3}),
    ("words", D.ARRAY, {"element_type": D.VARCHAR, "max_capacity": 3, "max_length": 9}),
    ("structs", D.STRUCT, {"struct_schema": STRUCT, "max_capacity": 2}),
    ("geometry", D.GEOMETRY, {}),
    ("time", D.TIMESTAMPTZ, {}),
]
MORE_VALUES: list[tuple[Any, ...]] = [
    ({7: 0.5, 4_294_967_294: 1e-45}, [], ["", "é𝄞"], [], "POINT (1 2)", "2026-01-31T12:00:00Z"),
    ({}, [-(2**15), 2**15 - 1], [], [{"n": -1, "t": 'q"', "v": [0.1, -0.0]}], "POINT EMPTY", "1969-12-31 23:59:59.5"),
    ({0: F32_MAX}, [1, 2, 3], ["a,b"], [{"n": 1, "t": "", "v": [1.0, 2.0]}] * 2, "LINESTRING(0 0,1 1)", 0),
]
VALUES: list[tuple[Any, ...]] = [
    (True, -128, -(2**15), -(2**31), -(2**63), -0.0, -0.0, "", "null", [0.0, -0.0, 1e-45], [0.0, -0.0, 6e-8],
     [0.0, -0.0, 1e-40], [-128, 0, 127], b"\x00\xff"),
    (False, 127, 2**15 - 1, 2**31 - 1, 2**63 - 1, F32_MAX, 5e-324, "é𝄞 ", {"é": [1, 2.5, None]}, [F32_MAX, 0.1, -1.0],
     [65504.0, 0.1, -1.0], [3.3e38, 0.1, -1.0], [1, 2, 3], b"\x80\x01"),
    (True, 0, 0, 0, 0, 0.1, 0.1, "sixteen bytes ok", ' {"a": 1}', [1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0],
     [0, 0, 0], [1, 0] * 8),
]  # fmt: skip
ROWS = [
    {"id": i, **dict(zip([name for name, _, _ in FIELDS], values, strict=True)), "extra": i}
    for i, values in enumerate(VALUES)
]
MORE_ROWS = [
    {"id": i, "float_vector": [0.0, 0.0, 0.0], **dict(zip([name for name, _, _ in MORE], values, strict=True))}
    for i, values in enumerate(MORE_VALUES)
]
NULLS = [{"id": 3, "int32": 7, "float_vector": [4.0, 5.0, 6.0]}, {"id": 4}]
CSV = {"config": {"nullkey": "\\N"}}
# Name of the file or folder, file type, options, rows.
SETS: dict[str, tuple[str, dict[str, Any], list[dict[str, Any]]]] = {
    "npy": ("npy", {}, ROWS),
    "plain.parquet": ("parquet", {}, ROWS),
    "nulls.parquet": ("parquet", {}, [NULLS[0], ROWS[0], *NULLS, ROWS[1]]),
    "zstd.parquet": ("parquet", {"config": {"compression": "zstd", "compression_level": 3}}, ROWS),
    "more.parquet": ("parquet", {}, MORE_ROWS),
    **{f"plain.{kind}": (kind, CSV if kind == "csv" else {}, ROWS) for kind in ("json", "jsonl", "csv")},
    **{f"nulls.{kind}": (kind, CSV if kind == "csv" else {}, [*NULLS, ROWS[1]]) for kind in ("jsonl", "csv")},
    **{f"more.{kind}": (kind, CSV if kind == "csv" else {}, MORE_ROWS) for kind in ("jsonl", "csv")},
}


def produce(name: str, folder: Path) -> list[Path]:
    """Write one set; return its files."""
    file_type, options, rows = SETS[name]
    params = {"nullable": True} if name.startswith("nulls.") else {}
    fields = FIELDS if rows is not MORE_ROWS else [FIELDS[9], *MORE]
    schema = schema_of(*((field, dtype, {**more, **params}) for field, dtype, more in fields), dynamic=True)
    with LocalBulkWriter(schema, folder, file_type=file_type, **options) as writer:
        writer.append_rows(rows)
    (files,) = writer.batch_files
    return [Path(path) for path in files]


def golden(name: str, path: Path) -> Path:
    """Return where the golden twin of a file lies."""
    return GOLDEN / name / path.name if name == "npy" else GOLDEN / name


@pytest.mark.parametrize("name", SETS)
def test_the_writer_still_writes_these_bytes(tmp_path, name):
    files = produce(name, tmp_path)
    if name == "npy":
        assert {path.name for path in files} == {path.name for path in (GOLDEN / name).iterdir()}
    for path in files:
        if name == "zstd.parquet":  # another zstd release may pack otherwise: the values count
            assert pq.read_table(path).equals(pq.read_table(golden(name, path)))
        else:
            assert path.read_bytes() == golden(name, path).read_bytes(), path.name


def test_the_golden_npy_set_is_what_numpy_saves(tmp_path):
    for path in (GOLDEN / "npy").iterdir():
        array = np.load(path)
        np.save(tmp_path / path.name, array)
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    assert np.load(GOLDEN / "npy" / "varchar.npy").tolist() == [row["varchar"] for row in ROWS]
    vectors = np.array([row["float_vector"] for row in ROWS], np.float32)
    assert np.load(GOLDEN / "npy" / "float_vector.npy").tobytes() == vectors.tobytes()
    assert np.load(GOLDEN / "npy" / "float16_vector.npy").dtype == np.uint8


def test_the_golden_parquet_files_hold_the_rows():
    table = pq.read_table(GOLDEN / "nulls.parquet").to_pylist()
    assert [row["id"] for row in table] == [3, 0, 3, 4, 1]
    assert table[0] == {**dict.fromkeys(table[0]), **NULLS[0], "$meta": "{}"}
    assert table[3] == {**dict.fromkeys(table[3]), "id": 4, "$meta": "{}"}
    assert table[1]["binary_vector"] == b"\x00\xff"
    assert table[4]["varchar"] == "é𝄞 "
    assert table[4]["json"] == '{"é":[1,2.5,null]}'
    plain = pq.read_table(GOLDEN / "plain.parquet")
    assert plain.equals(pq.read_table(GOLDEN / "zstd.parquet"))
    assert plain["$meta"].to_pylist() == [f'{{"extra":{i}}}' for i in range(3)]
    assert plain["int64"].to_pylist() == [-(2**63), 2**63 - 1, 0]


def test_the_golden_text_files_hold_the_rows():
    lines = [json.loads(line) for line in (GOLDEN / "plain.jsonl").read_text().splitlines()]
    assert json.loads((GOLDEN / "plain.json").read_text()) == {"rows": lines}
    assert [row["int64"] for row in lines] == [row["int64"] for row in ROWS]
    assert np.array([row["float_vector"] for row in lines], np.float32).tobytes() == b"".join(
        np.float32(row["float_vector"]).tobytes() for row in ROWS
    )
    with (GOLDEN / "more.csv").open(newline="") as file:
        cells = list(csv.DictReader(file, strict=True))
    more = [json.loads(line) for line in (GOLDEN / "more.jsonl").read_text().splitlines()]
    table = pq.read_table(GOLDEN / "more.parquet").to_pylist()
    for name in ("sparse", "numbers", "words", "structs"):
        assert [json.loads(row[name]) for row in cells] == [row[name] for row in more]
    assert [json.loads(row["sparse"]) for row in table] == [row["sparse"] for row in more]
    for name in ("numbers", "words", "geometry", "time"):
        assert [row[name] for row in table] == [row[name] for row in more]
    assert [row["words"] for row in more] == [row["words"] for row in MORE_ROWS]


def main() -> None:
    """Write all golden files anew."""
    for name in SETS:
        with tempfile.TemporaryDirectory() as folder:
            for path in produce(name, Path(folder)):
                target = golden(name, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                print(target, target.stat().st_size)


if __name__ == "__main__":
    main()
