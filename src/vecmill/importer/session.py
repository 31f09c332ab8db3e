"""One import from the command's words to its end: open the output, plan, create the collection, run, load."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vecmill.errors import SchemaError
from vecmill.importer import collection as rest_collection
from vecmill.importer.client import ImportClient
from vecmill.importer.collection import indexes_of
from vecmill.importer.journal import Journal
from vecmill.importer.loading import STALL_S, Patience, load
from vecmill.importer.planner import Batch, plan
from vecmill.importer.reply import JobProgress, State
from vecmill.importer.request import Request
from vecmill.importer.rest_jobs import GrpcJobs, Jobs, RestJobs
from vecmill.importer.run import IN_FLIGHT, JobResult, Settings, run
from vecmill.importer.server import Server
from vecmill.manifest import Manifest
from vecmill.output.opening import Output, open_output
from vecmill.schema.reading import as_schema
from vecmill.schema.servers import Limits, limits_of
from vecmill.store.local_place import LocalPlace
from vecmill.store.opening import open_place
from vecmill.store.url import disk_path

_ASSUMED = {"sep": ",", "nullkey": ""}  # by a server that is told nothing of CSV

Progress = Callable[[JobProgress, int], object]
Upload = Callable[[Path, str], object]
"""Send the folder of an output into a bucket, to a folder of the same name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What an import is told; the options of ``vecmill import``, in whose help they are described."""

    src: str
    collection_name: str
    url: str | None = None
    uri: str | None = None
    grpc: bool = False
    wait: bool = True
    two_phase: bool = False
    create_collection: bool = False
    index_type: str = ""
    metric: str = ""
    load: bool = False
    upload_to: str | None = None
    again: bool = False
    validate: bool = True
    token: str = field(default="", repr=False)
    db_name: str = ""
    partition_name: str = ""
    target: str | None = None
    service: str = ""
    cluster_id: str = ""
    project_id: str = ""
    region_id: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict)
    keeps_keys: bool = False
    in_flight: int = IN_FLIGHT
    timeout_s: float | None = None
    stall_timeout_s: float | None = None
    verify: bool | str = True

    @property
    def is_cloud(self) -> bool:
        """Whether the server is Zilliz Cloud, which reads URLs."""
        return bool(self.cluster_id or self.project_id)

    @property
    def release_line(self) -> str | None:
        """The release line whose rules hold; None: any, since no request of Milvus tells its version."""
        if self.target is not None:
            return self.target
        return "cloud" if self.is_cloud or self.service.startswith("cloud") else "2.3" if self.grpc else None

    def limits(self) -> Limits:
        """Return the limits of a request. Raises SchemaError for an unknown target or service."""
        try:
            return limits_of(self.release_line, self.service)
        except ValueError as err:
            raise SchemaError(str(err)) from err


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: the jobs (none for Milvus Lite), the rows, and whether they can be searched."""

    n_rows: int
    jobs: list[JobResult]
    loaded: bool

    @property
    def is_complete(self) -> bool:
        """Whether all rows are in and counted."""
        return all(job.state == State.COMPLETED for job in self.jobs)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, fit for JSON."""
        return {
            "rows": self.n_rows,
            "complete": self.is_complete,
            "loaded": self.loaded,
            "jobs": [asdict(job) for job in self.jobs],
        }


def plan_import(session: Session) -> Planned:
    """Open the output, look its files up and into them, and plan the requests; nothing is sent to the server.

    Raises SchemaError for options that do not go together, DataError (with ``findings``, where the server would not
    take the files for what they are), StoreError.
    """
    _check(session)
    limits = session.limits()
    output = _open(session)
    output.check()
    session = replace(session, options={**_told(output.manifest), **session.options})
    if session.validate:
        note = "nothing was created or sent; --no-validate imports them as they are"
        output.validate(session.release_line).raise_for_errors(note)
    folder = output.place.root if isinstance(output.place, LocalPlace) else None
    if session.uri is not None:
        return Planned(session, output, folder, [])
    if session.upload_to is not None and folder is not None:
        output = Output(output.manifest, open_place(session.upload_to).child(folder.name), session.is_cloud)
    return Planned(session, output, folder, plan(output.files(), limits))


def _told(manifest: Manifest) -> dict[str, str]:
    """Return what the server must be told of the files, besides what it assumes anyway."""
    return {key: value for key, value in manifest.import_options.items() if value != _ASSUMED.get(key)}


class Planned:
    """An import that has only to be carried out."""

    def __init__(self, session: Session, output: Output, folder: Path | None, batches: list[Batch]) -> None:
        self.session = session
        self.output = output
        self._folder = folder  # on this disk, where there is one
        self.batches = batches

    @property
    def n_rows(self) -> int:
        """Rows to import."""
        return self.output.manifest.n_rows

    def shown(self) -> dict[str, Any]:
        """Return what would be sent, with secrets masked."""
        session = self.session
        shown: dict[str, Any] = {
            "server": session.url or session.uri,
            "files": self.output.place.where,
            "rows": self.n_rows,
            "requests": [],
        }
        if session.uri is not None:
            return shown
        with ExitStack() as stack:
            requests: list[Request] = []
            if session.create_collection:
                schema = as_schema(self.output.manifest.schema)
                indexes = indexes_of(schema, index_type=session.index_type, metric=session.metric)
                requests.append(
                    rest_collection.create_request(session.collection_name, schema, indexes, session.db_name)
                )
            jobs = self._grpc_jobs(None) if session.grpc else self._rest_jobs(stack)
            requests += [jobs.request(batch) for batch in self.batches]
            shown["server"] = jobs.server
            shown["requests"] = [request.masked() for request in requests]
        return shown

    def carry_out(self, progress: Progress | None = None, upload: Upload | None = None) -> Outcome:
        """Upload if that was asked for, and import.

        Raises ImportJobError, DataError when an object is not in the bucket after all, and StoreError.
        """
        if self.session.upload_to is not None and self._folder is not None and upload is not None:
            upload(self._folder, self.session.upload_to)
            self.output.check()
        if self.session.uri is not None:
            return self._insert(progress)
        return self._over_grpc(progress) if self.session.grpc else self._over_rest(progress)

    def _insert(self, progress: Progress | None) -> Outcome:
        from vecmill.importer.lite import insert

        session = self.session

        def told(rows: int) -> None:
            if progress is not None:
                seen = JobProgress("", State.INSERTING, 100 * rows // self.n_rows, imported_rows=rows)
                progress(seen, 0)

        done = insert(
            self.output,
            str(session.uri),
            session.collection_name,
            token=session.token,
            db_name=session.db_name,
            index_type=session.index_type,
            metric=session.metric,
            again=session.again,
            progress=told,
        )
        return Outcome(done.rows, [], loaded=True)

    def _over_rest(self, progress: Progress | None) -> Outcome:
        session, began = self.session, time.monotonic()
        with ExitStack() as stack:
            jobs = self._rest_jobs(stack)
            client, name, db = jobs.client, session.collection_name, session.db_name
            is_new = False
            if session.create_collection and not client.ask(rest_collection.exists_request(name, db)).get("has"):
                schema = as_schema(self.output.manifest.schema)
                indexes = indexes_of(schema, index_type=session.index_type, metric=session.metric)
                client.ask(rest_collection.create_request(name, schema, indexes, db), repeat=False)
                is_new = True
            results = self._run(jobs, progress, is_new=is_new)
            if session.load:
                load(client, name, db, self._patience(began))
            return Outcome(self.n_rows, results, loaded=session.load)

    def _over_grpc(self, progress: Progress | None) -> Outcome:
        from vecmill.importer import pym

        session, began = self.session, time.monotonic()
        with pym.connected(str(session.url), token=session.token, db_name=session.db_name) as client:
            is_new = session.create_collection and not client.has_collection(session.collection_name)
            if is_new:
                schema = as_schema(self.output.manifest.schema)
                indexes = indexes_of(schema, index_type=session.index_type, metric=session.metric)
                pym.create_collection(client, session.collection_name, schema, indexes)
            results = self._run(self._grpc_jobs(client), progress, is_new=is_new)
            if session.load:
                pym.load(client, session.collection_name, self._patience(began).timeout_s)
            return Outcome(self.n_rows, results, loaded=session.load)

    def _patience(self, began_s: float) -> Patience:
        """Return how long a load may take: what is left of the time for all of it, and the same stall as of a job."""
        session = self.session
        left_s = None if session.timeout_s is None else max(0.0, session.timeout_s - (time.monotonic() - began_s))
        return Patience(left_s, STALL_S if session.stall_timeout_s is None else session.stall_timeout_s)

    def _run(self, jobs: Jobs, progress: Progress | None, *, is_new: bool) -> list[JobResult]:
        session = self.session
        journal = Journal(self._folder)
        if is_new:
            journal.forget(jobs.server, session.collection_name)
        settings = Settings(
            wait=session.wait,
            two_phase=session.two_phase,
            in_flight=session.in_flight,
            timeout_s=session.timeout_s,
            stall_timeout_s=session.stall_timeout_s,
            progress=progress,
        )
        return run(self.batches, jobs, journal, settings)

    def _rest_jobs(self, stack: ExitStack) -> RestJobs:
        session = self.session
        client = ImportClient(
            Server(
                str(session.url),
                api_key=session.token,
                db_name=session.db_name,
                cluster_id=session.cluster_id,
                project_id=session.project_id,
                region_id=session.region_id,
                verify=session.verify,
                keeps_keys=session.keeps_keys,
            )
        )
        stack.callback(client.close)
        arguments = {
            "partition_name": session.partition_name,
            "options": session.options,
            "auto_commit": not session.two_phase,
            "access_key": session.access_key,
            "secret_key": session.secret_key,
            "token": session.session_token,
        }
        form = "object_urls" if session.is_cloud else "files"
        return RestJobs(client, session.collection_name, self.output.manifest, form, arguments, self._again())

    def _grpc_jobs(self, client: Any) -> GrpcJobs:
        session = self.session
        return GrpcJobs(
            client,
            str(session.url),
            session.collection_name,
            self.output.manifest,
            session.partition_name,
            session.db_name,
            session.options,
            self._again(),
        )

    def _again(self) -> str:
        return str(time.time_ns()) if self.session.again else ""


def _check(session: Session) -> None:
    """Raise SchemaError for options that do not go together."""
    if session.grpc and (session.two_phase or session.is_cloud or session.url is None):
        raise SchemaError("gRPC is for Milvus 2.2 and 2.3: a --url, no two phases, no cluster or project")
    if session.grpc and (session.release_line != "2.3" or session.service not in ("", "milvus")):
        raise SchemaError("gRPC is for Milvus 2.2 and 2.3: no other --target or --service")
    if session.upload_to is not None and (session.uri is not None or disk_path(session.src) is None):
        raise SchemaError("an upload is for an output on this disk that a server reads from a bucket")
    if session.two_phase and not session.wait:
        raise SchemaError("two phases end with a commit, so they cannot go without waiting")
    if session.load and not session.wait:
        raise SchemaError("a collection is loaded when all rows are in, so it cannot go without waiting")


def _open(session: Session) -> Output:
    if disk_path(session.src) is None:
        if session.uri is not None:
            raise SchemaError("Milvus Lite reads an output on this disk, not in a bucket")
        return open_output(session.src, as_urls=session.is_cloud)
    output = open_output(session.src)
    if session.is_cloud and session.upload_to is None:
        raise SchemaError("Zilliz Cloud cannot read this disk: give --upload-to, or the URL of an output in a bucket")
    return output
