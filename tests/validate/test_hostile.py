"""Hostile files cost bounded time and memory, and never the process."""

from __future__ import annotations

import io
import json
import os
import resource
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faulty_files import IDS, arrow, npy_bytes, parquet, rows, saved, schema
from killed_processes import Victim, victims
from vecmill import LocalBulkWriter, validate
from vecmill.validate.parquet.footer import WrongFooter, read_footer

MIB = 1024 * 1024


def thrift_int(number: int) -> bytes:
    return _varint(number << 1)


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def parquet_of(elements: list[bytes], claimed: int | None = None) -> bytes:
    """A Parquet file of a schema and nothing else; it may claim more elements than it has."""
    head = b"\x15" + thrift_int(1) + b"\x19\xfc" + _varint(len(elements) if claimed is None else claimed)
    footer = head + b"".join(elements) + b"\x16" + thrift_int(0) + b"\x19\x0c\x00"
    return b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"


ROOT, GROUP = b"\x48\x01r\x15", b"\x35\x02\x18\x01g\x15\x02\x00"
LEAF = b"\x15\x02\x25\x02\x18\x01x\x00"

HOSTILE: dict[str, bytes] = {
    "huge.npy": npy_bytes("{'descr': '<i8', 'fortran_order': False, 'shape': (9223372036854775807,), }", b""),
    "huger.npy": npy_bytes("{'descr': '<i8', 'fortran_order': False, 'shape': (" + "9" * 5_000 + ",), }", b""),
    "header.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b" " * 100,
    "nested.npy": npy_bytes("{'descr': " + "(" * 60_000, b""),
    "dims.npy": npy_bytes("{'descr': '<i8', 'fortran_order': False, 'shape': (" + "1, " * 18_000 + "), }", b""),
    "wide.npy": npy_bytes("{'descr': '<U999999999999', 'fortran_order': False, 'shape': (1,), }", b""),
    "cut.npy": saved(IDS)[:9],
    "footer.parquet": b"PAR1" + b"\0" * 100 + struct.pack("<I", 2**32 - 1) + b"PAR1",
    "columns.parquet": parquet_of([ROOT + thrift_int(10**6) + b"\0", *[LEAF] * 10**6]),
    "claim.parquet": parquet_of([ROOT + thrift_int(1) + b"\0"], claimed=2**31 - 1),
    "deep.parquet": parquet_of([ROOT + thrift_int(1) + b"\0", *[GROUP] * 60_000, LEAF]),
    "noise.parquet": b"PAR1" + bytes(range(256)) * 40 + struct.pack("<I", 9_000) + b"PAR1",
    "deep.json": b"[" * 5_000_000,
    "deeper.json": b'[{"id": ' + b"[" * 9_000 + b"]" * 9_000 + b"}]",
    "digits.json": b'[{"id": ' + b"9" * 1_000_000 + b', "v": [1, 2, 3, 4]}]',
    "keys.json": b"[{" + b",".join(b'"%d": 1' % i for i in range(200_000)) + b"}]",
    "open.json": b'[{"id": "' + b"x" * 70 * MIB,
    "blank.json": b" " * 30 * MIB,
    "quote.csv": b'id,v\n"' + b"x" * 70 * MIB,
    "cells.csv": b"," * 5_000_000,
    "line.csv": b"x" * 70 * MIB,
}


