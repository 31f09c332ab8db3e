"""CSV: what other readers find in it; and what Go's encoding/csv would change or lose is refused."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pc
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from examples import examples
from other_readers import D, columns, refusal, schema_of, write
from outputs import notes
from vecmill import DataError, LocalBulkWriter, SchemaError, StoreError, create_schema, validate

TEXT = schema_of(("t", D.VARCHAR, {"max_length": 99}), ("j", D.JSON, {}))
NULLABLE = schema_of(("n", D.INT32, {"nullable": True}), ("t", D.VARCHAR, {"max_length": 99, "nullable": True}))
NULL_KEY = {"nullkey": "\\N"}


def text_of(tmp_path, schema, rows, config=None):
    with LocalBulkWriter(schema, tmp_path, file_type="csv", config=config) as writer:
        writer.append_rows(rows)
    ((path,),) = writer.batch_files
    return Path(path)


def go_records(text: str, sep: str = ",") -> list[list[str]]:
    """Read CSV as Go's encoding/csv does with its default settings (its documentation; strict quotes)."""
    text = text.replace("\r\n", "\n")
    records: list[list[str]] = []
    i = 0
    while i < len(text):
        if text[i] == "\n":  # an empty line is no record
            i += 1
            continue
        record: list[str] = []
        while True:
            if i < len(text) and text[i] == '"':
                field, i = "", i + 1
                while text[i] != '"' or text[i : i + 2] == '""':
                    field, i = field + text[i], i + (2 if text[i] == '"' else 1)
                i += 1
                assert i == len(text) or text[i] in (sep, "\n"), "extraneous quote"
            else:
                end = min(k for k in (text.find(sep, i), text.find("\n", i), len(text)) if k >= 0)
                field, i = text[i:end], end
                assert '"' not in field, "bare quote"
            record.append(field)
            if i == len(text) or text[i] == "\n":
                i += 1
                break
            i += 1
        records.append(record)
    assert len({len(record) for record in records}) <= 1
    return records


def test_the_text_of_a_file(tmp_path):
    rows = [
        {"id": 1, "t": 'a "b", c\n', "j": {"k": 'x"y'}, "v": [0.1, -0.0]},
        {"id": 2, "t": "", "j": "[1,\r\n2]", "v": [1, 1e-7]},
        {"id": 3, "t": " plain é ", "j": '"s"', "v": [0, 1e20]},
    ]
    assert text_of(tmp_path, TEXT, rows).read_bytes().decode() == (
        "id,t,j,v\n"
        '1,"a ""b"", c\n","{""k"":""x\\""y""}","[0.1,-0.0]"\n'
        '2,"","[1,  2]","[1.0,1e-7]"\n'
        '3, plain é ,"""s""","[0.0,1e20]"\n'
    )


@pytest.mark.parametrize("sep", [",", ";", "|", "\t", ":"])
def test_separators(tmp_path, sep):
    rows = [{"id": 1, "t": f"a{sep}b", "j": {"a": 1}, "v": [1, 2]}, {"id": 2, "t": "x", "j": {}, "v": [1, 2]}]
    path = text_of(tmp_path, TEXT, rows, {"sep": sep})
    found = go_records(path.read_text(), sep)
    assert found == [["id", "t", "j", "v"], ["1", f"a{sep}b", '{"a":1}', "[1.0,2.0]"], ["2", "x", "{}", "[1.0,2.0]"]]
    with path.open(newline="") as file:
        assert list(csv.reader(file, delimiter=sep, strict=True)) == found


NUMBERS = schema_of(
    ("b", D.BOOL, {"nullable": True}), ("n", D.INT32, {"nullable": True}), ("f", D.DOUBLE, {}),
    ("t", D.VARCHAR, {"max_length": 99, "nullable": True}), ("j", D.JSON, {}),
)  # fmt: skip
SEPARATORS = [*",;|\t: '[{}]#/\\=", *"-.+019aelfrstuxE", *"é§€𝄞\xa0\u2028"]


@pytest.mark.parametrize("sep", SEPARATORS)
@pytest.mark.parametrize("nullkey", ["", "NULL"])
def test_writer_and_validate_take_the_separators_that_the_server_takes(tmp_path, sep, nullkey):
    rows = [
        {"id": -1, "b": True, "n": None, "f": -1.5e300, "t": f"a{sep}b", "j": {"a": 1}, "v": [1, 2]},
        {"id": 2, "b": None, "n": 10, "f": 0, "t": None, "j": {}, "v": [-0.5, 1e-7]},
        {"id": 3, "b": False, "n": -7, "f": 1, "t": "Àé€", "j": "[]", "v": [0, 0]},
    ]
    with LocalBulkWriter(NUMBERS, tmp_path, file_type="csv", config={"sep": sep, "nullkey": nullkey}) as writer:
        writer.append_rows(rows)
    null = nullkey
    wanted = [
        ["id", "b", "n", "f", "t", "j", "v"],
        ["-1", "true", null, "-1.5e300", f"a{sep}b", '{"a":1}', "[1.0,2.0]"],
        ["2", null, "10", "0.0", null, "{}", "[-0.5,1e-7]"],
        ["3", "false", "-7", "1.0", "Àé€", "[]", "[0.0,0.0]"],
    ]
    text = Path(writer.batch_files[0][0]).read_text("utf-8")
    assert go_records(text, sep) == wanted
    assert list(csv.reader(io.StringIO(text, newline=""), delimiter=sep, strict=True)) == wanted
    assert validate(writer.data_path).ok
    assert validate(writer.batch_files, NUMBERS, sep=sep, nullkey=nullkey).ok


