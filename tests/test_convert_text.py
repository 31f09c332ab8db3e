"""convert(): files of text with lines that cannot be read, and standard input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from converting import read_parquet, small_schema
from vecmill.convert import convert
from vecmill.errors import DataError

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
    command = [sys.executable, "-m", "vecmill.cli", "convert", "-", str(tmp_path / "out"), "--kind", "jsonl", "--json"]
    command += ["--schema", str(tmp_path / "schema.json")] if given else []
    done = subprocess.run([*command, *options], input=text, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["rows"], report["rows_rejected"]) == (len(good), 3 if options else 0)
