"""Random schemas, rows, files and faults for `validate`: what is valid raises no alarm, what is planted is found.

Files come from our writer, from pymilvus', and from NumPy, pyarrow, json and csv alone (`plain_files`). Faults are
planted in the last: rows with one bad value, columns of another type, files that are cut, renamed, swapped, left out.
``python tests/validate_fuzz.py --seconds 600`` runs on.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import os
import random
import shutil
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vecmill import DataType as D
from vecmill import FieldSchema, LocalBulkWriter, SchemaError, create_schema, validate
from vecmill.output_formats import parse_file_type
from vecmill.schema.carriage import check_target
from vecmill.schema.servers import TARGETS

FORMS = ("npy", "parquet", "json", "jsonl", "csv")
INTS = {D.INT8: 8, D.INT16: 16, D.INT32: 32, D.INT64: 64}
DEFAULTS = dict.fromkeys(INTS, 7) | {D.BOOL: True, D.FLOAT: 0.5, D.DOUBLE: -1.5, D.VARCHAR: "x"}
DENSE = (D.FLOAT_VECTOR, D.FLOAT16_VECTOR, D.BFLOAT16_VECTOR, D.BINARY_VECTOR, D.INT8_VECTOR)
SCALARS = (D.BOOL, *INTS, D.FLOAT, D.DOUBLE, D.VARCHAR, D.JSON, D.GEOMETRY, D.TIMESTAMPTZ)
PIECES = (
    "a", "é", "🗼", " ", '"', "\\", ",", "\n", "'", "0", "]", "\u2028", "\t", "x" * 7, "\x7f", "\x01", "\ufeff",
    "null", "NaN", "e\u0301", "\U0010ffff", "{", "\u200f", "\r", "%s", "-",
)  # fmt: skip
F32_MAX = 3.4028234663852886e38


def text(rng: random.Random, max_bytes: int) -> str:
    made = ""
    for _ in range(rng.randrange(8)):
        piece = rng.choice(PIECES)
        if len((made + piece).encode()) <= max_bytes:
            made += piece
    return made.replace("\r\n", "\n")  # which CSV does not carry


def json_value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(7 if depth < 3 else 4)
    if kind < 4:
        return (None, rng.random() < 0.5, rng.choice([0, -1, 2**53, 1.5, 1e-300]), text(rng, 30))[kind]
    if kind == 4:
        return [json_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {text(rng, 9) or "k": json_value(rng, depth + 1) for _ in range(rng.randrange(4))}


def make_schema(rng: random.Random, form: str) -> Any:
    made = create_schema(enable_dynamic_field=rng.random() < 0.4)
    auto_id = rng.random() < 0.2
    if rng.random() < 0.5:
        made.add_field("id", D.INT64, is_primary=True, auto_id=auto_id)
    else:
        made.add_field("id", D.VARCHAR, is_primary=True, max_length=40, auto_id=auto_id)
    if rng.random() < 0.2:
        made.add_field("tenant", rng.choice([D.INT64, D.VARCHAR]), is_partition_key=True, max_length=9)
    kinds = [one for one in SCALARS if form != "npy" or one not in (D.TIMESTAMPTZ,)]
    kinds += [D.ARRAY] * 3 * (form != "npy") + [D.TEXT] * (form not in ("npy", "csv"))
    for i in range(rng.randrange(7)):
        params: dict[str, Any] = {}
        kind = rng.choice(kinds)
        if rng.random() < 0.3:
            params["nullable"] = True
        if kind is D.VARCHAR:
            params["max_length"] = rng.choice([1, 4, 12, 500])
        if kind is D.ARRAY:
            params |= {"element_type": rng.choice([D.BOOL, *INTS, D.FLOAT, D.DOUBLE, D.VARCHAR]), "max_capacity": 5}
            if params["element_type"] is D.VARCHAR:
                params["max_length"] = 6
        elif kind in DEFAULTS and rng.random() < 0.3:
            params["default_value"] = DEFAULTS[kind]
        made.add_field(f"f{i}", kind, **params)
    if form != "npy" and rng.random() < 0.2:
        made.add_field("structs", D.ARRAY, element_type=D.STRUCT, struct_schema=struct_fields(rng, form),
                       max_capacity=4, nullable=rng.random() < 0.2)  # fmt: skip
    if rng.random() < 0.15:
        made.add_field("words", D.VARCHAR, max_length=30, enable_analyzer=True)
        made.add_field("bm25", D.SPARSE_FLOAT_VECTOR)
        made.add_function({"name": "f", "type": 1, "input_field_names": ["words"], "output_field_names": ["bm25"]})
    vectors = [rng.choice(DENSE) for _ in range(rng.randrange(1, 4))]
    if form != "npy" and rng.random() < 0.4:
        vectors.append(D.SPARSE_FLOAT_VECTOR)
    for i, kind in enumerate(vectors):
        size = {} if kind is D.SPARSE_FLOAT_VECTOR else {"dim": 8 * rng.randrange(1, 4)}
        made.add_field(f"v{i}", kind, **size, nullable=rng.random() < 0.1)
    return made


def struct_fields(rng: random.Random, form: str) -> list[FieldSchema]:
    """Return sub-fields of a struct array."""
    made = [FieldSchema("n", rng.choice(list(NUMPY)))]
    if rng.random() < 0.5:
        made.append(FieldSchema("s", D.VARCHAR, max_length=9))
    if rng.random() < 0.5:
        made.append(FieldSchema("e", D.FLOAT_VECTOR if form == "csv" else rng.choice(DENSE), dim=8))
    return made


def value(rng: random.Random, field: Any, kind: Any = None) -> Any:
    """Return a valid value as JSON has it; dense vectors as float32 or as the integers that their bytes are."""
    kind = kind or field.dtype
    if kind in INTS:
        top = 1 << (INTS[kind] - 1)
        return rng.choice([0, -top, top - 1, rng.randrange(-top, top)])
    if kind is D.BOOL:
        return rng.random() < 0.5
    if kind is D.FLOAT:
        return float(np.float32(rng.choice([0.5, -F32_MAX, 1e-45, rng.gauss(0, 1e5)])))
    if kind is D.DOUBLE:
        return rng.choice([0.1, 1.7976931348623157e308, -5e-324, rng.gauss(0, 1e9)])
    if kind in (D.VARCHAR, D.TEXT):
        return text(rng, field.max_length or 100)
    if kind is D.JSON:
        return {"k": json_value(rng)} if rng.random() < 0.8 else {}
    if kind is D.GEOMETRY:
        return rng.choice(["POINT (1 2)", "LINESTRING (0 0, 1.5 2)", "POLYGON ((0 0, 1 0, 1 1, 0 0))"])
    if kind is D.TIMESTAMPTZ:
        return rng.choice(["2026-01-31T12:00:00Z", "1999-12-31T23:59:59.5+08:00"])
    if field.is_struct:
        n = rng.randrange(field.nullable, field.max_capacity + 1)
        return [{sub.name: value(rng, sub) for sub in field.struct_fields} for _ in range(n)]
    if kind is D.ARRAY:
        least = 1 if field.nullable else 0
        n = rng.randrange(least, field.max_capacity + 1)
        return [value(rng, field, field.element_type) for _ in range(n)]
    if kind is D.SPARSE_FLOAT_VECTOR:
        indices = rng.sample(range(50), rng.randrange(5)) + [2**32 - 2] * (rng.random() < 0.2)
        return {str(i): float(np.float32(rng.random())) for i in indices}
    if kind is D.BINARY_VECTOR:
        return [rng.randrange(256) for _ in range(field.dim // 8)]
    if kind is D.INT8_VECTOR:
        return [rng.choice([-128, 127, rng.randrange(-128, 128)]) for _ in range(field.dim)]
    return [rng.choice([0.0, 1.0, -2.5, 0.125 * rng.randrange(-99, 99)]) for _ in range(field.dim)]


def file_fields(schema: Any) -> list[Any]:
    """Return the fields that files hold, but $meta."""
    return [field for field in schema.written_fields() if not field.is_dynamic]


def make_rows(rng: random.Random, schema: Any, form: str) -> list[dict[str, Any]]:
    made = []
    for i in range(rng.choice([1, 2, 3, 17, 60])):
        row = {field.name: value(rng, field) for field in file_fields(schema)}
        if not schema.auto_id:
            row["id"] = i if schema.fields[0].dtype is D.INT64 else f"ключ {i}"
        for field in file_fields(schema):
            if form != "npy" and rng.random() < 0.2 and (field.nullable or field.default_value is not None):
                row[field.name] = None
        if schema.enable_dynamic_field and rng.random() < 0.7:
            row["$extra"] = {f"x{rng.randrange(3)}": json_value(rng) for _ in range(rng.randrange(3))}
        made.append(row)
    return made


def for_writer(schema: Any, row: dict[str, Any], *, theirs: bool) -> dict[str, Any]:
    """Return a row as bulk writers take it."""
    import ml_dtypes

    made = {name: one for name, one in row.items() if name != "$extra"} | row.get("$extra", {})

    def native(field: Any, one: Any) -> Any:
        if one is None:
            return None
        if field.dtype is D.FLOAT16_VECTOR:
            return np.array(one, np.float16)
        if field.dtype is D.BFLOAT16_VECTOR:
            return np.array(one, ml_dtypes.bfloat16)
        if field.dtype is D.BINARY_VECTOR:
            return np.unpackbits(np.array(one, np.uint8)).tolist()
        if field.dtype is D.SPARSE_FLOAT_VECTOR:
            return {int(index): x for index, x in one.items()}
        if field.is_struct:
            return [{sub.name: native(sub, part[sub.name]) for sub in field.struct_fields} for part in one]
        return one

    for field in file_fields(schema):
        one = made.get(field.name)
        made[field.name] = native(field, one)
        if theirs and one is None and field.dtype is D.SPARSE_FLOAT_VECTOR:
            raise ValueError("it would write the text null")
        if theirs and one is None and field.name in made and field.default_value is not None and not field.nullable:
            del made[field.name]
    return made


# -- files without a bulk writer


def half_bytes(field: Any, vector: list[float]) -> np.ndarray:
    import ml_dtypes

    kind = np.float16 if field.dtype is D.FLOAT16_VECTOR else ml_dtypes.bfloat16
    return np.array(vector, kind).view(np.uint8)


ARROW = {
    D.BOOL: pa.bool_(), D.INT8: pa.int8(), D.INT16: pa.int16(), D.INT32: pa.int32(), D.INT64: pa.int64(),
    D.FLOAT: pa.float32(), D.DOUBLE: pa.float64(),
}  # fmt: skip
NUMPY = {D.BOOL: "?", D.INT8: "i1", D.INT16: "i2", D.INT32: "i4", D.INT64: "i8", D.FLOAT: "f4", D.DOUBLE: "f8"}


def as_text(kind: Any, one: Any) -> Any:
    if one is None or isinstance(one, str):
        return one
    return json.dumps(one, ensure_ascii=False)


def struct_type(sub: Any) -> pa.DataType:
    if sub.dtype not in DENSE:
        return ARROW.get(sub.dtype, pa.string())
    return pa.list_({D.FLOAT_VECTOR: pa.float32(), D.INT8_VECTOR: pa.int8()}.get(sub.dtype, pa.uint8()))


def struct_cell(sub: Any, one: Any) -> Any:
    return half_bytes(sub, one).tolist() if sub.dtype in (D.FLOAT16_VECTOR, D.BFLOAT16_VECTOR) else one


def columns_of(schema: Any, rows: list[dict[str, Any]], form: str) -> dict[str, Any]:
    """Return the columns of NPY or Parquet, as arrays."""
    made: dict[str, Any] = {}
    for field in file_fields(schema):
        kind, cells = field.dtype, [row[field.name] for row in rows]
        if form == "npy":
            if kind in (D.FLOAT16_VECTOR, D.BFLOAT16_VECTOR):
                made[field.name] = np.array([half_bytes(field, one) for one in cells])
            elif kind in DENSE:
                made[field.name] = np.array(cells, {D.BINARY_VECTOR: "u1", D.INT8_VECTOR: "i1"}.get(kind, np.float32))
            elif kind in NUMPY:
                made[field.name] = np.array(cells, NUMPY[kind])
            else:
                texts = np.array([as_text(kind, one) for one in cells], "U")
                made[field.name] = texts if texts.dtype.itemsize else texts.astype("U1")
        elif kind in (D.FLOAT16_VECTOR, D.BFLOAT16_VECTOR):
            halves = [None if one is None else half_bytes(field, one).tolist() for one in cells]
            made[field.name] = pa.array(halves, pa.list_(pa.uint8()))
        elif kind in DENSE:
            item = {D.BINARY_VECTOR: pa.uint8(), D.INT8_VECTOR: pa.int8()}.get(kind, pa.float32())
            made[field.name] = pa.array(cells, pa.list_(item))
        elif field.is_struct:
            members = [(sub.name, struct_type(sub)) for sub in field.struct_fields]
            parts = [
                one and [{sub.name: struct_cell(sub, part[sub.name]) for sub in field.struct_fields} for part in one]
                for one in cells
            ]
            made[field.name] = pa.array(parts, pa.list_(pa.struct(members)))
        elif kind is D.ARRAY:
            made[field.name] = pa.array(cells, pa.list_(ARROW.get(field.element_type, pa.string())))
        else:
            made[field.name] = pa.array(
                [one if kind in ARROW else as_text(kind, one) for one in cells], ARROW.get(kind, pa.string())
            )
    if schema.enable_dynamic_field:
        extra = [json.dumps(row.get("$extra", {}), ensure_ascii=False) for row in rows]
        made["$meta"] = np.array(extra, "U") if form == "npy" else pa.array(extra, pa.string())
    return made


def plain_files(schema: Any, rows: list[dict[str, Any]], form: str, folder: Path, rng: random.Random) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    if form in ("npy", "parquet"):
        return save_columns(columns_of(schema, rows, form), form, folder, rng)
    path = folder / f"rows.{form}"
    if form == "csv":
        names = [field.name for field in file_fields(schema)]
        names += ["$meta"] * schema.enable_dynamic_field
        with path.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(names)
            for row in rows:
                cells = dict(row) | {"$meta": row.get("$extra", {})}
                writer.writerow([_cell(cells[name]) for name in names])
    else:
        made = [{k: v for k, v in row.items() if k != "$extra"} | row.get("$extra", {}) for row in rows]
        lines = [json.dumps(row, ensure_ascii=rng.random() < 0.5) for row in made]
        path.write_text("\n".join(lines) if form == "jsonl" else f"[{','.join(lines)}]")
    return [str(path)]


def _cell(one: Any) -> Any:
    if one is None:
        return ""
    return one if isinstance(one, str) else repr(one) if isinstance(one, float) else json.dumps(one, ensure_ascii=False)


def save_columns(columns: dict[str, Any], form: str, folder: Path, rng: random.Random) -> list[str]:
    if form == "npy":
        for name, array in columns.items():
            np.save(folder / f"{name}.npy", array)
        return [str(folder / f"{name}.npy") for name in columns]
    path = folder / "rows.parquet"
    table = pa.Table.from_arrays(list(columns.values()), names=list(columns))
    pq.write_table(
        table, path, compression=rng.choice(["none", "snappy", "zstd", "gzip"]), store_schema=rng.random() < 0.5,
        row_group_size=rng.choice([7, 1_000]), use_dictionary=rng.random() < 0.5,
    )  # fmt: skip
    return [str(path)]


# -- faults


def bad_values(rng: random.Random, field: Any, form: str) -> list[Any]:
    """Return values that do not fit a field, in a form that the format can hold at all."""
    kind, rows = field.dtype, form in ("json", "jsonl", "csv")
    top = 1 << (INTS.get(kind, 8) - 1)
    nothing = [None] if not field.nullable and field.default_value is None and form != "npy" else []
    if kind in INTS:
        return [*([top, -top - 1, 1.5, "x", True] if rows else []), *nothing]
    if kind is D.BOOL:
        return [*([2, "yes"] if rows else []), *nothing]
    if kind in (D.FLOAT, D.DOUBLE):
        return [
            float("nan"),
            float("inf"),
            *(["x"] if rows else []),
            *([1e39] if rows and kind is D.FLOAT else []),
            *nothing,
        ]
    if kind is D.TEXT:
        return [7] if form in ("json", "jsonl") else []
    if kind is D.VARCHAR:
        long = "é" * (field.max_length // 2 + 1)
        return [long, "x" * (field.max_length + 1), *([7] if form in ("json", "jsonl") else []),
                *(nothing if form != "csv" else [])]  # fmt: skip
    if kind is D.JSON:
        return [*(["{", "[1,", "nul"] if form not in ("json", "jsonl") else ["{"]), *nothing]
    if kind is D.GEOMETRY:
        return ["POINT (1", "CIRCLE (1 2)", *(nothing if form != "csv" else [])]
    if kind is D.TIMESTAMPTZ:
        return ["yesterday", "2026-13-01T00:00:00Z"]
    if kind is D.ARRAY:
        good = value(rng, field, field.element_type)
        return [[good] * (field.max_capacity + 1), [None], *nothing]
    if kind is D.SPARSE_FLOAT_VECTOR:
        return [{"-1": 1.0}, {"4294967295": 1.0}, {"1": -1.0}, {"x": 1.0}, *nothing]
    good = value(rng, field)
    if form == "npy":
        return (
            [[float("nan"), *good[1:]], [float("-inf"), *good[1:]]]
            if kind not in (D.BINARY_VECTOR, D.INT8_VECTOR)
            else []
        )
    found: list[Any] = [good[1:], [*good, good[0]], *nothing]
    if kind not in (D.BINARY_VECTOR, D.INT8_VECTOR):
        found += [[*good[:-1], float("nan")]]
    elif rows:
        found += [[*good[:-1], 256], [*good[:-1], 1.5]]
    return found


def spoil_value(rng: random.Random, schema: Any, rows: list[Any], form: str, folder: Path) -> tuple[str, Any] | None:
    field = rng.choice([field for field in file_fields(schema) if not field.is_struct])
    bad = bad_values(rng, field, form)
    if not bad:
        return None
    chosen = rng.choice(bad)
    at = rng.randrange(len(rows))
    made = [dict(row) for row in rows]
    made[at][field.name] = chosen
    return f"{field.dtype.name} = {chosen!r:.60}", [plain_files(schema, made, form, folder, rng)]


def spoil_columns(rng: random.Random, schema: Any, rows: list[Any], form: str, folder: Path) -> tuple[str, Any] | None:
    """Break whole columns of NPY or Parquet."""
    if form not in ("npy", "parquet"):
        return None
    columns = columns_of(schema, rows, form)
    fields = {field.name: field for field in file_fields(schema) if not field.is_struct}
    name = rng.choice(list(fields))
    field, array = fields[name], columns[name]
    fault = rng.choice(["type", "missing", "more", "swap", "rows", "fortran", "shape", "twice", "utf8"])
    if fault == "type":
        if form == "npy":
            other = {"f": "f2", "i": "u8", "u": "i2", "b": "u1", "U": "O"}[array.dtype.kind]
            columns[name] = array.astype(other)
        else:
            kind = array.type
            if pa.types.is_list(kind):
                columns[name] = pa.array([[0] * 3] * len(array), pa.list_(pa.uint16()))
            else:
                columns[name] = array.cast(pa.large_binary()) if pa.types.is_string(kind) else array.cast(pa.string())
            if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
                columns[name] = pa.array([1] * len(array), pa.uint64())
    elif fault == "missing":
        if field.nullable or field.default_value is not None or len(columns) == 1:
            return None
        del columns[name]
    elif fault == "more":
        columns["not_there"] = array
    elif fault == "swap":
        others = [one for one in fields if fields[one].dtype is not field.dtype]
        texts = (D.VARCHAR, D.TEXT, D.JSON, D.GEOMETRY, D.TIMESTAMPTZ, D.SPARSE_FLOAT_VECTOR)
        halves = (D.FLOAT16_VECTOR, D.BFLOAT16_VECTOR, D.BINARY_VECTOR)
        others = [one for one in others if not (fields[one].dtype in texts and field.dtype in texts)
                  and not (fields[one].dtype in halves and field.dtype in halves)]  # fmt: skip
        # A narrower number is taken for a wider one.
        others = [
            one
            for one in others
            if form == "npy"
            or not (fields[one].dtype in NUMPY or fields[one].dtype is D.ARRAY or field.dtype is D.ARRAY)
        ]
        if not others:
            return None
        other = rng.choice(others)
        columns[name], columns[other] = columns[other], columns[name]
    elif fault == "rows":
        if form != "npy" or len(columns) == 1 or len(rows) < 2:
            return None
        columns[name] = array[:-1]
    elif fault == "fortran":
        if form != "npy" or array.ndim < 2 or min(array.shape) < 2:
            return None
        columns[name] = np.asfortranarray(array)
    elif fault == "shape":
        if form != "npy":
            return None
        columns[name] = array[:, :-1] if array.ndim == 2 else array[:, None]
    elif fault == "utf8":
        if form != "parquet" or not pa.types.is_string(array.type) or field.nullable:
            return None
        bad = pa.array([b"\xff\xfe"] * len(array), pa.binary())
        columns[name] = pa.Array.from_buffers(pa.string(), len(bad), bad.buffers())
    elif fault == "twice":
        if form != "parquet":
            return None
        table = pa.Table.from_arrays([*columns.values(), array], names=[*columns, name])
        folder.mkdir(parents=True)
        pq.write_table(table, folder / "rows.parquet")
        return f"{fault} {name}", [[str(folder / "rows.parquet")]]
    folder.mkdir(parents=True)
    return f"{fault} {field.dtype.name}", [save_columns(columns, form, folder, rng)]


def spoil_file(rng: random.Random, schema: Any, rows: list[Any], form: str, folder: Path) -> tuple[str, Any] | None:
    paths = plain_files(schema, rows, form, folder, rng)
    which = rng.randrange(len(paths))
    path = Path(paths[which])
    data = path.read_bytes()
    fault = rng.choice(["cut", "ending", "empty", "utf8", "gone", "twice", "json_twice", "bom"])
    if fault == "cut":
        n = rng.randrange(1, len(data))
        if form == "jsonl" and (
            data[:-n].endswith(b"}") or not data[:-n].strip() or data[len(data) - n : len(data) - n + 1] == b"\n"
        ):
            return None  # fewer rows, and no fault that shows
        if form == "csv":
            return None
        path.write_bytes(data[:-n])
        fault += f" by {n} of {len(data)}"
    elif fault == "ending":
        other = path.with_suffix(rng.choice([".JSON", ".txt", "", ".npz", ".parq"]))
        path.rename(other)
        paths[which] = str(other)
    elif fault == "empty":
        path.write_bytes(b"")
    elif fault == "gone":
        path.unlink()
    elif fault == "twice":
        return fault, [paths, paths]
    elif fault == "utf8":
        if form in ("npy", "parquet"):
            return None
        at = data.find("ключ".encode())
        if at < 0:
            return None
        path.write_bytes(data[:at] + b"\xff" + data[at + 1 :])
    elif fault == "json_twice":
        if form not in ("json", "jsonl") or b'{"id"' not in data:
            return None
        path.write_bytes(data.replace(b'{"id"', b'{"id": 0, "id"', 1))
    elif fault == "bom":
        if form in ("npy", "parquet"):
            return None
        path.write_bytes(b"\xef\xbb\xbf" + data)
    return fault, [paths]


FAULTS = (spoil_value, spoil_value, spoil_columns, spoil_columns, spoil_file)


# -- one round


class Failed(AssertionError):
    pass


def read_lines(schema: Any, form: str) -> list[str | None]:
    found: list[str | None] = []
    for target in TARGETS:
        try:
            check_target(schema, parse_file_type(form), target)
        except SchemaError:
            continue
        found.append(target)
    return [None, *found]


def alarms(files: Any, schema: Any, targets: list[str | None], rng: random.Random, told: str) -> None:
    target, level = rng.choice(targets), rng.choice(["headers", "sample", "full", "full"])
    report = validate(files, schema, target=target, level=level, sample_rows=rng.choice([2, 10_000]))
    if report.findings:
        raise Failed(f"false alarm ({told}, target {target}, level {level}): {report.findings[0]}")


def theirs(schema: Any, rows: list[Any], form: str, folder: Path) -> list[list[str]] | None:
    from pymilvus import CollectionSchema as TheirSchema
    from pymilvus.bulk_writer import BulkFileType
    from pymilvus.bulk_writer import LocalBulkWriter as TheirWriter

    kinds = {
        "npy": BulkFileType.NUMPY,
        "json": BulkFileType.JSON,
        "csv": BulkFileType.CSV,
        "parquet": BulkFileType.PARQUET,
    }
    if form not in kinds:
        return None
    try:
        writer = TheirWriter(TheirSchema.construct_from_dict(schema.to_dict()), str(folder), file_type=kinds[form])
        for row in rows:
            writer.append_row(for_writer(schema, row, theirs=True))
        writer.commit()
    except Exception:  # what it does not carry is its own affair
        return None
    return writer.batch_files or None


def one_round(seed: int, root: Path, counts: Counter[str]) -> None:
    rng = random.Random(seed)
    form = rng.choice(FORMS)
    schema = make_schema(rng, form)
    rows = make_rows(rng, schema, form)
    targets = read_lines(schema, form)
    if len(targets) == 1:
        return
    config = {"nullkey": "\\N"} if form == "csv" else None
    try:
        with LocalBulkWriter(
            schema, root / "ours", file_type=form, config=config, chunk_size=rng.choice([500, 1 << 20])
        ) as writer:
            writer.append_rows([for_writer(schema, row, theirs=False) for row in rows])
    except SchemaError:
        return
    alarms(writer.data_path, None, targets, rng, "ours")
    counts["ours"] += 1
    left = {f.name for f in file_fields(schema) if f.default_value is not None and any(r[f.name] is None for r in rows)}
    if left:  # what older servers do not fill in
        targets = [one for one in targets if one is None or TARGETS[one] >= (2, 5)]
    made = theirs(schema, rows, form, root / "theirs")
    if made is not None:
        alarms(made, schema, targets, rng, "pymilvus")
        counts[f"pymilvus {form}"] += 1
    # Without a nullkey of its own an empty cell is a null.
    empty = form == "csv" and any(row[f.name] == "" for f in file_fields(schema) for row in rows)
    if not empty:
        alarms([plain_files(schema, rows, form, root / "plain", rng)], schema, targets, rng, "plain")
        counts["plain"] += 1
    for i in range(6):
        act = rng.choice(FAULTS)
        spoiled = act(rng, schema, rows, form, root / f"bad{i}")
        if spoiled is None:
            continue
        told, files = spoiled
        report = validate(files, schema, target=None)
        # An unknown column is advice where every server that reads the schema passes over it.
        if report.ok and not {"column-unknown", "column-dynamic"} & report.counts.keys():
            raise Failed(f"not found: {form}: {told}; {[str(one) for one in report.findings]}")
        counts["faults"] += 1
    flips(rng, writer, counts)


def flips(rng: random.Random, writer: Any, counts: Counter[str]) -> None:
    """Change a byte of our output: its manifest knows. Without the manifest, nothing may break."""
    path = Path(rng.choice([path for group in writer.batch_files for path in group]))
    data = bytearray(path.read_bytes())
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    if validate(writer.data_path).ok:
        raise Failed(f"a changed bit was not found: byte {at} of {path.name}")
    validate(writer.batch_files, writer.schema)
    counts["flips"] += 1


def run(seeds: Any, seconds: float, *, stop: bool = True) -> Counter[str]:
    logging.disable(logging.WARNING)
    counts: Counter[str] = Counter()
    end = time.monotonic() + seconds
    for seed in seeds:
        if time.monotonic() > end:
            break
        root = Path(tempfile.mkdtemp(prefix="validate-fuzz-"))
        try:
            one_round(seed, root, counts)
            counts["rounds"] += 1
        except Exception as error:
            if stop:
                raise Failed(f"seed {seed}: {error!r}") from error
            counts["FAILED"] += 1
            print(f"seed {seed}: {type(error).__name__}: {str(error)[:300]}", flush=True)
            if not isinstance(error, Failed):
                traceback.print_exc(limit=-4)
        finally:
            shutil.rmtree(root)
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=os.getpid() * 1_000_000)
    args = parser.parse_args()
    print(run(range(args.seed, args.seed + 10**9), args.seconds, stop=False))