@pytest.mark.parametrize("sep", ["", ",,", '"', "\n", "\r", "\0", "\ufffd", "\ud800"])
def test_a_separator_that_the_server_refuses_is_refused_by_all(tmp_path, sep):
    with pytest.raises(SchemaError, match="config sep is"):
        LocalBulkWriter(TEXT, tmp_path, file_type="csv", config={"sep": sep})
    (tmp_path / "rows.csv").write_text("id\n1\n")
    with pytest.raises(ValueError, match="sep is"):
        validate(tmp_path / "rows.csv", TEXT, sep=sep)


@pytest.mark.parametrize("config", [
    {"sep": ",,"}, {"sep": ""}, {"sep": '"'}, {"sep": "\n"}, {"sep": "\r"}, {"sep": "\0"}, {"sep": "\ufffd"},
    {"sep": "\ud800"}, {"sep": "a", "nullkey": "null a"}, {"sep": "-", "nullkey": 'a"b'}, {"sep": 5},
    {"nullkey": "1"}, {"nullkey": "true"}, {"nullkey": "[]"},
    {"nullkey": "{}"}, {"nullkey": '""'}, {"nullkey": "-0.5e3"}, {"nullkey": "a\nb"}, {"nullkey": "\0"}, {"nullkey": 0},
    {"quote": "'"},
])  # fmt: skip
def test_config_that_is_refused(tmp_path, config):
    with pytest.raises(SchemaError, match="config"):
        LocalBulkWriter(TEXT, tmp_path, file_type="csv", config=config)
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_tells_what_the_import_must_be_told(tmp_path):
    for config, options in (
        (None, {"sep": ",", "nullkey": ""}), ({"sep": ";"}, {"sep": ";", "nullkey": ""}),
        ({"nullkey": "NULL"}, {"sep": ",", "nullkey": "NULL"}),
    ):  # fmt: skip
        with LocalBulkWriter(TEXT, tmp_path, file_type="csv", config=config) as writer:
            writer.append_row({"id": 1, "t": "", "j": {}, "v": [1, 2]})
        assert json.loads((notes(writer.data_path) / "manifest.json").read_text())["import_options"] == options
    with pytest.raises(StoreError, match="its config is"):
        LocalBulkWriter(TEXT, writer.data_path, file_type="csv", resume=True)


@pytest.mark.parametrize("nullkey", ["\\N", "NULL", "NaN", "null", "a,b", 'qu"ote', " "])
def test_null_and_empty_text_differ(tmp_path, nullkey):
    rows = [{"id": i, "n": n, "t": t, "v": [0, 0]} for i, (n, t) in enumerate([(1, ""), (None, None), (0, "x")])]
    path = text_of(tmp_path, NULLABLE, rows, {"nullkey": nullkey})
    records = go_records(path.read_text())[1:]
    assert [record[1:3] for record in records] == [["1", ""], [nullkey, nullkey], ["0", "x"]]


WAYS = (
    lambda w, value: w.append_row({"id": 1, "v": [0, 0], "t": value}),
    lambda w, value: w.append_rows([{"id": 1, "v": [0, 0], "t": value}]),
    lambda w, value: w.append_batch({"id": [1], "v": [[0, 0]], "t": [value]}),
    lambda w, value: w.append_batch({"id": [1], "v": [[0, 0]], "t": np.array([value])}),
    lambda w, value: w.append_batch({"id": [1], "v": [[0, 0]], "t": pa.array([value])}),
    lambda w, value: w.append_batch({"id": range(9000), "v": np.zeros((9000, 2)), "t": pa.array([value] * 9000)}),
)


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_text_that_would_be_read_as_null_is_refused(tmp_path, way):
    def put(value):
        return lambda writer: WAYS[way](writer, value)

    with_default = schema_of(("t", D.VARCHAR, {"max_length": 9, "default_value": "d"}))
    for schema, config, value in (
        (NULLABLE, None, ""), (NULLABLE, NULL_KEY, "\\N"), (with_default, None, ""), (with_default, NULL_KEY, "\\N"),
    ):  # fmt: skip
        error = refusal(tmp_path, schema, put(value), file_type="csv", config=config)
        assert (error.field, error.row, error.got) == ("t", 0, repr(value))
        assert "null key" in error.expected and "nullkey" in error.expected
    not_nullable = schema_of(("t", D.VARCHAR, {"max_length": 9}))
    the_default = schema_of(("t", D.VARCHAR, {"max_length": 9, "default_value": ""}))
    for schema, config, value in (
        (not_nullable, {}, ""), (not_nullable, NULL_KEY, "\\N"), (the_default, {}, ""), (NULLABLE, NULL_KEY, "\\n"),
    ):  # fmt: skip
        written = write(tmp_path, schema, put(value), file_type="csv", config=config)
        records = go_records(Path(written.batch_files[0][0]).read_text())
        assert {record[-2] for record in records[1:]} == {value}


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_cr_lf_is_refused_since_the_server_would_change_it(tmp_path, way):
    def put(value):
        return lambda writer: WAYS[way](writer, value)

    schema = schema_of(("t", D.VARCHAR, {"max_length": 30}))
    error = refusal(tmp_path, schema, put("é\r\r\n"), file_type="csv")
    assert (error.field, error.row) == ("t", 0)
    assert "CR LF" in error.expected and error.got == "a CR LF at position 2"
    for value in ("\r", "\n", "\n\r", "a\rb\nc", "\r"):
        written = write(tmp_path, schema, put(value), file_type="csv")
        with Path(written.batch_files[0][0]).open(newline="") as file:
            records = go_records(file.read())
        assert {record[1] for record in records[1:]} == {value}


