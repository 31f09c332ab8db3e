"""``vecmill convert``: files of embeddings in, import files out."""

from __future__ import annotations

import json
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from vecmill.cli.bar import row_bar
from vecmill.cli.options import (
    DebugOption,
    KindOption,
    MapOption,
    PrimaryOption,
    exit_codes,
    parse_columns,
    parse_factors,
    parse_size,
    size_text,
)

if TYPE_CHECKING:
    from vecmill.convert import Report


class Policy(StrEnum):
    """What a cast may do."""

    safe = "safe"
    unsafe = "unsafe"


class OnError(StrEnum):
    """What becomes of a row that does not fit."""

    stop = "stop"
    skip = "skip"


class Keep(StrEnum):
    """Which row of those with the same primary key is taken."""

    first = "first"
    last = "last"
    error = "error"


class Format(StrEnum):
    """Formats that convert writes."""

    parquet = "parquet"
    npy = "npy"


def convert_command(
    *,
    src: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SRC",
            help="Parquet files (rows follow one another), NPY files (a column each), or folders of them. "
            "May be left out when every column comes from a file of its own (--map vector=emb.npy).",
            show_default=False,
        ),
    ] = None,
    dst: Annotated[str, typer.Argument(metavar="DST", help="Folder to write to; each run makes a new folder in it.")],
    to: Annotated[Format, typer.Option("--to", "-t", help="Format to write.")] = Format.parquet,
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            "-s",
            metavar="FILE",
            help="Schema of the collection as JSON: from vecmill schema, pymilvus' to_dict() or describe_collection(), "
            "or the REST API. Inferred from the data when left out.",
            show_default=False,
        ),
    ] = None,
    segment_size: Annotated[
        int,
        typer.Option(
            parser=parse_size, metavar="SIZE", help="Begin a new file after this many bytes: 512MB, 1GiB, 100000."
        ),
    ] = "512MiB",  # type: ignore[assignment]  # a default goes through the parser too
    map_: MapOption = [],  # noqa: B006 - typer copies defaults, and None would show up in the help
    join: Annotated[
        list[str],
        typer.Option(
            "--join",
            "-j",
            metavar="SRC",
            help="Put the columns of SRC beside the others, row by row; all must have as many rows. Repeatable.",
            show_default=False,
        ),
    ] = [],  # noqa: B006
    kind: KindOption = None,
    id_from: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="Primary key: 'row' numbers the rows, 'hash' or 'hash:A,B' hashes columns, 'column:A' takes one.",
            show_default=False,
        ),
    ] = None,
    skip: Annotated[int, typer.Option(min=0, metavar="N", help="Leave out the first N rows.", show_default=False)] = 0,
    limit: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Take at most N rows.", show_default=False)
    ] = None,
    cast: Annotated[
        Policy,
        typer.Option(help="safe: what a value says is kept, or the row refused. unsafe: see docs/convert.md."),
    ] = Policy.safe,
    normalize: Annotated[
        list[str],
        typer.Option(metavar="FIELD", help="Scale the vectors of FIELD to length 1. Repeatable.", show_default=False),
    ] = [],  # noqa: B006
    scale: Annotated[
        list[str],
        typer.Option(
            metavar="FIELD=FACTOR",
            help="Multiply the vectors of FIELD, after --normalize and before a cast: vector=127.",
            show_default=False,
        ),
    ] = [],  # noqa: B006
    primary: PrimaryOption = None,
    on_error: Annotated[
        OnError,
        typer.Option(help="A row that does not fit: stop; or skip it, and tell of it in rejects.jsonl."),
    ] = OnError.stop,
    check_duplicates: Annotated[
        bool,
        typer.Option("--check-duplicates", help="Look for primary keys that come more than once, before writing."),
    ] = False,
    keep: Annotated[
        Keep,
        typer.Option(
            help="Of rows with one key: error names them; first or last is taken, the others go to rejects.jsonl. "
            "first and last imply --check-duplicates."
        ),
    ] = Keep.error,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on where this same command was broken off, also by a kill; begin if it never was."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as one JSON document on stdout, and nothing else there.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")] = False,
    debug: DebugOption = False,
) -> None:
    """Convert embeddings to files that Milvus and Zilliz Cloud import.

    Memory stays bounded however large the data are. A row that does not fit stops the conversion with its file, its
    row and what was expected: nothing is dropped silently.

    \b
    Examples:
      vecmill convert embeddings.parquet out/ --to npy
      vecmill convert metadata.parquet out/ --map vector=emb.npy
      vecmill convert shards/ out/ --schema collection.json --json
    """
    columns = parse_columns(map_)
    if not src and not columns:
        raise typer.BadParameter("give at least one file to read, and the folder to write to", param_hint="SRC")
    factors = parse_factors(scale)
    with exit_codes(as_json=as_json, debug=debug):
        from vecmill.convert import Settings, prepare, run

        began = time.perf_counter()
        settings = Settings(
            schema=schema,
            file_type=to.value,
            segment_size=segment_size,
            columns=columns,
            join=join,
            kind=kind,
            primary=primary,
            id_from=id_from,
            skip=skip,
            limit=limit,
            cast=cast.value,
            normalize=normalize,
            scale=factors,
            on_error=on_error.value,
            check_duplicates=check_duplicates or keep is not Keep.error,
            keep=keep.value,
            resume=resume,
        )
        plan = prepare(src or None, settings)
        with row_bar(plan.source.n_rows, shown=not quiet) as progress:
            report = run(plan, dst, progress=progress, began=began)
        if as_json:
            print(json.dumps(report.to_dict(), ensure_ascii=False))
        elif not quiet:
            print(_summary(report, to))


def _summary(report: Report, to: Format) -> str:
    kind = "NPY set" if to is Format.npy else "Parquet file"
    plural = "" if len(report.files) == 1 else "s"
    lines = []
    if report.inferred:
        lines += ["schema, inferred from the data:", *(f"  {note}" for note in report.notes)]
    lines.append(
        f"{report.rows:,} rows in {len(report.files)} {kind}{plural}, {size_text(report.bytes_out)}, "
        f"{report.seconds:.2f} s ({report.rows_per_s:,.0f} rows/s, {report.mb_per_s:,.0f} MB/s)"
    )
    if report.rows_resumed:
        lines.append(f"{report.rows_resumed:,} of them were there before")
    if report.rows_rejected:
        lines.append(f"{report.rows_rejected:,} rows rejected, see {report.rejects}")
    return "\n".join([*lines, report.data_path])
