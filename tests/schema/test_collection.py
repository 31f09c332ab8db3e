"""Schemas: the rules of the server, and every form in which a schema comes.

The files in data/schemas/ were made by pymilvus 3.0.2: ``*_to_dict`` by CollectionSchema.to_dict, ``*_describe`` and
``full_describe_raw`` by turning the same schemas into the server's protobuf reply and reading it as
MilvusClient.describe_collection does (defaults, which are protobuf objects there, in protobuf's JSON form).
``rest_create`` and ``rest_describe`` follow the REST API, version 2.
"""

from __future__ import annotations

import copy
import enum
import json
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paths import DATA
from vecmill.errors import SchemaError, VecmillError
from vecmill.schema.collection import CollectionSchema, FieldSchema, create_schema
from vecmill.schema.reading import as_schema
from vecmill.types.default_check import default_problem
from vecmill.types.kind import DataType
from vecmill.types.lookup import TYPES, parse_datatype

SCHEMAS = DATA / "schemas"
D = DataType


def key(**kwargs) -> FieldSchema:
    return FieldSchema("id", D.INT64, is_primary=True, **kwargs)


def vec(name="vec", dim=8) -> FieldSchema:
    return FieldSchema(name, D.FLOAT_VECTOR, dim=dim)


def schema_with(*fields: FieldSchema, **kwargs) -> CollectionSchema:
    return CollectionSchema([key(), vec(), *fields], **kwargs)


def struct(*subs: FieldSchema, max_capacity: int | None = 4) -> FieldSchema:
    return FieldSchema("s", D.ARRAY, element_type=D.STRUCT, struct_schema=list(subs), max_capacity=max_capacity)


def load(name: str) -> dict:
    return json.loads((SCHEMAS / f"{name}.json").read_text())


# -- types ------------------------------------------------------------------------------------------------------------


def test_data_types_have_the_values_of_pymilvus():
    assert {t.name: t.value for t in D} == {
        "NONE": 0, "BOOL": 1, "INT8": 2, "INT16": 3, "INT32": 4, "INT64": 5, "FLOAT": 10, "DOUBLE": 11, "STRING": 20,
        "VARCHAR": 21, "ARRAY": 22, "JSON": 23, "GEOMETRY": 24, "TEXT": 25, "TIMESTAMPTZ": 26, "BINARY_VECTOR": 100,
        "FLOAT_VECTOR": 101, "FLOAT16_VECTOR": 102, "BFLOAT16_VECTOR": 103, "SPARSE_FLOAT_VECTOR": 104,
        "INT8_VECTOR": 105, "_ARRAY_OF_VECTOR": 106, "_ARRAY_OF_STRUCT": 200, "STRUCT": 201, "UNKNOWN": 999,
    }  # fmt: skip
    assert str(D.INT64) == "5"


def test_every_type_that_a_field_can_have_has_a_row():
    assert set(TYPES) == set(D) - {D.NONE, D.UNKNOWN, D._ARRAY_OF_VECTOR, D._ARRAY_OF_STRUCT}
    for dtype, spec in TYPES.items():
        assert spec.dtype is dtype
        assert spec.descr is None or np.dtype(spec.descr).itemsize == spec.itemsize
        assert (spec.group == "dense") == (spec.bits_per_dim > 0)
        assert all(parse_datatype(name) is dtype for name in spec.rest_names)
        if spec.limits:
            assert spec.limits == (np.iinfo(spec.descr).min, np.iinfo(spec.descr).max)


class ForeignEnum(enum.Enum):
    INT64 = 5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, D.INT64),
        (np.int32(5), D.INT64),
        (D.INT64, D.INT64),
        (ForeignEnum.INT64, D.INT64),
        ("INT64", D.INT64),
        ("int64", D.INT64),
        ("FLOAT_VECTOR", D.FLOAT_VECTOR),
        ("FloatVector", D.FLOAT_VECTOR),
        ("floatvector", D.FLOAT_VECTOR),
        ("BFloat16Vector", D.BFLOAT16_VECTOR),
        ("SparseFloatVector", D.SPARSE_FLOAT_VECTOR),
        ("VarChar", D.VARCHAR),
        ("Json", D.JSON),
        ("JSON", D.JSON),
        ("Timestamptz", D.TIMESTAMPTZ),
    ],
)
def test_parse_datatype(value, expected):
    assert parse_datatype(value) is expected


@pytest.mark.parametrize("value", ["Int65", "", 6, -1, None, True, 5.0, [], 0, 999, "None", "UNKNOWN"])
def test_parse_datatype_refuses(value):
    with pytest.raises(SchemaError, match="unknown data type"):
        parse_datatype(value)


@pytest.mark.parametrize(
    ("field", "nbytes"),
    [
        (FieldSchema("f", D.BOOL), 1),
        (FieldSchema("f", D.INT8), 1),
        (FieldSchema("f", D.INT16), 2),
        (FieldSchema("f", D.INT32), 4),
        (FieldSchema("f", D.INT64), 8),
        (FieldSchema("f", D.FLOAT), 4),
        (FieldSchema("f", D.DOUBLE), 8),
        (FieldSchema("f", D.FLOAT_VECTOR, dim=768), 3072),
        (FieldSchema("f", D.BINARY_VECTOR, dim=768), 96),
        (FieldSchema("f", D.FLOAT16_VECTOR, dim=7), 14),
        (FieldSchema("f", D.BFLOAT16_VECTOR, dim=7), 14),
        (FieldSchema("f", D.INT8_VECTOR, dim=7), 7),
        (FieldSchema("f", D.FLOAT_VECTOR), None),
        (FieldSchema("f", D.SPARSE_FLOAT_VECTOR), None),
        (FieldSchema("f", D.VARCHAR, max_length=5), None),
        (FieldSchema("f", D.JSON), None),
        (FieldSchema("f", D.ARRAY, element_type=D.INT8, max_capacity=5), None),
        (struct(FieldSchema("a", D.INT8)), None),
    ],
)
def test_row_nbytes(field, nbytes):
    assert field.row_nbytes == nbytes


