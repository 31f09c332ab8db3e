"""Infers a schema from a `Source`: every column gets a field type that holds all of its values."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from vecmill.encode.decimals import first_unlike
from vecmill.errors import DataError, SchemaError
from vecmill.schema.collection import MAX_LENGTH_BYTES, CollectionSchema, create_schema
from vecmill.sources.base import Column, Source, names_text
from vecmill.sources.common_type import common_type, is_bytes, is_list, is_text, plain_type
from vecmill.types.kind import DataType
from vecmill.types.lookup import TYPES
from vecmill.types.sparse import SPARSE_TEXT

MIN_MAX_LENGTH = 256
"""Least ``max_length`` (bytes) that is chosen, so that a collection made from a sample also takes what comes later."""

_OF_EXTENSIONS = {"arrow.json": DataType.JSON, "arrow.uuid": DataType.VARCHAR, "arrow.bool8": DataType.BOOL}
_EXACT_DIGITS = 15  # of a decimal: any INT64 and DOUBLE has its value
_INT64_MAX = (1 << 63) - 1
_KEY_NAMES = ("id", "pk")
NEW_KEY_NAMES = ("id", "pk", "auto_id", "vecmill_id")
_PEEK_ROWS = 1024
_MOST_SHOWN = 12
_FLAG_WORDS = {"is_primary": "primary key", "nullable": "nullable"}
_NEEDS_SCHEMA = "give a schema (--schema) that says what it is"


@dataclass(frozen=True, slots=True)
class Inference:
    """An inferred schema, with one line per column (in order) that explains the choice."""

    schema: CollectionSchema
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    """The field that a column becomes. ``scan``: its longest text, largest value or nulls must be read."""

    column: Column
    dtype: DataType
    params: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    scan: bool = False
    nullable: bool = False
    largest: int = 0


def infer(source: Source, *, primary: str | None = None) -> Inference:
    """Return a schema with a field for every column of ``source``, and notes on what was chosen.

    The primary key is the column ``primary``. Without that it is a column ``id`` or ``pk`` of integers or text that has
    no nulls; if there is none, the server makes keys (auto-id INT64). Lists of floats become vectors, with the dim of
    the first row: the writer refuses any row that differs. ``max_length`` is at least twice the longest text (a power
    of two, 256 to 65,535 bytes). A field is nullable when its column holds a null. Text columns, uint64, and columns
    whose footer does not count nulls are read once for that; of vectors only the first rows are read.

    Raises SchemaError for a type that no field can hold or that has two meanings, naming the column; DataError and
    StoreError when the source cannot be read.
    """
    sparse = _sparse_texts(source)
    choices = [_choose(column, source, sparse) for column in source.columns]
    choices = _scan(source, choices)
    key = _key(choices, primary)
    schema = create_schema()
    notes: list[str] = []
    if key is None:
        taken = {choice.column.name for choice in choices}
        name = next(name for name in NEW_KEY_NAMES if name not in taken)
        schema.add_field(name, DataType.INT64, is_primary=True, auto_id=True)
        notes.append(f"{name}: primary key INT64 that the server assigns (auto_id), as no column can be it")
    notes += [_add_field(schema, choice, is_key=choice is key) for choice in choices]
    if not any(one.kind.is_vector for one in schema.fields):
        raise _no_vector(source, choices)
    try:
        schema.verify()
    except SchemaError as err:
        if err.field in {choice.column.name for choice in choices}:
            err.add_note(f"--map NAME={err.field} (columns=) gives it another name")
        raise
    return Inference(schema, tuple(notes))


def _add_field(schema: CollectionSchema, choice: _Choice, *, is_key: bool) -> str:
    """Add the field of a column. Return a text about it."""
    params: dict[str, Any] = dict(choice.params)
    dtype = choice.dtype
    if dtype is DataType.VARCHAR:
        params["max_length"] = _max_length(choice)
    if is_key:
        params["is_primary"] = True
        dtype = DataType.VARCHAR if dtype is DataType.VARCHAR else DataType.INT64
    elif choice.nullable:
        params["nullable"] = True
    schema.add_field(choice.column.name, dtype, **params)
    words = [dtype.name, *(f"{name} {value}" for name, value in params.items() if value is not True)]
    words += [_FLAG_WORDS[name] for name, value in params.items() if value is True]
    note = f" ({choice.note})" if choice.note else ""
    return f"{choice.column.name}: {choice.column.type} -> {' '.join(words)}{note}"


def _no_vector(source: Source, choices: list[_Choice]) -> SchemaError:
    """Return the error for a source without a vector column: it names the columns, and the option that helps."""
    shown = ", ".join(f"{one.column.name} ({one.column.type}) -> {one.dtype.name}" for one in choices[:_MOST_SHOWN])
    more = f" and {len(choices) - _MOST_SHOWN} more" if len(choices) > _MOST_SHOWN else ""
    lists = [one.column for one in choices if _holds_numbers(one.column.type)]
    way_out = "--map vector=emb.npy or --join (columns=, join=) brings vectors from another file"
    if lists:
        name, kind = lists[0].name, lists[0].type
        dim = getattr(kind, "list_size", 0) or _first_length(lists[0], source)
        way_out = (
            f"lists of whole numbers become vectors by --type '{name}=vector({dim})' (types=) where the file is text, "
            "else by a schema (--schema) that says so"
        )
    return SchemaError(
        f"no column becomes a vector field, the server asks for at least one: {shown or 'no columns'}{more}; {way_out}"
    )


def _holds_numbers(kind: Any) -> bool:
    import pyarrow.types as t

    return is_list(kind) and bool(t.is_integer(kind.value_type))


def _choose(column: Column, source: Source, sparse: Collection[str]) -> _Choice:
    """Return the choice for the type of ``column``. Values are read of lists only: the first row has their dim.

    ``sparse`` names columns of text that are sparse vectors.
    """
    import pyarrow.types as t

    if common_type(type_ for type_, _ in column.forms) is None:
        (one, file), (other, elsewhere) = _unlike(column)
        raise DataError(
            file=elsewhere, field=column.name, expected=f"{one}, as in {file!r}", got=f"{other}; {_NEEDS_SCHEMA}"
        )
    kind = plain_type(column.type)
    if is_list(kind):
        return _choose_list(column, kind, source)
    dtype = _OF_EXTENSIONS.get(getattr(column.type, "extension_name", "")) or _scalar_type(kind)
    if column.name in sparse:
        dtype = DataType.SPARSE_FLOAT_VECTOR
    if dtype is None:
        reason = f"a column of type {column.type} becomes no field; --drop {column.name} (drop=) leaves it out"
        raise SchemaError(reason, field=column.name)
    choice = _checked(column, dtype, note="as ISO 8601 text" if t.is_temporal(kind) or t.is_interval(kind) else "")
    # No footer has the length of texts, the largest uint64, or what a decimal needs.
    needed = t.is_uint64(kind) or dtype is DataType.VARCHAR or (t.is_decimal(kind) and kind.precision > _EXACT_DIGITS)
    return replace(choice, scan=True) if needed else choice


def _sparse_texts(source: Source) -> set[str]:
    """Return the columns of text whose first rows are sparse vectors as pgvector prints them."""
    texts = [column.name for column in source.columns if is_text(plain_type(column.type))]
    batch = next(iter(source.batches(texts, batch_rows=_PEEK_ROWS)), {}) if texts else {}
    found = set()
    for name, values in batch.items():
        present = [text for text in values.to_pylist() if text is not None] if hasattr(values, "to_pylist") else []
        if present and all(SPARSE_TEXT.fullmatch(text) for text in present):
            found.add(name)
    return found


def _unlike(column: Column) -> tuple[tuple[Any, str], tuple[Any, str]]:
    """Return two types of a column that no type holds together, each with its file."""
    first, *others = column.forms
    return first, next((one for one in others if common_type((first[0], one[0])) is None), others[-1])


def _scalar_type(kind: Any) -> DataType | None:
    import pyarrow.types as t

    if t.is_temporal(kind) or t.is_interval(kind) or is_bytes(kind):
        return DataType.VARCHAR
    if t.is_decimal(kind):
        return DataType.DOUBLE if kind.scale > 0 else DataType.INT64
    if t.is_struct(kind) or t.is_map(kind):
        return DataType.SPARSE_FLOAT_VECTOR if _is_sparse(kind) else DataType.JSON
    return next((dtype for dtype, row in TYPES.items() if not row.is_vector and str(kind) in row.inferred_from), None)


def _is_sparse(kind: Any) -> bool:
    """Return True for a struct of the lists ``indices`` and ``values``, and for a map of whole numbers to floats."""
    import pyarrow.types as t

    if t.is_map(kind):
        return bool(t.is_integer(kind.key_type) and t.is_floating(kind.item_type))
    members = {field.name: field.type for field in kind}
    if members.keys() != {"indices", "values"} or not all(map(is_list, members.values())):
        return False
    return bool(t.is_integer(members["indices"].value_type) and t.is_floating(members["values"].value_type))


def _checked(column: Column, dtype: DataType, note: str = "") -> _Choice:
    """Return a choice with its nulls: counted in the footer, or to be counted by reading."""
    import pyarrow.types as t

    # Within structs and lists the footer does not count rows.
    exact = not t.is_nested(column.type)
    unknown = not column.absent and (column.null_count is None or (column.null_count > 0 and not exact))
    nullable = bool(column.absent) or (exact and bool(column.null_count))
    return _Choice(column, dtype, note=note, scan=unknown, nullable=nullable)


def _choose_list(column: Column, kind: Any, source: Source) -> _Choice:
    import pyarrow.types as t

    element, fixed = str(kind.value_type), t.is_fixed_size_list(kind)
    if t.is_decimal(kind.value_type):  # DuckDB's type of [0.1, 0.2]
        element = "double"
    row = next((one for one in TYPES.values() if one.group == "dense" and element in one.inferred_from), None)
    # Bits need a list type of fixed length.
    if row is None or (row.is_bits and not fixed):
        return _checked(column, DataType.JSON, note="a list, as JSON text; a schema may make it an ARRAY")
    if row.is_bits and element == "uint8" and not _zeros_and_ones(column, source):
        raise SchemaError(
            f"{kind.list_size} uint8 a row may be packed bits of a binary vector or numbers; {_NEEDS_SCHEMA}",
            field=column.name,
        )
    dim = kind.list_size if fixed else _first_length(column, source)
    choice = _checked(column, row.dtype, note=row.inferred_from[element])
    # All vectors are read only if the footer counts nulls among them.
    return replace(choice, params={"dim": dim}, scan=bool(column.null_count) and not choice.nullable)


def _first_length(column: Column, source: Source) -> int:
    """Return the length of the first list that is neither null nor empty."""
    import pyarrow.compute as pc

    for batch in source.batches([column.name], batch_rows=_PEEK_ROWS):
        values = batch[column.name]
        if is_list(values.type):  # else these rows have none
            lengths = pc.list_value_length(values).to_pylist()
            if any(lengths):
                return int(next(length for length in lengths if length))
    raise SchemaError("no row tells the dim of the vectors; give a schema (--schema)", field=column.name)


def _zeros_and_ones(column: Column, source: Source) -> bool:
    import numpy as np

    for batch in source.batches([column.name], batch_rows=_PEEK_ROWS):
        values = batch[column.name]
        flat = values if isinstance(values, np.ndarray) else np.asarray(values.flatten())
        return bool(flat.size) and int(flat.max()) <= 1
    return False


def _scan(source: Source, choices: list[_Choice]) -> list[_Choice]:
    """Read the columns that need it, in one pass, for nulls, the longest text (bytes) and the largest uint64."""
    wanted = [choice.column.name for choice in choices if choice.scan]
    largest = dict.fromkeys(wanted, 0)
    nulls = {choice.column.name: int(choice.nullable) for choice in choices if choice.scan}
    dtypes = {choice.column.name: choice.dtype for choice in choices if choice.scan}
    for batch in source.batches(wanted) if wanted else _nothing():
        for name, values in batch.items():
            nulls[name] += getattr(values, "null_count", 0)
            largest[name] = max(largest[name], _largest(values))
            dtypes[name] = _narrowed(name, dtypes[name], values)
    done = []
    for choice in choices:
        name = choice.column.name
        if name not in largest:
            done.append(choice)
            continue
        if choice.dtype is DataType.INT64 and largest[name] > _INT64_MAX:
            raise SchemaError(f"a column of type uint64 holds {largest[name]}, INT64 ends at {_INT64_MAX}", field=name)
        note = choice.note if dtypes[name] is choice.dtype else f"its digits, more than {choice.dtype.name} holds"
        done.append(replace(choice, dtype=dtypes[name], note=note, nullable=nulls[name] > 0, largest=largest[name]))
    return done


def _narrowed(name: str, dtype: DataType, values: Any) -> DataType:
    """Return what a column can be that has these values, too: decimals that no number equals become text.

    Raises SchemaError for bytes that are no text.
    """
    import pyarrow.types as t

    kind = getattr(values, "type", None)
    if kind is None or dtype not in (DataType.INT64, DataType.DOUBLE, DataType.VARCHAR):
        return dtype
    if t.is_decimal(kind) and dtype is not DataType.VARCHAR:
        unlike = first_unlike(values, whole=dtype is DataType.INT64)
        return dtype if unlike is None else DataType.VARCHAR
    if is_bytes(kind):
        for raw in values.to_pylist():
            if raw is not None and (0 in raw or not _is_utf8(raw)):
                way_out = f"{_NEEDS_SCHEMA}, or leave it out (--drop {name}, drop=)"
                raise SchemaError(f"a column of type {kind} with bytes that are no text; {way_out}", field=name)
    return dtype


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _nothing() -> Iterator[dict[str, Any]]:
    yield from ()


def _largest(values: Any) -> int:
    """Return the longest text (bytes) or the largest unsigned integer in one batch of a column; 0 for other types."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as t

    if isinstance(values, np.ndarray):
        return int(values.max()) if values.dtype.kind == "u" and values.size else 0
    if t.is_dictionary(values.type):
        values = values.dictionary_decode()
    if is_text(values.type) or is_bytes(values.type):
        values = pc.binary_length(values.cast(pa.large_string() if is_text(values.type) else pa.large_binary()))
    elif not t.is_unsigned_integer(values.type):
        return 0
    return int(pc.max(values).as_py() or 0)


