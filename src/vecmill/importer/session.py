"""One import from its options to its end: open the output, plan the jobs, create the collection, run, load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vecmill.errors import SchemaError
from vecmill.importer import collection as rest_collection
from vecmill.importer.client import ImportClient
from vecmill.importer.collection import Index, indexes_of
from vecmill.importer.grouping import group_files
from vecmill.importer.jobs import GrpcJobs, Jobs, PlannedJob, RestJobs, plan_jobs
from vecmill.importer.journal import Journal
from vecmill.importer.loading import GrpcLoads, RestLoads, load
from vecmill.importer.options import ImportOptions, Way
from vecmill.importer.reply import JobProgress, State
from vecmill.importer.request import Request
from vecmill.importer.resume import JobResult, Progress, run_jobs
from vecmill.manifest import Manifest
from vecmill.output.opening import Output, open_output
from vecmill.schema.collection import CollectionSchema
from vecmill.schema.reading import as_schema
from vecmill.store.local_place import LocalPlace
from vecmill.store.opening import open_place
from vecmill.store.url import disk_path

_ASSUMED = {"sep": ",", "nullkey": ""}  # by a server that is told nothing of CSV

Upload = Callable[[Path, str], object]
"""Send the folder of an output into a bucket, to a folder of the same name."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an import: the jobs (none for Milvus Lite), the rows, and whether they can be searched."""

    n_rows: int
    jobs: list[JobResult]
    loaded: bool

    @property
    def is_complete(self) -> bool:
        """True if all rows are in and counted."""
        return all(job.state == State.COMPLETED for job in self.jobs)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, fit for JSON."""
        return {
            "rows": self.n_rows,
            "complete": self.is_complete,
            "loaded": self.loaded,
            "jobs": [asdict(job) for job in self.jobs],
        }


def prepare(options: ImportOptions) -> Import:
    """Open the output, look its files up and into them, and plan the jobs; nothing is sent to the server.

    Raises SchemaError for options that do not go together, DataError (with ``findings``, where the server would not
    take the files for what they are), StoreError.
    """
    options.check()
    output = _open(options)
    output.check()
    if options.output.validate:
        note = "nothing was created or sent; --no-validate imports them as they are"
        output.validate(options.release_line).raise_for_errors(note)
    folder = output.place.root if isinstance(output.place, LocalPlace) else None
    if options.way is Way.LITE:
        return Import(options, output, folder, [])
    if options.output.upload_to is not None and folder is not None:
        place = open_place(options.output.upload_to).child(folder.name)
        output = Output(output.manifest, place, options.server.is_cloud)
    server_options = {**_csv_options(output.manifest), **options.jobs.options}
    options = replace(options, jobs=replace(options.jobs, options=server_options))
    groups = group_files(output.files(), options.limits())
    return Import(options, output, folder, plan_jobs(options, output.manifest, groups))


def _csv_options(manifest: Manifest) -> dict[str, str]:
    """Return the options of a server that reads CSV, but for those that it assumes anyway."""
    return {key: value for key, value in manifest.import_options.items() if value != _ASSUMED.get(key)}


class Import:
    """An import that has only to be run. ``folder`` is the output on this disk. None: it is in a bucket."""

    def __init__(self, options: ImportOptions, output: Output, folder: Path | None, planned: list[PlannedJob]) -> None:
        self.options = options
        self.output = output
        self._folder = folder
        self._planned = planned

    @property
    def n_rows(self) -> int:
        """Rows to import."""
        return self.output.manifest.n_rows

    def shown(self) -> dict[str, Any]:
        """Return what would be sent, with secrets masked."""
        options = self.options
        is_lite = options.way is Way.LITE
        requests = [job.request for job in self._planned]
        if options.collection.create and not is_lite:
            requests.insert(0, self._collection_request())
        return {
            "server": options.server.url if is_lite else options.server.address,
            "files": self.output.place.where,
            "rows": self.n_rows,
            "requests": [request.masked() for request in requests],
        }

    def run(self, progress: Progress | None = None, upload: Upload | None = None) -> Outcome:
        """Upload if that was asked for, and import.

        Raises ImportJobError, DataError when an object is not in the bucket after all, and StoreError.
        """
        upload_to = self.options.output.upload_to
        if upload_to is not None and self._folder is not None and upload is not None:
            upload(self._folder, upload_to)
            self.output.check()
        ways = {Way.REST: self._over_rest, Way.GRPC: self._over_grpc, Way.LITE: self._insert}
        return ways[self.options.way](progress)

    def _insert(self, progress: Progress | None) -> Outcome:
        from vecmill.importer.lite import insert

        def tell(rows: int) -> None:
            if progress is not None:
                seen = JobProgress("", State.INSERTING, 100 * rows // self.n_rows, imported_rows=rows)
                progress(seen, 0)

        done = insert(
            self.output,
            self.options.server,
            self.options.collection,
            again=self.options.jobs.again,
            progress=tell,
        )
        return Outcome(done.rows, [], loaded=True)

    def _over_rest(self, progress: Progress | None) -> Outcome:
        server, collection, patience = self.options.server, self.options.collection, self.options.patience
        began_s = patience.now()
        with ImportClient(server) as client:
            exists = rest_collection.exists_request(server, collection.name)
            is_new = collection.create and not client.ask(exists).get("has")
            if is_new:
                client.ask(self._collection_request(), repeat=False)
            results = self._run_jobs(RestJobs(client, collection.name), progress, is_new=is_new)
            if collection.load:
                load(RestLoads(client, collection.name), collection.name, patience, began_s)
        return Outcome(self.n_rows, results, loaded=collection.load)

    def _over_grpc(self, progress: Progress | None) -> Outcome:
        from vecmill.importer import pym

        server, collection, patience = self.options.server, self.options.collection, self.options.patience
        began_s = patience.now()
        with pym.connected(server) as client:
            is_new = collection.create and not client.has_collection(collection.name)
            if is_new:
                pym.create_collection(client, collection.name, *self._schema())
            results = self._run_jobs(GrpcJobs(client, server, collection.name), progress, is_new=is_new)
            if collection.load:
                load(GrpcLoads(client, collection.name), collection.name, patience, began_s)
        return Outcome(self.n_rows, results, loaded=collection.load)

    def _run_jobs(self, jobs: Jobs, progress: Progress | None, *, is_new: bool) -> list[JobResult]:
        journal = Journal(self._folder)
        if is_new:
            journal.forget(jobs.address, jobs.collection_name)
        return run_jobs(self._planned, jobs, journal, self.options.jobs, self.options.patience, progress)

    def _schema(self) -> tuple[CollectionSchema, list[Index]]:
        """Return the schema of a new collection, and its indexes."""
        schema = as_schema(self.output.manifest.schema)
        return schema, indexes_of(schema, self.options.collection)

    def _collection_request(self) -> Request:
        return rest_collection.create_collection_request(
            self.options.server, self.options.collection.name, *self._schema()
        )


def _open(options: ImportOptions) -> Output:
    src, is_cloud = options.output.src, options.server.is_cloud
    if disk_path(src) is None:
        if options.way is Way.LITE:
            raise SchemaError("Milvus Lite reads an output on this disk, not in a bucket")
        return open_output(src, as_urls=is_cloud)
    output = open_output(src)
    if is_cloud and options.output.upload_to is None:
        raise SchemaError("Zilliz Cloud cannot read this disk: give --upload-to, or the URL of an output in a bucket")
    return output
