"""``vecmill import`` from the words of the command to the rows in a server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import MilvusClient
from typer.testing import CliRunner

from outputs import notes, outputs
from servers.milvus import Milvus
from servers.rest import TOKEN, RestServer, Seen, running_rest_server
from vecmill import DataType, LocalBulkWriter, create_schema
from vecmill.cli import app
from vecmill.importer.waiting import Patience, Polling

N = 3_000
PATIENCE = Patience(polling=Polling(first_s=0.001, most_s=0.01, factor=1.4))


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECMILL_TOKEN", TOKEN)


@pytest.fixture
def server() -> Iterator[RestServer]:
    with running_rest_server(rows_of=rows_in) as server:
        yield server


def rows_in(group: list[str]) -> int:
    """Return the rows of an import file that the server was told of: it reads this disk."""
    manifest = json.loads((notes(Path(group[0]).parent.parent) / "manifest.json").read_text())
    number = int(Path(group[0]).parent.name)
    return next(one["rows"] for one in manifest["segments"] if one["number"] == number)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    schema = create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    with LocalBulkWriter(schema, tmp_path / "out", file_type="npy", chunk_size=40_000) as writer:
        for start in range(0, N, 100):
            vectors = np.random.default_rng(start).standard_normal((100, 8), dtype="f4")
            writer.append_batch({"id": np.arange(start, start + 100), "vector": vectors})
    assert len(writer.batch_files) >= 3
    return tmp_path / "out"


def run(*words: object, code: int = 0, patience: Patience = PATIENCE) -> Any:
    done = CliRunner().invoke(app, ["import", *map(str, words)], obj=patience)
    assert done.exit_code == code, (done.output, done.exception)
    return done


def test_from_an_output_to_counted_rows(server, out):
    done = run(out, "--url", server.url, "--collection", "new", "--create-collection", "--load")
    assert "3,000 rows in 'new', counted by the server, ready for search" in done.stdout
    (job,) = server.jobs.values()
    assert job.body["files"] == [
        [str(outputs(out)[0] / str(i) / f"{name}.npy") for name in ("id", "vector")]
        for i in range(1, len(job.rows) + 1)
    ]
    paths = [seen.path.rpartition("/")[2] for seen in server.seen]
    assert paths[:5] == ["has", "create", "list", "create", "describe"]
    assert server.seen[1].body == {
        "collectionName": "new",
        "schema": {
            "autoId": False,
            "enableDynamicField": False,
            "fields": [
                {"fieldName": "id", "dataType": "Int64", "isPrimary": True},
                {"fieldName": "vector", "dataType": "FloatVector", "elementTypeParams": {"dim": "8"}},
            ],
        },
        "indexParams": [
            {"fieldName": "vector", "indexName": "vector", "indexType": "AUTOINDEX", "metricType": "COSINE"}
        ],
    }
    assert server.loaded == ["load"]
    assert "waiting for a free data node" in done.stderr
    assert "waiting for the index build" in done.stderr


def test_a_load_that_takes_a_while(server, out):
    server.load_steps = [0, 0, 30, 60, 100]
    done = run(out, "--url", server.url, "-C", "new", "--create-collection", "--load", "--stall-timeout", "20")
    assert "ready for search" in done.stdout
    assert server.load_steps == [100]


@pytest.mark.parametrize(
    ("steps", "option", "words"),
    [
        ([0, 40, 40], "--stall-timeout", "is not loaded, nothing has changed for 1 s: LoadStateLoading at 40 %"),
        ([0, *range(1, 99)], "--timeout", "is not loaded after"),
    ],
)
def test_a_load_that_never_ends(server, out, steps, option, words):
    """It has an end here, and says what is in all the same."""
    server.load_steps = steps
    run(out, "--url", server.url, "-C", "new", "--create-collection", "-q")
    began = time.monotonic()
    done = run(out, "--url", server.url, "-C", "new", "--load", option, "1", code=1)
    assert time.monotonic() - began < 8
    assert f"collection 'new' {words}" in " ".join(done.stderr.split())
    assert "its rows are imported, and the server may go on loading them" in " ".join(done.stderr.split())


def test_json_report(server, out):
    done = run(out, "--url", server.url, "-C", "books", "--json")
    report = json.loads(done.stdout)
    assert (report["rows"], report["complete"], report["loaded"]) == (N, True, False)
    assert [job["state"] for job in report["jobs"]] == ["Completed"]


def test_a_second_run_imports_nothing_twice(server, out):
    run(out, "--url", server.url, "-C", "books", "-q")
    assert (
        "3,000 rows in 'books', 3,000 of them by an earlier run" in run(out, "--url", server.url, "-C", "books").stdout
    )
    assert len(server.jobs) == 1
    run(out, "--url", server.url, "-C", "books", "-q", "--again")
    assert len(server.jobs) == 2


def test_a_run_that_was_cut_off_goes_on(server, out):
    """Killed after the create has been sent and before its answer was noted: the job is found by its files."""
    server.keeps_keys = False
    folder = outputs(out)[0]
    run(out, "--url", server.url, "-C", "books", "-q")
    journal = json.loads((notes(folder) / "imports.json").read_text())
    (entry,) = journal["imports"].values()
    assert (entry["state"], entry["rows"]) == ("completed", N)
    assert TOKEN not in (notes(folder) / "imports.json").read_text()
    entry.update(state="asked", job_id="")
    (notes(folder) / "imports.json").write_text(json.dumps(journal))
    done = run(out, "--url", server.url, "-C", "books")
    assert "3,000 of them by an earlier run" in done.stdout
    assert len(server.jobs) == 1
    entry.update(state="asked", time_s=0)
    (notes(folder) / "imports.json").write_text(json.dumps(journal))
    server.jobs.clear()  # the server has forgotten
    done = run(out, "--url", server.url, "-C", "books", code=1)
    assert "was cut off before the answer" in done.stderr
    assert "--again" in done.stderr


def test_many_requests_a_few_at_a_time(server, out, monkeypatch):
    most = 0

    def watch(seen: Seen, n: int) -> None:
        nonlocal most
        most = max(most, sum(job.state not in ("Completed", "Failed") for job in server.jobs.values()))

    server.fault = watch
    done = run(out, "--url", server.url, "-C", "books", "--target", "2.3", "--in-flight", 2, "--json")
    report = json.loads(done.stdout)
    assert len(report["jobs"]) == len(server.jobs) > 2
    assert sum(job["rows"] for job in report["jobs"]) == N
    assert most == 2


def test_two_phases_commit_when_all_rows_are_counted(server, out):
    run(out, "--url", server.url, "-C", "books", "--two-phase", "--target", "2.3", "--in-flight", 1, "-q")
    verbs = [seen.path.rpartition("/")[2] for seen in server.seen]
    assert verbs.count("commit") == verbs.count("create") == len(server.jobs) > 2
    assert verbs.index("commit") > max(i for i, verb in enumerate(verbs) if verb == "create")
    assert all(job.state == "Completed" for job in server.jobs.values())


def test_two_phases_leave_nothing_behind(server, out):
    server.rows_of = lambda group: rows_in(group) - (Path(group[0]).parent.name == "2")
    done = run(out, "--url", server.url, "-C", "books", "--two-phase", "--target", "2.3", code=1)
    assert "rows were written, but the server tells of" in done.stderr
    assert "all jobs aborted, no row is visible" in done.stderr
    assert {job.state for job in server.jobs.values()} == {"Failed"}
    assert not server.requests("commit")


def test_a_failed_job_and_then_another_try(server, out):
    server.fail_at = 2
    done = run(out, "--url", server.url, "-C", "books", code=1)
    assert done.stderr.splitlines()[-1].startswith("error: import job 45326573626903")
    assert "failed to read the file: error" in done.stderr
    run(out, "--url", server.url, "-C", "books", "-q")
    assert len(server.created()) == 1


def test_interrupted(server, out):
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    done = run(out, "--url", server.url, "-C", "books", code=130, patience=replace(PATIENCE, sleep=interrupt))
    assert done.stderr.splitlines()[-1] == (
        "error: interrupted; a server goes on with its jobs; the same command goes on from here"
    )
    assert "3,000 of them by an earlier run" in run(out, "--url", server.url, "-C", "books").stdout
    assert len(server.jobs) == 1


def test_no_wait(server, out):
    done = run(out, "--url", server.url, "-C", "books", "--no-wait")
    (job,) = server.jobs
    assert done.stdout.startswith(f"created: job {job}; 3,000 rows on their way to 'books'")
    assert not server.requests("describe")
    assert "3,000 rows in 'books'" in run(out, "--url", server.url, "-C", "books").stdout
    assert len(server.jobs) == 1


def test_dry_run_sends_nothing_and_shows_no_secret(server, out):
    words = ["--url", server.url, "-C", "books", "--create-collection", "--dry-run", "--option", "timeout=300s"]
    secrets = ["--token", "tttt", "--access-key", "aaaa", "--secret-key", "ssss", "--session-token", "uuuu"]
    shown = run(out, *words, *secrets).stdout
    document = json.loads(shown)
    assert [one["path"].rpartition("/")[2] for one in document["requests"]] == ["create", "create"]
    assert document["requests"][1]["body"]["options"] == {"timeout": "300s"}
    assert document["requests"][1]["body"]["secretKey"] == "****"
    assert not any(word in shown for word in ("tttt", "aaaa", "ssss", "uuuu"))
    assert not server.seen


def test_a_missing_file_is_found_before_there_is_a_job(server, out):
    lost = outputs(out)[0] / "2" / "vector.npy"
    lost.unlink()
    done = run(out, "--url", server.url, "-C", "books", code=1)
    assert "file '2/vector.npy'" in done.stderr
    assert "where the server will look, got no such file" in done.stderr
    assert not server.seen


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give either a server (--url) or a file of Milvus Lite (--uri)"),
        (["--url", "http://h", "--uri", "x.db"], "give either a server"),
        (["--url", "http://h", "--option", "timeout"], "expected NAME=VALUE, got 'timeout'"),
        (["--url", "http://h", "--two-phase", "--no-wait"], "cannot go without waiting"),
        (["--url", "http://h", "--grpc", "--two-phase"], "gRPC is for Milvus 2.2 and 2.3"),
        (["--uri", "x.db", "--grpc"], "gRPC is for Milvus 2.2 and 2.3: a --url"),
        (["--url", "http://h", "--cluster-id", "in01"], "Zilliz Cloud cannot read this disk"),
        (["--url", "http://h", "--grpc", "--target", "2.5"], "gRPC is for Milvus 2.2 and 2.3"),
        (["--url", "http://h", "--target", "mars"], "target 'mars' is not one of 2.3, 2.4,"),
        (["--url", "http://h", "--service", "mars"], "service 'mars' is not one of milvus, cloud, cloud-free"),
    ],
)
def test_words_that_do_not_go_together(words, message, out):
    assert message in " ".join(run(out, "-C", "books", *words, code=2).stderr.split())


def test_refusals_are_one_line(server, out):
    done = run(out, "--url", server.url, "-C", "nope", code=1)
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert line.startswith("error: the job was not created: can't find collection")
    done = run(out, "--url", server.url, "-C", "books", "--token", "wrong:pw", code=1)
    assert "user hasn't authenticated (code 1800)" in done.stderr
    assert "wrong:pw" not in done.output
    done = run(out, "--url", "http://127.0.0.1:1", "-C", "books", "--json", code=1)
    done_code = run(out, "--url", server.url, "-C", "nope", "--json", code=1)
    assert json.loads(done_code.stdout)["error"]["code"] == 100
    assert "no connection to http://127.0.0.1:1" in json.loads(done.stdout)["error"]["message"]


def test_milvus_lite(out, tmp_path):
    done = run(out, "--uri", tmp_path / "demo.db", "--collection", "books")
    assert "3,000 rows in 'books', counted by the server, ready for search" in done.stdout
    assert "Inserting" in done.stderr
    assert "rows are read back and inserted" in done.stderr
    done = run(out, "--uri", tmp_path / "demo.db", "--collection", "books", code=1)
    assert "holds 3,000 rows already" in done.stderr
    assert "Traceback" not in done.output


def test_the_real_milvus_over_grpc(milvus: Milvus, out):
    words = [out, "--url", milvus.uri, "--grpc", "--collection", "cli_grpc"]
    done = run(*words, "--create-collection", "--load", "--metric", "L2", "--token", "")
    assert "3,000 rows in 'cli_grpc', counted by the server, ready for search" in done.stdout
    client = MilvusClient(milvus.uri, timeout=60)
    wanted = np.random.default_rng(700).standard_normal((100, 8), dtype="f4")
    hits = client.search("cli_grpc", [wanted[42].tolist()], limit=1, anns_field="vector", consistency_level="Strong")
    assert (hits[0][0]["id"], hits[0][0]["distance"]) == (742, 0)
    assert "3,000 of them by an earlier run" in run(*words).stdout
    done = run(out, "--url", milvus.uri, "--grpc", "--collection", "cli_nowhere", code=1)
    assert "collection not found" in done.stderr.splitlines()[-1]
    # The order was sent, and the run killed: the task is found by its files.
    folder = outputs(out)[0]
    journal = json.loads((notes(folder) / "imports.json").read_text())
    for entry in journal["imports"].values():
        entry.update(state="asked", job_id="")
    (notes(folder) / "imports.json").write_text(json.dumps(journal))
    assert "3,000 of them by an earlier run" in run(*words).stdout
    counted = client.query("cli_grpc", filter="", output_fields=["count(*)"], consistency_level="Strong")
    assert counted[0]["count(*)"] == N
    assert "ready for search" in run(*words, "--again", "--load").stdout  # what is loaded takes in the new rows
    counted = client.query("cli_grpc", filter="", output_fields=["count(*)"], consistency_level="Strong")
    assert counted[0]["count(*)"] == 2 * N
    client.drop_collection("cli_grpc")
    client.close()
