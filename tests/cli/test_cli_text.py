"""What the command line says about text files: separator, null, header, names, types."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from vecmill.cli import app

ROWS = [(1, "a", [0.5, 1.0]), (2, None, [1.5, 2.0]), (3, "c", [2.5, 3.0])]


def run(*args: str, code: int = 0):
    done = CliRunner().invoke(app, list(args))
    assert done.exit_code == code, done.output
    return done


def read(done) -> list[tuple]:
    ((path,),) = json.loads(done.stdout)["files"]
    table = pq.read_table(path)
    return list(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))


@pytest.mark.parametrize(("separator", "char"), [(";", ";"), ("|", "|"), (r"\t", "\t"), ("tab", "\t")])
def test_separator_and_null(tmp_path, separator, char):
    lines = [char.join(("id", "text", "vector"))]
    lines += [char.join((str(i), text or "NULL", f'"{vector}"')) for i, text, vector in ROWS]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    options = ("--separator", separator, "--null", "NULL")
    assert read(run("convert", str(tmp_path / "a.csv"), str(tmp_path / "out"), *options, "--json")) == ROWS
    found = json.loads(run("inspect", str(tmp_path / "a.csv"), *options, "--json").stdout)
    assert [(column["name"], column["nulls"]) for column in found["columns"]] == [("id", 0), ("text", 1), ("vector", 0)]
    schema = json.loads(run("schema", "infer", str(tmp_path / "a.csv"), *options).stdout)
    assert [field["name"] for field in schema["fields"]] == ["id", "text", "vector"]


@pytest.mark.parametrize(
    ("name", "char", "hint"),
    [("a.csv", ";", "';'"), ("a.csv", "\t", "tab"), ("a.csv", "|", "'|'"), ("a.tsv", ",", "','")],
)
def test_another_separator_is_hinted_at(tmp_path, name, char, hint):
    lines = [char.join(("id", "vector")), *(char.join((str(i), f'"{vector}"')) for i, _, vector in ROWS)]
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    done = run("convert", str(tmp_path / name), str(tmp_path / "out"), code=1)
    assert f"got one column {char.join(('id', 'vector'))!r}; --separator {hint} (separator=) cuts it" in done.stderr
    run("convert", str(tmp_path / name), str(tmp_path / "out"), "--separator", hint.strip("'"))


@pytest.mark.parametrize("command", [["convert"], ["inspect"], ["schema", "infer"]], ids=" ".join)
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--separator", ";"], "separator (--separator)"),
        (["--null", "NULL", "--no-header"], "null (--null), header (--header)"),
        (["--names", "a,b"], "names (--names)"),
        (["--type", "id=bigint"], "types (--type)"),
    ],
)
def test_options_that_would_change_nothing_are_refused(tmp_path, command, options, told):
    pq.write_table(pa.table({"id": [1, 2], "vector": [[0.5], [1.5]]}), tmp_path / "a.parquet")
    (tmp_path / "out").mkdir()
    where = [str(tmp_path / "a.parquet"), *([str(tmp_path / "out")] if command == ["convert"] else [])]
    done = run(*command, *where, *options, code=2)
    assert f"error: {told} would change nothing" in done.stderr
    assert f"'{tmp_path / 'a.parquet'}' is parquet" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_options_of_text_may_stand_where_one_input_is_text(tmp_path):
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("text;vector\nx;[1.5]\ny;[2.5]\n")
    options = ("--join", str(tmp_path / "b.csv"), "--separator", ";", "--json")
    assert read(run("convert", str(tmp_path / "a.parquet"), str(tmp_path / "out"), *options)) == [
        (1, "x", [1.5]),
        (2, "y", [2.5]),
    ]
    (tmp_path / "c.jsonl").write_text('{"id": 1, "vector": [1, 2]}\n')
    where = (str(tmp_path / "c.jsonl"), str(tmp_path / "out"))
    assert read(run("convert", *where, "--type", "vector=vector(2)", "--json")) == [(1, [1.0, 2.0])]
    run("convert", *where, "--separator", ";", code=2)
    output = json.loads(run("convert", *where, "--type", "vector=vector(2)", "--to", "npy", "--json").stdout)
    run("inspect", output["data_path"], "--null", "NULL", code=2)


def test_a_name_with_a_separator_in_it_can_be_insisted_on(tmp_path):
    (tmp_path / "a.csv").write_text('"x;y"\n"[1.5, 2.5]"\n')
    done = run(
        "convert", str(tmp_path / "a.csv"), str(tmp_path / "out"), "--separator", ",", "--map", "v=x;y", "--json"
    )
    assert [field["name"] for field in json.loads(done.stdout)["schema"]["fields"]] == ["id", "v"]


def test_names_and_types(tmp_path):
    (tmp_path / "a.csv").write_text("".join(f'{i},{text or ""},"{vector}"\n' for i, text, vector in ROWS))
    options = ("--no-header", "--names", "id,text,vector", "--type", "vector=vector(2)", "--type", "id=bigint")
    assert read(run("convert", str(tmp_path / "a.csv"), str(tmp_path / "out"), *options, "--json")) == ROWS
    refused = run(
        "convert", str(tmp_path / "a.csv"), str(tmp_path / "out"), *options[:-1], "text=bigint", "--json", code=1
    )
    error = json.loads(refused.stdout)["error"]
    assert (error["field"], error["row"]) == ("text", 0)


@pytest.mark.parametrize(
    "options", [("--separator", "ab"), ("--type", "vector"), ("--type", "=bigint"), ("--separator", "é")]
)
def test_what_makes_no_sense(tmp_path, options):
    (tmp_path / "a.csv").write_text("id,vector\n1,[1]\n")
    done = run("convert", str(tmp_path / "a.csv"), str(tmp_path / "out"), *options, code=2)
    assert options[0] in done.output


def test_where_the_rows_of_a_document_are(tmp_path):
    rows = [dict(zip(("id", "text", "vector"), row, strict=True)) for row in ROWS]
    (tmp_path / "a.json").write_text(json.dumps({"hits": {"hits": rows}, "aggs": [{"key": 1}]}))
    options = ("--records", "hits.hits")
    assert read(run("convert", str(tmp_path / "a.json"), str(tmp_path / "out"), *options, "--json")) == ROWS
    assert "--records" in run("convert", str(tmp_path / "a.json"), str(tmp_path / "out2"), code=1).output
    (tmp_path / "a.csv").write_text("id,vector\n1,[0.5,1.0]\n")
    assert (
        "records (--records)" in run("convert", str(tmp_path / "a.csv"), str(tmp_path / "out"), *options, code=2).output
    )
