"""``vecmill schema``: show the schema that a conversion would infer."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from vecmill.cli.options import MapOption, PrimaryOption, exit_codes, parse_columns


def schema_command(
    src: Annotated[
        list[str] | None,
        typer.Argument(metavar="SRC", help="Parquet or NPY files, or folders of them.", show_default=False),
    ] = None,
    column: MapOption = [],  # noqa: B006 - typer copies defaults, and None would show up in the help
    primary: PrimaryOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not explain the choices on stderr.")] = False,
) -> None:
    """Print the schema that fits the data, as JSON.

    Save it, change what should be different, and give it to convert with --schema. What was chosen for each column,
    and why, is explained on stderr.
    """
    columns = parse_columns(column)
    if not src and not columns:
        raise typer.BadParameter("give at least one file", param_hint="SRC")
    with exit_codes():
        from vecmill.infer import infer
        from vecmill.sources import open_source

        inference = infer(open_source(src, columns=columns), primary=primary)
        if not quiet:
            print("\n".join(inference.notes), file=sys.stderr)
        print(json.dumps(inference.schema.to_dict(), indent=2, ensure_ascii=False))
