"""The requests of a plan as jobs of a server, over REST or over gRPC, with one face for `run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from vecmill.importer import grpc
from vecmill.importer.client import ImportClient
from vecmill.importer.flows import same_files
from vecmill.importer.grpc import BulkInsertState
from vecmill.importer.keys import key_for
from vecmill.importer.planner import Batch
from vecmill.importer.reply import FileProgress, JobProgress, State
from vecmill.importer.request import Request, base_url, mask
from vecmill.manifest import Manifest


class Jobs(Protocol):
    """What `run` asks of a server. Every method raises ImportJobError."""

    @property
    def server(self) -> str:
        """The server's address, for records and messages."""

    @property
    def collection_name(self) -> str:
        """The collection that the rows go to."""

    def key(self, batch: Batch) -> str:
        """Return what makes this request the same one next time."""

    def start(self, batch: Batch) -> str:
        """Create the job; return its id."""

    def find(self, batch: Batch) -> str | None:
        """Return a job of these files that did not fail, if the server lists one."""

    def look(self, job_id: str) -> JobProgress:
        """Return how far a job is."""

    def commit(self, job_id: str) -> None:
        """Make the rows of a job visible."""

    def abort(self, job_id: str) -> None:
        """Drop a job and its rows."""


@dataclass(frozen=True, slots=True)
class RestJobs:
    """Jobs over REST v2. ``arguments`` are those of `Server.create` beside the files; ``form`` is where these stand.

    ``again`` makes other keys, to import the same files once more.
    """

    client: ImportClient
    collection_name: str
    manifest: Manifest
    form: str = "files"
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    again: str = ""

    @property
    def server(self) -> str:
        """The base URL."""
        return str(mask(base_url(self.client.server.url)))

    def request(self, batch: Batch) -> Request:
        """Return the request of a create."""
        paths = batch.paths
        if self.form != "files":  # a cloud takes the folder of an NPY set
            paths = [[f"{file.folder}/"] if file.folder else list(file.paths) for file in batch.files]
        given: dict[str, Any] = {"options": None, **self.arguments, self.form: paths}
        return self.client.server.create(self.collection_name, **given)

    def key(self, batch: Batch) -> str:
        """Return the idempotency key."""
        return key_for(self.request(batch), self.manifest, self.again)

    def start(self, batch: Batch) -> str:
        """Create the job, once."""
        return self.client.send_create(self.request(batch), self.key(batch)).id

    def find(self, batch: Batch) -> str | None:
        """Return a listed job whose files are these."""
        request = self.request(batch)
        for job in self.client.list(self.collection_name):
            if job.state != State.FAILED:
                progress = self.client.describe(job.job_id)
                if progress.files and same_files(progress, request):
                    return job.job_id
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
    """Tasks over gRPC, for Milvus 2.2 and 2.3; ``client`` is a MilvusClient, a batch one import file."""

    client: Any = field(repr=False)
    uri: str
    collection_name: str
    manifest: Manifest
    partition_name: str = ""
    db_name: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    again: str = ""

    @property
    def server(self) -> str:
        """The URI."""
        return str(mask(base_url(self.uri)))

    def request(self, batch: Batch) -> Request:
        """Return the order as a request, to show and to make a key of."""
        (files,) = batch.paths
        body = {
            "collectionName": self.collection_name,
            "dbName": self.db_name,
            "partitionName": self.partition_name,
            "files": files,
            "options": dict(self.options),
        }
        return Request("gRPC", "MilvusService/Import", {name: one for name, one in body.items() if one})

    def key(self, batch: Batch) -> str:
        """Return a key; it stays on this side."""
        return key_for(self.request(batch), self.manifest, self.again)

    def start(self, batch: Batch) -> str:
        """Order the import, once."""
        (files,) = batch.paths
        options: dict[str, Any] = dict(self.options)
        task = grpc.do_bulk_insert(
            self.collection_name, files, self.partition_name or None, using=self.client, **options
        )
        return str(task)

    def find(self, batch: Batch) -> str | None:
        """Return the latest task of these files."""
        (files,) = batch.paths
        tasks = grpc.list_bulk_insert_tasks(collection_name=self.collection_name, using=self.client)
        same = (one.task_id for one in tasks if not one.is_failed and sorted(one.files.split(",")) == sorted(files))
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
