"""With a schema, the schema decides what a value of text is: unchanged, or refused with its row."""

from __future__ import annotations

import base64
import csv
import json
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vecmill import DataType, FieldSchema, convert, create_schema
from vecmill.errors import DataError, SchemaError
from vecmill.schema.collection import CollectionSchema
from vecmill.sources import TextOptions

D = DataType
Field = tuple[DataType, dict[str, Any]]
VECTOR: Field = (D.FLOAT_VECTOR, {"dim": 2})
V = [0.1, 0.2]


def schema_of(key: DataType = D.INT64, *, dynamic: bool = False, **fields: Field) -> CollectionSchema:
    schema = create_schema(enable_dynamic_field=dynamic)
    schema.add_field("id", key, is_primary=True, **({"max_length": 99} if key is D.VARCHAR else {}))
    for name, (dtype, options) in ({"v": VECTOR} | fields).items():
        schema.add_field(name, dtype, **options)
    return schema


def jsonl(folder: Path, rows: Sequence[Mapping[str, Any] | str], name: str = "in.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def cells(folder: Path, header: Sequence[str], *rows: Sequence[str], name: str = "in.csv", **form: Any) -> Path:
    path = folder / name
    with path.open("w", newline="") as file:
        csv.writer(file, **form).writerows([header, *rows])
    return path


def read(src: Any, schema: CollectionSchema | None, **options: Any) -> dict[str, list[Any]]:
    out = Path(src[0] if isinstance(src, list) else src).parent / "out"
    report = convert(src, out, schema=schema, **options)
    columns: dict[str, list[Any]] = {}
    for group in report.files:
        for name, column in pq.read_table(group[0]).to_pydict().items():
            columns.setdefault(name, []).extend(column)
    return columns


def one(folder: Path, field: Field, *values: Any, **options: Any) -> list[Any]:
    """Return a column that was given as JSON."""
    rows = [{"id": i, "v": V, "x": value} for i, value in enumerate(values)]
    return read(jsonl(folder, rows), schema_of(x=field), **options)["x"]


def refused(folder: Path, field: Field, value: Any, words: str, **options: Any) -> None:
    good: Any = {
        D.BINARY_VECTOR: [0, 0],
        D.INT8_VECTOR: [0, 0],
        D.VARCHAR: "a",
        D.INT64: 1,
        D.JSON: {},
        D.TIMESTAMPTZ: "2024-01-01T00:00:00Z",
    }.get(field[0], V)
    with pytest.raises(DataError, match=words) as caught:
        one(folder, field, good, value, **options)
    assert (caught.value.field, caught.value.row) == ("x", 1)


TEXT: Field = (D.VARCHAR, {"max_length": 200})


class TestText:
    def test_a_number_among_texts_changes_none_of_them(self, tmp_path: Path) -> None:
        path = jsonl(tmp_path, [{"id": "sku-17", "v": V}, {"id": 4711, "v": V}])
        with pytest.raises(DataError, match=r"row 1: expected text .*--cast unsafe.*got 4711"):
            read(path, schema_of(D.VARCHAR))
        assert read(path, schema_of(D.VARCHAR), on_error="skip")["id"] == ["sku-17"]
        assert read(path, schema_of(D.VARCHAR), cast="unsafe")["id"] == ["sku-17", "4711"]

    def test_an_object_is_no_text_and_the_way_is_named(self, tmp_path: Path) -> None:
        refused(tmp_path, TEXT, {"$oid": "65a"}, r"--map x=x\.\$oid")
        got = one(tmp_path, TEXT, "a", {"$oid": "6"}, ["b"], True, 1.50, cast="unsafe")
        assert got == ["a", '{"$oid": "6"}', '["b"]', "true", "1.5"]

    def test_a_key_of_numbers_and_texts_without_a_schema(self, tmp_path: Path) -> None:
        path = jsonl(tmp_path, [{"id": "sku-1", "v": V}, {"id": 4711, "v": V}, {"id": "0", "v": V}])
        with pytest.raises(SchemaError, match="neither all text nor all integers; --type id=text"):
            read(path, None)
        got = read(path, None, text=TextOptions(types={"id": "text"}))
        assert got["id"] == ["sku-1", "4711", "0"]
        assert "id" in read(path, None, id_from="row", columns={"key": "id", "v": "v"})

    def test_beyond_the_first_rows(self, tmp_path: Path) -> None:
        rows = [{"id": i, "v": V, "x": "a"} for i in range(1500)]
        rows[1400]["x"] = 5
        with pytest.raises(DataError, match="row 1400: expected text"):
            read(jsonl(tmp_path, rows), schema_of(x=TEXT))

    def test_what_only_the_first_rows_lack(self, tmp_path: Path) -> None:
        rows: list[dict[str, Any]] = [{"id": i, "v": V} for i in range(2000)]
        rows[1999]["x"] = "late"
        assert read(jsonl(tmp_path, rows), schema_of(x=(D.VARCHAR, {"max_length": 9, "nullable": True})))["x"][-2:] == [
            None, "late",
        ]  # fmt: skip


class TestNumbers:
    def test_lists_of_doubles_and_large_integers_are_exact(self, tmp_path: Path) -> None:
        doubles: Field = (D.ARRAY, {"element_type": D.DOUBLE, "max_capacity": 4})
        assert one(tmp_path, doubles, [123456789.12, 0.1], [1e21, 3]) == [[123456789.12, 0.1], [1e21, 3.0]]
        wholes: Field = (D.ARRAY, {"element_type": D.INT64, "max_capacity": 4})
        assert one(tmp_path, wholes, [2**53 + 1, 16777217], [1, 2]) == [[2**53 + 1, 16777217], [1, 2]]
        path = cells(tmp_path, ["id", "v", "x"], ["1", "[1,2]", "[123456789.12,0.1]"], ["2", "[1,2]", "{1e21,3}"])
        assert read(path, schema_of(x=doubles))["x"] == [[123456789.12, 0.1], [1e21, 3.0]]

    def test_a_whole_float_is_an_integer_and_no_other(self, tmp_path: Path) -> None:
        assert one(tmp_path, (D.INT64, {}), 1, 2.0, 1e5) == [1, 2, 100_000]
        refused(tmp_path, (D.INT64, {}), 2.5, "expected an integer, got 2.5")
        refused(tmp_path, (D.INT64, {}), "2", 'expected an integer, got "2"')
        assert one(tmp_path, (D.INT64, {}), 1, 2.5, "000123", True, cast="unsafe") == [1, 2, 123, 1]

    def test_one_bad_cell_is_one_row(self, tmp_path: Path) -> None:
        for at in (3, 1500):
            rows = [[str(i), "[1,2]", str(i)] for i in range(2000)]
            rows[at][2] = "N/A"
            path = cells(tmp_path, ["id", "v", "x"], *rows)
            with pytest.raises(DataError, match=f"row {at}: expected an integer, got 'N/A'"):
                read(path, schema_of(x=(D.INT64, {})))
            assert len(read(path, schema_of(x=(D.INT64, {})), on_error="skip")["x"]) == 1999


class TestJson:
    def test_text_is_the_value_that_it_says(self, tmp_path: Path) -> None:
        got = one(tmp_path, (D.JSON, {}), '{"a":1}', "5", "[1]", "true", {"b": 1.50}, 7, '"text"')
        assert [json.loads(one) for one in got] == [{"a": 1}, 5, [1], True, {"b": 1.5}, 7, "text"]

    def test_plain_text_is_refused_or_kept_if_told(self, tmp_path: Path) -> None:
        refused(tmp_path, (D.JSON, {}), "hello", "--cast unsafe makes a JSON string")
        assert one(tmp_path, (D.JSON, {}), "hello", {"a": 1}, cast="unsafe") == ['"hello"', '{"a": 1}']


class TestDynamic:
    def test_each_row_keeps_its_own_keys(self, tmp_path: Path) -> None:
        rows = [
            {"id": 1, "v": V, "color": "red"},
            {"id": 2, "v": V, "weight": 5},
            {"id": 3, "v": V},
            '{"a": 1e2, "id": 4, "b": {"c": [1.0, null]}, "v": [1, 2], "d": "ü\\n"}',
            {"id": 5, "v": V, "$meta": {"own": 1}, "more": 2},
            {"id": 6, "v": V, "$meta": '{"own": 2}'},
        ]
        got = read(jsonl(tmp_path, rows), schema_of(dynamic=True))["$meta"]
        assert got[:2] == ['{"color": "red"}', '{"weight": 5}']
        assert [json.loads(one) for one in got[2:]] == [
            {}, {"a": 100.0, "b": {"c": [1.0, None]}, "d": "ü\n"}, {"own": 1, "more": 2}, {"own": 2},
        ]  # fmt: skip
        assert got[3].startswith('{"a": 1e2,')

    def test_any_number_of_keys_whenever_they_come(self, tmp_path: Path) -> None:
        rows = [{"id": i, "v": V, f"key{i}": i} for i in range(3000)]
        got = read(jsonl(tmp_path, rows), schema_of(dynamic=True))["$meta"]
        assert got == [f'{{"key{i}": {i}}}' for i in range(3000)]

    @pytest.mark.parametrize("row", ['"k": 1, "k": 2', '"k": {"a": 1, "a": 2}', '"$meta": {"k": 1}, "k": 2'])
    def test_a_key_twice_is_refused(self, tmp_path: Path, row: str) -> None:
        path = jsonl(tmp_path, [{"id": 1, "v": V}, f'{{"id": 2, "v": [1, 2], {row}}}'])
        with pytest.raises(DataError, match=r"row 1.*twice"):
            read(path, schema_of(dynamic=True))

    def test_without_a_dynamic_field_a_late_key_is_refused(self, tmp_path: Path) -> None:
        rows = [{"id": i, "v": V} for i in range(1500)]
        rows[1400]["other"] = 5
        with pytest.raises(DataError, match=r"row 1400.*'other'"):
            read(jsonl(tmp_path, rows), schema_of())

    def test_a_map_takes_what_it_names(self, tmp_path: Path) -> None:
        path = jsonl(tmp_path, [{"id": 1, "w": V, "a": 1, "b": 2}])
        assert read(path, schema_of(dynamic=True), columns={"v": "w"}) == {
            "id": [1], "v": [pytest.approx(V)], "$meta": ["{}"],
        }  # fmt: skip
        got = read(path, schema_of(dynamic=True), columns={"v": "w", "*": "*"})
        assert json.loads(got["$meta"][0]) == {"a": 1, "b": 2}


class TestPaths:
    ROW: Mapping[str, Any] = {"_id": {"$oid": "65a"}, "_source": {"title": "a", "e": [[1, 2], [3, 4.5]]}, "x.y": 5}

    def test_paths_and_elements(self, tmp_path: Path) -> None:
        path = jsonl(tmp_path, [self.ROW, self.ROW])
        schema = schema_of(D.VARCHAR, title=TEXT, n=(D.INT64, {}))
        names = {"id": "_id.$oid", "v": "_source.e[1]", "title": "_source.title", "n": "x.y"}
        got = read(path, schema, columns=names)
        assert got == {"id": ["65a"] * 2, "v": [[3, 4.5]] * 2, "title": ["a"] * 2, "n": [5, 5]}
        got = read(path, None, columns=names, id_from="column:id")
        assert (got["v"], got["title"]) == ([[3, 4.5]] * 2, ["a"] * 2)

    @pytest.mark.parametrize("name", ["titel", "_source.titel", "_source.e[7]", "_source.title.x"])
    def test_a_name_that_no_row_has(self, tmp_path: Path, name: str) -> None:
        path = jsonl(tmp_path, [self.ROW] * 3)
        nullable: Field = (D.VARCHAR, {"max_length": 9, "nullable": True})
        with pytest.raises(DataError, match=r"expected a column .*, got columns .*'_source'"):
            read(path, schema_of(D.VARCHAR, t=nullable), columns={"id": "_id.$oid", "v": "_source.e[0]", "t": name})

    def test_a_late_name_is_found(self, tmp_path: Path) -> None:
        rows: list[dict[str, Any]] = [{"id": i, "v": V} for i in range(3000)]
        rows[2999]["late"] = "x"
        nullable: Field = (D.VARCHAR, {"max_length": 9, "nullable": True})
        assert read(jsonl(tmp_path, rows), schema_of(t=nullable), columns={"t": "late"})["t"][-2:] == [None, "x"]


class TestJoins:
    def test_metadata_beside_vectors(self, tmp_path: Path) -> None:
        meta = jsonl(tmp_path, [{"id": i, "t": f"t{i}"} for i in range(5)])
        vectors = np.arange(10, dtype=np.float32).reshape(5, 2)
        np.save(tmp_path / "v.npy", vectors)
        schema = schema_of(t=TEXT)
        ways: list[tuple[Any, dict[str, Any]]] = [
            ([str(meta), str(tmp_path / "v.npy")], {}),
            (str(meta), {"join": [str(tmp_path / "v.npy")]}),
            (str(meta), {"columns": {"v": str(tmp_path / "v.npy")}}),
            (str(meta), {"columns": {"v": str(tmp_path / "v.npy"), "*": "*"}}),
        ]
        for src, options in ways:
            got = read(src, schema, **options)
            assert (got["id"], got["t"], got["v"]) == (list(range(5)), [f"t{i}" for i in range(5)], vectors.tolist())

    def test_two_files_of_json(self, tmp_path: Path) -> None:
        first = jsonl(tmp_path, [{"id": i, "t": "a"} for i in range(3)])
        second = jsonl(tmp_path, [{"v": V} for _ in range(3)], "b.jsonl")
        optional: Field = (D.VARCHAR, {"max_length": 9, "nullable": True})
        got = read(str(first), schema_of(t=TEXT, o=optional), join=[str(second)])
        assert (got["id"], got["v"], got["o"]) == ([0, 1, 2], [pytest.approx(V)] * 3, [None] * 3)


F32 = struct.pack("<2f", 0.5, -0.25)
FORMS: list[Any] = [
    [0.5, -0.25], "[0.5,-0.25]", "0.5,-0.25", "0.5 -0.25", "(0.5, -0.25)", "{0.5,-0.25}", "[0.5 -0.25]",
    base64.b64encode(F32).decode(), base64.urlsafe_b64encode(F32).decode().rstrip("="), F32.hex(), f"\\x{F32.hex()}",
    {"0": 0.5, "1": -0.25}, {"type": "Buffer", "data": list(F32)}, "[np.float32(0.5), np.float32(-0.25)]",
    "tensor([0.5000, -0.2500])", "array([ 0.5 , -0.25], dtype=float32)", {"type": 1, "values": [0.5, -0.25]},
    {"type": 0, "size": 2, "indices": [0, 1], "values": [0.5, -0.25]},
]  # fmt: skip


class TestVectors:
    @pytest.mark.parametrize("form", FORMS, ids=repr)
    def test_forms_that_can_only_be_that_vector(self, tmp_path: Path, form: Any) -> None:
        assert one(tmp_path, VECTOR, form, [1, 2]) == [[0.5, -0.25], [1, 2]]
        if isinstance(form, str):
            path = cells(tmp_path, ["id", "v"], ["1", form], ["2", "[1,2]"])
            assert read(path, schema_of())["v"] == [[0.5, -0.25], [1, 2]]

    @pytest.mark.parametrize(
        "form",
        ["[0.5,...]", "[0.1 ... 0.2]", "hello", [0.5], [0.5, "1"], [True, 0], {"a": 1, "b": 2}, "1", F32.hex()[2:]],
    )
    def test_others_are_refused(self, tmp_path: Path, form: Any) -> None:
        refused(tmp_path, VECTOR, form, "expected a list of 2 numbers, got")
        if "..." in form:
            refused(tmp_path, VECTOR, form, "values are gone")

    def test_bits(self, tmp_path: Path) -> None:
        bits: Field = (D.BINARY_VECTOR, {"dim": 16})
        forms = [[177, 3], [1, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1], "1011000100000011",
                 base64.b64encode(bytes([177, 3])).decode(), {"type": "Buffer", "data": [177, 3]}]  # fmt: skip
        got = one(tmp_path, bits, *forms)
        assert all(bytes(row) == bytes([177, 3]) for row in got)
        refused(tmp_path, bits, [-79, 3], "2 bytes, 0 to 255, got -79")
        refused(tmp_path, bits, [1, 2, 3], "expected a list of 16 0s and 1s, or of their bytes, got")

    def test_bytes_and_int8(self, tmp_path: Path) -> None:
        int8: Field = (D.INT8_VECTOR, {"dim": 2})
        assert one(tmp_path, int8, [1, -2], base64.b64encode(b"\x01\xfe").decode(), "[1, -2]") == [[1, -2]] * 3
        refused(tmp_path, int8, [1.5, 2], "expected a list of 2 integers")


class TestCells:
    def test_an_empty_cell_is_null_quoted_or_not(self, tmp_path: Path) -> None:
        fields = {name: (dtype, {"nullable": True}) for name, dtype in (("i", D.INT64), ("b", D.BOOL), ("d", D.DOUBLE))}
        text: Field = (D.VARCHAR, {"max_length": 9})
        for quoting in (csv.QUOTE_ALL, csv.QUOTE_MINIMAL):
            path = cells(
                tmp_path, ["id", "v", "i", "b", "d", "t"], ["1", "[1,2]", "", "", "", ""],
                ["2", "[1,2]", "7", "true", "0.5", "x"], quoting=quoting,
            )  # fmt: skip
            got = read(path, schema_of(**fields, t=text))
            assert [got[name] for name in "ibdt"] == [[None, 7], [None, True], [None, 0.5], ["", "x"]]

    def test_quotes_tell_nothing_where_all_cells_have_them(self, tmp_path: Path) -> None:
        text: Field = (D.VARCHAR, {"max_length": 9, "nullable": True})
        rows = [["1", "[1,2]", ""], ["2", "[1,2]", "x"]]
        assert read(cells(tmp_path, ["id", "v", "t"], *rows, quoting=csv.QUOTE_ALL), schema_of(t=text))["t"] == [
            None,
            "x",
        ]
        path = tmp_path / "in.csv"
        path.write_text('id,v,t\n1,"[1,2]",""\n2,"[1,2]",\n')  # as PostgreSQL writes it
        assert read(path, schema_of(t=text))["t"] == ["", None]

    @pytest.mark.parametrize("cell", ["a\\nb", "C:\\\\x", "\\N"])
    def test_a_backslash_in_a_tsv_may_be_an_escape(self, tmp_path: Path, cell: str) -> None:
        path = tmp_path / "in.tsv"
        path.write_text(f"id\tv\tt\n1\t[1,2]\tC:\\docs\n2\t[1,2]\t{cell}\n")
        text: Field = (D.VARCHAR, {"max_length": 9, "nullable": True})
        with pytest.raises(DataError, match="row 1: expected text in which no backslash may be an escape"):
            read(path, schema_of(t=text))
        assert read(path, schema_of(t=text), kind="csv", text=TextOptions(separator="\t"))["t"][1] == cell

    @pytest.mark.parametrize("cell", ['["x", "a b"]', '{x,"a b"}', "['x', 'a b']", "{x,'a b'}"])
    def test_lists_of_text(self, tmp_path: Path, cell: str) -> None:
        tags: Field = (D.ARRAY, {"element_type": D.VARCHAR, "max_length": 9, "max_capacity": 4})
        assert read(cells(tmp_path, ["id", "v", "x"], ["1", "[1,2]", cell]), schema_of(x=tags))["x"] == [["x", "a b"]]
        with pytest.raises(DataError, match="row 0: expected a list of VARCHAR values, got"):
            read(cells(tmp_path, ["id", "v", "x"], ["1", "[1,2]", "[x, y z]"]), schema_of(x=tags))

    def test_decimal_commas(self, tmp_path: Path) -> None:
        path = cells(tmp_path, ["id", "v", "x"], ["1", "[1,2]", "1,5"], ["2", "[1,2]", "-3"], delimiter=";")
        got = read(path, schema_of(x=(D.DOUBLE, {})), text=TextOptions(separator=";", decimal=","))
        assert got["x"] == [1.5, -3.0]


class TestTimes:
    TIME: Field = (D.TIMESTAMPTZ, {})

    def test_a_number_has_no_unit(self, tmp_path: Path) -> None:
        refused(tmp_path, self.TIME, 1700000000, "--type x=UNIT")
        for unit, number in (("epoch_s", 1700000000), ("epoch_ms", 1700000000000), ("epoch_us", 1700000000000000)):
            got = one(tmp_path, self.TIME, number, text=TextOptions(types={"x": unit}))
            assert got[0].startswith("2023-11-14T22:13:20")

    @pytest.mark.parametrize(
        ("text", "want"),
        [
            ("2024-01-02 03:04:05 UTC", "2024-01-02T03:04:05Z"),
            ("2024-01-02T03:04:05.5+0000", "2024-01-02T03:04:05.5+00:00"),
            ("2024-01-02 03:04:05+00", "2024-01-02T03:04:05+00:00"),
            ("2024-01-02 03:04:05.123456000-02:30", "2024-01-02T03:04:05.123456-02:30"),
        ],
    )
    def test_another_form_of_the_same_time(self, tmp_path: Path, text: str, want: str) -> None:
        assert one(tmp_path, self.TIME, text, {"$date": "2024-01-02T03:04:05Z"})[0] == want
        assert read(cells(tmp_path, ["id", "v", "x"], ["1", "[1,2]", text]), schema_of(x=self.TIME))["x"] == [want]

    def test_finer_times_are_cut_if_told(self, tmp_path: Path) -> None:
        fine = "2024-01-02T03:04:05.123456789Z"
        refused(tmp_path, self.TIME, fine, "finer than a microsecond")
        assert one(tmp_path, self.TIME, fine, cast="unsafe") == ["2024-01-02T03:04:05.123456Z"]


class TestSparseAndStructs:
    def test_sparse_forms(self, tmp_path: Path) -> None:
        sparse: Field = (D.SPARSE_FLOAT_VECTOR, {})
        forms = [{"1": 0.5, "7": 2}, {"indices": [1, 7], "values": [0.5, 2]}, [[1, 0.5], [7, 2.0]], "{2:0.5,8:2}/9",
                 '{"1": 0.5, "7": 2.0}', [{"index": 1, "value": 0.5}, {"index": 7, "value": 2}]]  # fmt: skip
        got = one(tmp_path, sparse, *forms)
        assert [json.loads(row) for row in got] == [{"1": 0.5, "7": 2}] * len(forms)

    def test_struct_arrays_late_and_empty(self, tmp_path: Path) -> None:
        subs = [FieldSchema("text", D.VARCHAR, max_length=9), FieldSchema("e", D.FLOAT_VECTOR, dim=2)]
        clips = FieldSchema("clips", D.ARRAY, element_type=D.STRUCT, struct_schema=subs, max_capacity=4)
        schema = CollectionSchema([*schema_of().fields, clips])
        rows: list[dict[str, Any]] = [{"id": i, "v": V, "clips": []} for i in range(1200)]
        rows[1100]["clips"] = [{"text": "a", "e": [1, 2]}, {"text": "b", "e": [3, 4]}]
        got = read(jsonl(tmp_path, rows), schema)["clips"]
        assert got[0] == [] and [one["text"] for one in got[1100]] == ["a", "b"]


class TestColumnsOfDimensions:
    SCHEMA = staticmethod(lambda: schema_of(v=(D.FLOAT_VECTOR, {"dim": 12})))
    ROWS = np.arange(36, dtype=np.float64).reshape(3, 12) / 8

    def table(self, folder: Path, stem: str, first: int, kind: str) -> Path:
        names = [f"{stem}{first + i}" for i in range(12)]
        order = [names[i] for i in (3, 1, 2, 0, *range(4, 12))]
        columns = {"id": [1, 2, 3], **{name: self.ROWS[:, names.index(name)].tolist() for name in order}}
        if kind == "parquet":
            pq.write_table(pa.table(columns), folder / "in.parquet")
            return folder / "in.parquet"
        return cells(folder, list(columns), *[[str(x) for x in row] for row in zip(*columns.values(), strict=True)])

    @pytest.mark.parametrize("kind", ["parquet", "csv"])
    @pytest.mark.parametrize(("stem", "first", "given"), [("emb_", 0, "emb_*"), ("", 1, "1..12"), ("d", 0, "d0..11")])
    def test_they_are_one_vector(self, tmp_path: Path, kind: str, stem: str, first: int, given: str) -> None:
        path = self.table(tmp_path, stem, first, kind)
        for options in ({}, {"columns": {"v": given, "*": "*"}}, {"columns": {"v": given}}):
            got = read(path, self.SCHEMA(), **options)
            assert (got["id"], got["v"]) == ([1, 2, 3], self.ROWS.tolist())
        got = read(path, None, columns={"v": given, "*": "*"})
        assert got["v"] == self.ROWS.tolist()

    def test_very_many_columns(self, tmp_path: Path) -> None:
        n = 10_000
        values = np.arange(3 * n, dtype=np.float64).reshape(3, n) / 16
        header = ["id", *(f"e{i}" for i in range(n))]
        path = cells(tmp_path, header, *[[str(i), *map(str, row)] for i, row in enumerate(values.tolist())])
        began = time.monotonic()
        got = read(path, schema_of(v=(D.FLOAT_VECTOR, {"dim": n})))
        assert got["v"] == values.tolist()
        assert time.monotonic() - began < 60  # 3 s on a quiet machine; it was quadratic

    def test_a_null_and_what_is_no_number(self, tmp_path: Path) -> None:
        pq.write_table(
            pa.table({"id": [1, 2], "e0": [0.5, None], "e1": [1.0, 2.0], "x0": ["a", "b"]}), tmp_path / "in.parquet"
        )
        with pytest.raises(DataError, match="field 'v', row 1: expected a number in 'e0', got null"):
            read(tmp_path / "in.parquet", schema_of(), columns={"id": "id", "v": "e*"})
        with pytest.raises(DataError, match="expected a column of numbers, got one of string"):
            read(tmp_path / "in.parquet", schema_of(), columns={"id": "id", "v": "x*"})
        with pytest.raises(DataError, match=r"expected columns 'e0\.\.7', got columns"):
            read(tmp_path / "in.parquet", schema_of(), columns={"id": "id", "v": "e0..7"})


class TestTextInTables:
    def test_text_of_vectors_times_and_lists(self, tmp_path: Path) -> None:
        tags: Field = (D.ARRAY, {"element_type": D.VARCHAR, "max_length": 9, "max_capacity": 4})
        schema = schema_of(t=(D.TIMESTAMPTZ, {}), tags=tags)
        table = pa.table({
            "id": [1, 2], "v": ["[0.5,1]", "0.5 1"], "t": ["2024-01-02 03:04:05+00", "2024-01-02T03:04:05Z"],
            "tags": ['["a"]', "{a}"],
        })  # fmt: skip
        for form in (
            table,
            table.cast(pa.schema([(n, pa.large_string() if n != "id" else pa.int64()) for n in table.column_names])),
        ):
            pq.write_table(form, tmp_path / "in.parquet")
            got = read(tmp_path / "in.parquet", schema)
            assert got["v"] == [[0.5, 1], [0.5, 1]] and got["tags"] == [["a"], ["a"]]
            assert got["t"] == ["2024-01-02T03:04:05+00:00", "2024-01-02T03:04:05Z"]
