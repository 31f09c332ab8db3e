"""JSON as nobody expects it: what a writer takes, the server takes for what it is, by all that `validate` knows."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from faulty_files import D
from format_names import FORMATS
from vecmill import CollectionSchema, DataError, LocalBulkWriter, create_schema, validate

TEXTS = ("json", "jsonl")

# A row's part, and the formats that refuse it.
ROWS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "numbers of any size that float64 has": ({"j": {"a": [1e308, -1e-320, 2**60 + 1, 10**300]}}, ()),
    "the same as text": ({"j": '{"a": [1e308, 17e307, 1e-9999, 1152921504606846977]}'}, ()),
    "letters that look like a power": ({"j": {"e+999": "1e999"}, "1e400": "x"}, ()),
    "a number beyond float64 as text": ({"j": '{"a": 1e400}'}, FORMATS),
    "an integer beyond float64": ({"j": {"a": 10**400}}, FORMATS),
    "a dynamic integer beyond float64": ({"x": 10**400}, FORMATS),
    "a number beyond float64 in $meta": ({"$meta": '{"a": 1e400}'}, FORMATS),
    "a dynamic integer that float64 has": ({"x": [2**53, {"y": 10**22}]}, ()),
    "a dynamic integer that float64 has not": ({"x": [{"y": 2**53 + 1}]}, ("csv",)),
    "one in $meta": ({"$meta": {"x": -(2**60) - 1}}, ("csv",)),
    "many digits in a dynamic text": ({"x": "9007199254740993"}, ()),
    "a key twice": ({"j": '{"a": {"b": 1, "b": 2}}'}, TEXTS),
    "a key twice in $meta": ({"$meta": '{"a": 1, "a": 2}'}, FORMATS),
    "a key of $meta that is a field": ({"$meta": {"id": 5}}, FORMATS),
    "a key in $meta and beside it": ({"$meta": {"x": 1}, "x": 2}, FORMATS),
    "$meta in $meta": ({"$meta": {"$meta": 1}}, FORMATS),
    "a lone surrogate": ({"j": {"a": "\ud800"}}, FORMATS),
    "its escape": ({"j": '{"a": "\\ud800"}'}, FORMATS),
    "a pair of them": ({"j": '{"a": "\\ud83d\\udca9"}', "x": "\U0001f4a9"}, ()),
    "one as a dynamic key": ({"a\ud800": 1}, FORMATS),
    "what is no object": ({"j": [1, 2.5, None, "a"]}, ()),
    "nothing of a kind": ({"j": {"": [], "a": {}, "b": [[]]}, "": 1}, ()),
}


def make_schema() -> CollectionSchema:
    made = create_schema(enable_dynamic_field=True)
    made.add_field("id", D.INT64, is_primary=True)
    made.add_field("j", D.JSON)
    made.add_field("v", D.FLOAT_VECTOR, dim=2)
    return made


def arrow_of(row: dict[str, Any]) -> pa.Table | None:
    """Return the row as Arrow data, JSON as text; None where there is no column of a part of it."""
    if row.keys() - {"id", "j", "v", "$meta"}:
        return None
    given = {key: row[key] for key in ("j", "$meta") if key in row}
    texts = {key: [one if isinstance(one, str) else json.dumps(one)] for key, one in given.items()}
    return pa.table({"id": [row["id"]], "v": pa.array([row["v"]], pa.list_(pa.float32())), **texts})


def all_of(part: dict[str, Any]) -> dict[str, Any]:
    return {"id": 1, "j": {"k": 1}, "v": [1.0, 2.0]} | part


WAYS = [
    (name, way)
    for name, (part, _) in ROWS.items()
    for way in ("row", "batch", "arrow")
    if way != "arrow" or arrow_of(all_of(part)) is not None
]


@pytest.mark.parametrize(("name", "way"), WAYS)
@pytest.mark.parametrize("form", FORMATS)
def test_what_is_written_is_fine(form, name, way, tmp_path):
    part, refusing = ROWS[name]
    row = all_of(part)
    with LocalBulkWriter(make_schema(), tmp_path, file_type=form) as writer:

        def append() -> None:
            if way == "row":
                writer.append_row(row)
            else:
                writer.append_batch(arrow_of(row) if way == "arrow" else {key: [value] for key, value in row.items()})

        if form in refusing:
            with pytest.raises(DataError):
                append()
            return
        append()
    report = validate(writer.data_path)
    assert (report.rows, [str(one) for one in report.findings]) == (1, [])
