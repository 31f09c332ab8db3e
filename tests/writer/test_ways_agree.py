"""One law: whatever way the same rows come in, the same bytes go out, or the same row is refused."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, note
from hypothesis import strategies as st

from examples import GIVEN, examples
from physical_forms import HALF_TYPES, INTEGERS, JSON, JSON_TYPES, Field, arrow_forms, fields
from vecmill import DataType, LocalBulkWriter, convert, create_schema
from vecmill.errors import DataError

D = DataType
Row = dict[str, Any]
Outcome = bytes | tuple[str | None, int | None]
EXAMPLES = examples(
    12,
    phases=[Phase.generate, Phase.shrink],  # not explain, which traces every line
    derandomize=not GIVEN,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)  # fmt: skip
VECTOR = Field("v", D.FLOAT_VECTOR, {"dim": 2}, st.just([0.5, -0.0]))
KEYS = [
    Field("id", D.INT64, {"is_primary": True}, st.integers(-(2**63), 2**63 - 1)),
    Field("id", D.VARCHAR, {"is_primary": True, "max_length": 24}, st.text(st.characters(codec="utf-8"), max_size=6)),
]


def written(folder: Path, schema: Any, put: Callable[[LocalBulkWriter], object]) -> Outcome:
    """Return the bytes of the file, or field and row of the refusal."""
    try:
        with LocalBulkWriter(schema, folder, file_type="parquet") as writer:
            put(writer)
    except DataError as error:
        return error.field, error.row
    assert len(writer.batch_files) == 1
    return Path(writer.batch_files[0][0]).read_bytes()


def converted(path: Any, folder: Path, schema: Any) -> Outcome:
    try:
        report = convert(path, folder, schema=schema, file_type="parquet")
    except DataError as error:
        return error.field, error.row
    return Path(report.files[0][0]).read_bytes()


def numpy_forms(field: Field, values: list[Any]) -> list[Any]:
    """Return the column as NumPy has it; a column with nulls is an array of objects."""
    if None in values or field.dtype in (D.JSON, D.STRUCT, D.SPARSE_FLOAT_VECTOR, D.ARRAY):
        return []
    if field.dtype in INTEGERS:
        return [np.array(values, np.int64), np.array(values, object)]
    if field.dtype in (D.VARCHAR, D.GEOMETRY, D.TIMESTAMPTZ):
        padded = any("\0" in value for value in values)
        forms = [np.array(values, np.dtypes.StringDType()), np.array(values, object)]
        return forms if padded else [*forms, np.array(values), np.array([value.encode() for value in values])]
    if field.dtype is D.BOOL:
        return [np.array(values), np.array(values, object)]
    if field.dtype in (D.FLOAT, D.DOUBLE):
        return [np.array(values, np.float64)]
    if len({len(value) for value in values}) != 1:
        return []
    matrix = np.array(values)
    wide = [matrix, np.asfortranarray(matrix), np.repeat(matrix, 2, axis=0)[::2]]
    if field.dtype in HALF_TYPES and np.isfinite(matrix).all():
        wide.append(matrix.astype(HALF_TYPES[field.dtype]))
    if field.dtype is D.BINARY_VECTOR and matrix.max() <= 1:
        wide += [matrix.astype(bool), np.packbits(matrix.astype(np.uint8), axis=1)]
    return wide


def ways(
    draw: Callable[[list[Any]], Any], fields: list[Field], rows: list[Row], names: list[str], folder: Path
) -> dict[str, Any]:
    """Return the ways in, as functions of a writer, or as a source of convert."""
    columns = {name: [row[name] for row in rows] for name in names}
    by_name = {field.name: field for field in fields}
    found: dict[str, Any] = {
        "row": lambda w: [w.append_row(row) for row in rows],
        "lists": lambda w: w.append_batch(columns),
        "tuples": lambda w: w.append_batch({name: tuple(values) for name, values in columns.items()}),
    }
    mixed, table = {}, {}
    for name in names:
        arrays = arrow_forms(by_name[name], columns[name])
        table[name] = draw(arrays)
        mixed[name] = draw([columns[name], *numpy_forms(by_name[name], columns[name])])
        note(f"{name}: {table[name].type}, {getattr(mixed[name], 'dtype', 'list')}")
    arrow = pa.table({name: pa.chunked_array([array[:1], array[1:]]) for name, array in table.items()})
    found["numpy"] = lambda w: w.append_batch(mixed)
    found["arrow mapping"] = lambda w: w.append_batch(table)
    found["arrow table"] = lambda w: w.append_batch(arrow)
    found["arrow stream"] = lambda w: w.append_batch(arrow.to_reader())
    found["objects"] = lambda w: w.append_batch(
        pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    )
    if not any(pa.types.is_run_end_encoded(array.type) for array in table.values()):
        whole = {name: draw(arrow_forms(by_name[name], columns[name])) for name in names}
        whole = {name: array for name, array in whole.items() if not pa.types.is_run_end_encoded(array.type)}
        if len(whole) == len(names) and in_parquet(pa.table(whole), folder / "t.parquet"):
            found["convert"] = folder / "t.parquet"
    found["convert table"] = arrow
    found["polars"] = lambda w: w.append_batch({name: polars_of(array) for name, array in table.items()})
    found["pandas"] = lambda w: w.append_batch({name: pandas_of(array) for name, array in table.items()})
    return found


def in_parquet(table: pa.Table, path: Path) -> bool:
    try:
        pq.write_table(table, path, row_group_size=2)
    except pa.ArrowNotImplementedError:
        return False
    return True


def polars_of(array: pa.Array) -> Any:
    """Return the column as Polars has it, if it has it: maps, for one, are lists of pairs there."""
    if any(word in str(array.type) for word in ("map<", "run_end", "view", "fixed_size_binary")):
        return array
    # Not the slice itself: Polars 2.1 refuses one of fixed_size_list with nulls.
    return pl.from_arrow(pa.array(array.to_pylist(), array.type) if "fixed_size_list" in str(array.type) else array)


def pandas_of(array: pa.Array) -> Any:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([array])))


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Field], list[Field], list[Row], int | None]:
    """Draw fields, keys of the dynamic field, rows, and the row that is wrong."""
    n = draw(st.integers(1, 4))
    found = [draw(st.sampled_from(KEYS)), VECTOR, *(draw(fields(f"f{i}")) for i in range(draw(st.integers(1, 3))))]
    dynamic = []
    for i in range(draw(st.integers(0, 2))):
        flavour = draw(st.sampled_from(sorted(JSON_TYPES)))
        dynamic.append(Field(f"d{i}", D.JSON, {"nullable": True}, JSON[flavour], (), JSON_TYPES[flavour], True))
    rows = [
        {f.name: draw(st.none() | f.values if f.nullable else f.values) for f in (*found, *dynamic)} for _ in range(n)
    ]
    wrong = draw(st.none() | st.integers(0, n - 1))
    if wrong is not None:
        field = draw(st.sampled_from(found[2:]))
        bad = [*field.bad, *([] if field.nullable else [None])]
        if bad:
            rows[wrong][field.name] = draw(st.sampled_from(bad))
    return found, dynamic, rows, wrong


@EXAMPLES
@given(cases(), st.randoms(use_true_random=False))
def test_every_way_in_gives_the_same_file_or_refuses_the_same_row(
    case: tuple[list[Field], list[Field], list[Row], int | None], choice: random.Random
) -> None:
    found, dynamic, rows, _ = case
    schema = create_schema(enable_dynamic_field=bool(dynamic))
    for field in found:
        schema.add_field(field.name, field.dtype, **field.params)
    with tempfile.TemporaryDirectory() as folder:  # not pytest's, which would keep those of many examples
        check(schema, found, dynamic, rows, choice, Path(folder))


def check(
    schema: Any, found: list[Field], dynamic: list[Field], rows: list[Row], choice: random.Random, folder: Path
) -> None:
    expected = written(folder / "rows", schema, lambda w: w.append_rows(rows))
    note(f"by append_rows: {expected if isinstance(expected, tuple) else 'taken'}")
    names = [field.name for field in (*found, *dynamic)]
    for name, way in ways(choice.choice, [*found, *dynamic], rows, names, folder).items():
        note(name)
        outcome = written(folder / name, schema, way) if callable(way) else converted(way, folder / name, schema)
        if name.startswith("convert") and isinstance(outcome, tuple) and outcome[1] is None:
            # Vectors whose type says that all have another length are refused before the first row.
            outcome = (outcome[0], expected[1])  # type: ignore[assignment]
        assert outcome == expected, name
