"""The calls in pymilvus' form: the same requests as pymilvus' own client, and answers that say what went wrong."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from typing import Any

import httpx
import pymilvus.bulk_writer as theirs
import pytest

import vecmill
from servers.rest import JOBS, TOKEN, RestServer, running_rest_server
from vecmill import ImportJobError
from vecmill.importer.options import BucketKeys, Server, mask
from vecmill.importer.request import Request, RequestFiles, create_request, set_fields

FILES = [["a/1.parquet"], ["b/id.npy", "b/v.npy"]]

# Every parameter of the calls with the values that tell something, "unset" first.
CREATE: dict[str, list[Any]] = {
    "db_name": ["", "shop"],
    "files": [None, [], FILES],
    "object_url": ["", "s3://bucket/1.parquet"],
    "object_urls": [None, [["s3://bucket/1.parquet"], ["s3://bucket/folder/"]]],
    "cluster_id": ["", "in01-abc"],
    "project_id": ["", "proj-1"],
    "region_id": ["", "aws-us-west-2"],
    "access_key": ["", "AKIA"],
    "secret_key": ["", "s3cr3t"],
    "token": ["", "t0ken"],
    "volume_name": ["", "my_volume"],
    "data_paths": [None, [["1.parquet"], ["folder/"]]],
    "partition_name": ["", "p1"],
    "options": [None, {}, {"timeout": "300s", "auto_commit": "false"}],
}
WHERE: dict[str, list[Any]] = {"cluster_id": ["", "in01-abc"], "project_id": ["", "p"], "region_id": ["", "r"]}
PROGRESS: dict[str, list[Any]] = {**WHERE, "db_name": ["", "shop"]}
LIST: dict[str, list[Any]] = {
    **PROGRESS,
    "collection_name": ["", "books"],
    "page_size": [10, 50],
    "current_page": [1, 3],
}


@pytest.fixture(scope="module")
def server() -> Iterator[RestServer]:
    with running_rest_server() as server:
        yield server


def combinations(parameters: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*parameters.values()):
        yield {name: v for (name, all_), v in zip(parameters.items(), values, strict=True) if v is not all_[0]}


def request_of(**given: Any) -> Request:
    """Return our request for pymilvus' arguments."""

    def some(*names: str) -> dict[str, Any]:
        return {name: given.pop(name) for name in names if name in given}

    server = Server("http://host", **some("db_name", "cluster_id", "project_id", "region_id"))
    keys = BucketKeys(**some("access_key", "secret_key", "token"))
    files = RequestFiles(**some("files", "object_url", "object_urls", "volume_name", "data_paths"))
    return create_request(server, "books", files, keys=keys, **given)


def sent_by(call: Any, server: RestServer, **arguments: Any) -> tuple[str, dict[str, Any], dict[str, str]]:
    call(url=server.url, api_key=TOKEN, **arguments)
    seen = server.seen[-1]
    headers = {name: seen.headers.get(name, "") for name in ("authorization", "db-name", "content-type")}
    return seen.path, set_fields(seen.body), headers


def test_every_combination_of_create_parameters_makes_pymilvus_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """All 18,432 of them, without a network: their client hands its body to a stand-in for `requests.post`."""
    from pymilvus.bulk_writer import bulk_import as module

    sent: list[dict[str, Any]] = []

    class Well:
        status_code = 200

        @staticmethod
        def json() -> dict[str, Any]:
            return {"code": 0, "data": {}}

    def post(**arguments: Any) -> Well:
        sent.append(arguments)
        return Well()

    # `bulk_import` the function hides the module of this name in the package.
    import sys

    monkeypatch.setattr(sys.modules["pymilvus.bulk_writer.bulk_import"].requests, "post", post)
    assert callable(module)
    n = 0
    for given in combinations(CREATE):
        theirs.bulk_import(url="http://host", collection_name="books", **given)
        ours = request_of(**given)
        assert sent[-1]["url"] == f"http://host{ours.path}"
        assert set_fields(sent[-1]["json"]) == ours.body, given
        n += 1
    assert n == 3 * 3 * 2**12