# -- fields -----------------------------------------------------------------------------------------------------------


def test_field_keeps_what_it_is_given():
    field = FieldSchema(
        "f", "VarChar", "words", max_length="12", enable_match="true", mmap_enabled=False, brand_new=[1]
    )
    assert (field.name, field.dtype, field.description, field.max_length) == ("f", D.VARCHAR, "words", 12)
    assert field.params == {"max_length": 12, "enable_match": True, "mmap_enabled": False, "brand_new": [1]}
    assert field.dim is field.max_capacity is field.element_type is field.default_value is None
    assert not (
        field.is_primary or field.auto_id or field.is_partition_key or field.is_clustering_key or field.nullable
    )
    assert not (field.is_dynamic or field.is_function_output)


def test_analyzer_params_are_kept_as_text_like_in_pymilvus():
    as_dict = FieldSchema("f", D.VARCHAR, max_length=5, analyzer_params={"type": "english"})
    assert as_dict.params["analyzer_params"] == '{"type":"english"}'
    assert as_dict == FieldSchema("f", D.VARCHAR, max_length=5, analyzer_params='{"type":"english"}')


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"dtype": "Vector"}, "unknown data type 'Vector'"),
        ({"dtype": 106}, "internal to the server"),
        ({"dtype": D.ARRAY, "element_type": "Int65"}, "unknown data type 'Int65'"),
        ({"dtype": D.FLOAT_VECTOR, "dim": "many"}, "dim must be an integer, got 'many'"),
        ({"dtype": D.FLOAT_VECTOR, "dim": 7.5}, "dim must be an integer"),
        ({"dtype": D.FLOAT_VECTOR, "dim": True}, "dim must be an integer"),
        ({"dtype": D.VARCHAR, "max_length": "1e3"}, "max_length must be an integer"),
        ({"dtype": D.ARRAY, "max_capacity": [4]}, "max_capacity must be an integer"),
        ({"dtype": D.INT64, "is_primary": 1}, "is_primary must be True or False"),
        ({"dtype": D.INT64, "auto_id": "yes"}, "auto_id must be True or False"),
        ({"dtype": D.INT64, "nullable": None}, "nullable must be True or False"),
        ({"dtype": D.ARRAY, "struct_schema": 5}, "struct_schema must hold fields"),
    ],
)
def test_field_that_cannot_be_understood(kwargs, message):
    with pytest.raises(SchemaError, match=message.replace("(", r"\(")) as caught:
        FieldSchema("f", **kwargs)
    assert caught.value.field == "f"
    assert str(caught.value).startswith("field 'f': ")


def test_name_must_be_text():
    with pytest.raises(SchemaError, match="must be a string"):
        FieldSchema(5, D.INT64)  # type: ignore[arg-type]


def test_numpy_scalars_and_protobuf_defaults_become_plain():
    assert type(FieldSchema("f", D.INT8, default_value=np.int8(3)).default_value) is int
    assert type(FieldSchema("f", D.FLOAT, default_value=np.float32(3)).default_value) is float
    assert FieldSchema("f", D.INT64, default_value=ValueField("long_data", 9)).default_value == 9
    assert FieldSchema("f", D.INT64, default_value=ValueField(None, None)).default_value is None


class ValueField:
    """Behaves like the protobuf message of that name."""

    def __init__(self, which, value):
        self._which = which
        if which is not None:
            setattr(self, which, value)

    def WhichOneof(self, group):
        assert group == "data"
        return self._which


# -- collections ------------------------------------------------------------------------------------------------------


def test_add_field_in_every_way():
    schema = create_schema(auto_id=True, enable_dynamic_field=True, description="d")
    same = schema.add_field(field_name="id", datatype=D.INT64, is_primary=True).add_field("vec", D.FLOAT_VECTOR, dim=8)
    ready = FieldSchema("n", D.INT8)
    assert same.add_field(ready) is schema
    schema.verify()
    assert [f.name for f in schema.fields] == ["id", "vec", "n"]
    assert schema.fields[2] == ready
    assert schema.fields[2] is not ready
    assert schema.auto_id
    assert schema.primary_field is schema.fields[0]
    assert schema.primary_field.auto_id
    assert (schema.description, schema.enable_dynamic_field, len(schema)) == ("d", True, 3)


@pytest.mark.parametrize("flag", ["auto_id", "enable_dynamic_field"])
def test_flags_of_the_collection_must_be_bool(flag):
    for value in (1, "yes", []):
        with pytest.raises(SchemaError, match=f"{flag} must be True or False"):
            create_schema(**{flag: value})
        with pytest.raises(SchemaError, match=f"{flag} must be True or False"):
            as_schema(schema_with().to_dict() | {flag: value})
    assert not getattr(create_schema(**{flag: None}), flag)


def test_an_empty_schema_is_true():
    assert create_schema()
    assert create_schema().primary_field is None


