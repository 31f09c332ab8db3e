"""convert(): files of text with lines that cannot be read, and standard input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zstandard

from commands import run_vecmill
from conversions import read_parquet, small_schema
from vecmill.convert import convert
from vecmill.errors import DataError
from vecmill.sources.text.stream import TextInput

BAD = {17: '{"id": broken', 18: "[]", 99: '{"id": "text", "vector": [1.0]}'}


def write_lines(path: Path, start: int, n: int = 500) -> list[int]:
    """Write rows as JSON Lines, with bad ones; return the ids of the good rows."""
    lines = []
    for i in range(n):
        good = json.dumps({"id": start + i, "vector": [i + 0.5] * 8})
        lines.append(BAD.get(i, good))
    path.write_text("\n".join(lines) + "\n")
    return [start + i for i in range(n) if i not in BAD]


def test_broken_lines_are_rejected_with_file_and_row(tmp_path):
    good = write_lines(tmp_path / "1.jsonl", 0) + write_lines(tmp_path / "2.jsonl", 500)
    src = [tmp_path / "1.jsonl", tmp_path / "2.jsonl"]
    for more in ({}, {"schema": small_schema()}, {"check_duplicates": True, "keep": "last"}):
        report = convert(src, tmp_path / "out", on_error="skip", **more)
        assert read_parquet(report)["id"].to_pylist() == good
        lines = [json.loads(line) for line in Path(report.rejects).read_text().splitlines()]
        assert [(Path(line["file"]).name, line["row"]) for line in lines] == [
            (name, row) for name in ("1.jsonl", "2.jsonl") for row in (17, 18, 99)
        ]
        assert report.rows + report.rows_rejected == report.rows_read == 1000
    with pytest.raises(DataError) as caught:
        convert(src, tmp_path / "out", schema=small_schema())
    assert (caught.value.file, caught.value.row) == (str(src[0]), 17)


@pytest.mark.parametrize("options", [[], ["--on-error", "skip"], ["--check-duplicates", "--on-error", "skip"]])
@pytest.mark.parametrize("given", [False, True])
def test_standard_input(tmp_path, options, given):
    good = write_lines(tmp_path / "in.jsonl", 0)
    text = (tmp_path / "in.jsonl").read_text()
    if not options:
        text = "\n".join(line for i, line in enumerate(text.splitlines()) if i not in BAD)
    (tmp_path / "schema.json").write_text(json.dumps(small_schema().to_dict()))
    words = ["convert", "-", tmp_path / "out", "--kind", "jsonl", "--json", *options]
    words += ["--schema", tmp_path / "schema.json"] if given else []
    done = run_vecmill(*words, stdin=text)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["rows"], report["rows_rejected"]) == (len(good), 3 if options else 0)


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "jsonl.zst"])
def test_a_file_of_many_unreadable_rows_is_read_once(tmp_path, monkeypatch, ending):
    """Every second row cannot be read, each in another way: the first one, and two in a row, as well."""
    n = 3000
    bad = {0, 1, *range(1, n, 2)}
    wrong = {
        "csv": ["7", "x,[1,2]", "7,[1]", '7,"[1,2]",3', "7,[a,b]"],
        "json": [
            "7",
            '{"id":7,"vector":[1]}',
            '{"id":"x","vector":[1,2]}',
            '{"id":7,"id":7}',
            '{"id":7,"vector":[a,b]}',
        ],
    }
    wrong["jsonl"] = [*wrong["json"], '{"id":7,"vector":[1,2]', "nonsense", '{"id":7,,"vector":[1,2]}']
    kind = ending.partition(".")[0]
    good = '{},"[{},0.5]"' if kind == "csv" else '{{"id":{},"vector":[{},0.5]}}'
    rows = [wrong[kind][i % len(wrong[kind])] if i in bad else good.format(i, i) for i in range(n)]
    text = "[" + ",\n".join(rows) + "]" if kind == "json" else "\n".join(rows)
    text = "id,vector\n" + text if kind == "csv" else text
    path = tmp_path / f"rows.{ending}"
    path.write_bytes(zstandard.compress(text.encode()) if ending.endswith("zst") else text.encode())
    opened = []
    whole = TextInput.open
    monkeypatch.setattr(TextInput, "open", lambda self, **more: opened.append(more) or whole(self, **more))
    schema = small_schema().to_dict()
    schema["fields"][1]["params"]["dim"] = 2
    report = convert(path, tmp_path / "out", schema=schema, on_error="skip")
    assert sum(not more["look"] for more in opened) == 1  # the others only look at its beginning
    assert (report.rows, report.rows_rejected) == (n - len(bad), len(bad))
    assert read_parquet(report)["id"].to_pylist() == [i for i in range(n) if i not in bad]
    told = [json.loads(line) for line in Path(report.rejects).read_text().splitlines()]
    assert [line["row"] for line in told] == sorted(bad)
    first_line = 2 if kind == "csv" else 1
    assert all(f"(line {line['row'] + first_line})" in line["reason"] for line in told)
    with pytest.raises(DataError, match=r"line [12]\)"):
        convert(path, tmp_path / "stop", schema=schema)


def test_a_key_that_is_made_is_not_looked_for_in_the_text(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"vector": [i] * 8}) + "\n" for i in range(9)))
    for id_from in ("row", "hash"):
        report = convert(tmp_path / "a.jsonl", tmp_path / "out", schema=small_schema(), id_from=id_from)
        assert len(set(read_parquet(report)["id"].to_pylist())) == 9
