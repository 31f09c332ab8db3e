"""What the command line says about text files: separator, null, header, names, types."""

from __future__ import annotations

import json

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
    ("name", "char", "hint"), [("a.csv", ";", "';'"), ("a.csv", "\t", "tab"), ("a.csv", "|", "'|'"), ("a.tsv", ",", "','")]
)
def test_another_separator_is_hinted_at(tmp_path, name, char, hint):
    lines = [char.join(("id", "vector")), *(char.join((str(i), f'"{vector}"')) for i, _, vector in ROWS)]
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    done = run("convert", str(tmp_path / name), str(tmp_path / "out"), code=1)
    assert f"got one column {char.join(('id', 'vector'))!r}; --separator {hint} (separator=) cuts it" in done.stderr
    run("convert", str(tmp_path / name), str(tmp_path / "out"), "--separator", hint.strip("'"))


def test_a_name_with_a_separator_in_it_can_be_insisted_on(tmp_path):
    (tmp_path / "a.csv").write_text('"x;y"\n"[1.5, 2.5]"\n')
    done = run("convert", str(tmp_path / "a.csv"), str(tmp_path / "out"), "--separator", ",", "--map", "v=x;y", "--json")
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
