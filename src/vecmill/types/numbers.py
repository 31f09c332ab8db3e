"""BOOL, integers and floats: their rows."""

from __future__ import annotations

from collections.abc import Mapping

from vecmill.types.kind import ANY_LINE, FLOAT32, FLOAT64, Carried, DataType, Kind, Line, ParquetForm

# From the narrowest on: the server widens integers that it reads.
INTEGERS = ("int8", "int16", "int32", "int64")
_EVERY_INTEGER: Mapping[str, Line] = dict.fromkeys(INTEGERS, ANY_LINE)


def _integer(
    dtype: DataType, bits: int, parquet: ParquetForm, inferred_from: tuple[str, ...], rest_name: str, text_most: int
) -> Kind:
    name, order = f"int{bits}", "|" if bits == 8 else "<"
    descr = f"{order}i{bits // 8}"
    top = (1 << (bits - 1)) - 1
    return Kind(
        dtype=dtype,
        name=name,
        group="int",
        rest_names=(rest_name,),
        expected="an integer from {low} to {high}",
        carried=Carried(name, descr, "number"),
        descr=descr,
        encoding="integers",
        limits=(-top - 1, top),
        npy=(descr[1:],),
        parquet=parquet,
        arrow=dict.fromkeys(INTEGERS[: INTEGERS.index(name) + 1], ANY_LINE),
        inferred_from=dict.fromkeys(inferred_from, ""),
        text_most=text_most,
        in_array=True,
        can_be_key=bits == 64,
        can_cluster=True,
        can_default=True,
        in_lite=True,
    )


BOOL = Kind(
    dtype=DataType.BOOL,
    name="bool",
    group="bool",
    rest_names=("Bool",),
    expected="a bool",
    carried=Carried("boolean", "|b1", "true, false"),
    descr="|b1",
    encoding="bool",
    npy=("b1",),
    parquet=ParquetForm("BOOLEAN"),
    arrow={"bool": ANY_LINE},
    inferred_from={"bool": ""},
    text_most=6,
    in_array=True,
    can_default=True,
    in_lite=True,
)
# An unsigned Arrow type needs the next wider field; uint64 has none, so that its values are looked at.
INT8 = _integer(DataType.INT8, 8, ParquetForm("INT32", "INT_8"), ("int8",), "Int8", 5)
INT16 = _integer(DataType.INT16, 16, ParquetForm("INT32", "INT_16"), ("int16", "uint8"), "Int16", 7)
INT32 = _integer(DataType.INT32, 32, ParquetForm("INT32"), ("int32", "uint16"), "Int32", 12)
INT64 = _integer(DataType.INT64, 64, ParquetForm("INT64"), ("int64", "uint32", "uint64"), "Int64", 21)
FLOAT = Kind(
    dtype=DataType.FLOAT,
    name="float",
    group="float",
    rest_names=("Float",),
    expected="a finite float32 value",
    carried=Carried("float", "<f4", "number, shortest digits of the float32"),
    descr="<f4",
    encoding="float32",
    floats=FLOAT32,
    npy=("f4",),
    parquet=ParquetForm("FLOAT"),
    # 2.3 does not narrow.
    arrow={**_EVERY_INTEGER, "float": ANY_LINE, "double": (2, 4)},
    inferred_from={"halffloat": "", "float": ""},
    text_most=16,
    text_usual=12,
    in_array=True,
    can_cluster=True,
    can_default=True,
    in_lite=True,
)
DOUBLE = Kind(
    dtype=DataType.DOUBLE,
    name="double",
    group="float",
    rest_names=("Double",),
    expected="a finite float64 value",
    carried=Carried("double", "<f8", "number, shortest digits"),
    descr="<f8",
    encoding="float64",
    floats=FLOAT64,
    npy=("f8",),
    parquet=ParquetForm("DOUBLE"),
    arrow={**_EVERY_INTEGER, "float": ANY_LINE, "double": ANY_LINE},
    inferred_from={"double": ""},
    text_most=25,
    text_usual=20,
    in_array=True,
    can_cluster=True,
    can_default=True,
    in_lite=True,
)

ROWS = (BOOL, INT8, INT16, INT32, INT64, FLOAT, DOUBLE)