def table_bytes(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def bomb() -> bytes:
    """One page of 300 MB in 30 kB."""
    text = pa.array([b"0" * 300_000_000, b"", b""], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, text.buffers())
    return table_bytes(arrow(id=text), compression="zstd", use_dictionary=False, write_statistics=False)


def with_page_size(claimed: int) -> bytes:
    """A page that claims to be of another size than it is."""
    data = table_bytes(arrow(), compression="zstd", use_dictionary=False, write_statistics=False)
    head = data.index(b"\x15", 6)
    return data[:7] + _varint(claimed << 1)[: max(1, head - 7)] + data[head:]


# What nobody is meant to open; made when it is needed.
MORE: dict[str, Callable[[], bytes]] = {
    "bomb.parquet": bomb,
    "page.parquet": lambda: with_page_size(2**31 - 1),
    "chunks.parquet": lambda: parquet_of([ROOT + thrift_int(2) + b"\0", LEAF, LEAF])[:-40] + b"\x19\xfc" * 50 + b"PAR1",
    "metadata.parquet": lambda: table_bytes(arrow().replace_schema_metadata({"k": "x" * 70_000_000})),
    "bytes.csv": lambda: b"id,v\n" + b"ab," * 20_000_000,
    "quotes.csv": lambda: b"id,v\n" + b'"",' * 15_000_000,
    "lines.csv": lambda: b"id,v\n" + b"\n" * 30_000_000,
    "crlf.csv": lambda: b"id,v\n" + b"\r\n" * 15_000_000,
    "wrong.csv": lambda: b"id,v\n" + b'"a"b\n' * 200_000,
    "objects.json": lambda: b"[{" + b",".join(b'"%d":{"a":1,"a":2}' % i for i in range(200_000)) + b"}]",
    "fields.json": lambda: b"[{" + b",".join(b'"%d":1' % i for i in range(2_500_000)) + b"}]",
    "floats.json": lambda: b'[{"id": 1, "v": [' + b"1.5," * 15_000_000 + b"1.5]}]",
    "powers.json": lambda: b'[{"id": 1e999999999, "v": [1e400, -1e400, 1E999999999, 0e999999999]}]',
    "surrogates.json": lambda: b'[{"id": "' + b"\\ud800" * 10_000_000 + b'"}]',
    "twice.json": lambda: b"[{" + b'"id":1,' * 500_000 + b'"id":1}]',
    "text.npy": lambda: npy_bytes(
        "{'descr': '<U4194304', 'fortran_order': False, 'shape': (3,), }", b"x\0\0\0" * 12_000_000
    ),
    "manifest.json": lambda: b'{"vecmill_manifest": 1, "segments": [' + b"[]," * 20_000_000,
}


def validate_and_measure(path: str, schema: str) -> None:
    def peak() -> int:  # of this program: ru_maxrss remembers the one that started it
        return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

    before = peak()
    report = validate([[path]], schema)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([report.ok, len(report.findings), (peak() - before) // 1024, used.ru_utime + used.ru_stime]))
    sys.stdout.flush()


@pytest.fixture(scope="module")
def measured() -> Iterator[Callable[..., Victim]]:
    with victims(validate_and_measure) as start:
        yield start


@pytest.mark.parametrize("name", [*HOSTILE, *MORE])
def test_a_hostile_file_costs_little(name, measured, tmp_path):
    path = tmp_path / (name if not name.endswith(".npy") else "id.npy")
    path.write_bytes(HOSTILE[name] if name in HOSTILE else MORE[name]())
    (tmp_path / "schema").write_text(json.dumps(schema().to_dict()))
    process = measured(path, tmp_path / "schema")
    told = process.read_line()
    assert process.wait() == 0
    ok, findings, mib, cpu_seconds = json.loads(told)
    assert not ok or name in ("lines.csv", "crlf.csv")  # blank lines are advice
    assert 1 <= findings <= 50
    assert mib < 512
    assert cpu_seconds < 15


FLIPPED = """
import json, os, sys
sys.path[:0] = json.loads(sys.argv[3])
from pathlib import Path
from vecmill import validate
good = Path(sys.argv[1]).read_bytes()
place = Path(sys.argv[1]).with_name("changed.parquet")
length = int.from_bytes(good[-8:-4], "little")
for at in range(len(good) - 8 - length, len(good) - 8):
    for bit in range(at % 4, 8, 4):
        place.write_bytes(good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :])
        os.write(1, f"{at} {bit}\\n".encode())
        validate(place, sys.argv[2])
print("done")
"""


@pytest.mark.parametrize("writer", ["ours", "pyarrow"])
def test_no_bit_of_a_footer_ends_the_process(writer, tmp_path):
    """Arrow calls abort() for an unknown codec, and for columns without their metadata."""
    if writer == "ours":
        with LocalBulkWriter(schema(), tmp_path) as made:
            made.append_rows(rows())
        path = made.batch_files[0][0]
    else:
        path = parquet(options={"compression": "zstd"})(tmp_path)
    (tmp_path / "schema").write_text(json.dumps(schema().to_dict()))
    command = [sys.executable, "-c", FLIPPED, path, str(tmp_path / "schema"), json.dumps(sys.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    last = done.stdout.split("\n")[-2:]
    assert (done.returncode, last[0]) == (0, "done"), (done.returncode, last, done.stderr[-2_000:])


def test_a_footer_says_what_arrow_says(tmp_path):
    for options in (
        {},
        {"use_dictionary": False},
        {"write_statistics": False},
        {"compression": "gzip", "row_group_size": 2},
    ):
        path = Path(parquet(pa.array(["a", None, "c"]), options=options)(tmp_path))
        data = path.read_bytes()
        found = read_footer(data[-8 - int.from_bytes(data[-8:-4], "little") : -8])
        meta = pq.ParquetFile(path).metadata
        assert (found.rows, len(found.groups)) == (meta.num_rows, meta.num_row_groups)
        assert [leaf.top for leaf in found.leaves] == ["id", "x", "v"]
        assert [leaf.flat for leaf in found.leaves] == [True, True, False]
        for number, group in enumerate(found.groups):
            theirs = meta.row_group(number)
            assert (group.rows, group.n_bytes) == (theirs.num_rows, theirs.total_byte_size)
            for i, chunk in enumerate(group.chunks):
                known = theirs.column(i)
                assert chunk.codec == known.compression
                assert (chunk.data_page, chunk.n_bytes) == (known.data_page_offset, known.total_compressed_size)
                assert chunk.start == (known.dictionary_page_offset or known.data_page_offset)
                assert chunk.nulls == (known.statistics.null_count if known.statistics else None)


def test_a_cut_footer_is_none(tmp_path):
    data = Path(parquet()(tmp_path)).read_bytes()
    footer = data[-8 - int.from_bytes(data[-8:-4], "little") : -8]
    assert read_footer(footer).rows == 3
    for size in range(len(footer)):
        with pytest.raises(WrongFooter):
            read_footer(footer[:size])