def test_roles_by_name_leave_the_fields_of_the_caller_alone():
    fields = [FieldSchema("id", D.INT64), vec(), FieldSchema("t", D.INT64), FieldSchema("c", D.INT8)]
    schema = CollectionSchema(
        fields, auto_id=True, primary_field="id", partition_key_field="t", clustering_key_field="c"
    )
    schema.verify()
    roles = (schema.primary_field, schema.partition_key_field, schema.clustering_key_field)
    assert [f.name for f in roles] == ["id", "t", "c"]
    assert not (fields[0].is_primary or fields[0].auto_id or fields[2].is_partition_key or fields[3].is_clustering_key)


def test_auto_id_can_be_set_later():
    schema = schema_with()
    schema.auto_id = True
    assert schema.primary_field.auto_id
    assert [f.name for f in schema.written_fields()] == ["vec"]


def test_written_fields():
    schema = schema_with(
        FieldSchema("text", D.VARCHAR, max_length=9),
        FieldSchema("bm25", D.SPARSE_FLOAT_VECTOR),
        enable_dynamic_field=True,
    )
    assert [f.name for f in schema.written_fields()] == ["id", "vec", "text", "bm25", "$meta"]
    schema.add_function({"name": "f", "type": "BM25", "input_field_names": "text", "output_field_names": ["bm25"]})
    schema.verify()
    assert schema.fields[3].is_function_output
    assert [f.name for f in schema.written_fields()] == ["id", "vec", "text", "$meta"]
    meta = schema.written_fields()[-1]
    assert (meta.dtype, meta.is_dynamic, meta.nullable, meta.kind.group) == (D.JSON, True, False, "json")
    schema.auto_id, schema.enable_dynamic_field = True, False
    assert [f.name for f in schema.written_fields()] == ["vec", "text"]


def test_function_before_its_output_field():
    schema = schema_with(FieldSchema("text", D.VARCHAR, max_length=9))
    schema.add_function(SimpleNamespace(name="f", type=1, input_field_names=["text"], output_field_names=["out"]))
    schema.add_field("out", D.SPARSE_FLOAT_VECTOR)
    assert schema.fields[-1].is_function_output
    assert schema.functions[0].to_dict()["type"] == 1


def test_struct_arrays():
    subs = create_schema().add_field("page", D.INT32).add_field("emb", D.FLOAT_VECTOR, dim=4)
    schema = CollectionSchema([key(), vec()])
    schema.add_field("parts", D.ARRAY, element_type=D.STRUCT, struct_schema=subs, max_capacity=9, nullable=True)
    schema.verify()
    parts = schema.fields[-1]
    assert (parts.dtype, parts.element_type, parts.kind.group, parts.is_struct) == (D.ARRAY, D.STRUCT, "struct", True)
    assert [f.name for f in parts.struct_fields] == ["page", "emb"]
    assert schema.to_dict()["struct_fields"][0]["max_capacity"] == 9
    assert CollectionSchema.from_dict(schema.to_dict()) == schema
    assert as_schema(schema.to_dict()).fields[-1] == parts
    assert FieldSchema("x", D.STRUCT, struct_schema=subs, max_capacity=1).is_struct


def test_vector_only_inside_a_struct_counts_as_a_vector():
    CollectionSchema([key(), struct(vec())]).verify()


def test_copies_and_pickles_are_equal_and_independent():
    schema = as_schema(load("full_to_dict"))
    for twin in (copy.copy(schema), copy.deepcopy(schema), pickle.loads(pickle.dumps(schema))):
        assert twin == schema
        twin.fields[0].description = "changed"
        twin.fields[-1].params["dim"] = 1
        assert twin != schema
        assert schema == as_schema(load("full_to_dict"))
    field = copy.copy(schema.fields[1])
    field.params["max_length"] = 1
    assert schema.fields[1].max_length == 64


def test_equality_and_repr():
    assert vec() == vec()
    assert vec() != vec(dim=9)
    assert vec() != "vec"
    assert schema_with() == schema_with()
    assert schema_with() != schema_with(enable_dynamic_field=True)
    assert schema_with() != 5
    assert repr(vec()) == "FieldSchema('vec', FLOAT_VECTOR, dim=8)"
    assert "INT64, is_primary=True" in repr(schema_with())
    assert "ARRAY<STRUCT>" in repr(struct(vec()))


def test_schema_error_survives_pickle():
    with pytest.raises(SchemaError) as caught:
        as_schema(schema_with(vec()))
    twin = pickle.loads(pickle.dumps(caught.value))
    assert (twin.field, twin.reason, str(twin)) == ("vec", caught.value.reason, str(caught.value))
    assert isinstance(twin, VecmillError)
    assert isinstance(twin, ValueError)


# -- the server's rules -----------------------------------------------------------------------------------------------

