"""The jobs of an import: what is planned, and a server that runs it, over REST or over gRPC, with one face for both."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from vecmill.importer import grpc
from vecmill.importer.client import ImportClient
from vecmill.importer.flows import same_files
from vecmill.importer.grouping import FileGroup
from vecmill.importer.grpc import BulkInsertState
from vecmill.importer.keys import key_for
from vecmill.importer.options import ImportOptions, Server, Way
from vecmill.importer.reply import FileProgress, JobProgress, State
from vecmill.importer.request import Request, RequestFiles, create_request, set_fields
from vecmill.manifest import Manifest


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One job that is to be there: its request, and the idempotency key that makes it the same one next time.

    ``number`` counts the jobs of an import from 1, ``rows`` are those of its files.
    """

    number: int
    rows: int
    request: Request
    key: str


def plan_jobs(options: ImportOptions, manifest: Manifest, groups: Iterable[FileGroup]) -> list[PlannedJob]:
    """Return a job for every group of files."""
    again = str(time.time_ns()) if options.jobs.again else ""
    request_of = _grpc_request if options.way is Way.GRPC else _rest_request
    planned = []
    for group in groups:
        request = request_of(options, group)
        planned.append(PlannedJob(group.number, group.rows, request, key_for(request, manifest, again)))
    return planned


def _rest_request(options: ImportOptions, group: FileGroup) -> Request:
    files = RequestFiles(files=group.paths)
    if options.server.is_cloud:  # it takes the folder of an NPY set
        urls = [[f"{file.folder}/"] if file.folder else list(file.paths) for file in group.files]
        files = RequestFiles(object_urls=urls)
    return create_request(
        options.server,
        options.collection.name,
        files,
        keys=options.keys,
        partition_name=options.collection.partition_name,
        options=options.jobs.options,
        auto_commit=not options.jobs.two_phase,
    )


def _grpc_request(options: ImportOptions, group: FileGroup) -> Request:
    """Return a task as a request, to be shown, and to make a key of."""
    (files,) = group.paths
    body = {
        "collectionName": options.collection.name,
        "dbName": options.server.db_name,
        "partitionName": options.collection.partition_name,
        "files": files,
        "options": dict(options.jobs.options),
    }
    return Request("gRPC", "MilvusService/Import", set_fields(body))


class Jobs(Protocol):
    """The jobs of one collection on one server. Every method raises ImportJobError."""

    @property
    def address(self) -> str:
        """The server's address, for records and messages."""

    @property
    def collection_name(self) -> str:
        """The collection that the rows go to."""

    def start(self, job: PlannedJob) -> str:
        """Create a job, exactly once; return its id."""

    def find(self, job: PlannedJob) -> str | None:
        """Return the id of a job of the same files that did not fail. None: the server lists no such job."""

    def look(self, job_id: str) -> JobProgress:
        """Return how far a job is."""

    def commit(self, job_id: str) -> None:
        """Make the rows of a job visible."""

    def abort(self, job_id: str) -> None:
        """Drop a job and its rows."""


@dataclass(frozen=True, slots=True)
class RestJobs:
    """Jobs over REST v2."""

    client: ImportClient
    collection_name: str

    @property
    def address(self) -> str:
        """The base URL."""
        return self.client.server.address

    def start(self, job: PlannedJob) -> str:
        """Create the job."""
        return self.client.send_create(job.request, job.key).id

    def find(self, job: PlannedJob) -> str | None:
        """Return a listed job whose files are those of ``job``."""
        for one in self.client.list(self.collection_name):
            if one.state != State.FAILED:
                progress = self.client.describe(one.job_id)
                if progress.files and same_files(progress, job.request):
                    return one.job_id
        return None

    def look(self, job_id: str) -> JobProgress:
        """Describe the job."""
        return self.client.describe(job_id)

    def commit(self, job_id: str) -> None:
        """Commit the job."""
        self.client.commit(job_id)

    def abort(self, job_id: str) -> None:
        """Abort the job."""
        self.client.abort(job_id)


_STATES = {
    BulkInsertState.ImportPending: State.PENDING,
    BulkInsertState.ImportStarted: State.STARTED,
    BulkInsertState.ImportPersisted: State.PERSISTED,
    BulkInsertState.ImportCompleted: State.COMPLETED,
    BulkInsertState.ImportFailed: State.FAILED,
    BulkInsertState.ImportFailedAndCleaned: State.FAILED,
}


@dataclass(frozen=True, slots=True)
class GrpcJobs:
    """Tasks over gRPC, for Milvus 2.2 and 2.3: a task is one import file. ``client`` is a MilvusClient."""

    client: Any = field(repr=False)
    server: Server
    collection_name: str

    @property
    def address(self) -> str:
        """The base URL."""
        return self.server.address

    def start(self, job: PlannedJob) -> str:
        """Order the import."""
        body = job.request.body
        partition, options = body.get("partitionName"), body.get("options", {})
        return str(grpc.do_bulk_insert(self.collection_name, body["files"], partition, using=self.client, **options))

    def find(self, job: PlannedJob) -> str | None:
        """Return the latest task of the same files."""
        files = sorted(job.request.body["files"])
        tasks = grpc.list_bulk_insert_tasks(collection_name=self.collection_name, using=self.client)
        same = (one.task_id for one in tasks if not one.is_failed and sorted(one.files.split(",")) == files)
        found = max(same, default=None)
        return None if found is None else str(found)

    def look(self, job_id: str) -> JobProgress:
        """Return the state of a task as the progress of a job."""
        state = grpc.get_bulk_insert_state(int(job_id), using=self.client)
        over = state.state == BulkInsertState.ImportCompleted
        return JobProgress(
            job_id=job_id,
            state=_STATES.get(state.state, state.state_name),
            percent=100 if over else min(99, state.progress),
            reason=" ".join(state.failed_reason.split()),
            imported_rows=state.row_count if over else None,
            collection_name=state.collection_name,
            files=(FileProgress(state.files, state.state_name, state.progress, state.row_count, state.row_count),),
        )

    def commit(self, job_id: str) -> None:
        """Do nothing: a task commits itself."""

    def abort(self, job_id: str) -> None:
        """Do nothing: a task cannot be stopped."""
