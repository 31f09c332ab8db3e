"""``vecmill import``: from an output to rows that can be searched."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecmill.cli.errors import exit_codes
from vecmill.cli.import_bar import looking, quieten
from vecmill.cli.options import DebugOption
from vecmill.schema.servers import KEYS_SINCE, SERVICES, TARGETS

if TYPE_CHECKING:
    from vecmill.importer.session import Outcome

_SECRET = "Not shown anywhere."


def import_command(
    src: Annotated[
        str,
        typer.Argument(
            metavar="SRC",
            help="Output of vecmill convert: its folder, or s3://bucket/folder, gs://, az://.",
            show_default=False,
        ),
    ],
    collection: Annotated[str, typer.Option("--collection", "-C", metavar="NAME", help="Collection to import into.")],
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Milvus or Zilliz Cloud: http://127.0.0.1:19530, https://api.cloud.zilliz.com."
        ),
    ] = None,
    uri: Annotated[
        str | None, typer.Option(metavar="PATH", help="Milvus Lite: ./demo.db, made if it is not there.")
    ] = None,
    grpc: Annotated[bool, typer.Option("--grpc", help="Milvus 2.2 and 2.3, which have no REST import.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the jobs to their end.")] = True,
    two_phase: Annotated[
        bool, typer.Option("--two-phase", help="Commit once the rows of all jobs are in and counted (Milvus 3.0).")
    ] = False,
    create_collection: Annotated[
        bool,
        typer.Option("--create-collection", help="Create it from the schema of SRC, with an index, if there is none."),
    ] = False,
    index_type: Annotated[
        str, typer.Option(metavar="TYPE", help="Index of a new collection.", show_default="auto")
    ] = "",
    metric: Annotated[str, typer.Option(metavar="NAME", help="COSINE, IP, L2, ...", show_default="COSINE")] = "",
    load: Annotated[bool, typer.Option("--load", help="Load the collection at the end, ready for search.")] = False,
    upload_to: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Bucket that the server reads, s3://a-bucket/prefix: upload SRC there first."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the requests, secrets masked; send nothing.")
    ] = False,
    validate: Annotated[
        bool,
        typer.Option(
            "--validate/--no-validate",
            help="Before all else, look at headers, footers and first rows as vecmill validate --headers does.",
        ),
    ] = True,
    again: Annotated[
        bool, typer.Option("--again", help="Import once more what has been imported already; rows will be there twice.")
    ] = False,
    token: Annotated[
        str, typer.Option(metavar="TOKEN", envvar="VECMILL_TOKEN", help=f"user:password or API key. {_SECRET}")
    ] = "",
    db: Annotated[str, typer.Option(metavar="NAME", help="Database.")] = "",
    partition: Annotated[str, typer.Option(metavar="NAME", help="Partition.")] = "",
    target: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help=f"Release line of the server: {', '.join(TARGETS)}.", show_default="any of Milvus"
        ),
    ] = None,
    service: Annotated[
        str,
        typer.Option(metavar="NAME", help=f"Whose limits hold: {', '.join(SERVICES)}.", show_default="by the target"),
    ] = "",
    cluster_id: Annotated[str, typer.Option(metavar="ID", help="Zilliz Cloud: cluster.")] = "",
    project_id: Annotated[str, typer.Option(metavar="ID", help="Zilliz Cloud: project, with a region.")] = "",
    region_id: Annotated[str, typer.Option(metavar="ID", help="Zilliz Cloud: region.")] = "",
    access_key: Annotated[
        str,
        typer.Option(metavar="KEY", envvar="VECMILL_ACCESS_KEY", help=f"Zilliz Cloud: to read the bucket. {_SECRET}"),
    ] = "",
    secret_key: Annotated[
        str,
        typer.Option(metavar="KEY", envvar="VECMILL_SECRET_KEY", help=f"Zilliz Cloud: to read the bucket. {_SECRET}"),
    ] = "",
    session_token: Annotated[
        str,
        typer.Option(
            metavar="TOKEN", envvar="VECMILL_SESSION_TOKEN", help=f"Zilliz Cloud: of short-lived keys. {_SECRET}"
        ),
    ] = "",
    option: Annotated[
        list[str],
        typer.Option("--option", metavar="NAME=VALUE", help="Option of the server, timeout=300s. Repeatable."),
    ] = [],  # noqa: B006 - typer copies defaults, and None would show up in the help
    keeps_keys: Annotated[
        bool,
        typer.Option(
            "--keeps-keys",
            help=f"The server keeps idempotency keys (Milvus {KEYS_SINCE} and later): repeat lost creates.",
        ),
    ] = False,
    in_flight: Annotated[int, typer.Option(min=1, metavar="N", help="Most jobs at the same time.")] = 8,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", help="Give up waiting after this long.")] = None,
    stall_timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Give up when nothing changes for this long.")
    ] = None,
    ca_file: Annotated[str | None, typer.Option(metavar="FILE", help="Certificate of the server.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not check the server's certificate.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as one JSON document on stdout, and nothing else there.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")] = False,
    debug: DebugOption = False,
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
    if (url is None) == (uri is None):
        raise typer.BadParameter("give either a server (--url) or a file of Milvus Lite (--uri)", param_hint="--url")
    options = _pairs(option)
    began = time.perf_counter()
    quieten()
    with exit_codes(as_json=as_json, debug=debug):
        from vecmill.importer.session import Session, plan_import
        from vecmill.output.upload import upload

        session = Session(
            src=src,
            collection_name=collection,
            url=url,
            uri=uri,
            grpc=grpc,
            wait=wait,
            two_phase=two_phase,
            create_collection=create_collection,
            index_type=index_type,
            metric=metric,
            load=load,
            upload_to=upload_to,
            again=again,
            validate=validate,
            token=token,
            db_name=db,
            partition_name=partition,
            target=target,
            service=service,
            cluster_id=cluster_id,
            project_id=project_id,
            region_id=region_id,
            access_key=access_key,
            secret_key=secret_key,
            session_token=session_token,
            options=options,
            keeps_keys=keeps_keys,
            in_flight=in_flight,
            timeout_s=timeout,
            stall_timeout_s=stall_timeout,
            verify=False if insecure else ca_file if ca_file is not None else True,
        )
        planned = plan_import(session)
        if dry_run:
            print(json.dumps(planned.shown(), indent=2, ensure_ascii=False))
            return
        try:
            with looking(planned.n_rows, shown=not quiet) as progress:
                outcome = planned.carry_out(progress, upload)
        except KeyboardInterrupt as err:
            err.add_note("a server goes on with its jobs; the same command goes on from here")
            raise
        seconds = time.perf_counter() - began
        if as_json:
            print(json.dumps(outcome.to_dict() | {"seconds": seconds}, ensure_ascii=False))
        elif not quiet:
            print(_summary(outcome, collection, seconds))


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