F = FieldSchema
ARRAY = {"dtype": D.ARRAY, "max_capacity": 4}
RULES = [
    # keys
    ("no primary key", CollectionSchema([vec()]), None, "no primary key"),
    ("no fields", create_schema(), None, "no primary key"),
    ("two primary keys", schema_with(F("b", D.INT64, is_primary=True)), "b", "'id' is one already"),
    ("two by name", CollectionSchema([key(), vec(), F("b", D.INT64)], primary_field="b"), "b", "only one field"),
    ("primary_field unknown", CollectionSchema([vec()], primary_field="nope"), "nope", "no field of this name"),
    ("partition unknown", schema_with(partition_key_field="nope"), "nope", "no field of this name"),
    ("primary int32", CollectionSchema([F("id", D.INT32, is_primary=True), vec()]), "id", "INT64 or VARCHAR"),
    ("primary vector", CollectionSchema([F("v", D.FLOAT_VECTOR, dim=4, is_primary=True)]), "v", "INT64 or VARCHAR"),
    ("primary nullable", CollectionSchema([key(nullable=True), vec()]), "id", "cannot be nullable"),
    ("primary default", CollectionSchema([key(default_value=1), vec()]), "id", "cannot have a default"),
    ("auto_id elsewhere", schema_with(F("n", D.INT64, auto_id=True)), "n", "primary key only"),
    (
        "partition nullable",
        schema_with(F("p", D.INT64, is_partition_key=True, nullable=True)),
        "p",
        "cannot be nullable",
    ),
    ("partition type", schema_with(F("p", D.INT32, is_partition_key=True)), "p", "must be INT64 or VARCHAR"),
    (
        "partition is primary",
        CollectionSchema([key(is_partition_key=True), vec()]),
        "id",
        "cannot be the partition key",
    ),
    (
        "two partition keys",
        schema_with(F("p", D.INT64, is_partition_key=True), F("q", D.INT64, is_partition_key=True)),
        "q",
        "'p' is one already",
    ),
    (
        "two clustering keys",
        schema_with(F("p", D.INT64, is_clustering_key=True), F("q", D.INT64, is_clustering_key=True)),
        "q",
        "'p' is one already",
    ),
    ("clustering type", schema_with(F("c", D.JSON, is_clustering_key=True)), "c", "clustering key must be"),
    # vectors
    ("dim missing", CollectionSchema([key(), F("v", D.FLOAT_VECTOR)]), "v", "needs a dim"),
    ("dim 0", CollectionSchema([key(), vec("v", 0)]), "v", "from 1 to 32768, got 0"),
    ("dim 32769", CollectionSchema([key(), vec("v", 32769)]), "v", "from 1 to 32768, got 32769"),
    ("fp16 dim", CollectionSchema([key(), F("v", D.FLOAT16_VECTOR, dim=32769)]), "v", "from 1 to 32768"),
    ("int8 dim", CollectionSchema([key(), F("v", D.INT8_VECTOR, dim=-1)]), "v", "from 1 to 32768"),
    ("binary dim 12", CollectionSchema([key(), F("v", D.BINARY_VECTOR, dim=12)]), "v", "multiple of 8"),
    ("binary dim 4", CollectionSchema([key(), F("v", D.BINARY_VECTOR, dim=4)]), "v", "from 8 to 262144"),
    ("binary dim big", CollectionSchema([key(), F("v", D.BINARY_VECTOR, dim=262152)]), "v", "from 8 to 262144"),
    ("sparse dim", schema_with(F("v", D.SPARSE_FLOAT_VECTOR, dim=4)), "v", "sparse vector has no dim"),
    ("no vector", CollectionSchema([key()]), None, "no vector field"),
    ("11 vectors", CollectionSchema([key(), *(vec(f"v{i}") for i in range(11))]), None, "at most 10 vector"),
    # text and arrays
    ("max_length missing", schema_with(F("t", D.VARCHAR)), "t", "needs a max_length"),
    ("max_length 0", schema_with(F("t", D.VARCHAR, max_length=0)), "t", "from 1 to 65535"),
    ("max_length big", schema_with(F("t", D.VARCHAR, max_length=65536)), "t", "from 1 to 65535"),
    ("string", schema_with(F("t", D.STRING)), "t", "use VARCHAR"),
    ("no element type", schema_with(F("a", **ARRAY)), "a", "needs an element_type"),
    ("json elements", schema_with(F("a", element_type=D.JSON, **ARRAY)), "a", "got JSON"),
    ("array elements", schema_with(F("a", element_type=D.ARRAY, **ARRAY)), "a", "got ARRAY"),
    ("vector elements", schema_with(F("a", element_type=D.FLOAT_VECTOR, **ARRAY)), "a", "got FLOAT_VECTOR"),
    ("capacity missing", schema_with(F("a", D.ARRAY, element_type=D.INT8)), "a", "needs a max_capacity"),
    ("capacity 0", schema_with(F("a", D.ARRAY, element_type=D.INT8, max_capacity=0)), "a", "from 1 to 4096"),
    ("capacity big", schema_with(F("a", D.ARRAY, element_type=D.INT8, max_capacity=4097)), "a", "from 1 to 4096"),
    ("element max_length", schema_with(F("a", element_type=D.VARCHAR, **ARRAY)), "a", "needs a max_length"),
    # names
    ("duplicate", schema_with(vec()), "vec", "two fields have this name"),
    ("$meta", schema_with(F("$meta", D.JSON)), "$meta", "reserved for the dynamic field"),
    ("RowID", schema_with(F("RowID", D.INT64)), "RowID", "reserved for a system field"),
    ("empty name", schema_with(F("", D.INT64)), "", "must not be empty"),
    ("long name", schema_with(F("n" * 256, D.INT64)), "n" * 256, "at most 255 characters"),
    ("digit first", schema_with(F("1st", D.INT64)), "1st", "starts with a letter"),
    ("dash", schema_with(F("a-b", D.INT64)), "a-b", "letters, digits, underscores"),
    ("dollar", schema_with(F("a$", D.INT64)), "a$", "letters, digits, underscores"),
    ("umlaut", schema_with(F("größe", D.INT64)), "größe", "letters, digits, underscores"),
    ("newline", schema_with(F("a\n", D.INT64)), "a\n", "letters, digits, underscores"),
    ("65 fields", schema_with(*(F(f"f{i}", D.INT8) for i in range(63))), None, "at most 64 fields"),
    # defaults
    ("default vector", schema_with(F("v", D.FLOAT_VECTOR, dim=2, default_value=[1, 2])), "v", "cannot have a default"),
    ("default json", schema_with(F("j", D.JSON, default_value={})), "j", "JSON cannot have a default"),
    (
        "default array",
        schema_with(F("a", element_type=D.INT8, default_value=[], **ARRAY)),
        "a",
        "cannot have a default",
    ),
    ("default text", schema_with(F("t", D.TEXT, default_value="x")), "t", "TEXT cannot have a default"),
    ("default bool", schema_with(F("b", D.BOOL, default_value=1)), "b", "expected BOOL, got 1 (int)"),
    ("default int8", schema_with(F("i", D.INT8, default_value=128)), "i", "expected INT8 from -128 to 127, got 128"),
    ("default int64", schema_with(F("i", D.INT64, default_value=2**63)), "i", "expected INT64"),
    ("default int bool", schema_with(F("i", D.INT64, default_value=True)), "i", "got True (bool)"),
    ("default int float", schema_with(F("i", D.INT64, default_value=1.0)), "i", "got 1.0 (float)"),
    ("default huge", schema_with(F("i", D.INT64, default_value=10**5000)), "i", "got a huge number"),
    ("default float", schema_with(F("x", D.FLOAT, default_value=1e39)), "x", "expected finite FLOAT, got 1e+39"),
    ("default nan", schema_with(F("x", D.DOUBLE, default_value=float("nan"))), "x", "expected finite DOUBLE, got nan"),
    ("default big int", schema_with(F("x", D.DOUBLE, default_value=10**400)), "x", "expected finite DOUBLE"),
    ("default float text", schema_with(F("x", D.DOUBLE, default_value="1")), "x", "got '1' (str)"),
    ("default bytes", schema_with(F("t", D.VARCHAR, max_length=3, default_value="éé")), "t", "at most 3 bytes, got 4"),
    ("default not text", schema_with(F("t", D.VARCHAR, max_length=3, default_value=5)), "t", "got 5 (int)"),
    ("default surrogate", schema_with(F("t", D.VARCHAR, max_length=9, default_value="\ud800")), "t", "no UTF-8 form"),
    ("default time", schema_with(F("t", D.TIMESTAMPTZ, default_value="2024-02-30T00:00:00Z")), "t", "TIMESTAMPTZ"),
    # struct arrays
    ("empty struct", schema_with(struct()), "s", "at least one sub-field"),
    ("struct capacity", schema_with(struct(F("a", D.INT8), max_capacity=None)), "s", "needs a max_capacity"),
    ("struct dim", schema_with(struct(vec("v", 0))), "s[v]", "dim must be"),
    ("struct max_length", schema_with(struct(F("t", D.VARCHAR))), "s[t]", "needs a max_length"),
    ("struct name", schema_with(struct(F("a b", D.INT8))), "s[a b]", "letters, digits"),
    ("struct twice", schema_with(struct(F("a", D.INT8), F("a", D.INT8))), "s[a]", "two sub-fields"),
    ("struct nullable", schema_with(struct(F("a", D.INT8, nullable=True))), "s[a]", "cannot have nullable"),
    ("struct key", schema_with(struct(key())), "s[id]", "cannot have is_primary"),
    ("struct default", schema_with(struct(F("a", D.INT8, default_value=1))), "s[a]", "cannot have default_value"),
    ("struct sparse", schema_with(struct(F("a", D.SPARSE_FLOAT_VECTOR))), "s[a]", "type SPARSE_FLOAT_VECTOR"),
    ("struct json", schema_with(struct(F("a", D.JSON))), "s[a]", "type JSON"),
    ("struct of struct", schema_with(struct(struct(F("a", D.INT8)))), "s[s]", "type ARRAY"),
    # the whole
    ("external", schema_with(external_source="s3://x"), None, "external collection"),
    (
        "function input",
        schema_with(functions=[{"name": "f", "type": 1, "input_field_names": ["t"], "output_field_names": ["vec"]}]),
        "t",
        "function 'f' names this field",
    ),
    (
        "function output",
        schema_with(functions=[{"name": "f", "type": 1, "input_field_names": ["vec"], "output_field_names": ["id"]}]),
        "id",
        "cannot be a key",
    ),
]


