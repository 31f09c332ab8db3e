"""`AsyncImportClient`: `ImportClient` for asyncio, over the same requests, replies and flows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from vecmill.importer import flows
from vecmill.importer.client import Progress
from vecmill.importer.flows import Flow, Pause, Send, Wish
from vecmill.importer.keys import key_for
from vecmill.importer.reply import Answer, JobProgress, JobSummary, State, Trouble
from vecmill.importer.retry import Polling
from vecmill.importer.server import Server
from vecmill.importer.transport import answer_of, failed, http_arguments, tls
from vecmill.manifest import Manifest

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class AsyncImportJob:
    """`ImportJob`, with coroutines."""

    __slots__ = ("_client", "existed", "expected_rows", "id")

    def __init__(
        self, client: AsyncImportClient, job_id: str, *, expected_rows: int | None = None, existed: bool = False
    ) -> None:
        self._client = client
        self.id = job_id
        self.expected_rows = expected_rows
        self.existed = existed

    def __repr__(self) -> str:
        return f"AsyncImportJob({self.id!r})"

    async def describe(self) -> JobProgress:
        """Return how far the job is."""
        return await self._client.describe(self.id)

    async def wait(
        self,
        timeout: float | None = None,
        progress: Progress | None = None,
        *,
        until: str = State.COMPLETED,
        stall_timeout: float | None = None,
    ) -> JobProgress:
        """Return when the job is completed; see `ImportJob.wait`. ``progress`` is a plain function."""
        wish = Wish(State(until), self.expected_rows, timeout, stall_timeout, progress)
        return await self._client._wait(self.id, wish)

    async def commit(self) -> None:
        """Make the rows of a two-phase job visible; committed before is well, too."""
        await self._client.commit(self.id)

    async def abort(self) -> None:
        """Drop the job and its rows; aborted before is well, too."""
        await self._client.abort(self.id)


class AsyncImportClient:
    """The import API of one server, with coroutines; arguments, results and errors are those of `ImportClient`.

    A cancelled create may have reached the server: the next one with the same manifest finds its job there.
    """

    def __init__(
        self, url: str | Server, *, transport: httpx.AsyncBaseTransport | None = None, polling: Polling | None = None,
        **settings: Any,
    ) -> None:  # fmt: skip
        import httpx

        self.server = url if isinstance(url, Server) else Server(url, **settings)
        self._polling = polling
        self._http = httpx.AsyncClient(
            verify=tls(self.server.verify, self.server.cert), timeout=self.server.timeout_s, transport=transport
        )

    def __repr__(self) -> str:
        return f"AsyncImportClient({self.server!r})"

    async def __aenter__(self) -> AsyncImportClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. Jobs go on."""
        await self._http.aclose()

    async def create(
        self,
        collection_name: str,
        *,
        files: Sequence[Sequence[str]] | None = None,
        object_urls: Sequence[Sequence[str]] | None = None,
        data_paths: Sequence[Sequence[str]] | None = None,
        partition_name: str = "",
        access_key: str = "",
        secret_key: str = "",
        token: str = "",
        volume_name: str = "",
        options: Mapping[str, object] | None = None,
        auto_commit: bool = True,
        manifest: Manifest | None = None,
        expected_rows: int | None = None,
        idempotency_key: str | None = None,
    ) -> AsyncImportJob:
        """Create a job, exactly once; see `ImportClient.create`."""
        request = self.server.create(
            collection_name,
            files=files,
            object_urls=object_urls,
            data_paths=data_paths,
            partition_name=partition_name,
            access_key=access_key,
            secret_key=secret_key,
            token=token,
            volume_name=volume_name,
            options=options,
            auto_commit=auto_commit,
        )
        if expected_rows is None and manifest is not None:
            expected_rows = manifest.n_rows
        key = idempotency_key or key_for(request, manifest)
        created = await self._run(flows.create(self.server, request, key), None, "the job was not created")
        return AsyncImportJob(self, created.job_id, expected_rows=expected_rows, existed=created.existed)

    def job(self, job_id: str, *, expected_rows: int | None = None) -> AsyncImportJob:
        """Return a job of which only the id is known, without asking the server."""
        return AsyncImportJob(self, job_id, expected_rows=expected_rows)

    async def describe(self, job_id: str) -> JobProgress:
        """Return how far a job is."""
        return await self._run(flows.describe(self.server, job_id), job_id)

    async def list(self, collection_name: str = "") -> tuple[JobSummary, ...]:
        """Return the jobs of a collection, or of all: the server forgets finished ones after three hours."""
        return await self._run(flows.list_jobs(self.server, collection_name))

    async def commit(self, job_id: str) -> None:
        """Make the rows of a two-phase job visible; committed before is well, too."""
        await self._run(flows.end(self.server, job_id, "commit"), job_id)

    async def abort(self, job_id: str) -> None:
        """Drop a job and its rows; aborted before is well, too."""
        await self._run(flows.end(self.server, job_id, "abort"), job_id)

    async def _wait(self, job_id: str, wish: Wish) -> JobProgress:
        return await self._run(flows.wait(self.server, job_id, wish, time.monotonic, self._polling), job_id)

    async def _run(self, flow: Flow[T], job_id: str | None = None, doing: str = "") -> T:
        answer = Answer()
        try:
            step = next(flow)
            while True:
                if isinstance(step, Send):
                    answer = await self._exchange(step)
                elif isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                step = flow.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result
        except Trouble as trouble:
            raise trouble.error(job_id, doing=doing) from None

    async def _exchange(self, step: Send) -> Answer:
        import httpx

        arguments = http_arguments(step.request, self.server.url, self.server.headers())
        try:
            return answer_of(await self._http.request(**arguments))
        except (httpx.HTTPError, httpx.InvalidURL) as err:
            return failed(err, self.server.url)
