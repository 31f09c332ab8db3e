"""One Arrow type for the values of several: what a column is whose files differ in the kind of their types only."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any


def common_type(types: Iterable[Any]) -> Any:
    """Return a type that holds the values of all ``types``; None where there is none, or no types."""
    return functools.reduce(_of_two, types, _no_values())


def plain_type(type_: Any) -> Any:
    """Return what values of a type are: without extension types, dictionaries and runs."""
    import pyarrow.types as t

    while True:
        if hasattr(type_, "storage_type"):
            type_ = type_.storage_type
        elif t.is_dictionary(type_) or t.is_run_end_encoded(type_):
            type_ = type_.value_type
        else:
            return type_


def is_list(type_: Any) -> bool:
    """Return True for lists of any layout."""
    import pyarrow.types as t

    of_lists = (t.is_list, t.is_large_list, t.is_fixed_size_list, t.is_list_view, t.is_large_list_view)
    return any(one(type_) for one in of_lists)


def is_text(type_: Any) -> bool:
    """Return True for text of any layout."""
    import pyarrow.types as t

    return bool(t.is_string(type_) or t.is_large_string(type_) or t.is_string_view(type_))


def is_bytes(type_: Any) -> bool:
    """Return True for bytes of any layout."""
    import pyarrow.types as t

    return bool(
        t.is_binary(type_) or t.is_large_binary(type_) or t.is_binary_view(type_) or t.is_fixed_size_binary(type_)
    )


def _no_values() -> Any:
    import pyarrow as pa

    return pa.null()


def _of_two(one: Any, other: Any) -> Any:
    import pyarrow.types as t

    if one is None or other is None or one == other or t.is_null(other):
        return one if other is not None else None
    if t.is_null(one):
        return other
    if getattr(one, "extension_name", "") != getattr(other, "extension_name", ""):
        return None
    return _of_plain(plain_type(one), plain_type(other))


def _of_plain(one: Any, other: Any) -> Any:
    import pyarrow as pa
    import pyarrow.types as t

    if one == other:
        return one
    if is_text(one) and is_text(other):
        return pa.large_string()
    if is_bytes(one) and is_bytes(other):
        return pa.large_binary()
    if is_list(one) and is_list(other):
        return _of_lists(one, other)
    if all(t.is_struct(kind) or t.is_map(kind) for kind in (one, other)):
        return _of_objects(one, other)
    if t.is_timestamp(one) and t.is_timestamp(other):
        finest = max(one.unit, other.unit, key=("s", "ms", "us", "ns").index)
        return pa.timestamp(finest, one.tz) if (one.tz is None) == (other.tz is None) else None
    if (t.is_date(one) and t.is_date(other)) or (t.is_time(one) and t.is_time(other)):
        return one
    return _of_numbers(one, other)


def _of_numbers(one: Any, other: Any) -> Any:
    """Return the type of integers, floats and decimals together; None for what is none of them."""
    import pyarrow as pa
    import pyarrow.types as t

    both = (one, other)
    if not all(t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind) for kind in both):
        return None
    if any(t.is_floating(kind) for kind in both):
        is_narrow = all(t.is_floating(kind) and not t.is_float64(kind) for kind in both)
        return pa.float32() if is_narrow else pa.float64()
    if any(t.is_decimal(kind) for kind in both):
        whole = [kind.precision - kind.scale if t.is_decimal(kind) else 20 for kind in both]
        scale = max(kind.scale if t.is_decimal(kind) else 0 for kind in both)
        return pa.decimal256(min(76, max(whole) + scale), scale)
    # A column of uint64 is read, to find what INT64 does not hold.
    return pa.uint64() if any(t.is_uint64(kind) for kind in both) else pa.int64()


def _of_lists(one: Any, other: Any) -> Any:
    import pyarrow as pa
    import pyarrow.types as t

    element = _of_two(one.value_type, other.value_type)
    sizes = {kind.list_size for kind in (one, other) if t.is_fixed_size_list(kind)}
    if element is None or len(sizes) > 1:
        return None
    return pa.list_(element, sizes.pop()) if sizes else pa.large_list(element)


def _of_objects(one: Any, other: Any) -> Any:
    """Return the struct of the members of both, or a map. They become JSON, which holds members of any type."""
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_map(one) or t.is_map(other):
        return one
    members = {field.name: field.type for field in one}
    for field in other:
        members[field.name] = _of_two(members.get(field.name, field.type), field.type) or field.type
    return pa.struct(list(members.items()))