@pytest.mark.parametrize(("schema", "field", "part"), [r[1:] for r in RULES], ids=[r[0] for r in RULES])
def test_rule(schema, field, part):
    with pytest.raises(SchemaError) as caught:
        schema.verify()
    assert caught.value.field == field
    assert part in caught.value.reason


@pytest.mark.parametrize(
    "field",
    [
        vec("v", 1),
        vec("v", 32768),
        F("v", D.BINARY_VECTOR, dim=262144),
        F("v", D.FLOAT_VECTOR, dim=4, nullable=True),
        F("t", D.VARCHAR, max_length=65535, default_value="é" * 32767),
        F("t", D.VARCHAR, max_length=1, default_value=""),
        F("a", D.ARRAY, element_type=D.BOOL, max_capacity=4096, nullable=True),
        F("n" * 255, D.INT8, default_value=-128, nullable=True),
        F("_", D.BOOL, default_value=False),
        F("x", D.FLOAT, default_value=3.4028234663852886e38),
        F("x", D.FLOAT, default_value=1),
        F("x", D.DOUBLE, default_value=-1e308),
        F("t", D.TIMESTAMPTZ, default_value="2024-02-29T23:59:59.123456789+14:00"),
        F("t", D.TIMESTAMPTZ, default_value="2024-02-29 00:00:00"),
        F("t", D.TIMESTAMPTZ, default_value=1_700_000_000_000_000),
        F("g", D.GEOMETRY, default_value="POINT (1 2)"),
        F("p", D.VARCHAR, max_length=9, is_partition_key=True),
        F("c", D.FLOAT_VECTOR, dim=9, is_clustering_key=True),
        F("t", D.TEXT, nullable=True),
    ],
    ids=repr,
)
def test_within_the_rules(field):
    schema_with(field).verify()


