"""Word vectors: GloVe, word2vec in text and in binary form, fastText."""

from __future__ import annotations

import gzip
import io
import sys
import time
import tracemalloc

import numpy as np
import pyarrow.parquet as pq
import pytest

from source_data import check_restarts, collect, refused
from vecmill import DataType, convert, create_schema
from vecmill.convert.opening import text_options
from vecmill.sources import TextOptions, open_source

WORDS = ["the", ",", "größe", '"', "\\", "null", "12", ". . .", "at name@example.com", "[", "a\tb"]
DIM = 5


def vectors(n: int, dim: int = DIM) -> np.ndarray:
    return np.random.default_rng(7).standard_normal((n, dim)).astype(np.float32)


def lines(words: list[str], made: np.ndarray, *, end: str = "\n", header: bool = False) -> bytes:
    text = "".join(f"{word} {' '.join(map(repr, row.tolist()))}{end}" for word, row in zip(words, made, strict=True))
    return (f"{made.shape[0]} {made.shape[1]}\n" * header + text).encode()


def binary(words: list[str], made: np.ndarray, end: bytes = b"") -> bytes:
    rows = (word.encode() + b" " + row.tobytes() + end for word, row in zip(words, made, strict=True))
    return f"{made.shape[0]} {made.shape[1]}\n".encode() + b"".join(rows)


def expected(words: list[str], made: np.ndarray) -> dict[str, list]:
    return {"word": words, "vector": made.tolist()}


ALL = expected(WORDS, vectors(len(WORDS)))
SINGLE = [word for word in WORDS if " " not in word]


@pytest.mark.parametrize("end", ["\n", " \n", "\r\n", " \r\n"])
@pytest.mark.parametrize("header", [False, True])
def test_text(tmp_path, end, header):
    raw = lines(WORDS, vectors(len(WORDS)), end=end, header=header)
    for name, text in (("glove.5d.txt", raw), ("glove.txt.gz", gzip.compress(raw)), ("bare", raw.rstrip())):
        (tmp_path / name).write_bytes(text)
        check_restarts(tmp_path / name, ALL)
        assert collect(open_source(tmp_path / name, text=TextOptions(block_bytes=120))) == ALL
        assert collect(open_source(tmp_path / name, kind="glove")) == ALL
        assert collect(open_source(tmp_path / name, columns={"w": "word"})) == {"w": WORDS}


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_binary(tmp_path, end):
    made = vectors(len(SINGLE))
    raw = binary(SINGLE, made, end)
    for name, text in (("a.bin", raw), ("a.bin.gz", gzip.compress(raw)), ("a.vec", raw)):
        (tmp_path / name).write_bytes(text)
        check_restarts(tmp_path / name, expected(SINGLE, made))
        assert collect(open_source(tmp_path / name, text=TextOptions(block_bytes=64))) == expected(SINGLE, made)
        assert collect(open_source(tmp_path / name, kind="word2vec")) == expected(SINGLE, made)
        assert collect(open_source(tmp_path / name, columns={"v": "vector"})) == {"v": made.tolist()}


