"""ImportClient and AsyncImportClient: a job from its creation to its end, and whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from print_client import PRINTED, SOURCE, printed
from servers.rest import FAULTS, STEPS, TOKEN, RestServer, Seen, running_rest_server
from vecmill import AsyncImportClient, ImportClient, ImportJobError
from vecmill.importer.flows import Goal, JobWatch
from vecmill.importer.keys import key_for
from vecmill.importer.options import BucketKeys, Server
from vecmill.importer.reply import JobProgress, State
from vecmill.importer.request import Request, RequestFiles, create_request
from vecmill.importer.waiting import Patience, Polling, Retry
from vecmill.manifest import FileEntry, Manifest, Segment

FILES = [["out/1.parquet"], ["out/2.parquet"]]
FAST = Retry(first_s=0.001, most_s=0.004, room_s=1.0, settle_s=0.05)
QUICK_LOOKS = Polling(first_s=0.0001, most_s=0.0005)
SETTINGS: dict[str, Any] = {"api_key": TOKEN, "retry": FAST, "timeout_s": 0.25}


def manifest(rows: int = 200, uuid: str = "w1") -> Manifest:
    entry = FileEntry("1.parquet", rows, 1_000, "crc64nvme:0123456789abcdef")
    return Manifest(uuid, "PARQUET", {}, [Segment(1, rows, (entry,))])


def client_of(server: RestServer, **settings: Any) -> ImportClient:
    return ImportClient(server.url, polling=QUICK_LOOKS, **{**SETTINGS, **settings})


class InAsyncio:
    """AsyncImportClient with the face of ImportClient, so that both stand the same tests."""

    def __init__(self, server: RestServer, **settings: Any) -> None:
        self._settings = {**SETTINGS, **settings}
        self._url = server.url

    def __enter__(self) -> InAsyncio:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _run(self, act: Callable[[AsyncImportClient], Any]) -> Any:
        async def main() -> Any:
            async with AsyncImportClient(self._url, polling=QUICK_LOOKS, **self._settings) as client:
                return await act(client)

        return asyncio.run(main())

    def create(self, *args: Any, **kwargs: Any) -> Any:
        job = self._run(lambda client: client.create(*args, **kwargs))
        outer = self

        class Job:
            id, existed, expected_rows = job.id, job.existed, job.expected_rows

            def __getattr__(self, verb: str) -> Any:
                return lambda *a, **k: outer._run(
                    lambda client: getattr(client.job(job.id, expected_rows=job.expected_rows), verb)(*a, **k)
                )

        return Job()

    def __getattr__(self, verb: str) -> Any:
        return lambda *args, **kwargs: self._run(lambda client: getattr(client, verb)(*args, **kwargs))


@pytest.fixture(params=[client_of, InAsyncio], ids=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def server() -> Iterator[RestServer]:
    with running_rest_server() as server:
        yield server


def test_the_sync_client_is_printed_from_the_async_one():
    assert PRINTED.read_text() == printed(SOURCE.read_text())


def test_a_job_to_its_end(server, connect):
    looks: list[JobProgress] = []
    with connect(server) as client:
        job = client.create("books", files=FILES, manifest=manifest())
        done = job.wait(timeout=30, progress=looks.append)
        assert (done.state, done.percent, done.imported_rows, done.total_rows) == ("Completed", 100, 200, 200)
        assert [file.name for file in done.files] == ["[out/1.parquet]", "[out/2.parquet]"]
        assert [one.percent for one in looks] == [percent for _, percent, _ in STEPS[1:]]
        assert client.describe(job.id).is_over
        (listed,) = client.list("books")
        assert (listed.job_id, listed.state, listed.collection_name) == (job.id, "Completed", "books")
        assert client.list() == (listed,)
        assert client.list("other") == ()
    phases = [one.phase for one in looks]
    assert phases[0] == "waiting for a free data node"
    assert "waiting for the index build" in phases
    assert phases[-1] == "done"


def test_two_phases(server, connect):
    with connect(server) as client:
        job = client.create("books", files=FILES, manifest=manifest(), auto_commit=False)
        assert server.requests("create")[0].body["options"] == {"auto_commit": "false"}
        assert job.wait(until="Uncommitted").state == "Uncommitted"
        job.commit()
        job.commit()
        assert job.wait().state == "Completed"
        job = client.create("books", files=FILES, manifest=manifest(), auto_commit=False, idempotency_key="other")
        job.wait(until="Uncommitted")
        job.abort()
        job.abort()
        with pytest.raises(ImportJobError, match=f"import job {job.id}: aborted by user"):
            job.wait()
        with pytest.raises(ImportJobError, match="cannot commit"):
            job.commit()


def test_counts_are_compared(server, connect):
    with connect(server) as client:
        job = client.create("books", files=FILES, manifest=manifest(rows=201))
        with pytest.raises(
            ImportJobError, match="201 rows were written, but the server tells of 200 imported"
        ) as caught:
            job.wait()
        assert caught.value.job_id == job.id
        assert client.create("books", files=FILES).wait().imported_rows == 200


def test_a_failed_job_says_why(server, connect):
    server.fail_at = 3
    with connect(server) as client:
        job = client.create("books", files=FILES)
        with pytest.raises(ImportJobError, match="failed to read the file: error") as caught:
            job.wait()
    assert (caught.value.job_id, caught.value.reason) == (job.id, "failed to read the file: error")


@pytest.mark.parametrize(
    ("collection", "settings", "code", "words"),
    [
        ("nope", {}, 100, "can't find collection"),
        ("books", {"api_key": "secret-of-mine"}, 1800, "user hasn't authenticated"),
    ],
)
def test_refusals(server, connect, collection, settings, code, words):
    with connect(server, **settings) as client, pytest.raises(ImportJobError, match=words) as caught:
        client.create(collection, files=FILES)
    assert caught.value.code == code
    assert len(server.requests("create")) == 1
    assert "secret-of-mine" not in f"{caught.value!r} {client!r}"


def test_unknown_job(server, connect):
    with connect(server) as client, pytest.raises(ImportJobError, match="import job does not exist") as caught:
        client.describe("7")
    assert (caught.value.code, caught.value.job_id) == (2100, "7")


def test_timeouts_say_what_was_waited_for(server, connect, monkeypatch):
    with connect(server) as client:
        job = client.create("books", files=FILES)
        with pytest.raises(ImportJobError, match=r"not done after 0 s: Pending at 10 %, waiting for a free data node"):
            job.wait(timeout=0)
        server.jobs[job.id].advance = lambda: None  # type: ignore[method-assign]
        with pytest.raises(ImportJobError, match=r"nothing has changed for .* s: Pending at 10 %"):
            job.wait(stall_timeout=0.01)
        assert job.describe().state == "Pending"


def test_stalls_are_told_and_polls_become_rarer():
    looks: list[JobProgress] = []
    now = 0.0
    patience = Patience(polling=Polling(first_s=1, most_s=10, factor=2), now=lambda: now)
    watch = JobWatch("1", Goal(progress=looks.append), patience)
    still, moved = JobProgress("1", "Importing", 80), JobProgress("1", "Importing", 85)
    pauses = []
    for seen in [still] * 6 + [moved] * 2:
        pauses.append(watch.pause_after(seen))
        now += pauses[-1]
    assert pauses == [1, 2, 4, 8, 10, 10, 5, 10]
    assert [one.stalled_s for one in looks] == [0, 1, 3, 7, 15, 25, 0, 5]
    assert looks[-1].phase == "waiting for the index build"
    assert watch.pause_after(JobProgress("1", "Completed", 100)) is None


# -- creating exactly one job


def test_the_same_manifest_makes_the_same_job(server, connect):
    with connect(server) as client:
        first = client.create("books", files=FILES, manifest=manifest())
        again = client.create("books", files=FILES, manifest=manifest())
        other = client.create("books", files=FILES, manifest=manifest(uuid="w2"))
        assert (first.existed, again.existed, other.existed) == (False, True, False)
        assert first.id == again.id != other.id
        assert len(server.jobs) == 2


def test_after_a_failed_job_the_same_manifest_makes_a_new_one(server, connect):
    with connect(server) as client:
        for _ in range(3):
            server.fail_at = 0
            job = client.create("books", files=FILES, manifest=manifest())
            with pytest.raises(ImportJobError):
                job.wait()
        job = client.create("books", files=FILES, manifest=manifest())
        assert job.wait().state == "Completed"
        assert client.create("books", files=FILES, manifest=manifest()).id == job.id
    assert len(server.jobs) == 4


def test_a_key_says_what_and_where_but_nothing_secret():
    def request_of(files: list[list[str]] = FILES, name: str = "books", db: str = "", **more: Any) -> Request:
        return create_request(Server("http://host", db_name=db), name, RequestFiles(files), **more)

    def key(again: str = "", m: Manifest | None = None, **arguments: Any) -> str:
        return key_for(request_of(**arguments), m or manifest(), again)

    base = key(keys=BucketKeys("a", "b", "c"))
    assert base == key(keys=BucketKeys("x", "y", "z"))
    others = [
        key(files=FILES[:1]), key(name="other"), key(db="d"), key(partition_name="p"), key(m=manifest(uuid="w2")),
        key(m=manifest(rows=3)), key(again="2"),
    ]  # fmt: skip
    assert len({base, *others}) == 8
    request = request_of()
    assert key_for(request, None) != key_for(request, None)


def test_room_is_waited_for(server, connect):
    server.most_jobs = 1
    with connect(server) as client:
        first = client.create("books", files=FILES)
        server.fault = lambda seen, n: server.jobs[first.id].advance()  # time goes by
        second = client.create("books", files=FILES)
        assert len(server.jobs) == 2
        assert len(server.requests("create")) > 2
        server.most_jobs = 0
        with pytest.raises(ImportJobError, match="The number of jobs has reached the limit"):
            client.create("books", files=FILES)
        assert second.id in server.jobs


def test_another_client_s_job_is_not_taken_for_ours(server, connect):
    """The create never arrives; meanwhile somebody else creates a job."""

    def fault(seen: Seen, n: int) -> str | None:
        if seen.path.endswith("create") and seen.body["files"] == FILES:
            server.fault = lambda seen, n: None
            headers = {"authorization": f"Bearer {TOKEN}"}
            body = {"collectionName": "books", "files": [["theirs/9.parquet"]]}
            server.answer(Seen("POST", seen.path, "", headers, body))
            return "request lost"
        return None

    server.fault = fault
    with (
        connect(server, retry=replace(FAST, settle_s=0.3)) as client,
        pytest.raises(ImportJobError, match="no job with these files"),
    ):
        client.create("books", files=FILES, manifest=manifest())


@pytest.mark.parametrize("keeps_keys", [True, False])
@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ("429", "503")])
def test_a_lost_answer_never_makes_two_jobs(fault, keeps_keys, connect):
    at = itertools.count()

    def once(seen: Seen, n: int) -> str | None:
        return fault if seen.path.endswith("create") and next(at) == 0 else None

    with running_rest_server(fault=once, keeps_keys=keeps_keys) as server:
        with connect(server, keeps_keys=keeps_keys, retry=replace(FAST, settle_s=0.2)) as client:
            outcome = whole_way(client)
        done, _ = FAULTS[fault]
        if keeps_keys or done:
            assert outcome == ""
            assert len(server.created()) == 1
        else:
            assert "may have been created or not" in outcome
            assert "\n" not in outcome
            assert server.jobs == {}


def whole_way(client: Any) -> str:
    """Create and wait; return "" for success, or the error."""
    try:
        done = client.create("books", files=FILES, manifest=manifest()).wait(timeout=20)
    except ImportJobError as err:
        assert err.reason
        return str(err)
    assert done.state == State.COMPLETED
    return ""


@pytest.mark.parametrize("seed", range(100))
def test_a_hundred_faults(seed):
    """Whatever goes wrong, with any request: exactly one job and success, or one clear error and at most one job."""
    rng = random.Random(seed)
    keeps_keys = seed % 2 == 0
    planned = {n: rng.choice(sorted(FAULTS)) for n in range(40) if rng.random() < (0.1 if seed < 70 else 0.5)}
    if seed < 30:
        planned[1] = rng.choice(sorted(FAULTS))  # the create
    with running_rest_server(fault=lambda seen, n: planned.get(n), keeps_keys=keeps_keys) as server:
        with client_of(server, keeps_keys=keeps_keys, timeout_s=0.1, retry=replace(FAST, settle_s=0.1)) as client:
            outcome = whole_way(client)
        assert len(server.created()) <= 1
        if outcome:
            assert "\n" not in outcome
            assert len(outcome) > 20
        else:
            assert len(server.created()) == 1
        if keeps_keys:  # then nothing of this is beyond repair
            assert outcome == ""