def test_a_nullable_json_field_keeps_its_null_apart(tmp_path):
    schema = schema_of(("j", D.JSON, {"nullable": True}))
    rows = [{"id": 0, "v": [0, 0], "j": None}, {"id": 1, "v": [0, 0], "j": "null"}]
    assert [record[1] for record in go_records(text_of(tmp_path, schema, rows).read_text())[1:]] == ["", "null"]
    error = refusal(tmp_path, schema, lambda w: w.append_row(rows[1]), file_type="csv", config={"nullkey": "null"})
    assert (error.field, error.got) == ("j", "'null'")


def test_a_file_of_one_column_has_no_blank_line(tmp_path):
    schema = create_schema()
    schema.add_field("id", D.INT64, is_primary=True, auto_id=True)
    schema.add_field("v", D.FLOAT_VECTOR, dim=2, nullable=True)
    rows = [{"v": None}, {"v": [1, 2]}, {"v": None}]
    path = text_of(tmp_path, schema, rows)
    assert go_records(path.read_text()) == [["v"], [""], ["[1.0,2.0]"], [""]]


@examples(80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12) | st.none(), min_size=1, max_size=9))
@example(["", None, "\\", '"', '""', ",", "\n", "\r", "\0", "\ufeff", " ", "'", "\u2028", "a\r", '"a'])
def test_any_text_is_read_as_it_was_or_refused(tmp_path, texts):
    taken = []
    with LocalBulkWriter(NULLABLE, tmp_path, file_type="csv", config=NULL_KEY) as writer:
        for text in texts:
            try:
                writer.append_row({"id": 0, "n": None, "t": text, "v": [0, 0]})
            except DataError:
                assert text == "\\N" or "\r\n" in text
            else:
                taken.append(text)
    for files in writer.batch_files:
        raw = Path(files[0]).read_bytes().decode()
        expected = ["\\N" if text is None else text for text in taken]
        assert [record[2] for record in go_records(raw)[1:]] == expected
        with Path(files[0]).open(newline="", encoding="utf-8") as file:
            assert [record[2] for record in csv.reader(file, strict=True)][1:] == expected
    assert columns(writer).get("t", []) == taken


def test_other_readers_find_the_same(tmp_path):
    texts = ["", None, 'a "b", c', "line\nline", " é𝄞 ", "\\", "x"]
    vectors = np.random.default_rng(1).standard_normal((len(texts), 2)).astype(np.float32)
    rows = [{"id": 2**62 + i, "n": None if i % 2 else i, "t": text, "v": vectors[i]} for i, text in enumerate(texts)]
    path = text_of(tmp_path, NULLABLE, rows, NULL_KEY)
    with duckdb.connect() as connection:
        query = f"select id, n, t, v::FLOAT[2] from read_csv('{path}', nullstr='\\N', all_varchar=true)"
        by_duckdb = connection.sql(query).fetchall()
    frame = pl.read_csv(path, null_values="\\N", empty_string_is_null=False, infer_schema=False)
    table = pc.read_csv(
        path, parse_options=pc.ParseOptions(newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            null_values=["\\N"], strings_can_be_null=True, quoted_strings_can_be_null=False,
            column_types={"id": pa.int64(), "n": pa.int32(), "t": pa.string(), "v": pa.string()},
        ),
    )  # fmt: skip
    assert table["id"].to_pylist() == [row["id"] for row in rows]
    assert table["n"].to_pylist() == [row["n"] for row in rows]
    assert table["t"].to_pylist() == frame["t"].to_list() == [row[2] for row in by_duckdb] == texts
    assert [int(one) for one in frame["id"]] == [int(row[0]) for row in by_duckdb] == [row["id"] for row in rows]
    for found in (table["v"].to_pylist(), frame["v"].to_list()):
        assert np.array([json.loads(one) for one in found], np.float32).tobytes() == vectors.tobytes()
    assert np.array([row[3] for row in by_duckdb], np.float32).tobytes() == vectors.tobytes()