def test_gensim_and_fasttext_endings(tmp_path):
    made = vectors(3)
    for name in ("w.vec", "cc.de.300.vec.gz"):
        raw = lines(WORDS[:3], made, header=True)
        (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
        assert collect(open_source(tmp_path / name)) == expected(WORDS[:3], made)


def test_several_files_and_standard_input(tmp_path, monkeypatch):
    made = vectors(6)
    for i in range(2):
        (tmp_path / f"part-{i}.vec").write_bytes(lines(WORDS[3 * i : 3 * i + 3], made[3 * i : 3 * i + 3], header=True))
    check_restarts(f"{tmp_path}/part-*.vec", expected(WORDS[:6], made))
    for raw in (lines(WORDS[:6], made), lines(WORDS[:6], made, header=True), binary(WORDS[:6], made)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        assert collect(open_source("-")) == expected(WORDS[:6], made)


@pytest.mark.parametrize(
    ("raw", "row", "words"),
    [
        (b"3 2\na 0.1 0.2\nb 0.1 0.2\n", 2, ("3 rows, as the first line tells", "2")),
        (b"1 2\na 0.1 0.2\nb 0.1 0.2\n", 2, ("1 rows", "2")),
        (b"2 2\na 0.1 0.2\nb 0.1\n", 1, ("2", "1 of them")),
        (b"2 2\na 0.1 0.2\nb 0.1 0.2 0.3\n", 1, ("2", "3 of them")),
        (b"2 2\na 0.1 0.2\nb 0.1 x\n", 1, ("2 numbers", "x")),
        (b"2 2\na 0.1 0.2\nb\n", 1, ("2 numbers",)),
        (b"2 2\na 0.1 0.2\n\xff 0.1 0.2\n", 1, ("UTF-8",)),
        (b"2 1\na " + np.float32(1.5).tobytes() + b"b " + b"\0\0", 1, ("1 float32", "4 bytes before the end")),
        (b"3 1\na " + np.float32(1.5).tobytes() + b"b " + np.float32(1.5).tobytes(), 2, ("3 rows", "2")),
        (b"2 1\na " + np.float32(1.5).tobytes() + b"b" * 70_000, 1, ("a word and a blank", "65536")),
        (b"0.1 0.2\n", None, ("rows and dim", "glove")),
    ],
)
def test_bad_rows(tmp_path, raw, row, words):
    (tmp_path / "a.vec").write_bytes(raw)
    refused(tmp_path / "a.vec", *words, row=row, kind="word2vec")


def test_glove_rows_of_another_length(tmp_path):
    (tmp_path / "a.txt").write_text("a 1 2 3 4\nb 1 2 3\nc 1 2 3 4 5\nd e 5 6 7 8\n")
    source = open_source(tmp_path / "a.txt", kind="glove")
    assert source.columns[1].type.list_size == 4
    refused(tmp_path / "a.txt", "4", "3 of them", row=1, kind="glove")
    schema = create_schema()
    schema.add_field("word", DataType.VARCHAR, is_primary=True, max_length=50)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    report = convert(tmp_path / "a.txt", tmp_path / "out", schema=schema, kind="glove", on_error="skip")
    assert (report.rows, report.rows_rejected) == (2, 2)
    found = pq.read_table(report.files[0][0])
    assert found["word"].to_pylist() == ["a", "d e"]
    assert found["vector"].to_pylist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_a_schema_decides(tmp_path):
    made = vectors(4)
    for name, raw in (("a.vec", lines(WORDS[:4], made, header=True)), ("a.bin", binary(WORDS[:4], made))):
        (tmp_path / name).write_bytes(raw)
        schema = create_schema()
        schema.add_field("token", DataType.VARCHAR, is_primary=True, max_length=50)
        schema.add_field("v", DataType.FLOAT16_VECTOR, dim=DIM)
        columns = {"token": "word", "v": "vector"}
        report = convert(tmp_path / name, tmp_path / f"out-{name}", schema=schema, columns=columns, cast="unsafe")
        found = pq.read_table(report.files[0][0])
        assert found["token"].to_pylist() == WORDS[:4]
        halves = [np.frombuffer(bytes(row), np.float16).tolist() for row in found["v"].to_pylist()]
        assert halves == made.astype(np.float16).tolist()


def test_a_dim_that_the_field_does_not_have(tmp_path):
    schema = create_schema()
    schema.add_field("word", DataType.VARCHAR, is_primary=True, max_length=50)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=3)
    text = text_options(None, schema, None)
    (tmp_path / "a.txt").write_bytes(lines(SINGLE, vectors(len(SINGLE))))
    refused(tmp_path / "a.txt", "3 numbers", "5 of them", row=0, text=text)


@pytest.mark.parametrize(
    "raw", [b"1.0 2.0 3.0 4.0 5.0\n", b"a 1 2\n", b"a 1 2 3 4\nb 1 2\nc 1\n", b"3 4\nplain text\n", b"12 34\n", b""]
)
def test_other_text_is_not_taken_for_word_vectors(tmp_path, raw):
    (tmp_path / "a.txt").write_bytes(raw)
    refused(tmp_path / "a.txt", "a kind that can be read", "glove", "word2vec")


def test_many_rows_in_little_memory_and_time(tmp_path):
    made = vectors(30_000, 25)
    names = [f"w{i}" for i in range(len(made))]
    for name, raw in (("a.txt", lines(names, made)), ("a.bin", binary(names, made))):
        (tmp_path / name).write_bytes(raw)
        tracemalloc.start()
        began = time.monotonic()
        n = 0
        for batch in open_source(tmp_path / name, text=TextOptions(block_bytes=1 << 20)).batches():
            assert np.array_equal(np.asarray(batch["vector"]), made[n : n + len(batch["word"])])
            assert batch["word"].to_pylist() == names[n : n + len(batch["word"])]
            n += len(batch["word"])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert n == len(made)
        assert peak < 16 << 20
        assert time.monotonic() - began < 30
