"""Time `convert` from text to Parquet, against a loop of orjson.loads and pymilvus' append_row. See README.md."""

import csv
import io
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pymilvus
import zstandard
from pymilvus.bulk_writer import LocalBulkWriter

from bench_convert import Input
from command import run_command
from contenders import vecmill
from data import check_files, make_columns, make_schema
from harness import BatchFiles, Case, Contender, Target


def as_jsonl(columns: dict[str, np.ndarray], wide: bool) -> bytes:
    """One object a line; vectors with the digits of float32, or of float64 as json.dumps(list) writes them."""
    out = io.BytesIO()
    for i, text, vector in zip(columns["id"].tolist(), columns["text"].tolist(), columns["vector"], strict=True):
        row = {"id": i, "text": text, "vector": vector.tolist() if wide else vector}
        out.write(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))
    return out.getvalue()


def as_csv(columns: dict[str, np.ndarray]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    for i, text, vector in zip(columns["id"].tolist(), columns["text"].tolist(), columns["vector"], strict=True):
        writer.writerow([i, text, orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY).decode()])
    return out.getvalue().encode()


def json_rows(path: Path) -> Any:
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as unpacked:
        for line in io.BufferedReader(unpacked, 1 << 20):
            yield orjson.loads(line)


def plain_json_rows(path: Path) -> Any:
    with path.open("rb") as file:
        for line in file:
            yield orjson.loads(line)


def unpack(path: Path, out: Path) -> int:
    """Only unpack: nobody who reads the rows of one zstd frame is faster."""
    n = 0
    buffer = memoryview(bytearray(8 << 20))
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file, read_size=1 << 20) as unpacked:
        while more := unpacked.readinto(buffer):
            n += more
    return n


def csv_rows(path: Path) -> Any:
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield {"id": int(row["id"]), "text": row["text"], "vector": orjson.loads(row["vector"])}


def text_case(
    name: str, ending: str, encode: Callable[[dict[str, np.ndarray]], bytes], rows_of: Callable[[Path], Any]
) -> Callable[[int, int], Case]:
    def case(n_rows: int, n_batch_rows: int) -> Case:
        columns = make_columns(n_rows)
        given = Input(f"rows.{ending}", lambda path, data: path.write_bytes(data), encode(columns))

        def loop(path: Path, out: Path) -> BatchFiles:
            with LocalBulkWriter(make_schema(pymilvus), str(out), chunk_size=1 << 40) as writer:
                for row in rows_of(path):
                    writer.append_row(row)
                writer.commit()
                return writer.batch_files

        def run(path: Path, out: Path) -> BatchFiles:
            return vecmill.convert(path, out, schema=make_schema(vecmill)).files

        add = partial(Contender, n_rows=n_rows, prepare=given.read_through, check=check_files(columns))
        rival = add("loop of append_row", run=loop, rival=True)
        contenders = [rival, add("convert", run=run)]
        if ending.endswith("zst"):

            def check_size(got: int, out: Path) -> None:
                assert got == n_bytes, f"{got} bytes of {n_bytes}"

            n_bytes = unpack(given.path, given.path)
            contenders.append(add("unpacking alone", run=unpack, check=check_size, rival=True))
        title = f"{ending} -> Parquet, {n_rows:,} rows x 768"
        return Case(name, title, contenders, [Target("convert", rival.name, 10.0)])

    return case


def packed(data: bytes, level: int = 3) -> bytes:
    """Pack as `zstd` does (level 3), or at another level."""
    return zstandard.ZstdCompressor(level=level).compress(data)


CASES: dict[str, Callable[[int, int], Case]] = {
    "jsonl_zst": text_case("jsonl_zst", "jsonl.zst", lambda c: packed(as_jsonl(c, wide=False)), json_rows),
    "jsonl_zst_wide": text_case("jsonl_zst_wide", "jsonl.zst", lambda c: packed(as_jsonl(c, wide=True)), json_rows),
    "jsonl_zst_1": text_case("jsonl_zst_1", "jsonl.zst", lambda c: packed(as_jsonl(c, wide=False), level=1), json_rows),
    "jsonl": text_case("jsonl", "jsonl", lambda c: as_jsonl(c, wide=False), plain_json_rows),
    "csv": text_case("csv", "csv", as_csv, csv_rows),
}


if __name__ == "__main__":
    sys.exit(run_command(__doc__, CASES))