def _max_length(choice: _Choice) -> int:
    if choice.largest > MAX_LENGTH_BYTES:
        reason = (
            f"its longest text has {choice.largest} bytes, VARCHAR holds {MAX_LENGTH_BYTES}; give a schema (--schema) "
        )
        reason += "that makes it TEXT, or VARCHAR with on_error=skip (--on-error skip) to leave longer ones out"
        raise SchemaError(reason, field=choice.column.name)
    roomy = 1 << (2 * choice.largest - 1).bit_length() if choice.largest else 0
    return max(MIN_MAX_LENGTH, min(roomy, MAX_LENGTH_BYTES))


def _key(choices: list[_Choice], primary: str | None) -> _Choice | None:
    """Return the column that is the primary key. None: the server makes keys."""
    by_name = {choice.column.name: choice for choice in choices}
    if primary is None:
        found = [by_name[name] for name in _KEY_NAMES if name in by_name]
        keys = [choice for choice in found if _key_problem(choice) is None]
        mixed = [choice.column.name for choice in found if choice.dtype is DataType.JSON]
        if mixed and not keys:
            way = f"--type {mixed[0]}=text (types=) makes text of all, --id-from row (id_from=) makes another key"
            raise SchemaError(
                f"it looks like the primary key, but is neither all text nor all integers; {way}", field=mixed[0]
            )
        return keys[0] if keys else None
    if primary not in by_name:
        raise SchemaError(
            f"there is no column of this name to be the primary key, only {names_text(list(by_name))}", field=primary
        )
    problem = _key_problem(by_name[primary])
    if problem is not None:
        raise SchemaError(f"cannot be the primary key: {problem}", field=primary)
    return by_name[primary]


def _key_problem(choice: _Choice) -> str | None:
    if choice.dtype not in (DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64, DataType.VARCHAR):
        return f"expected integers or text, got {choice.column.type}"
    return "it holds nulls" if choice.nullable else None
