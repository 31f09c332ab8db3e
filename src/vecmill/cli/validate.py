"""``vecmill validate``: would the server take these files, and take them for what they are?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from vecmill.cli.errors import REFUSED, exit_codes, print_any
from vecmill.cli.options import DebugOption, parse_separator
from vecmill.schema.servers import TARGETS, check_target_name

if TYPE_CHECKING:
    from vecmill.validate.report import ValidationReport


def validate_command(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Files, folders, outputs of convert, or s3://bucket/folder, gs://, az://. NPY files that are named "
            "together are one column set.",
            show_default=False,
        ),
    ],
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            "-s",
            metavar="FILE",
            help="Schema of the collection, JSON (vecmill schema fetch writes it).",
            show_default="of the manifest",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help=f"Release line of the server that will import them: {', '.join(TARGETS)}.",
            show_default="all that read the schema",
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Look at every value. This is the default.")] = False,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, metavar="ROWS", help="Look at so many rows of every file.")
    ] = None,
    headers: Annotated[bool, typer.Option("--headers", help="Look at headers, footers and first rows only.")] = False,
    max_findings: Annotated[int, typer.Option(min=1, metavar="N", help="Tell of at most so many of each rule.")] = 20,
    sep: Annotated[
        str | None,
        typer.Option(
            metavar="CHAR",
            help="Separator of CSV files; tab stands for one.",
            show_default="of the manifest, else a comma",
        ),
    ] = None,
    nullkey: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="What stands for a null in CSV files.", show_default="of the manifest, else nothing"
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as one JSON document on stdout, and nothing else there.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Check files against the rules of the server, before they are uploaded.

    Told of is what the server would refuse, what it would take for something else than it is (silent), and advice.
    docs/rules.md explains every rule. The exit code is 1 for anything but advice.

    \b
    Examples:
      vecmill validate out/3f2a...
      vecmill validate id.npy vector.npy --schema schema.json --target 2.5
      vecmill validate s3://bucket/folder --schema schema.json --headers
    """
    if full + (sample is not None) + headers > 1:
        raise typer.BadParameter("give only one of --full, --sample and --headers", param_hint="--full")
    try:
        check_target_name(target)
    except ValueError as err:
        raise typer.BadParameter(str(err), param_hint="--target") from None
    with exit_codes(as_json=as_json, debug=debug, interrupted="not all was looked at"):
        from vecmill.validate import validate

        report = validate(
            paths[0] if len(paths) == 1 else paths,
            schema,
            target=target,
            level="headers" if headers else "sample" if sample is not None else "full",
            sample_rows=sample or 1,
            max_findings=max_findings,
            sep=parse_separator(sep),
            nullkey=nullkey,
        )
        print_any(json.dumps(report.to_dict(), ensure_ascii=False) if as_json else as_text(report))
        if not report.ok:
            raise typer.Exit(REFUSED)


def as_text(report: ValidationReport) -> str:
    """Return a report in lines: every finding with its way out, then what was looked at."""
    lines = []
    told: set[str] = set()
    for one in report.findings:
        lines.append(str(one))
        if one.rule not in told:
            told.add(one.rule)
            lines.append(f"    way out: {one.way_out}")
    shown = len(report.findings)
    total = sum(report.counts.values())
    if total > shown:
        rest = ", ".join(
            f"{name} {n:,}" for name, n in report.counts.items() if n > sum(f.rule == name for f in report.findings)
        )
        lines.append(f"not shown: {total - shown:,} more; in all: {rest}")
    files = "1 import file" if report.files == 1 else f"{report.files:,} import files"
    server = "Zilliz Cloud" if report.target == "cloud" else f"Milvus {report.target}"
    verdict = "fine" if not total else "no errors" if report.ok else "not fit"
    against = f" for {server}" if report.target else "" if report.ok else " for import"
    rows = "1 row" if report.rows == 1 else f"{report.rows:,} rows"
    lines.append(f"{verdict}{against}: {files}, {rows}, level {report.level}, {report.seconds:.2f} s")
    return "\n".join(lines)
