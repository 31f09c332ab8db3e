"""Vectors, dense and sparse: their rows."""

from __future__ import annotations

from vecmill.types.kind import (
    ANY_LINE,
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    HALVES_CAST,
    MAX_VALUE_BYTES,
    NO_STRUCT_IN_NPY,
    Carriage,
    Carried,
    DataType,
    FloatFormat,
    Kind,
    ParquetForm,
    not_carried,
)
from vecmill.types.numbers import INTEGERS


def _bytes_form(signed: bool) -> ParquetForm:
    """Return a list of 8-bit integers, with all 256 of them in the order of their bytes as the dictionary."""
    values = (byte - 256 if signed and byte > 127 else byte for byte in range(256))
    dictionary = b"".join(value.to_bytes(4, "little", signed=True) for value in values)
    return ParquetForm("INT32", "INT_8" if signed else "UINT_8", is_list=True, dictionary=dictionary)


_OPAQUE = ParquetForm("BYTE_ARRAY")
_UNSIGNED = _bytes_form(signed=False)


def _half(dtype: DataType, rest_name: str, floats: FloatFormat, arrow: str, note: str, text_usual: int) -> Kind:
    return Kind(
        dtype=dtype,
        name=f"{floats.name}_vector",
        group="dense",
        rest_names=(rest_name,),
        expected=f"{{dim}} {floats.name} values",
        carried=Carried(
            "binary, 2 * dim bytes", Carriage("|u1 (n, 2 * dim)", (2, 4, 5)), "list of numbers", since=(2, 4, 1)
        ),
        descr="|u1",
        bits_per_dim=16,
        encoding="half",
        floats=floats,
        npy=("u1",),
        parquet=_OPAQUE,
        parquet_in_struct=_UNSIGNED,
        arrow={"uint8": ANY_LINE, "float": HALVES_CAST},
        arrow_in_struct={"uint8": ANY_LINE},
        inferred_from={arrow: note},
        text_most=16,
        text_usual=text_usual,
        in_struct=Carried("list<uint8>", NO_STRUCT_IN_NPY, "list of numbers", since=(3, 0, 0)),
        in_struct_row="half vector in STRUCT",
    )


FLOAT_VECTOR = Kind(
    dtype=DataType.FLOAT_VECTOR,
    name="float_vector",
    group="dense",
    rest_names=("FloatVector",),
    expected="{dim} float32 values",
    carried=Carried("list<float>", "<f4 (n, dim)", "list of numbers"),
    descr="<f4",
    bits_per_dim=32,
    encoding="float32",
    floats=FLOAT32,
    npy=("f4", "f8"),
    parquet=ParquetForm("FLOAT", is_list=True),
    # 2.3 does not make floats of integers.
    arrow={"float": ANY_LINE, "double": ANY_LINE, **dict.fromkeys(INTEGERS, (2, 4))},
    arrow_nullable={"float": ANY_LINE},
    arrow_in_struct={"float": ANY_LINE, "double": (2, 6)},
    inferred_from={"float": "", "double": "narrowed to float32"},
    text_most=16,
    text_usual=12,
    in_struct=Carried("list<float>", NO_STRUCT_IN_NPY, "list of numbers", since=(2, 6, 4)),
    in_struct_row="FLOAT_VECTOR in STRUCT",
    can_cluster=True,
    in_lite=True,
)
BINARY_VECTOR = Kind(
    dtype=DataType.BINARY_VECTOR,
    name="binary_vector",
    group="dense",
    rest_names=("BinaryVector",),
    expected="{dim} values of 0 or 1, or {n_bytes} bytes",
    carried=Carried("binary, dim / 8 bytes", "|u1 (n, dim / 8)", "list of dim / 8 bytes"),
    descr="|u1",
    bits_per_dim=1,
    encoding="bits",
    limits=(0, 255),
    npy=("u1",),
    parquet=_OPAQUE,
    parquet_in_struct=_UNSIGNED,
    arrow={"uint8": ANY_LINE},
    inferred_from=dict.fromkeys(("uint8", "bool"), "one dimension per 0 or 1"),
    text_most=4,
    index=("BIN_FLAT", "HAMMING"),
    in_struct=Carried(Carriage("list<uint8>", (2, 6, 4)), NO_STRUCT_IN_NPY, "list of bytes", since=(3, 0, 0)),
    in_struct_row="BINARY_VECTOR in STRUCT",
)
FLOAT16_VECTOR = _half(DataType.FLOAT16_VECTOR, "Float16Vector", FLOAT16, "halffloat", "", 8)
BFLOAT16_VECTOR = _half(
    DataType.BFLOAT16_VECTOR, "BFloat16Vector", BFLOAT16, "fixed_size_binary[2]", "NumPy's form of bfloat16", 12
)
INT8_VECTOR = Kind(
    dtype=DataType.INT8_VECTOR,
    name="int8_vector",
    group="dense",
    rest_names=("Int8Vector",),
    expected="{dim} integers from {low} to {high}",
    carried=Carried("list<int8>", "|i1 (n, dim)", "list of numbers", since=(2, 6, 0)),
    descr="|i1",
    bits_per_dim=8,
    encoding="integers",
    limits=(-128, 127),
    npy=("i1",),
    parquet=_bytes_form(signed=True),
    arrow={"int8": ANY_LINE},
    inferred_from={"int8": ""},
    text_most=5,
    in_struct=Carried(Carriage("list<int8>", (2, 6, 4)), NO_STRUCT_IN_NPY, "list of numbers", since=(3, 0, 0)),
    in_struct_row="INT8_VECTOR in STRUCT",
)
SPARSE_FLOAT_VECTOR = Kind(
    dtype=DataType.SPARSE_FLOAT_VECTOR,
    name="sparse",
    group="sparse",
    rest_names=("SparseFloatVector", "SparseVector"),
    expected="a sparse vector: index to value, indices from 0 to 4294967294, values finite and not negative",
    carried=Carried(
        "string, JSON object",
        not_carried("NPY cannot carry a sparse vector; use PARQUET or JSON"),
        "object",
        "JSON object",
        (2, 4, 3),
    ),
    max_bytes=MAX_VALUE_BYTES,
    arrow={"string": ANY_LINE},
    index=("SPARSE_INVERTED_INDEX", "IP"),
    in_lite=True,
)

ROWS = (FLOAT_VECTOR, BINARY_VECTOR, FLOAT16_VECTOR, BFLOAT16_VECTOR, INT8_VECTOR, SPARSE_FLOAT_VECTOR)
