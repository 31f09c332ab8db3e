"""Delta, Iceberg and Hudi tables: their live rows, or one line that says what to do."""

from __future__ import annotations

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from source_data import collect
from vecmill.errors import DataError
from vecmill.sources import open_source


def table(start, stop, **more):
    n = stop - start
    lang = pa.array([["en", "de/at", None][i % 3] for i in range(start, stop)], pa.string())
    vectors = pa.array([[1.0] * 4] * n, pa.list_(pa.float32()))
    return pa.table({"id": list(range(start, stop)), "v": vectors, "lang": lang, **more})


def live(table_or_rows):
    return sorted(row["id"] for row in table_or_rows)


def read(path, **options):
    source = open_source(path, **options)
    got = collect(source)
    assert source.n_rows == len(got["id"])
    names = list(got)
    everything = [dict(zip(names, values, strict=True)) for values in zip(*got.values(), strict=True)]
    for start in range(0, len(everything) + 1, 3):
        part = collect(source, start_row=start, batch_rows=2)
        assert part.get("id", []) == got["id"][start:]
    return everything


# -- Delta ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def delta():
    import deltalake

    return deltalake


def test_delta_rows_that_were_replaced_and_deleted_are_gone(tmp_path, delta):
    where = str(tmp_path / "t")
    delta.write_deltalake(where, table(0, 100), partition_by=["lang"])
    delta.write_deltalake(where, table(100, 110), mode="overwrite", partition_by=["lang"])
    delta.DeltaTable(where).delete("id = 103")
    got = read(tmp_path / "t")
    assert live(got) == [i for i in range(100, 110) if i != 103]
    assert {row["id"]: row["lang"] for row in got}[106] == "de/at"
    assert {row["lang"] for row in got} == {"en", "de/at", None}
    for pattern in ("*/*.parquet", "**/*.parquet"):
        with pytest.raises(DataError, match=r"files of a table \(delta\), which may hold rows.*name its folder"):
            open_source(f"{where}/{pattern}")


def test_delta_columns_that_came_later(tmp_path, delta):
    where = str(tmp_path / "t")
    delta.write_deltalake(where, table(0, 3))
    delta.write_deltalake(where, table(3, 5, more=[7, 8]), mode="append", schema_mode="merge")
    assert [(row["id"], row["more"]) for row in read(tmp_path / "t")] == [
        (0, None), (1, None), (2, None), (3, 7), (4, 8)
    ]  # fmt: skip
    assert collect(open_source(tmp_path / "t", columns=["more"])) == {"more": [None, None, None, 7, 8]}


def test_delta_rows_that_a_vector_deletes_are_gone(tmp_path, delta):
    import pyroaring as roaring

    where = tmp_path / "t"
    delta.write_deltalake(str(where), table(0, 10))
    log = where / "_delta_log"
    lines = [json.loads(line) for line in (log / f"{0:020}.json").read_text().splitlines()]
    add = next(line["add"] for line in lines if "add" in line)
    bitmaps = (1681511377).to_bytes(4, "little") + (1).to_bytes(8, "little") + bytes(4)
    data = bitmaps + roaring.BitMap([0, 2, 5]).serialize()
    vector = {"storageType": "i", "pathOrInlineDv": z85(data), "sizeInBytes": len(data), "cardinality": 3}
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    entries = [
        {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}},
        {"remove": {"path": add["path"], "deletionTimestamp": 1, "dataChange": True}},
        {"add": {**add, "deletionVector": vector}},
    ]
    (log / f"{1:020}.json").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert [row["id"] for row in read(where)] == [1, 3, 4, 6, 7, 8, 9]


def z85(data: bytes) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    data += bytes(-len(data) % 4)
    words = [int.from_bytes(data[i : i + 4], "big") for i in range(0, len(data), 4)]
    return "".join(digits[word // 85**k % 85] for word in words for k in (4, 3, 2, 1, 0))


def test_delta_logs_name_no_file_elsewhere(tmp_path, delta):
    where = tmp_path / "t"
    delta.write_deltalake(str(where), table(0, 3))
    pq.write_table(table(0, 3), tmp_path / "other.parquet")
    log = where / "_delta_log" / f"{0:020}.json"
    name = next(where.glob("*.parquet")).name
    log.write_text(log.read_text().replace(name, "../other.parquet"))
    with pytest.raises(DataError, match=r"expected a log that lists files in this folder, got \.\./other"):
        open_source(where)


def test_a_damaged_delta_log_is_one_error(tmp_path, delta):
    (tmp_path / "_delta_log").mkdir()
    (tmp_path / "_delta_log" / f"{0:020}.json").write_text("no json")
    pq.write_table(table(0, 3), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="expected a Delta table that can be read"):
        open_source(tmp_path)


# -- Iceberg ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def iceberg(tmp_path):
    from pyiceberg.catalog import sql

    (tmp_path / "warehouse").mkdir()
    catalog = sql.SqlCatalog("c", uri=f"sqlite:///{tmp_path}/c.db", warehouse=f"file://{tmp_path}/warehouse")
    catalog.create_namespace("n")
    return catalog


def folder_of(made, tmp_path):
    return tmp_path / made.location().removeprefix(f"file://{tmp_path}/")


def test_iceberg_rows_that_were_replaced_and_deleted_are_gone(tmp_path, iceberg):
    made = iceberg.create_table("n.t", table(0, 1).schema)
    made.append(table(0, 100))
    made.overwrite(table(100, 110))
    made.append(table(110, 115))
    made.delete("id = 103")
    got = read(folder_of(made, tmp_path))
    assert live(got) == [i for i in range(100, 115) if i != 103]
    assert got[0]["v"] == [1.0] * 4
    with pytest.raises(DataError, match=r"files of a table \(iceberg\)"):
        open_source(f"{folder_of(made, tmp_path)}/data/*.parquet")


def test_iceberg_columns_that_were_added_and_renamed(tmp_path, iceberg):
    made = iceberg.create_table("n.t", table(0, 1).schema)
    made.append(table(0, 2))
    with made.update_schema() as change:
        change.rename_column("lang", "sprache")
        change.add_column("more", pa_long())
    made.append(table(2, 3).rename_columns(["id", "v", "sprache"]).append_column("more", pa.array([7])))
    got = read(folder_of(made, tmp_path))
    assert sorted((row["id"], row["sprache"], row["more"]) for row in got) == [
        (0, "en", None), (1, "de/at", None), (2, None, 7)
    ]  # fmt: skip


def pa_long():
    from pyiceberg.types import LongType

    return LongType()


# -- without their libraries, and Hudi --------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "package"), [("delta", "deltalake"), ("iceberg", "pyiceberg")])
def test_the_way_out_is_named_where_the_library_is_missing(tmp_path, monkeypatch, kind, package):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.table", None)
    (tmp_path / "_delta_log" if kind == "delta" else tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "v1.metadata.json").write_text("{}") if kind == "iceberg" else None
    pq.write_table(table(0, 3), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=rf"pip install 'vecmill\[{kind}\]'"):
        open_source(tmp_path)


def test_hudi_is_refused_in_words(tmp_path):
    (tmp_path / ".hoodie").mkdir()
    pq.write_table(table(0, 3), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="a Hudi table, whose files hold older rows too"):
        open_source(tmp_path)
    with pytest.raises(DataError, match=r"files of a table \(hudi\)"):
        open_source(f"{tmp_path}/*.parquet")
