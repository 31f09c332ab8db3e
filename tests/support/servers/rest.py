"""A server of the import API (REST v2, and what is left of v1) on loopback, for tests.

It does what the real ones do, as far as a client can see: the paths, the JSON, the codes and the words of Milvus 2.4 to
3.0; jobs that go from state to state; commit and abort; idempotency keys. A job makes a step whenever somebody asks for
it, so that no test waits for a clock. `fault` decides, request by request, what goes wrong.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

JOBS = "/v2/vectordb/jobs/import/"
TOKEN = "root:Milvus"
DETAILS_AT = 30  # per cent from which a job knows its files

# State as the API shows it, per cent, share of the rows that are in.
STEPS = (
    ("Pending", 0, 0.0),
    ("Pending", 10, 0.0),
    ("Importing", 25, 0.0),
    ("Importing", 40, 0.0),
    ("Importing", 55, 0.5),
    ("Importing", 70, 1.0),
    ("Importing", 80, 1.0),
    ("Importing", 90, 1.0),
    ("Importing", 99, 1.0),
    ("Completed", 100, 1.0),
)
UNCOMMITTED = len(STEPS) - 2  # the step at which a job without auto_commit waits


@dataclass
class Job:
    """An import job: what was asked for, and how far it is."""

    id: str
    body: dict[str, Any]
    rows: list[int]
    step: int = 0
    failure: str = ""
    fail_at: int | None = None
    committed: bool = True

    def advance(self) -> None:
        if self.fail_at is not None and self.step >= self.fail_at and not self.failure:
            self.failure = "failed to read the file: error"
        last = len(STEPS) - 1 if self.committed else UNCOMMITTED
        self.step = min(self.step + 1, last)

    @property
    def state(self) -> str:
        if self.failure:
            return "Failed"
        return "Uncommitted" if not self.committed and self.step == UNCOMMITTED else STEPS[self.step][0]

    def describe(self) -> dict[str, Any]:
        share, percent = STEPS[self.step][2], 0 if self.failure else STEPS[self.step][1]
        total = sum(self.rows) if STEPS[self.step][1] >= 40 else 0
        data = {
            "jobId": self.id,
            "collectionName": self.body["collectionName"],
            "createTime": "2026-11-21T10:00:00Z",
            "completeTime": "2026-11-21T10:01:00Z" if self.state == "Completed" else "",
            "state": self.state,
            "progress": percent,
            "importedRows": int(total * share),
            "totalRows": total,
            "fileSize": 1_000,
            "details": [],
        }
        if self.failure:
            data["reason"] = self.failure
        if percent >= DETAILS_AT:
            data["details"] = [
                {
                    "fileName": f"[{' '.join(group)}]", "fileSize": 1_000, "progress": percent,
                    "completeTime": data["completeTime"], "state": self.state,
                    "importedRows": int(rows * share), "totalRows": rows,
                }
                for group, rows in zip(self.groups, self.rows, strict=True)
            ]  # fmt: skip
        return data

    @property
    def groups(self) -> list[list[str]]:
        body = self.body
        groups = body.get("files") or body.get("objectUrls") or body.get("dataPaths") or [[body.get("objectUrl", "")]]
        return [group for group in groups if any(group)]


@dataclass
class Seen:
    """A request as it came in."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class RestServer:
    """State and behaviour. ``fault(seen, n)`` returns the name of what goes wrong with the n-th request, or None."""

    collections: set[str] = field(default_factory=lambda: {"books"})
    rows_of: Callable[[list[str]], int] = lambda group: 100
    fault: Callable[[Seen, int], str | None] = lambda seen, n: None
    keeps_keys: bool = True
    most_jobs: int = 1024
    fail_at: int | None = None  # step at which the next job fails
    url: str = ""
    jobs: dict[str, Job] = field(default_factory=dict)
    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    load_steps: list[int] = field(default_factory=list)  # percent, look after look; the last one stays

    def answer(self, seen: Seen) -> tuple[int, dict[str, Any]]:
        """Do what a request asks for; return the HTTP status and the document."""
        if seen.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"code": 1800, "message": "user hasn't authenticated"}
        if seen.method == "GET" and seen.path.startswith("/v1/"):
            return self._v1(seen)
        if seen.method != "POST":
            return 404, {"code": 404, "message": "404 page not found"}
        body = seen.body
        if seen.path.startswith("/v2/vectordb/collections/"):
            return self._collections(seen.path.rpartition("/")[2], body)
        if seen.path == "/v1/vector/collections/import":
            status, document = self._create(body, seen.headers.get("idempotency-key"))
            return status, document | ({"code": 200} if document["code"] == 0 else {})
        verb = seen.path.removeprefix(JOBS)
        if verb == "create":
            return self._create(body, seen.headers.get("idempotency-key"))
        if verb == "list":
            wanted = body.get("collectionName")
            jobs = [job.describe() for job in self.jobs.values() if wanted in (None, "", job.body["collectionName"])]
            names = ("jobId", "collectionName", "state", "progress", "reason")
            records = [{name: job[name] for name in names if name in job} for job in jobs]
            return 200, {"code": 0, "data": {"records": records or None}}
        if verb not in ("describe", "get_progress", "getProgress", "commit", "abort"):
            return 404, {"code": 404, "message": "404 page not found"}
        if not isinstance(body.get("jobId"), str):
            return 200, {"code": 1801, "message": "can only accept json format request, error: jobId must be a string"}
        job = self.jobs.get(body["jobId"])
        if job is None:
            return 200, {
                "code": 2100,
                "message": f"import job does not exist, jobID={body['jobId']}: importing data failed",
            }
        if verb in ("describe", "get_progress", "getProgress"):
            job.advance()
            return 200, {"code": 0, "data": job.describe()}
        return self._end(job, verb)

    def _create(self, body: dict[str, Any], key: str | None) -> tuple[int, dict[str, Any]]:
        files, options = body.get("files"), body.get("options")
        name = body.get("collectionName")
        if files is not None and not all(isinstance(g, list) and all(isinstance(p, str) for p in g) for g in files):
            return 200, {"code": 1801, "message": "can only accept json format request, error: files is [][]string"}
        if options and not all(isinstance(value, str) for value in options.values()):
            return 200, {
                "code": 1801,
                "message": "can only accept json format request, error: options is map[string]string",
            }
        if not name:
            return 200, {"code": 1802, "message": "missing required parameters, error: collectionName"}
        if name not in self.collections:
            return 200, {"code": 100, "message": f"can't find collection[database=default][collection={name}]"}
        if key is not None and self.keeps_keys and (name, key) in self.keys:
            return 200, {"code": 0, "data": {"jobId": self.keys[name, key]}}
        if sum(job.state not in ("Completed", "Failed") for job in self.jobs.values()) >= self.most_jobs:
            words = "The number of jobs has reached the limit, please try again later."
            return 200, {"code": 2100, "message": f"{words}: importing data failed"}
        job = Job(str(453_265_736_269_038_336 + len(self.jobs)), body, [], fail_at=self.fail_at)
        self.fail_at = None
        job.rows = [self.rows_of(group) for group in job.groups]
        if not job.groups:
            return 200, {"code": 2100, "message": "import request is empty: importing data failed"}
        if len(job.groups) > 1024:
            return 200, {"code": 2100, "message": "The max number of import files should not exceed 1024"}
        job.committed = (options or {}).get("auto_commit", "true").lower() != "false"
        self.jobs[job.id] = job
        if key is not None:
            self.keys[name, key] = job.id
        return 200, {"code": 0, "data": {"jobId": job.id}}

    def _end(self, job: Job, verb: str) -> tuple[int, dict[str, Any]]:
        if verb == "commit":
            if job.failure or (not job.committed and job.state != "Uncommitted"):
                return 200, {"code": 2100, "message": f"cannot commit job {job.id} in state {job.state}"}
            job.committed = True
        else:
            if job.state == "Completed":
                return 200, {"code": 2100, "message": f"cannot abort job {job.id} in state Completed"}
            job.failure = job.failure or "aborted by user"
        return 200, {"code": 0, "data": {}}

    def _collections(self, verb: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        name = body["collectionName"]
        if verb == "has":
            return 200, {"code": 0, "data": {"has": name in self.collections}}
        if verb == "create":
            self.collections.add(name)
        elif verb in ("load", "refresh_load"):
            self.loaded.append(verb)
        elif verb == "get_load_state":
            if self.loaded and self.load_steps:
                percent = self.load_steps.pop(0) if len(self.load_steps) > 1 else self.load_steps[0]
            else:
                percent = 100
            state = "LoadStateLoaded" if percent == 100 else "LoadStateLoading"
            state = state if self.loaded else "LoadStateNotLoad"
            return 200, {"code": 0, "data": {"loadState": state, "loadProgress": percent, "message": ""}}
        else:
            return 404, {"code": 404, "message": "404 page not found"}
        return 200, {"code": 0, "data": {}}

    def _v1(self, seen: Seen) -> tuple[int, dict[str, Any]]:
        from urllib.parse import parse_qs

        query = {name: values[0] for name, values in parse_qs(seen.query).items()}
        if seen.path.endswith("/list"):
            tasks = [{"jobId": job.id, "collectionName": job.body["collectionName"], "state": f"Import{job.state}"}
                     for job in self.jobs.values()]  # fmt: skip
            return 200, {"code": 200, "data": {"count": len(tasks), "tasks": tasks}}
        job = self.jobs.get(query["jobId"])
        if job is None:
            return 200, {"code": 21119, "message": f"no job {query['jobId']}"}
        job.advance()
        return 200, {"code": 200, "data": job.describe()}

    def created(self, collection: str = "books") -> list[Job]:
        """Return the jobs that hold rows or will: those that did not fail."""
        return [job for job in self.jobs.values() if job.body["collectionName"] == collection and not job.failure]

    def requests(self, end: str) -> list[Seen]:
        """Return the requests whose path ends so."""
        return [seen for seen in self.seen if seen.path.endswith(end)]


# What may go wrong: is the request carried out, and what comes back (None: the connection is closed; "hang": nothing).
FAULTS: dict[str, tuple[bool, object]] = {
    "answer lost": (True, None),
    "request lost": (False, None),
    "500 before": (False, (500, '{"code": 65535, "message": "internal error"}')),
    "500 after": (True, (500, '{"code": 65535, "message": "internal error"}')),
    "502 before": (False, (502, "<html>Bad Gateway</html>")),
    "504 after": (True, (504, "<html>Gateway Timeout</html>")),
    "503": (False, (503, "service unavailable")),
    "429": (False, (429, '{"code": 429, "message": "rate limit exceeded"}')),
    "malformed after": (True, (200, '{"code": 0, "data": {"jobId": "4532')),
    "malformed before": (False, (200, "")),
    "not an object": (True, (200, "[]")),
    "no job": (True, (200, '{"code": 0, "data": {}}')),
    "half an answer": (True, "half"),
    "timeout after": (True, "hang"),
    "timeout before": (False, "hang"),
}


@contextmanager
def running_rest_server(**settings: Any) -> Iterator[RestServer]:
    """Serve on a free port of loopback while the block lasts, in a thread."""
    server = RestServer(**settings)
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stop = asyncio.Event()

    async def main() -> None:
        tasks: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                    while await _exchange(server, reader, writer):
                        pass
            finally:
                writer.close()
                tasks.discard(task)

        listener = await asyncio.start_server(connected, "127.0.0.1", 0)
        server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        ready.set()
        await stop.wait()
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def _exchange(server: RestServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Read one request and answer it; return whether the connection stays."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    path, _, query = target.partition("?")
    seen = Seen(method, path, query, headers, json.loads(content) if content else {})
    server.seen.append(seen)
    fault = server.fault(seen, len(server.seen) - 1)
    done, reply = FAULTS[fault] if fault is not None else (True, ())
    status, document = server.answer(seen) if done else (0, {})
    if reply is None:
        return False
    if reply == "hang":
        await reader.read()  # until the client has had enough
        return False
    text = json.dumps(document)
    if isinstance(reply, tuple) and reply:
        status, text = reply
    payload = text.encode()
    first = f"HTTP/1.1 {status} {'OK' if status == 200 else 'Oops'}\r\nContent-Type: application/json\r\n"
    writer.write(f"{first}Content-Length: {len(payload)}\r\n\r\n".encode())
    if reply == "half":
        writer.write(payload[: len(payload) // 2])
        await writer.drain()
        return False
    writer.write(payload)
    await writer.drain()
    return True