def test_limits_are_inclusive():
    schema_with(*(F(f"f{i}", D.INT8) for i in range(62))).verify()
    CollectionSchema([key(), *(vec(f"v{i}") for i in range(10))]).verify()
    CollectionSchema([F("id", D.VARCHAR, max_length=9, is_primary=True, auto_id=True), vec()]).verify()


@pytest.mark.parametrize(
    "text",
    ["2024-01-01", "2024-01-01 00:00:00Z", "2024-01-01T24:00:00", "2024-13-01T00:00:00", "2024-01-01T00:00:00+14:01",
     "2024-01-01T00:00:00-12:01", "2024-01-01T00:00:00.", "2024-01-01T00:00", "", "x"],
)  # fmt: skip
def test_timestamptz_text_that_no_server_takes(text):
    assert default_problem(TYPES[D.TIMESTAMPTZ], text)


# -- other forms ------------------------------------------------------------------------------------------------------


def test_fixtures_of_pymilvus_all_mean_the_same():
    full = as_schema(load("full_to_dict"))
    assert as_schema(load("full_describe")) == full
    assert as_schema(load("full_describe_raw")) == full
    assert as_schema(load("small_describe")) == as_schema(load("small_to_dict"))


def test_full_fixture():
    schema = as_schema(load("full_to_dict"))
    by_name = {f.name: f for f in schema.fields}
    assert schema.auto_id
    assert schema.enable_dynamic_field
    assert schema.description == "everything"
    assert schema.partition_key_field.name == "tenant"
    assert schema.clustering_key_field.name == "f64"
    assert {n: f.default_value for n, f in by_name.items() if f.default_value is not None} == {
        "flag": True, "i8": -3, "i32": 7, "i64": 5_000_000_000, "f32": 0.5, "f64": 0.1, "title": "none",
    }  # fmt: skip
    assert [n for n, f in by_name.items() if f.nullable] == ["i16", "i64", "title", "meta", "where_is", "at", "counts"]
    assert by_name["title"].params == {"max_length": 256, "mmap_enabled": True}
    assert (by_name["tags"].element_type, by_name["tags"].max_length, by_name["tags"].max_capacity) == (
        D.VARCHAR,
        32,
        16,
    )
    assert by_name["bm25"].is_function_output
    assert [(f.name, f.dtype) for f in by_name["parts"].struct_fields] == [
        ("page", D.INT32), ("chunk", D.VARCHAR), ("emb", D.FLOAT_VECTOR),
    ]  # fmt: skip
    assert by_name["parts"].max_capacity == 100
    names = [f.name for f in schema.written_fields()]
    assert names == [n for n in by_name if n not in ("id", "bm25")] + ["$meta"]


def test_to_dict_has_the_shape_of_pymilvus():
    def plain(raw):
        return json.loads(json.dumps(raw))

    for name in ("full_to_dict", "small_to_dict"):
        expected = load(name)
        for field in expected["fields"]:
            if "default_value" in field:
                ((kind, value),) = field["default_value"].items()
                field["default_value"] = int(value) if kind == "long_data" else value
        assert plain(as_schema(load(name)).to_dict()) == expected


@pytest.mark.parametrize("name", ["full_to_dict", "small_describe", "rest_create", "rest_describe"])
def test_files(name, tmp_path):
    path = SCHEMAS / f"{name}.json"
    schema = as_schema(load(name))
    assert as_schema(path) == schema
    assert as_schema(str(path)) == schema
    (tmp_path / "{bom}.json").write_text(path.read_text(), encoding="utf-8-sig")
    assert as_schema(str(tmp_path / "{bom}.json")) == schema
    (tmp_path / "ours.json").write_text(json.dumps(schema.to_dict()))
    assert as_schema(tmp_path / "ours.json") == schema


def test_path_that_begins_with_a_brace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("{run}.json").write_text(json.dumps(schema_with().to_dict()))
    assert as_schema("{run}.json") == schema_with()


def test_rest_forms():
    created, described = as_schema(load("rest_create")), as_schema(load("rest_describe"))
    for schema in (created, described):
        assert schema.enable_dynamic_field
        assert not schema.auto_id
        by_name = {f.name: f for f in schema.fields}
        assert by_name["id"].is_primary
        assert by_name["tenant"].is_partition_key
        assert (by_name["vector"].dtype, by_name["vector"].dim) == (D.FLOAT_VECTOR, 5)
        assert (by_name["tags"].element_type, by_name["tags"].max_capacity) == (D.VARCHAR, 10)
        assert (by_name["color"].nullable, by_name["color"].default_value) == (True, "red")
        assert by_name["n"].default_value == 5
        assert by_name["sparse"].is_function_output
        assert [f.name for f in schema.written_fields()] == [
            "id", "tenant", "vector", "tags", "color", "n", "text", "$meta",
        ]  # fmt: skip
    assert created == described


