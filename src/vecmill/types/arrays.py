"""ARRAY and STRUCT (an array of structs): their rows."""

from __future__ import annotations

from vecmill.types.kind import NO_STRUCT_IN_NPY, Carried, DataType, Kind, not_carried

ARRAY = Kind(
    dtype=DataType.ARRAY,
    name="array",
    group="array",
    rest_names=("Array",),
    expected="a list of {least} {capacity} elements, each {items}",
    carried=Carried(
        "list<element>", not_carried("NPY cannot carry an ARRAY; use PARQUET or JSON"), "list", "JSON list"
    ),
    in_lite=True,
)
STRUCT = Kind(
    dtype=DataType.STRUCT,
    name="struct",
    group="struct",
    rest_names=("Struct", "ArrayOfStruct"),
    expected="a list of {least} {capacity} dicts of {items}",
    carried=Carried("list<struct>", NO_STRUCT_IN_NPY, "list of objects", "JSON list of objects", (2, 6, 4)),
)

ROWS = (ARRAY, STRUCT)
