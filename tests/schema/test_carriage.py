"""The table of what each format carries: every cell written and read back, or seen refused, for every target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from other_readers import columns, schema_of
from paths import DOCS
from vecmill import BulkFileType, DataType, FieldSchema, LocalBulkWriter, create_schema
from vecmill.errors import SchemaError
from vecmill.output_formats import FORMATS
from vecmill.schema import carriage as targets
from vecmill.schema.carriage import FEATURE_TABLE, TYPE_TABLE, check_target
from vecmill.schema.servers import TARGETS
from vecmill.types.lookup import TYPES

D = DataType
HALF = {D.FLOAT16_VECTOR: np.float16, D.BFLOAT16_VECTOR: np.float32}
VECTOR = {"dim": 8}
SUBS = [FieldSchema("n", D.INT32), FieldSchema("t", D.VARCHAR, max_length=9), FieldSchema("v", D.FLOAT_VECTOR, dim=2)]

# For each row of the table of types: what else the field needs, and two values.
VALUES: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "BOOL": ({}, [True, False]),
    "INT8": ({}, [-128, 127]),
    "INT16": ({}, [-(2**15), 2**15 - 1]),
    "INT32": ({}, [-(2**31), 2**31 - 1]),
    "INT64": ({}, [-(2**63), 2**63 - 1]),
    "FLOAT": ({}, [0.1, -3.4028234663852886e38]),
    "DOUBLE": ({}, [0.1, -1.7976931348623157e308]),
    "VARCHAR": ({"max_length": 20}, ["", 'é𝄞"\\,\n']),
    "TEXT": ({}, ["", 'é𝄞"\\,\n']),
    "JSON": ({}, [{"a": [1, None, "é"]}, {}]),
    "GEOMETRY": ({}, ["POINT (1 2)", "POLYGON((0 0,0 1,1 1,0 0))"]),
    "TIMESTAMPTZ": ({}, ["2026-01-31T12:00:00Z", "1969-12-31 23:59:59.5"]),
    "ARRAY": ({"element_type": D.INT16, "max_capacity": 3}, [[1, -2, 3], []]),
    "STRUCT": (
        {"struct_schema": SUBS, "max_capacity": 3},
        [[], [{"n": 1, "t": "é", "v": [0.5, 1.0]}, {"n": -1, "t": "", "v": [2.0, 3.0]}]],
    ),
    "FLOAT_VECTOR": (VECTOR, [[0.1] * 8, [-1.0] * 8]),
    "BINARY_VECTOR": (VECTOR, [b"\x00", b"\xa5"]),
    "FLOAT16_VECTOR": (VECTOR, [[0.5] * 8, [-2.0] * 8]),
    "BFLOAT16_VECTOR": (VECTOR, [[0.5] * 8, [-2.0] * 8]),
    "INT8_VECTOR": (VECTOR, [[-128] * 8, [127] * 8]),
    "SPARSE_FLOAT_VECTOR": ({}, [{1: 0.5, 4_294_967_294: 1.25}, {}]),
}
TYPE_CELLS = [(name, form) for name in TYPE_TABLE for form in FORMATS]


def schema_with(name: str, **more: Any) -> Any:
    params, _ = VALUES[name]
    return schema_of(("x", D[name], {**params, **more}))


def schema_asking(feature: str) -> Any:
    """Return a schema that asks for a row of the table of features, of types that every format with it carries."""
    if feature == "several vector fields":
        return schema_of(("a", D.FLOAT_VECTOR, VECTOR), ("b", D.FLOAT_VECTOR, VECTOR))
    if feature == "dynamic field":
        return schema_of(dynamic=True)
    if feature == "auto-id key with supplied values":
        schema = create_schema(auto_id=True, allow_insert_auto_id=True)
        schema.add_field("id", D.INT64, is_primary=True)
        return schema.add_field("v", D.FLOAT_VECTOR, dim=2)
    if feature == "output of a function":
        schema = schema_of(
            ("x", D.VARCHAR, {"max_length": 9, "enable_analyzer": True}), ("y", D.SPARSE_FLOAT_VECTOR, {})
        )
        return schema.add_function({"name": "f", "type": 1, "input_field_names": ["x"], "output_field_names": ["y"]})
    if feature.endswith("in STRUCT"):
        kind = D.FLOAT16_VECTOR if feature.startswith("half") else D[feature.split(maxsplit=1)[0]]
        return schema_of(("x", D.STRUCT, {"struct_schema": [FieldSchema("v", kind, dim=8)], "max_capacity": 2}))
    kind = {"scalar": "INT64", "ARRAY": "ARRAY", "vector": "FLOAT_VECTOR", "STRUCT": "STRUCT"}[feature.split()[1]]
    return schema_with(kind, nullable=True)


def read_back(name: str, value: Any) -> Any:
    """Bring a value, as a reader of the file gives it, to the form that was offered."""
    if isinstance(value, str) and name in ("JSON", "SPARSE_FLOAT_VECTOR"):
        value = json.loads(value)
    if name == "SPARSE_FLOAT_VECTOR":
        return {int(index): number for index, number in value.items()}
    if name == "FLOAT":
        return float(np.float32(value))
    if name == "FLOAT_VECTOR":
        return np.float32(value).tolist()
    if name == "BINARY_VECTOR":
        return bytes(value)
    raw = len(value) == 16 if name in ("FLOAT16_VECTOR", "BFLOAT16_VECTOR") else False
    if raw and name == "FLOAT16_VECTOR":
        return np.frombuffer(bytes(value), np.float16).tolist()
    if raw:
        return (np.frombuffer(bytes(value), np.uint16).astype(np.uint32) << 16).view(np.float32).tolist()
    return value


def offered(name: str, value: Any) -> Any:
    if name in ("FLOAT", "FLOAT_VECTOR"):
        return np.float32(value).tolist()
    return value


def test_every_type_has_a_row_and_values() -> None:
    assert set(TYPE_TABLE) == set(VALUES)
    known = {"STRUCT" if dtype is D.STRUCT else dtype.name for dtype in TYPES if dtype is not D.STRING}
    assert set(TYPE_TABLE) == known


@pytest.mark.parametrize(("name", "form"), TYPE_CELLS, ids=lambda one: one if isinstance(one, str) else one.name)
def test_every_cell_is_written_and_read_back_or_refused(name: str, form: BulkFileType, tmp_path: Path) -> None:
    cell = TYPE_TABLE[name][form]
    schema, values = schema_with(name), VALUES[name][1]
    if cell.since is None:
        with pytest.raises(SchemaError) as caught:
            LocalBulkWriter(schema, tmp_path, file_type=form)
        assert (caught.value.field, caught.value.reason) == ("x", cell.how)
        assert "use " in cell.how
        assert not list(tmp_path.iterdir())
        return
    with LocalBulkWriter(schema, tmp_path, file_type=form) as writer:
        for i, value in enumerate(values):
            v = {} if schema.fields[-1].name == "x" else {"v": [0.0, 1.0]}
            writer.append_row({"id": i, "x": value, **v})
    found = columns(writer)
    assert [read_back(name, value) for value in found["x"]] == [offered(name, value) for value in values]


@pytest.mark.parametrize("target", [*TARGETS, None])
@pytest.mark.parametrize("row", [*TYPE_TABLE, *FEATURE_TABLE])
def test_a_target_takes_what_its_release_line_reads(row: str, target: str | None) -> None:
    schema = schema_with(row) if row in TYPE_TABLE else schema_asking(row)
    asked = {name for _, name in targets.rows_of(schema)}
    assert row in asked
    for form in FORMATS:
        cells = [(TYPE_TABLE.get(name) or FEATURE_TABLE[name])[form] for name in asked]
        newest = max((cell.since or (99, 0, 0) for cell in cells), default=(0, 0, 0))
        line = TARGETS[target] if target else (98, 0)
        if max(newest, FORMATS[form].since)[:2] <= line:
            check_target(schema, form, target)
            continue
        with pytest.raises(SchemaError) as caught:
            check_target(schema, form, target)
        assert "use " in caught.value.reason


def test_the_way_out_is_one() -> None:
    def reason(schema: Any, form: BulkFileType, target: str) -> str:
        with pytest.raises(SchemaError) as caught:
            check_target(schema, form, target)
        return caught.value.reason

    assert reason(schema_with("INT64"), BulkFileType.CSV, "2.4").endswith("from 2.5 on; use PARQUET or NUMPY")
    assert reason(schema_with("SPARSE_FLOAT_VECTOR"), BulkFileType.JSON, "2.3").endswith(
        "from 2.4.3 on; use target 2.4"
    )
    assert reason(schema_with("GEOMETRY"), BulkFileType.NUMPY, "2.6").endswith("use PARQUET or JSON")
    assert reason(schema_with("TEXT"), BulkFileType.PARQUET, "cloud").endswith("use target 3.0")


def test_an_unknown_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'2\.7' is not one of 2\.3"):
        LocalBulkWriter(schema_with("INT64"), tmp_path, target="2.7")
    assert not list(tmp_path.iterdir())


def test_a_supplied_auto_id_key_is_written_but_not_beside_a_dynamic_field_in_csv(tmp_path: Path) -> None:
    schema = schema_asking("auto-id key with supplied values")
    with LocalBulkWriter(schema, tmp_path) as writer:
        writer.append_row({"id": 5, "v": [0.0, 1.0]})
    assert columns(writer)["id"] == [5]
    schema.enable_dynamic_field = True
    check_target(schema, BulkFileType.JSON, None)
    with pytest.raises(SchemaError, match=r"into \$meta; use PARQUET"):
        check_target(schema, BulkFileType.CSV, None)


def test_the_page_of_the_docs_is_the_table() -> None:
    page = DOCS / "formats.md"
    assert page.read_text() == targets.as_markdown(), "python -m vecmill.schema.carriage > docs/formats.md"