def test_rest_version_1_reply():
    raw = {"code": 200, "data": {"enableDynamicField": True, "fields": [
        {"autoId": True, "description": "", "name": "id", "primaryKey": True, "type": "Int64"},
        {"autoId": False, "description": "", "name": "t", "primaryKey": False, "type": "VarChar(64)"},
        {"autoId": False, "description": "", "name": "vector", "primaryKey": False, "type": "FloatVector(32)"},
    ]}}  # fmt: skip
    schema = as_schema(raw)
    assert (schema.auto_id, schema.fields[1].max_length, schema.fields[2].dim) == (True, 64, 32)


def test_rest_struct_reply():
    raw = load("rest_describe")
    raw["data"]["structFields"] = [{"name": "s", "type": "ArrayOfStruct", "fields": [
        {"name": "n", "type": "Array", "elementType": "Int32", "params": [{"key": "max_capacity", "value": "7"}]},
        {"name": "s[v]", "type": "ArrayOfVector", "elementType": "FloatVector",
         "params": [{"key": "dim", "value": "4"}, {"key": "max_capacity", "value": "7"}]},
    ]}]  # fmt: skip
    field = as_schema(raw).fields[-1]
    assert (field.is_struct, field.max_capacity) == (True, 7)
    assert field.struct_fields == (F("n", D.INT32), vec("v", 4))


def test_own_schema_is_returned_itself():
    schema = schema_with()
    assert as_schema(schema) is schema


def test_object_with_to_dict():
    raw = load("full_to_dict")
    raw["fields"][6]["default_value"] = ValueField("long_data", 5_000_000_000)
    raw["fields"][0]["type"] = ForeignEnum.INT64
    assert as_schema(SimpleNamespace(to_dict=lambda: raw)) == as_schema(load("full_to_dict"))


def test_object_with_attributes_only():
    fields = [
        SimpleNamespace(name="id", dtype=ForeignEnum.INT64, is_primary=True, auto_id=True, params={}),
        SimpleNamespace(name="vec", dtype=101, params={"dim": "8"}),
        SimpleNamespace(name="n", dtype=5, params={}, default_value=ValueField("long_data", 3), nullable=True),
    ]
    schema = as_schema(SimpleNamespace(fields=fields, description="d", enable_dynamic_field=True))
    expected = CollectionSchema(
        [key(auto_id=True), vec(), F("n", D.INT64, default_value=3, nullable=True)], "d", enable_dynamic_field=True
    )
    assert schema == expected


def test_listed_dynamic_field_becomes_the_flag():
    raw = schema_with().to_dict()
    raw["fields"].append({"name": "$meta", "type": 23, "is_dynamic": True})
    schema = as_schema(raw)
    assert schema.enable_dynamic_field
    assert [f.name for f in schema.fields] == ["id", "vec"]


@pytest.mark.parametrize(
    ("default", "dtype", "expected"),
    [
        (5, "Int64", 5),
        ({"long_data": 5}, "Int64", 5),
        ({"longData": "-5"}, "Int64", -5),
        ({"Data": {"LongData": 5}}, "Int64", 5),
        ({"int_data": 5}, "Int8", 5),
        ({"bool_data": False}, "Bool", False),
        ({"float_data": 0.5}, "Float", 0.5),
        ({"double_data": 0.5}, "Double", 0.5),
        ({"string_data": "x"}, "VarChar", "x"),
        (ValueField("string_data", "x"), "VarChar", "x"),
        (ValueField("bool_data", False), "Bool", False),
        ({}, "Int64", None),
        ({"Data": None}, "Int64", None),
        (None, "Int64", None),
    ],
)
def test_defaults_in_every_form(default, dtype, expected):
    raw = schema_with().to_dict()
    raw["fields"].append({"name": "f", "type": dtype, "params": {"max_length": 9}, "default_value": default})
    got = as_schema(raw).fields[-1].default_value
    assert got == expected
    assert type(got) is type(expected)


ID = {"name": "id", "type": 5, "is_primary": True}


@pytest.mark.parametrize(
    ("obj", "field", "part"),
    [
        (None, None, "got NoneType"),
        (5, None, "got int"),
        ([], None, "got list"),
        ({}, None, "no list of 'fields'"),
        ({"fields": 5}, None, "no list of 'fields'"),
        ({"fields": {"id": 5}}, None, "no list of 'fields'"),
        ({"fields": [5]}, None, "expected a field as a mapping, got 5"),
        ({"fields": [{"type": 5}]}, None, "has no name"),
        ({"fields": [{"name": "x"}]}, "x", "has no data type"),
        ({"fields": [{"name": "x", "type": "Int65"}]}, "x", "unknown data type 'Int65'"),
        ({"fields": [{"name": "x", "type": 22, "element_type": "Int65"}]}, "x", "unknown data type 'Int65'"),
        ({"fields": [{**ID, "params": 5}]}, "id", "type parameters must be"),
        ({"fields": [{**ID, "params": [5]}]}, "id", "type parameters must be"),
        ({"fields": [{**ID, "default_value": {"a": 1}}]}, "id", "cannot be understood"),
        ({"fields": [{**ID, "is_primary": "maybe"}]}, "id", "is_primary must be"),
        ({"fields": [ID], "functions": 5}, None, "functions must be a list"),
        ({"fields": [ID], "functions": [{}]}, None, "function must have a name"),
        ({"fields": [ID], "struct_fields": "x"}, None, "struct_fields must be a list"),
        ({"fields": [ID]}, None, "no vector field"),
        ({"code": 100, "message": "can't find collection"}, None, "can't find collection"),
        ('{"fields": []}', None, "got JSON text"),
        (" [1]", None, "got JSON text"),
        ("nowhere/schema.json", None, "'nowhere/schema.json' cannot be read: No such file"),
        ("", None, "cannot be read"),
    ],
)
def test_refusals(obj, field, part):
    with pytest.raises(SchemaError) as caught:
        as_schema(obj)
    assert caught.value.field == field
    assert part in caught.value.reason


