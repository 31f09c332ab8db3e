"""``vecmill import``: from an output to rows that can be searched."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecmill.cli.errors import exit_codes
from vecmill.cli.flags import with_groups
from vecmill.cli.import_bar import looking, quieten
from vecmill.cli.options import ReportFlags
from vecmill.schema.servers import KEYS_SINCE, SERVICES, TARGETS

if TYPE_CHECKING:
    from vecmill.importer.options import BucketKeys, CollectionOptions, JobOptions, OutputOptions, Server, Way
    from vecmill.importer.session import Outcome

_SECRET = "Not shown anywhere."


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFlags:
    """The server, and how to speak to it."""

    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Milvus or Zilliz Cloud: http://127.0.0.1:19530, https://api.cloud.zilliz.com."
        ),
    ] = None
    uri: Annotated[
        str | None, typer.Option(metavar="PATH", help="Milvus Lite: ./demo.db, made if it is not there.")
    ] = None
    grpc: Annotated[bool, typer.Option("--grpc", help="Milvus 2.2 and 2.3, which have no REST import.")] = False
    token: Annotated[
        str, typer.Option(metavar="TOKEN", envvar="VECMILL_TOKEN", help=f"user:password or API key. {_SECRET}")
    ] = ""
    db: Annotated[str, typer.Option(metavar="NAME", help="Database.")] = ""
    cluster_id: Annotated[str, typer.Option(metavar="ID", help="Zilliz Cloud: cluster.")] = ""
    project_id: Annotated[str, typer.Option(metavar="ID", help="Zilliz Cloud: project, with a region.")] = ""
    region_id: Annotated[str, typer.Option(metavar="ID", help="Zilliz Cloud: region.")] = ""
    keeps_keys: Annotated[
        bool,
        typer.Option(
            "--keeps-keys",
            help=f"The server keeps idempotency keys (Milvus {KEYS_SINCE} and later): repeat lost creates.",
        ),
    ] = False
    ca_file: Annotated[str | None, typer.Option(metavar="FILE", help="Certificate of the server.")] = None
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not check the server's certificate.")] = False

    def check(self) -> None:
        """Raise BadParameter unless there is exactly one server, which speaks the protocol that is asked for."""
        if (self.url is None) == (self.uri is None):
            reason = "give either a server (--url) or a file of Milvus Lite (--uri)"
            raise typer.BadParameter(reason, param_hint="--url")
        if self.grpc and self.url is None:
            raise typer.BadParameter("gRPC is for Milvus 2.2 and 2.3: a --url", param_hint="--grpc")

    def way(self) -> Way:
        """Return how rows get into the collection."""
        from vecmill.importer.options import Way

        return Way.GRPC if self.grpc else Way.REST if self.uri is None else Way.LITE

    def server(self) -> Server:
        """Return the server; that of Milvus Lite is a file."""
        from vecmill.importer.options import Server

        return Server(
            self.url or self.uri or "",
            api_key=self.token,
            db_name=self.db,
            cluster_id=self.cluster_id,
            project_id=self.project_id,
            region_id=self.region_id,
            verify=False if self.insecure else True if self.ca_file is None else self.ca_file,
            keeps_keys=self.keeps_keys,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionFlags:
    """The collection that the rows go to."""

    collection: Annotated[str, typer.Option("--collection", "-C", metavar="NAME", help="Collection to import into.")]
    partition: Annotated[str, typer.Option(metavar="NAME", help="Partition.")] = ""
    create_collection: Annotated[
        bool,
        typer.Option("--create-collection", help="Create it from the schema of SRC, with an index, if there is none."),
    ] = False
    index_type: Annotated[str, typer.Option(metavar="TYPE", help="Index of a new collection.", show_default="auto")] = (
        ""
    )
    metric: Annotated[str, typer.Option(metavar="NAME", help="COSINE, IP, L2, ...", show_default="COSINE")] = ""
    load: Annotated[bool, typer.Option("--load", help="Load the collection at the end, ready for search.")] = False

    def options(self) -> CollectionOptions:
        """Return them as a value."""
        from vecmill.importer.options import CollectionOptions

        return CollectionOptions(
            name=self.collection,
            partition_name=self.partition,
            create=self.create_collection,
            index_type=self.index_type,
            metric=self.metric,
            load=self.load,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFlags:
    """What is done with the files before the import, and whose rules hold for them."""

    upload_to: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Bucket that the server reads, s3://a-bucket/prefix: upload SRC there first."),
    ] = None
    validate: Annotated[
        bool,
        typer.Option(
            "--validate/--no-validate",
            help="Before all else, look at headers, footers and first rows as vecmill validate --headers does.",
        ),
    ] = True
    target: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help=f"Release line of the server: {', '.join(TARGETS)}.", show_default="any of Milvus"
        ),
    ] = None
    service: Annotated[
        str,
        typer.Option(metavar="NAME", help=f"Whose limits hold: {', '.join(SERVICES)}.", show_default="by the target"),
    ] = ""

    def options(self, src: str) -> OutputOptions:
        """Return them as a value."""
        from vecmill.importer.options import OutputOptions

        return OutputOptions(
            src=src, upload_to=self.upload_to, validate=self.validate, target=self.target, service=self.service
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFlags:
    """What a server needs to read a bucket."""

    access_key: Annotated[
        str,
        typer.Option(metavar="KEY", envvar="VECMILL_ACCESS_KEY", help=f"Zilliz Cloud: to read the bucket. {_SECRET}"),
    ] = ""
    secret_key: Annotated[
        str,
        typer.Option(metavar="KEY", envvar="VECMILL_SECRET_KEY", help=f"Zilliz Cloud: to read the bucket. {_SECRET}"),
    ] = ""
    session_token: Annotated[
        str,
        typer.Option(
            metavar="TOKEN", envvar="VECMILL_SESSION_TOKEN", help=f"Zilliz Cloud: of short-lived keys. {_SECRET}"
        ),
    ] = ""

    def keys(self) -> BucketKeys:
        """Return them as a value."""
        from vecmill.importer.options import BucketKeys

        return BucketKeys(self.access_key, self.secret_key, self.session_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFlags:
    """How the jobs run, and how long to wait for them."""

    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the jobs to their end.")] = True
    two_phase: Annotated[
        bool, typer.Option("--two-phase", help="Commit once the rows of all jobs are in and counted (Milvus 3.0).")
    ] = False
    again: Annotated[
        bool, typer.Option("--again", help="Import once more what has been imported already; rows will be there twice.")
    ] = False
    option: Annotated[
        list[str],
        typer.Option("--option", metavar="NAME=VALUE", help="Option of the server, timeout=300s. Repeatable."),
    ] = field(default_factory=list)
    in_flight: Annotated[int, typer.Option(min=1, metavar="N", help="Most jobs at the same time.")] = 8
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", help="Give up waiting after this long.")] = None
    stall_timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Give up when nothing changes for this long.")
    ] = None

    def options(self) -> JobOptions:
        """Return them as a value. Raises BadParameter."""
        from vecmill.importer.options import JobOptions

        return JobOptions(
            wait=self.wait,
            two_phase=self.two_phase,
            in_flight=self.in_flight,
            again=self.again,
            options=_pairs(self.option),
        )


@with_groups
def import_command(
    *,
    context: typer.Context,
    src: Annotated[
        str,
        typer.Argument(
            metavar="SRC",
            help="Output of vecmill convert: its folder, or s3://bucket/folder, gs://, az://.",
            show_default=False,
        ),
    ],
    collection: CollectionFlags,
    server: ServerFlags,
    output: OutputFlags,
    keys: KeyFlags,
    jobs: JobFlags,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the requests, secrets masked; send nothing.")
    ] = False,
    report: ReportFlags,
) -> None:
    """Import an output of convert into Milvus, Zilliz Cloud or Milvus Lite, and see it through.

    The server's phases are told while it works, and at the end the rows that it counts are compared with those that
    were written. Cut off, the same command goes on where it was: nothing is imported twice.

    \b
    Examples:
      vecmill import out/ --url http://127.0.0.1:19530 --collection books --create-collection --load
      vecmill import out/ --url http://127.0.0.1:19530 --collection books --upload-to s3://a-bucket/books
      vecmill import s3://bucket/out/3f2a... --url https://api.cloud.zilliz.com --cluster-id in01 --collection books
      vecmill import out/ --url http://127.0.0.1:19530 --grpc --collection books
      vecmill import out/ --uri ./demo.db --collection books
    """
    server.check()
    job_options = jobs.options()
    began = time.perf_counter()
    quieten()
    with exit_codes(as_json=report.as_json, debug=report.debug):
        from vecmill.importer.options import ImportOptions
        from vecmill.importer.session import prepare
        from vecmill.importer.waiting import Patience
        from vecmill.output.upload import upload

        # A caller from Python can bring a clock and pauses of its own, as the object of the context.
        patience = context.find_object(Patience) or Patience()
        options = ImportOptions(
            output=output.options(src),
            server=server.server(),
            collection=collection.options(),
            way=server.way(),
            keys=keys.keys(),
            jobs=job_options,
            patience=replace(patience, timeout_s=jobs.timeout, stall_timeout_s=jobs.stall_timeout),
        )
        prepared = prepare(options)
        if dry_run:
            print(json.dumps(prepared.shown(), indent=2, ensure_ascii=False))
            return
        try:
            with looking(prepared.n_rows, shown=not report.quiet) as progress:
                outcome = prepared.run(progress, upload)
        except KeyboardInterrupt as err:
            err.add_note("a server goes on with its jobs; the same command goes on from here")
            raise
        seconds = time.perf_counter() - began
        if report.as_json:
            print(json.dumps(outcome.to_dict() | {"seconds": seconds}, ensure_ascii=False))
        elif not report.quiet:
            print(_summary(outcome, collection.collection, seconds))


def _pairs(options: list[str]) -> dict[str, str]:
    pairs = {}
    for one in options:
        name, sign, value = one.partition("=")
        if not name or not sign:
            raise typer.BadParameter(f"expected NAME=VALUE, got {one!r}", param_hint="--option")
        pairs[name] = value
    return pairs


def _summary(outcome: Outcome, collection: str, seconds: float) -> str:
    jobs: list[Any] = outcome.jobs
    if jobs and not outcome.is_complete:
        ids = ", ".join(job.job_id for job in jobs)
        return f"created: job {ids}; {outcome.n_rows:,} rows on their way to {collection!r}"
    earlier = sum(job.rows for job in jobs if job.earlier)
    known = f", {earlier:,} of them by an earlier run" if earlier else ""
    ready = ", ready for search" if outcome.loaded else ""
    return f"{outcome.n_rows:,} rows in {collection!r}{known}, counted by the server{ready}; {seconds:.1f} s"