@pytest.mark.parametrize(
    ("name", "parameters", "always"),
    [
        ("bulk_import", {k: v for k, v in CREATE.items() if k in ("db_name", "partition_name", "options", "files")},
         {"collection_name": "books", "object_url": "s3://bucket/1.parquet"}),
        ("get_import_progress", PROGRESS, {"job_id": "453265736269038336"}),
        ("list_import_jobs", LIST, {}),
    ],
)  # fmt: skip
def test_the_same_goes_over_the_wire(name, parameters, always, server):
    if name == "get_import_progress":
        theirs.bulk_import(url=server.url, collection_name="books", files=FILES, api_key=TOKEN)
    for given in combinations(parameters):
        a = sent_by(getattr(theirs, name), server, **always, **given)
        b = sent_by(getattr(vecmill, name), server, **always, **given)
        assert a == b, given


@pytest.mark.parametrize("name", ["bulk_import", "get_import_progress", "list_import_jobs"])
def test_arguments_are_pymilvus(name):
    their_parameters = inspect.signature(getattr(theirs, name)).parameters
    our_parameters = inspect.signature(getattr(vecmill, name)).parameters
    in_place = [one for one, p in their_parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [one for one, p in our_parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD] == in_place
    for one in in_place:
        assert our_parameters[one].default == their_parameters[one].default


def test_the_documented_snippet(server):
    from vecmill import bulk_import, get_import_progress, list_import_jobs

    resp = bulk_import(url=server.url, api_key=TOKEN, collection_name="books", files=FILES)
    assert isinstance(resp, httpx.Response)
    assert resp.status_code == 200
    job_id = resp.json()["data"]["jobId"]
    resp = get_import_progress(url=server.url, api_key=TOKEN, job_id=job_id)
    assert resp.json()["data"]["state"] == "Pending"
    resp = list_import_jobs(url=server.url, api_key=TOKEN, collection_name="books")
    assert job_id in [record["jobId"] for record in resp.json()["data"]["records"]]


def test_two_phases(server):
    options = {"auto_commit": False, "timeout": 300}
    job = vecmill.bulk_import(server.url, "books", files=FILES, options=options, api_key=TOKEN).json()["data"]["jobId"]
    assert server.seen[-1].body["options"] == {"auto_commit": "false", "timeout": "300"}
    with pytest.raises(ImportJobError, match=r"cannot commit .* in state Pending") as caught:
        vecmill.commit_import(server.url, job, api_key=TOKEN)
    assert (caught.value.code, caught.value.job_id) == (2100, job)
    states = [vecmill.get_import_progress(server.url, job, api_key=TOKEN).json()["data"]["state"] for _ in range(12)]
    assert states[-1] == "Uncommitted"
    assert vecmill.commit_import(server.url, job, api_key=TOKEN).json()["code"] == 0
    assert server.jobs[job].committed
    with pytest.raises(ImportJobError, match="cannot abort"):
        vecmill.get_import_progress(server.url, job, api_key=TOKEN)
        vecmill.abort_import(server.url, job, api_key=TOKEN)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ({"collection_name": "nope", "files": FILES}, 100, "can't find collection"),
        ({"collection_name": "books", "files": []}, 2100, "import request is empty"),
        ({"collection_name": "books", "files": FILES, "api_key": "wrong"}, 1800, "user hasn't authenticated"),
    ],
)
def test_the_server_s_own_words(arguments, code, words, server):
    with pytest.raises(ImportJobError, match=words) as caught:
        vecmill.bulk_import(server.url, **{"api_key": TOKEN, **arguments})
    assert caught.value.code == code
    assert words in caught.value.reason
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("answer lost", "answer was lost"),
        ("malformed after", "no JSON object"),
        ("502 before", "HTTP status 502"),
        ("500 after", "HTTP status 500: internal error"),
        ("timeout before", "timed out"),
        ("not an object", "no JSON object"),
    ],
)
def test_no_answer_is_one_clear_error(fault, words):
    with running_rest_server(fault=lambda seen, n: fault) as server, pytest.raises(ImportJobError, match=words):
        vecmill.bulk_import(server.url, "books", files=FILES, api_key=TOKEN, timeout=0.3)


def test_an_url_that_is_none():
    with pytest.raises(ImportJobError, match="no connection"):
        vecmill.bulk_import("http://127.0.0.1:port", "books", files=FILES)


