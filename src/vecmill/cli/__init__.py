"""The command ``vecmill``: a shell over the library. Only here are typer and rich imported.

Exit codes are those of the table in docs/convert.md, for every command. Reports go to stdout, everything else to
stderr.
"""

from __future__ import annotations

from typing import Annotated

import typer

from vecmill.cli.convert import convert_command
from vecmill.cli.importing import import_command
from vecmill.cli.inspect import inspect_command
from vecmill.cli.schema import schema_app
from vecmill.cli.upload import upload_command
from vecmill.cli.validate import validate_command
from vecmill.version import __version__

app = typer.Typer(
    name="vecmill",
    help="Mill embeddings into the files that Milvus and Zilliz Cloud import.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text wraps, pipes and greps well, and a usage error is one line
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("convert")(convert_command)
app.command("import")(import_command)
app.command("inspect")(inspect_command)
app.command("upload")(upload_command)
app.add_typer(schema_app, name="schema")
app.command("validate")(validate_command)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"vecmill {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; the entry point of the script ``vecmill``."""
    app()
