"""``vecmill convert``: files of embeddings in, import files out."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vecmill.cli.bar import row_bar
from vecmill.cli.errors import REFUSED, exit_codes
from vecmill.cli.flags import with_groups
from vecmill.cli.options import (
    FORMAT_WORDS,
    KindFlags,
    MapOption,
    PrimaryOption,
    ReportFlags,
    parse_columns,
    parse_factors,
    parse_format,
    parse_separator,
    parse_size,
    size_text,
)
from vecmill.cli.validate import as_text
from vecmill.convert.options import Keep, OnError, Policy
from vecmill.output_formats import FORMATS, ZSTD_LEVELS, BulkFileType

if TYPE_CHECKING:
    from vecmill.convert.forecast import Forecast
    from vecmill.convert.job import Plan
    from vecmill.convert.report import Report

_LONGEST_LINE = 500

Engine = Literal["local", "ray"]
RowsFrom = Literal["keys"]
Level = Literal["headers", "sample", "full"]
Codec = Literal["none", "snappy", "zstd"]
_HELP = {key: f"--to {one.word}: {text}" for one in FORMATS.values() for key, text in one.options.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFlags:
    """What is written."""

    to: Annotated[
        BulkFileType,
        typer.Option("--to", "-t", parser=parse_format, metavar=f"<{'|'.join(FORMAT_WORDS)}>", help="Format to write."),
    ] = "parquet"  # type: ignore[assignment]  # a default goes through the parser too
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
    ] = None
    segment_size: Annotated[
        int,
        typer.Option(
            parser=parse_size, metavar="SIZE", help="Begin a new file after this many bytes: 512MB, 1GiB, 100000."
        ),
    ] = "512MiB"  # type: ignore[assignment]  # a default goes through the parser too
    compression: Annotated[Codec | None, typer.Option(help=_HELP["compression"], show_default=False)] = None
    compression_level: Annotated[
        int | None,
        typer.Option(
            min=ZSTD_LEVELS[0], max=ZSTD_LEVELS[-1], metavar="N", help=_HELP["compression_level"], show_default=False
        ),
    ] = None
    sep: Annotated[str | None, typer.Option(metavar="CHAR", help=_HELP["sep"], show_default=False)] = None
    nullkey: Annotated[str | None, typer.Option(metavar="TEXT", help=_HELP["nullkey"], show_default=False)] = None

    def config(self) -> dict[str, str | int]:
        """Return the options of the format that were given. Raises BadParameter for those of another format."""
        given: dict[str, str | int | None] = {
            "compression": self.compression,
            "compression_level": self.compression_level,
            "sep": parse_separator(self.sep),
            "nullkey": self.nullkey,
        }
        config = {key: value for key, value in given.items() if value is not None}
        for key in config:
            if key not in FORMATS[self.to].options:
                of = ", ".join(one.word for one in FORMATS.values() if key in one.options)
                hint = f"--{key.replace('_', '-')}"
                raise typer.BadParameter(f"is for --to {of}, not {FORMATS[self.to].word}", param_hint=hint)
        if self.compression_level is not None and self.compression != "zstd":
            raise typer.BadParameter("is for --compression zstd", param_hint="--compression-level")
        return config


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFlags:
    """Which rows are written, under which key, and what becomes of their values."""

    id_from: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="Primary key: 'row' numbers the rows, 'hash' or 'hash:A,B' hashes columns, 'column:A' takes one.",
            show_default=False,
        ),
    ] = None
    rows_from: Annotated[
        RowsFrom | None,
        typer.Option(
            help="keys: every array of SRC is a row, its name as id, its values as vector.", show_default=False
        ),
    ] = None
    skip: Annotated[int, typer.Option(min=0, metavar="N", help="Leave out the first N rows.", show_default=False)] = 0
    limit: Annotated[int | None, typer.Option(min=0, metavar="N", help="Take at most N rows.", show_default=False)] = (
        None
    )
    cast: Annotated[
        Policy,
        typer.Option(help="safe: what a value says is kept, or the row refused. unsafe: see docs/convert.md."),
    ] = "safe"
    normalize: Annotated[
        list[str],
        typer.Option(metavar="FIELD", help="Scale the vectors of FIELD to length 1. Repeatable.", show_default=False),
    ] = field(default_factory=list)
    scale: Annotated[
        list[str],
        typer.Option(
            metavar="FIELD=FACTOR",
            help="Multiply the vectors of FIELD, after --normalize and before a cast: vector=127.",
            show_default=False,
        ),
    ] = field(default_factory=list)
    primary: PrimaryOption = None
    on_error: Annotated[
        OnError,
        typer.Option(help="A row that does not fit: stop; or skip it, and tell of it in rejects.jsonl."),
    ] = "stop"
    check_duplicates: Annotated[
        bool,
        typer.Option("--check-duplicates", help="Look for primary keys that come more than once, before writing."),
    ] = False
    keep: Annotated[
        Keep,
        typer.Option(
            help="Of rows with one key: error names them; first or last is taken, the others go to rejects.jsonl. "
            "first and last imply --check-duplicates."
        ),
    ] = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFlags:
    """How the conversion runs, and what it is held to."""

    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on where this same command was broken off, also by a kill; begin if it never was."
        ),
    ] = False
    target: Annotated[
        str | None,
        typer.Option(
            metavar="LINE",
            help="Release line of the server that the files are held to: 2.3 to 3.0, or cloud. See docs/formats.md.",
            show_default=False,
        ),
    ] = None
    validate: Annotated[
        Level | None,
        typer.Option(
            help="Check what was written against the rules of the server, as vecmill validate does.",
            show_default=False,
        ),
    ] = None
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            "-w",
            min=1,
            metavar="N",
            help="Convert N ranges of rows at the same time; files of text are not cut.",
        ),
    ] = 1
    engine: Annotated[
        Engine,
        typer.Option(
            help="ray: ranges of rows on all cores of a cluster; DST may be s3://a-bucket/prefix. docs/scale.md"
        ),
    ] = "local"
    address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDR", help="Ray cluster: auto, host:port, ray://... Else one is started here.", show_default=False
        ),
    ] = None
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Say what would be written (columns, casts, segments, sizes), and write nothing to DST."
        ),
    ] = False


@with_groups
def convert_command(
    *,
    src: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SRC",
            help="Files of any kind (docs/sources.md), folders, patterns, s3://, gs://, az://. Tables follow one "
            "another, files of one array (NPY) are a column each. May be left out when every column comes from a "
            "file of its own (--map vector=emb.npy).",
            show_default=False,
        ),
    ] = None,
    dst: Annotated[
        str,
        typer.Argument(metavar="DST", help="Folder or URL (s3://...) to write to; each run makes a new folder in it."),
    ],
    written: WriteFlags,
    map_: MapOption = [],  # noqa: B006 - typer copies defaults, and None would show up in the help
    drop: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help="Leave a column of SRC out, without looking at it; '*' stands for any text. Repeatable.",
            show_default=False,
        ),
    ] = [],  # noqa: B006 - typer copies defaults, and None would show up in the help
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
    source: KindFlags,
    rows: RowFlags,
    how: RunFlags,
    output: ReportFlags,
) -> None:
    """Convert embeddings to files that Milvus and Zilliz Cloud import.

    Memory stays bounded however large the data are. A row that does not fit stops the conversion with its file, its
    row and what was expected, or is told of in rejects.jsonl: nothing is dropped silently.

    \b
    Examples:
      vecmill convert embeddings.parquet out/ --to npy
      vecmill convert metadata.parquet out/ --map vector=emb.npy
      vecmill convert 'meta_*.parquet' out/ --join 'img_emb_*.npy' --id-from row
      vecmill convert emb.npy out/ --normalize emb --limit 1000 --dry-run
      vecmill convert export.csv out/ --separator ';' --null NULL --type 'vector=vector(768)'
      vecmill convert embeddings.parquet out/ --compression zstd --compression-level 3
      vecmill convert s3://a-bucket/shards/ s3://another/exports --workers 4
      vecmill convert shards/ out/ --on-error skip --keep first --resume
      vecmill convert shards/ out/ --schema collection.json --json
      vecmill convert shards/ out/ --target 2.5 --validate full
      vecmill convert shards/ s3://a-bucket/exports --engine ray
    """
    columns = parse_columns(map_)
    if not src and not columns:
        raise typer.BadParameter("give at least one file to read, and the folder to write to", param_hint="SRC")
    factors = parse_factors(rows.scale)
    text, config = source.text(), written.config()
    _check_engine(how)
    go_on = "" if how.dry_run else resume_command(sys.argv[1:])
    with exit_codes(as_json=output.as_json, debug=output.debug, go_on=go_on):
        from vecmill.convert.forecast import forecast
        from vecmill.convert.job import prepare
        from vecmill.convert.options import ConvertOptions

        began = time.perf_counter()
        options = ConvertOptions.of(
            schema=written.schema,
            file_type=written.to,
            segment_size=written.segment_size,
            config=config,
            columns=columns,
            drop=drop,
            rows_from=rows.rows_from,
            join=join,
            kind=source.kind,
            text=text,
            primary=rows.primary,
            id_from=rows.id_from,
            skip=rows.skip,
            limit=rows.limit,
            cast=rows.cast,
            normalize=rows.normalize,
            scale=factors,
            on_error=rows.on_error,
            check_duplicates=rows.check_duplicates or rows.keep != "error",
            keep=rows.keep,
            target=how.target,
            validate=how.validate,
            resume=how.resume,
            workers=how.workers,
        )
        plan = prepare(src or None, options)
        if src and len(src) == 1 and plan.inputs[0] != src[0] and not output.quiet:
            print(f"reading {plan.inputs[0]}, the one output in {src[0]}", file=sys.stderr)
        if how.dry_run:
            expected = forecast(plan)
            shown = json.dumps(expected.to_dict(), ensure_ascii=False) if output.as_json else None
            print(shown or forecast_text(expected, dst))
            return
        report = _run(plan, dst, how, began, quiet=output.quiet)
        if output.as_json:
            print(json.dumps(report.to_dict(), ensure_ascii=False))
        elif not output.quiet:
            print(_summary(report, FORMATS[written.to].noun))
        if report.rows_read and not report.rows:
            print(f"error: none of {report.rows_read:,} rows was written", file=sys.stderr)
            raise typer.Exit(REFUSED)


def _check_engine(how: RunFlags) -> None:
    if how.workers > 1 and how.engine == "ray":
        raise typer.BadParameter("Ray has workers of its own", param_hint="--workers")
    if how.engine == "ray" and find_spec("ray") is None:
        raise typer.BadParameter("needs the extra 'ray': pip install 'vecmill[ray]'", param_hint="--engine")
    if how.address is not None and how.engine != "ray":
        raise typer.BadParameter("is for --engine ray", param_hint="--address")


def _run(plan: Plan, dst: str, how: RunFlags, began: float, *, quiet: bool) -> Report:
    """Run what was planned in this process, with workers, or on a cluster."""
    if how.engine == "ray":
        from vecmill.integrations.ray import convert_on_ray

        return convert_on_ray(plan, dst, address=how.address, began=began)
    from vecmill.convert.workers import carry_out

    with row_bar(plan.source.n_rows, shown=not quiet) as progress:
        return carry_out(plan, dst, progress=progress, began=began)


def resume_command(args: Sequence[str]) -> str:
    """Return the command line that goes on where that of ``args`` is broken off, in words where it is very long."""
    at = args.index("convert") + 1 if "convert" in args else len(args)
    line = shlex.join(["vecmill", *args[:at], *([] if "--resume" in args else ["--resume"]), *args[at:]])
    return line if len(line) <= _LONGEST_LINE else "the same command with --resume"


def forecast_text(expected: Forecast, dst: str) -> str:
    """Return what a conversion would do, as lines of text."""
    rows = "an unknown number of rows" if expected.rows is None else f"{expected.rows:,} rows"
    lines = [f"would read {rows}, {size_text(expected.bytes_in)}"]
    each = f"{expected.file_type} of {size_text(expected.segment_size)} each"
    if expected.bytes_out is None:
        lines.append(f"would write segments of {each}, to a new folder in {dst}")
    else:
        size = size_text(expected.bytes_out)
        lines.append(f"would write about {size} in {expected.segments} segments, {each}, to a new folder in {dst}")
    widths = [max(len(getattr(one, name)) for one in expected.columns) for name in ("field", "source_type")]
    for column in expected.columns:
        changes = f"; {', '.join(column.changes)}" if column.changes else ""
        origin = f" (from {column.source})" if column.source != column.field else ""
        lines.append(
            f"  {column.field:<{widths[0]}}  {column.source_type:<{widths[1]}} -> {column.field_type}{changes}{origin}"
        )
    tried = f"the first {expected.sample_rows:,} rows were tried"
    bad = expected.rejected_of_sample
    lines.append(f"{tried}: {bad:,} would be rejected" if bad else f"{tried}, and fit")
    return "\n".join(lines)


def _summary(report: Report, noun: str) -> str:
    plural = "" if len(report.files) == 1 else "s"
    lines = []
    if report.inferred:
        lines.append("schema, inferred from the data:")
    lines += [f"  {note}" if report.inferred else note for note in report.notes]
    lines.append(
        f"{report.rows:,} rows in {len(report.files)} {noun}{plural}, {size_text(report.bytes_out)}, "
        f"{report.seconds:.2f} s ({report.rows_per_s:,.0f} rows/s, {report.mb_per_s:,.0f} MB/s)"
    )
    if report.rows_resumed:
        lines.append(f"{report.rows_resumed:,} of them were there before")
    if report.rows_rejected:
        lines.append(f"{report.rows_rejected:,} rows rejected, see {report.rejects}")
    if report.validation is not None:
        lines.append(as_text(report.validation))
    return "\n".join([*lines, report.data_path])