def test_nobody_listens():
    with pytest.raises(ImportJobError, match=r"no connection to http://127\.0\.0\.1:1:"):
        vecmill.bulk_import("http://127.0.0.1:1", "books", files=FILES)


def test_old_forms_of_the_cloud(server):
    old = f"{server.url}/v1/vector/collections/import"
    arguments: dict[str, Any] = {"cluster_id": "in01", "access_key": "a", "secret_key": "b", "api_key": TOKEN}
    resp = vecmill.bulk_import(old, "books", object_url="https://s3/b/1.parquet", **arguments)
    assert server.seen[-1].path == "/v1/vector/collections/import"
    assert server.seen[-1].body == {
        "collectionName": "books", "clusterId": "in01", "objectUrl": "https://s3/b/1.parquet",
        "accessKey": "a", "secretKey": "b",
    }  # fmt: skip
    job = resp.json()["data"]["jobId"]
    resp = vecmill.get_import_progress(server.url, job, "in01", api_key=TOKEN, api="v1")
    assert (server.seen[-1].method, server.seen[-1].path) == ("GET", "/v1/vector/collections/import/get")
    assert resp.json()["data"]["jobId"] == job
    vecmill.list_import_jobs(old, cluster_id="in01", api_key=TOKEN)
    assert server.seen[-1].query == "clusterId=in01&pageSize=10&currentPage=1"
    vecmill.get_import_progress(server.url, job, "in01", api_key=TOKEN, api="v2-getProgress")
    assert server.seen[-1].path == f"{JOBS}getProgress"
    vecmill.get_import_progress(server.url, job, api_key=TOKEN, api="v2-getProgress")
    assert server.seen[-1].path == f"{JOBS}get_progress"
    with pytest.raises(ValueError, match="v1 API imports one object_url and knows no files"):
        vecmill.bulk_import(old, "books", files=FILES)


def test_a_flat_list_of_files_is_told(server):
    with pytest.raises(ValueError, match="list of lists"):
        vecmill.bulk_import(server.url, "books", files=["1.parquet"])  # type: ignore[list-item]


def test_more_headers_and_keys(server):
    headers = {"Request-Timeout": "7"}
    vecmill.bulk_import(server.url, "books", files=FILES, api_key=TOKEN, headers=headers, idempotency_key="run-1")
    assert server.seen[-1].headers["request-timeout"] == "7"
    assert server.seen[-1].headers["idempotency-key"] == "run-1"
    for bad in ("", "two words", "ключ", "x" * 257, "line\n"):
        with pytest.raises(ValueError, match="idempotency key"):
            vecmill.bulk_import(server.url, "books", files=FILES, idempotency_key=bad)


def test_a_password_in_the_url_is_not_told():
    with pytest.raises(ImportJobError, match="no connection") as caught:
        vecmill.bulk_import("http://me:pa55@127.0.0.1:1", "books", files=FILES)
    client = vecmill.ImportClient("http://me:pa55@127.0.0.1:1", api_key="k3y")
    assert not any(secret in f"{caught.value!r} {client!r} {client.server!r}" for secret in ("pa55", "k3y"))


def test_certificates(tmp_path):
    missing = str(tmp_path / "ca.pem")
    with pytest.raises(FileNotFoundError):
        vecmill.bulk_import("https://127.0.0.1:1", "books", files=FILES, verify=missing)
    with pytest.raises(FileNotFoundError):
        vecmill.bulk_import("https://127.0.0.1:1", "books", files=FILES, cert=(missing, missing))
    with pytest.raises(ImportJobError, match="no connection"):
        vecmill.bulk_import("https://127.0.0.1:1", "books", files=FILES, verify=False)


def test_no_secret_in_what_is_shown():
    urls, keys = [["https://u:pw@h/1.parquet?sig=abc"]], {"access_key": "AK1", "secret_key": "SK1", "token": "TK1"}
    request = request_of(object_urls=urls, **keys)
    for text in (repr(request), str(request), str(request.masked()), str(mask(request.body)), repr(BucketKeys(**keys))):
        for secret in ("AK1", "SK1", "TK1", "pw", "abc"):
            assert secret not in text
    assert request.body["secretKey"] == "SK1"
