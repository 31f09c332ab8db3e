"""`validate` for target 2.3 says of a file what the real Milvus 2.3.5 does: takes it, refuses it, changes it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pymilvus import CollectionSchema, MilvusClient, MilvusException

from faulty_files import (
    HEADER,
    VALUES,
    VECTORS,
    D,
    Make,
    json_list,
    npy,
    npy_bytes,
    parquet,
    rows,
    saved,
    schema,
    text_file,
    with_all,
)
from paths import DATA
from servers.milvus import Milvus, MilvusError
from vecmill import validate
from vecmill.validate.rule import Severity

SECONDS = 60
# What the server did with every case, every value read back: two minutes, by hand after a change of the cases.
RECORD = DATA / "milvus-2.3.5.json"
RECORDS = os.environ.get("VECMILL_RECORD") == "1"
REFUSED, TAKEN, ALTERED = "refused", "taken", "altered"


@dataclass(frozen=True)
class Case:
    """A file and what must come back of it: ``want`` the values of x, or of v where there is no x."""

    name: str
    schema: Any
    make: Make
    want: Any = None


def header(text: str) -> Make:
    return npy(v=npy_bytes(text, VALUES))


def of_type(dtype: D, array: Any, **params: Any) -> tuple[Any, Make, Any]:
    return schema(dtype, **params), npy(array), np.asarray(array).tolist()


def numbers(low: int, top: int, dtype: str) -> np.ndarray:
    return np.array([low, 0, top], dtype)


def encoded(column: str, encoding: str, page_version: str) -> dict[str, Any]:
    return {"column_encoding": {column: encoding}, "use_dictionary": False, "data_page_version": page_version}


TEXT = schema(D.VARCHAR, max_length=5)
NAN = np.where(np.arange(12).reshape(3, 4) == 6, np.nan, 1)
LETTERS = ["a", "b", "c"]
BOOLS = [True, False, True]
TEXTS = pa.array(LETTERS)
PLAIN, META = schema(), schema(dynamic=True)
ROWS = json.dumps({"rows": rows()})
INTEGERS = {D.INT8: "i1", D.INT16: "i2", D.INT32: "i4", D.INT64: "i8"}

# Left out is what ends the server: Parquet's FLOAT16, NPY headers without a newline or in another order.
CASES: list[Case] = [
    # -- NPY: every integer into every field
    *(
        Case(f"npy {dtype.name} <- {descr}", *of_type(dtype, numbers(-7, 100, descr)))
        for dtype in INTEGERS
        for descr in ("i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8")
    ),
    *(Case(f"npy INT64 <- {descr}", *of_type(D.INT64, numbers(1, 2, descr))) for descr in ("u1", "u2", "u8", "f8")),
    *(
        Case(f"npy {dtype.name} <- {descr}", *of_type(dtype, np.array([0.5, -1, 2], descr)))
        for dtype in (D.FLOAT, D.DOUBLE)
        for descr in ("<f2", "<f4", ">f4", "<f8", ">f8", "<i4", "?", "<c8")
    ),
    *(Case(f"npy BOOL <- {descr}", *of_type(D.BOOL, np.array([0, 1, 1], descr))) for descr in ("?", "u1", "i1", "i8")),
    *(
        Case(f"npy {dtype.name} {value}", *of_type(dtype, np.array([1, value, 2], descr)))
        for dtype, descr in ((D.FLOAT, "f4"), (D.DOUBLE, "f8"))
        for value in (np.nan, np.inf, -np.inf)
    ),
    # -- NPY: vectors
    Case("npy vector f8", PLAIN, npy(v=VECTORS.astype("f8")), VECTORS.tolist()),
    Case("npy vector >f4", PLAIN, npy(v=VECTORS.astype(">f4")), VECTORS.tolist()),
    Case("npy vector >f8", PLAIN, npy(v=VECTORS.astype(">f8")), VECTORS.tolist()),
    Case("npy vector f2", PLAIN, npy(v=VECTORS.astype("f2"))),
    Case("npy vector i4", PLAIN, npy(v=VECTORS.astype("i4"))),
    Case("npy vector nan", PLAIN, npy(v=NAN.astype("f4"))),
    Case("npy vector nan f8", PLAIN, npy(v=NAN)),
    Case("npy vector inf", PLAIN, npy(v=(NAN * np.inf).astype("f4"))),
    Case("npy vector overflow", PLAIN, npy(v=np.full((3, 4), 1e300)), np.full((3, 4), 1e300).tolist()),
    Case("npy vector dim 3", PLAIN, npy(v=VECTORS[:, :3])),
    Case("npy vector dim 5", PLAIN, npy(v=np.ones((3, 5), "f4"))),
    Case("npy vector flat", PLAIN, npy(v=VECTORS.reshape(-1))),
    Case("npy vector 3-D", PLAIN, npy(v=VECTORS[:, None])),
    Case("npy vector fortran", PLAIN, npy(v=np.asfortranarray(VECTORS)), VECTORS.tolist()),
    Case("npy scalar (n, 1)", PLAIN, npy(id=np.arange(3)[:, None])),
    Case("npy scalar ()", PLAIN, npy(id=np.int64(3))),
    Case("npy truncated", PLAIN, npy(v=saved(VECTORS)[:-1])),
    Case("npy truncated by a row", PLAIN, npy(v=saved(VECTORS)[:-16])),
    Case("npy trailing", PLAIN, npy(v=saved(VECTORS) + b"\0" * 9), VECTORS.tolist()),
    Case("npy rows", PLAIN, npy(v=VECTORS[:2])),
    Case("npy no rows in one", PLAIN, npy(v=VECTORS[:0])),
    # -- NPY: headers
    Case("npy header v2", PLAIN, npy(v=npy_bytes(HEADER, VALUES, version=2)), VECTORS.tolist()),
    Case("npy header v3", PLAIN, npy(v=npy_bytes(HEADER, VALUES, version=3))),
    Case("npy magic", PLAIN, npy(v=b"PAR1" + bytes(200))),
    Case("npy empty", PLAIN, npy(v=b"")),
    Case("npy only magic", PLAIN, npy(v=b"\x93NUMPY\x01\x00")),
    Case("npy no comma", PLAIN, header(HEADER.replace(", }", "}"))),
    Case("npy padded", PLAIN, header(HEADER + " " * 60_000), VECTORS.tolist()),
    Case("npy tight shape", PLAIN, header(HEADER.replace("3, 4", "3,4")), VECTORS.tolist()),
    Case("npy double quotes", PLAIN, header(HEADER.replace("'", '"'))),
    Case("npy spaces", PLAIN, header(HEADER.replace(": ", " : "))),
    Case("npy long int", PLAIN, header(HEADER.replace("4)", "4L)"))),
    Case("npy negative", PLAIN, header(HEADER.replace("4)", "-4)"))),
    Case("npy maybe fortran", PLAIN, header(HEADER.replace("False", "0"))),
    *(
        Case(f"npy descr {descr}", PLAIN, header(HEADER.replace("<f4", descr)), VECTORS.tolist())
        for descr in ("f4", "|f4", "=f4", "float32", "float", "<F4")
    ),
    # -- NPY: text
    *(Case(f"npy text {kind}", TEXT, npy(np.array(LETTERS, kind)), LETTERS) for kind in ("<U1", ">U3", "S1", "O")),
    Case("npy text U0", TEXT, npy(npy_bytes("{'descr': '<U0', 'fortran_order': False, 'shape': (3,), }", b""))),
    Case("npy text empty", TEXT, npy(np.array(["", "", ""])), [""] * 3),
    Case("npy text utf-8", TEXT, npy(np.array(["🗼", "", "é"])), ["🗼", "", "é"]),
    Case("npy text too long", TEXT, npy(np.array(["éé🗼", "", "x"])), ["éé🗼", "", "x"]),
    Case("npy text nul", TEXT, npy(np.array(["a\0b", "b", "c"])), ["a\0b", "b", "c"]),
    Case("npy text surrogate", TEXT, npy(np.array(["\ud800", "b", "c"])), ["\ud800", "b", "c"]),
    Case("npy bytes empty", TEXT, npy(np.array([b"ab", b"", b"c"])), ["ab", "", "c"]),
    Case("npy bytes utf8", TEXT, npy(np.array(["é".encode(), b"b", b"c"])), ["é", "b", "c"]),
    Case("npy text truncated", TEXT, npy(saved(np.array(["ab", "cd", "ef"]))[:-8]), ["ab", "cd", "ef"]),
    *(
        Case(f"npy json {text!r}", schema(D.JSON), npy(["{}", text, "{}"]))
        for text in ("{a}", "", "[1,]", "01", "NaN", '{"a":1} x', "nul", '"\\x"')
    ),
    # -- NPY: sets
    Case("npy missing", TEXT, npy()),
    Case("npy unknown", PLAIN, npy(np.arange(3))),
    Case("npy auto id", schema(auto_id=True), npy()),
    Case("npy $meta without dynamic", PLAIN, npy(**{"$meta": ["{}"] * 3})),
    Case("npy array", schema(D.ARRAY, element_type=D.INT32, max_capacity=4), npy(VECTORS.astype("i4"))),
    # -- JSON
    *(
        Case(f"json {dtype.name} {value!r}", schema(dtype, **params), json_list(with_all(good, value)))
        for dtype, params, good, values in (
            (D.INT8, {}, 1, (1.0, 128, -129, "1", True, [1])),
            (D.INT64, {}, 1, (2**63, 1.5, "1")),
            (D.BOOL, {}, True, (1, "true", 0)),
            (D.FLOAT, {}, 1.5, ("1.5", 1e39, True, [1])),
            (D.DOUBLE, {}, 1.5, ("1.5", True)),
            (D.VARCHAR, {"max_length": 5}, "a", (1, ["a"], {"a": 1})),
            (D.JSON, {}, {"a": 1}, ([1], 5, True, "{a}", "")),
            (D.ARRAY, {"element_type": D.INT32, "max_capacity": 3}, [1], (1, ["a"], [1.5], [2**31], {"a": 1})),
            (D.ARRAY, {"element_type": D.VARCHAR, "max_capacity": 3, "max_length": 5}, ["a"], ([1], "a")),
        )
        for value in values
    ),
    *(
        Case(f"json vector {value!r}", PLAIN, json_list(rows(v=value)))
        for value in ([1, 2, 3], [1] * 5, ["1"] * 4, 7, "[1,2,3,4]", [], [1, 2, None, 4], [1e39, 1, 1, 1])
    ),
    Case("json null", TEXT, json_list([{**row, "x": None} for row in rows()])),
    Case("json missing", TEXT, json_list(rows("a"))),
    Case("json unknown", PLAIN, json_list(rows(1))),
    Case("json auto id", schema(auto_id=True), json_list(rows())),
    *(
        Case(f"json text {number}", PLAIN, text_file("rows.json", text))
        for number, text in enumerate(
            [
                "", "[{}", '{"data": []}', "{}", "7", '{"rows": 7}', '{"a": 1, "rows": []}', "[1]", "[[]]", "nonsense",
                "\ufeff[]", "[" + json.dumps(rows()[0]), json.dumps(rows())[:-1] + ",]", "[NaN]", '{"rows": []',
            ]
        )
    ),
    Case("json two documents", PLAIN, text_file("rows.json", ROWS * 2), VECTORS.tolist() * 2),
    Case("json rows twice", PLAIN, text_file("rows.json", f"{ROWS[:-1]}, {ROWS[1:]}"), VECTORS.tolist() * 2),
    Case("json two lists", PLAIN, text_file("rows.json", json.dumps(rows()) * 2), VECTORS.tolist() * 2),
    Case("json escaped rows", PLAIN, text_file("rows.json", ROWS.replace("rows", r"\u0072ows")), VECTORS.tolist()),
    Case("json INT8 200", schema(D.ARRAY, element_type=D.INT8, max_capacity=3), json_list(with_all([1], [200]))),
    Case("json surrogate", TEXT, json_list(with_all("a", "\ud800")), ["a", "\ud800", "a"]),
    Case("json number in text", schema(D.JSON), json_list(with_all({}, "[1e400]"))),
    Case("json $meta null", META, text_file("rows.json", json.dumps(rows(k=0)).replace('"k": 0', '"$meta": null'))),
    Case("json lines", PLAIN, text_file("rows.JSON", json.dumps(rows()))),
    # -- Parquet
    Case("parquet int32 for INT64", schema(D.INT64), parquet(pa.array([1, 2, 300], pa.int32())), [1, 2, 300]),
    Case("parquet int8 for INT32", schema(D.INT32), parquet(pa.array([1, -2, 3], pa.int8())), [1, -2, 3]),
    Case("parquet int8 for INT16", schema(D.INT16), parquet(pa.array([1, -2, 3], pa.int8())), [1, -2, 3]),
    Case("parquet float for DOUBLE", schema(D.DOUBLE), parquet(pa.array([0.5, 2, 3], pa.float32())), [0.5, 2, 3]),
    Case("parquet int32 for DOUBLE", schema(D.DOUBLE), parquet(pa.array([1, 2, 3], pa.int32())), [1, 2, 3]),
    Case("parquet int8 for FLOAT", schema(D.FLOAT), parquet(pa.array([1, 2, 3], pa.int8())), [1, 2, 3]),
    Case("parquet int64 for FLOAT", schema(D.FLOAT), parquet(pa.array([1, 2, 3], pa.int64())), [1, 2, 3]),
    Case("parquet nan", schema(D.FLOAT), parquet(pa.array([1, np.nan, 3], pa.float32())), [1, 2, 3]),
    Case("parquet vector nan", PLAIN, parquet(v=pa.array(NAN.tolist(), pa.list_(pa.float32()))), VECTORS.tolist()),
    *(
        Case(f"parquet {name}", schema(D.BOOL), parquet(pa.array(BOOLS), options=encoded("x", how, version)), BOOLS)
        for name, how, version in (("bool RLE", "RLE", "1.0"), ("page v2 BOOL plain", "PLAIN", "2.0"))
    ),
    Case("parquet split floats", PLAIN, parquet(options=encoded("v.list.element", "BYTE_STREAM_SPLIT", "1.0"))),
    Case("parquet int64 vector", PLAIN, parquet(v=pa.array([[1, 2, 3, 4]] * 3, pa.list_(pa.int64())))),
    *(
        Case(
            f"parquet page v2 {dtype.name}", schema(dtype, **params),
            parquet(pa.array(values), options={"data_page_version": "2.0"}), values,
        )
        for dtype, params, values in (
            (D.BOOL, {}, [True, False, True]), (D.VARCHAR, {"max_length": 5}, LETTERS), (D.INT64, {}, [1, 2, 3]),
        )
    ),
    *(
        Case(f"parquet {dtype.name} <- {kind}", schema(dtype, **params), parquet(pa.array(good).cast(kind)), good)
        for dtype, params, good, kinds in (
            (D.INT8, {}, [1, 2, 3], (pa.int8(), pa.uint8(), pa.int64())),
            (D.INT32, {}, [1, 2, 3], (pa.int32(), pa.int64(), pa.uint32())),
            (D.INT64, {}, [1, 2, 3], (pa.int64(), pa.uint64())),
            (D.FLOAT, {}, [1.5, 2, 3], (pa.float32(), pa.float64())),
            (D.DOUBLE, {}, [1.5, 2, 3], (pa.float64(),)),
            (D.BOOL, {}, [True, False, True], (pa.bool_(), pa.int8())),
            (D.VARCHAR, {"max_length": 5}, LETTERS, (pa.string(), pa.binary())),
        )
        for kind in kinds
    ),
    *(
        Case(f"parquet {name}", TEXT, parquet(TEXTS.cast(kind), options={"store_schema": stored}), LETTERS)
        for name, kind, stored in (
            ("large_string", pa.large_string(), True), ("dictionary", pa.dictionary(pa.int32(), pa.string()), True),
            ("large_string without ARROW:schema", pa.large_string(), False),
        )
    ),
    *(
        Case(f"parquet {codec}", PLAIN, parquet(options={"compression": codec}), VECTORS.tolist())
        for codec in ("none", "snappy", "gzip", "zstd", "brotli", "lz4")
    ),
    Case("parquet list<double>", PLAIN, parquet(v=pa.array(VECTORS.tolist())), VECTORS.tolist()),
    Case(
        "parquet large_list", PLAIN, parquet(v=pa.array(VECTORS.tolist(), pa.large_list(pa.float32()))),
        VECTORS.tolist(),
    ),
    Case(
        "parquet fixed_size_list", PLAIN,
        parquet(v=pa.array(VECTORS.tolist(), pa.list_(pa.float32(), 4)), options={"store_schema": True}),
    ),
    Case("parquet dim", PLAIN, parquet(v=pa.array([[1.0] * 4, [1] * 3, [1] * 4], pa.list_(pa.float32())))),
    Case("parquet missing", TEXT, parquet()),
    Case("parquet unknown", PLAIN, parquet(TEXTS)),
    Case("parquet unknown, dynamic", META, parquet(TEXTS)),
    Case("parquet auto id", schema(auto_id=True), parquet()),
    Case("parquet json", schema(D.JSON), parquet(pa.array(["{}", "{a}", "{}"]))),
    Case("parquet null", TEXT, parquet(pa.array(["a", None, "c"])), ["a", None, "c"]),
    Case("parquet cut", PLAIN, text_file("rows.parquet", b"PAR1" + bytes(50))),
    Case("parquet nonsense", PLAIN, text_file("rows.parquet", b"nonsense, but long enough to have a tail")),
    Case("csv", PLAIN, text_file("rows.csv", 'id,v\n1,"[1,2,3,4]"\n')),
    Case("jsonl", PLAIN, text_file("rows.jsonl", "\n".join(map(json.dumps, rows())))),
]  # fmt: skip


# (validate, server) where they are not the same, and why.
KNOWN: dict[str, tuple[str, str]] = {
    # The limit of the collection is broken without a word, though the text is there.
    "npy text too long": (ALTERED, TAKEN),
    # No rows, and no complaint: later versions make one.
    "json text 3": (REFUSED, ALTERED),
    "json text 14": (REFUSED, ALTERED),
}


def verdict(case: Case, files: Any) -> tuple[str, set[str]]:
    report = validate(files, case.schema, target="2.3")
    severities = {one.severity for one in report.errors}
    # A refused file is never taken, so whatever else is wrong with it cannot do harm.
    found = REFUSED if Severity.REFUSED in severities else ALTERED if severities else TAKEN
    return found, set(report.counts)


@pytest.fixture(scope="module")
def client(milvus: Milvus) -> Iterator[MilvusClient]:
    client = MilvusClient(milvus.uri, timeout=SECONDS)
    yield client
    client.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    assert len({case.name for case in CASES}) == len(CASES)
    return {case.name: case.make(tmp_path_factory.mktemp("case")) for case in CASES}


def test_our_verdict_is_what_the_server_did(files):
    recorded = json.loads(RECORD.read_text())
    assert recorded.keys() == files.keys()
    wrong = []
    for case in CASES:
        ours, rules = verdict(case, files[case.name])
        if (ours, recorded[case.name]) != KNOWN.get(case.name, (ours, ours)):
            wrong.append(f"{case.name}: validate: {ours} {sorted(rules)}, server: {recorded[case.name]}")
    assert not wrong, "\n".join(wrong)


def test_the_server_still_does_so(milvus, client, files):
    """All that it refuses, which it does at once. An import that it takes costs it 2 seconds: some of these."""
    recorded = {} if RECORDS else json.loads(RECORD.read_text())
    lasting = [case for case in CASES if recorded.get(case.name, TAKEN) != REFUSED]
    chosen = CASES if RECORDS else [case for case in CASES if case not in lasting or lasting.index(case) % 6 == 0]

    def judged(numbered: tuple[int, Case]) -> tuple[str, str]:
        number, case = numbered
        return outcome(case, f"judged_{number}", files[case.name], milvus, client)

    with ThreadPoolExecutor(16) as pool:
        outcomes = dict(zip((case.name for case in chosen), pool.map(judged, enumerate(chosen)), strict=True))
    if RECORDS:
        RECORD.write_text(json.dumps({name: found for name, (found, _) in outcomes.items()}, indent=0) + "\n")
        return
    wrong = [f"{name}: {found} {words[:160]}" for name, (found, words) in outcomes.items() if found != recorded[name]]
    assert not wrong, "\n".join(wrong)


def outcome(case: Case, name: str, files: Any, milvus: Milvus, client: MilvusClient) -> tuple[str, str]:
    """Import the files into a collection of their own, and compare what comes back if they are taken."""
    client.create_collection(name, schema=CollectionSchema.construct_from_dict(case.schema.to_dict()))
    try:
        n = milvus.finish_import(milvus.begin_import(name, [files[0] if isinstance(files, list) else [files]]))
        if n != 3:
            return ALTERED, f"{n} rows"
        if case.want is None:
            return TAKEN, "taken"
        index = client.prepare_index_params()
        index.add_index("v", index_type="FLAT", metric_type="L2")
        client.create_index(name, index)
        client.load_collection(name)
        found = client.query(name, filter="id >= 0", output_fields=["*"], limit=10, consistency_level="Strong")
    except MilvusError as error:
        return REFUSED, str(error)
    except MilvusException as error:  # the data cannot be had back
        return ALTERED, str(error)
    finally:
        client.drop_collection(name)
    field = "x" if any(one.name == "x" for one in case.schema.fields) else "v"
    got = [row[field] for row in sorted(found, key=lambda row: row["id"])]
    want = case.want or []
    same = len(got) == len(want) and all(_same(a, b) for a, b in zip(want, got, strict=True))
    return TAKEN if same else ALTERED, f"wanted {want}, got {got}"


def _same(want: Any, got: Any) -> bool:
    if isinstance(want, str | None) or isinstance(got, str | None):
        return want == got
    return bool(np.array_equal(np.asarray(want, "f8"), np.asarray(got, "f8")))