def test_bad_files_are_named(tmp_path):
    for name, content, part in (
        ("a.json", b"{", "is not JSON"),
        ("b.json", b"\xff\xfe", "is not JSON"),
        ("c.json", b"[]", "expected a JSON object, got list"),
        ("d.json", b'{"fields": [{"name": "x", "type": "Int65"}]}', "unknown data type 'Int65'"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SchemaError) as caught:
            as_schema(tmp_path / name)
        assert name in str(caught.value)
        assert part in str(caught.value)
    assert caught.value.field == "x"
    with pytest.raises(SchemaError, match="cannot be read"):
        as_schema(tmp_path)


# -- generated schemas ------------------------------------------------------------------------------------------------

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def _default(dtype: DataType) -> st.SearchStrategy:
    spec = TYPES[dtype]
    if spec.limits:
        return st.integers(*spec.limits)
    if spec.group == "float":
        return st.floats(allow_nan=False, allow_infinity=False, width=32 if dtype is D.FLOAT else 64)
    return {"bool": st.booleans(), "text": text}[spec.group]


@st.composite
def fields(draw, name: str) -> FieldSchema:
    dtype = draw(st.sampled_from([t for t in TYPES if t not in (D.STRING, D.STRUCT)]))
    kwargs: dict = {"description": draw(text), "nullable": draw(st.booleans())}
    if TYPES[dtype].group == "dense":
        kwargs["dim"] = 8 * draw(st.integers(1, 4096))
    if dtype is D.ARRAY:
        kwargs["max_capacity"] = draw(st.integers(1, 4096))
        kwargs["element_type"] = draw(st.sampled_from([D.BOOL, D.INT8, D.FLOAT, D.VARCHAR]))
    if D.VARCHAR in (dtype, kwargs.get("element_type")):
        kwargs["max_length"] = draw(st.integers(32, 65535))
    if TYPES[dtype].group in ("bool", "int", "float") or dtype is D.VARCHAR:
        kwargs["default_value"] = draw(st.none() | _default(dtype))
    kwargs |= draw(st.fixed_dictionaries({}, optional={"mmap_enabled": st.booleans(), "warmup": text.filter(bool)}))
    return FieldSchema(name, dtype, **kwargs)


@st.composite
def schemas(draw) -> CollectionSchema:
    names = draw(st.lists(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), max_size=6, unique=True))
    schema = CollectionSchema(
        [key(), vec()], draw(text), auto_id=draw(st.booleans()), enable_dynamic_field=draw(st.booleans())
    )
    for name in names:
        if name not in ("id", "vec", "RowID", "Timestamp"):
            schema.add_field(draw(fields(name)))
    if draw(st.booleans()):
        schema.add_field(struct(F("a", D.INT8), vec("b", draw(st.integers(1, 32768)))).name + "_1", D.STRUCT,
                         struct_schema=[F("a", D.INT8), vec("b")], max_capacity=3)  # fmt: skip
    return schema


@given(schemas())
def test_round_trip(schema):
    schema.verify()
    assert CollectionSchema.from_dict(schema.to_dict()) == schema
    assert as_schema(schema.to_dict()) == schema
    assert as_schema(json.loads(json.dumps(schema.to_dict()))) == schema
    assert pickle.loads(pickle.dumps(schema)) == schema


words = [
    "fields",
    "name",
    "type",
    "params",
    "key",
    "value",
    "data",
    "schema",
    "functions",
    "default_value",
    "is_primary",
]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | text,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(words), inner),
    )
)
def test_only_schema_errors_for_any_mapping(junk):
    with pytest.raises(SchemaError):
        as_schema({"fields": junk, "functions": junk} if not isinstance(junk, dict) else junk)


JUNK = [
    None,
    5,
    -1,
    "x",
    "",
    [],
    {},
    [1],
    {"a": 1},
    True,
    1.5,
    "5",
    10**30,
    [None],
    [{}],
    "\ud800",
    b"x",
    object(),
    int,
]


def places(raw, path=()):
    inner = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    for name, value in inner:
        yield (*path, name)
        yield from places(value, (*path, name))


@pytest.mark.parametrize("name", ["full_describe", "full_describe_raw", "rest_create", "rest_describe"])
def test_only_schema_errors_for_damaged_descriptions(name):
    whole = load(name)
    text, seen = json.dumps(whole), set()
    for number, (*parents, last) in enumerate(places(whole)):
        # Places that differ in the number of the field alone share the junk, each its part.
        kind = tuple("" if isinstance(step, int) else step for step in (*parents, last))
        found = JUNK if kind not in seen else JUNK[number % 4 :: 4]
        seen.add(kind)
        for junk in found:
            damaged = json.loads(text)
            inner = damaged
            for step in parents:
                inner = inner[step]
            inner[last] = junk
            try:
                schema = as_schema(damaged)
            except SchemaError:
                continue
            assert repr(schema)
            assert schema.written_fields()
