"""`ImportClient`: create import jobs, follow them to their end, compare what arrived."""

# Printed from aclient.py by `make tables`: do not change it here.

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from vecmill.importer import flows
from vecmill.importer.flows import Flow, Goal, Pause, Progress, Send
from vecmill.importer.keys import key_for
from vecmill.importer.options import BucketKeys, Server
from vecmill.importer.reply import Answer, JobProgress, JobSummary, State, Trouble
from vecmill.importer.request import Groups, Request, RequestFiles, create_request
from vecmill.importer.transport import answer_of, client_arguments, failed, request_arguments
from vecmill.importer.waiting import Patience, Polling
from vecmill.manifest import Manifest

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class ImportJob:
    """An import job on a server.

    ``id`` is the server's. ``existed`` is True if the job was there before `ImportClient.create`.
    """

    __slots__ = ("_client", "existed", "expected_rows", "id")

    def __init__(
        self, client: ImportClient, job_id: str, *, expected_rows: int | None = None, existed: bool = False
    ) -> None:
        self._client = client
        self.id = job_id
        self.expected_rows = expected_rows
        self.existed = existed

    def __repr__(self) -> str:
        return f"ImportJob({self.id!r})"

    def describe(self) -> JobProgress:
        """Return how far the job is."""
        return self._client.describe(self.id)

    def wait(
        self,
        timeout: float | None = None,
        progress: Progress | None = None,
        *,
        until: str = State.COMPLETED,
        stall_timeout: float | None = None,
    ) -> JobProgress:
        """Return the last look at the job when it is completed. Looks become rarer while nothing changes.

        Parameters
        ----------
        timeout: seconds to wait at most; the server goes on after that. None: no limit.
        progress: plain function, called with a `JobProgress` after every look: its ``phase`` says what the server waits
            for, its ``stalled_s`` for how long nothing has changed.
        until: "Uncommitted" ends the wait before the commit of a two-phase job.
        stall_timeout: seconds without any change after which the wait is given up. None: no limit.

        Raises
        ------
        ImportJobError: the job failed (in the server's words), time ran out, or the rows that the server counts are not
            those that the manifest counts.
        """
        goal = Goal(State(until), self.expected_rows, progress)
        patience = Patience(timeout, stall_timeout, self._client._polling)
        return self._client._run(flows.wait(self._client.server, self.id, goal, patience), self.id)

    def commit(self) -> None:
        """Make the rows of a two-phase job visible. Does nothing if the job is already committed."""
        self._client.commit(self.id)

    def abort(self) -> None:
        """Drop the job and its rows. Does nothing if the job is already aborted."""
        self._client.abort(self.id)


class ImportClient:
    """The import API of one server. Arguments are those of `Server`; use it in a ``with`` block, or close it.

    Every method raises ImportJobError with the server's ``code`` and words. May be used by several threads. A create
    that is cut off may have reached the server: the next one with the same manifest finds its job there.

    >>> with ImportClient("http://127.0.0.1:19530", api_key="root:Milvus") as client:  # doctest: +SKIP
    ...     job = client.create("books", files=[["1.parquet"]], manifest=writer.manifest)
    ...     job.wait(progress=print)
    """

    def __init__(
        self,
        url: str | Server,
        *,
        transport: httpx.BaseTransport | None = None,
        polling: Polling | None = None,
        **settings: Any,
    ) -> None:
        import httpx

        self.server = url if isinstance(url, Server) else Server(url, **settings)
        self._polling = polling or Polling()
        self._http = httpx.Client(transport=transport, **client_arguments(self.server))

    def __repr__(self) -> str:
        return f"ImportClient({self.server!r})"

    def __enter__(self) -> ImportClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Jobs go on."""
        self._http.close()

    def create(
        self,
        collection_name: str,
        *,
        files: Groups | None = None,
        object_urls: Groups | None = None,
        data_paths: Groups | None = None,
        volume_name: str = "",
        partition_name: str = "",
        options: Mapping[str, object] | None = None,
        auto_commit: bool = True,
        manifest: Manifest | None = None,
        expected_rows: int | None = None,
        idempotency_key: str | None = None,
        **keys: str,
    ) -> ImportJob:
        """Create a job, exactly once.

        The request carries an idempotency key, made of ``manifest`` if there is one. If the answer gets lost, the
        create is repeated where the server keeps such keys (`Server.keeps_keys`); elsewhere the new job is looked for
        by its files, and if it is not found that is an error, not a second job.

        Parameters
        ----------
        files, object_urls, data_paths with volume_name: the import files, in one of the three forms; see `bulk_import`.
        options: of the server. auto_commit: False for two phases (Milvus 3.0), sent as the option of this name.
        manifest: what was written; gives the key, and the rows that `ImportJob.wait` expects.
        expected_rows: the rows of ``files``. None: those of the manifest.
        idempotency_key: the key. None: one that is made of the manifest.
        keys: ``access_key``, ``secret_key`` and ``token``, with which Zilliz Cloud reads the bucket.
        """
        request = create_request(
            self.server,
            collection_name,
            RequestFiles(files, object_urls=object_urls, volume_name=volume_name, data_paths=data_paths),
            keys=BucketKeys(**keys),
            partition_name=partition_name,
            options=options,
            auto_commit=auto_commit,
        )
        if expected_rows is None and manifest is not None:
            expected_rows = manifest.n_rows
        return self.send_create(request, idempotency_key or key_for(request, manifest), expected_rows)

    def send_create(self, request: Request, key: str, expected_rows: int | None = None) -> ImportJob:
        """Create the job of a ready-made request, exactly once."""
        created = self._run(flows.create(self.server, request, key), None, "the job was not created")
        return ImportJob(self, created.job_id, expected_rows=expected_rows, existed=created.existed)

    def job(self, job_id: str, *, expected_rows: int | None = None) -> ImportJob:
        """Return a job of which only the id is known, without asking the server."""
        return ImportJob(self, job_id, expected_rows=expected_rows)

    def describe(self, job_id: str) -> JobProgress:
        """Return how far a job is."""
        return self._run(flows.describe(self.server, job_id), job_id)

    def list(self, collection_name: str = "") -> tuple[JobSummary, ...]:
        """Return the jobs of a collection, or of all. The server forgets finished ones after three hours."""
        return self._run(flows.list_jobs(self.server, collection_name))

    def commit(self, job_id: str) -> None:
        """Make the rows of a two-phase job visible. Does nothing if the job is already committed."""
        self._run(flows.end(self.server, job_id, "commit"), job_id)

    def abort(self, job_id: str) -> None:
        """Drop a job and its rows. Does nothing if the job is already aborted."""
        self._run(flows.end(self.server, job_id, "abort"), job_id)

    def ask(self, request: Request, *, repeat: bool = True) -> dict[str, Any]:
        """Send a request of another part of the REST API and return its data.

        ``repeat``: whether the request may be sent again if its answer is lost.
        """
        return self._run(flows.ask(self.server, request, dict) if repeat else flows.ask_once(request))

    def _run(self, flow: Flow[T], job_id: str | None = None, doing: str = "") -> T:
        answer = Answer()
        try:
            step = next(flow)
            while True:
                if isinstance(step, Send):
                    answer = self._exchange(step)
                elif isinstance(step, Pause):
                    time.sleep(step.seconds)
                step = flow.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result
        except Trouble as trouble:
            raise trouble.error(job_id, doing=doing) from None

    def _exchange(self, step: Send) -> Answer:
        import httpx

        try:
            return answer_of(self._http.request(**request_arguments(step.request, self.server)))
        except (httpx.HTTPError, httpx.InvalidURL) as err:
            return failed(err, self.server)
