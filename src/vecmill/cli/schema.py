"""``vecmill schema``: infer a schema from data, fetch one from a server, show one."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecmill.cli.errors import exit_codes
from vecmill.cli.flags import with_groups
from vecmill.cli.options import DebugOption, KindFlags, MapOption, PrimaryOption, parse_columns

if TYPE_CHECKING:
    from vecmill.schema.collection import CollectionSchema
    from vecmill.sources import Source

schema_app = typer.Typer(
    help="Infer a schema from data, fetch one from a server, show one.", no_args_is_help=True, rich_markup_mode=None
)


@schema_app.command("infer")
@with_groups
def infer_command(
    *,
    src: Annotated[
        list[str] | None,
        typer.Argument(metavar="SRC", help="Files or folders, as convert takes them.", show_default=False),
    ] = None,
    map_: MapOption = [],  # noqa: B006 - typer copies defaults, and None would show up in the help
    source: KindFlags,
    primary: PrimaryOption = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Look at the first N rows only.", show_default=False)
    ] = None,
    keys: Annotated[
        bool, typer.Option("--keys/--no-keys", help="Check which columns could be the primary key (reads them once).")
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not explain the choices on stderr.")] = False,
    debug: DebugOption = False,
) -> None:
    """Print the schema that fits the data, as JSON.

    Save it, change what should be different, and give it to convert with --schema. What was chosen for each column,
    and why, is explained on stderr, with the columns that could be the primary key.

    \b
    Examples:
      vecmill schema infer embeddings.parquet > schema.json
      vecmill schema infer 'shards/*.jsonl' --limit 100000
    """
    columns = parse_columns(map_)
    if not src and not columns:
        raise typer.BadParameter("give at least one file", param_hint="SRC")
    text = source.text()
    with exit_codes(debug=debug):
        from vecmill.convert.infer import infer
        from vecmill.convert.opening import cut, open_inputs, resolved
        from vecmill.convert.reshape import without_empty

        opened = open_inputs(resolved(src or None), columns=columns, kind=source.kind, text=text)
        whole, left_out = without_empty(opened, None)
        rows = cut(whole, 0, limit)
        inference = infer(rows, primary=primary)
        if not quiet:
            print("\n".join([*inference.notes, *left_out]), file=sys.stderr)
            if keys:
                print("\n".join(key_notes(rows, inference.schema)), file=sys.stderr)
        print(json.dumps(inference.schema.to_dict(), indent=2, ensure_ascii=False))


def key_notes(source: Source, schema: CollectionSchema) -> list[str]:
    """Return a line for each column that could be the primary key: whether its values are unique."""
    from vecmill.convert.casts import plan_casts
    from vecmill.convert.duplicates import find_repeated

    casts = plan_casts(source, schema)
    notes = []
    with tempfile.TemporaryDirectory() as folder:
        for field in schema.written_fields():
            if not field.kind.can_be_key or field.nullable:
                continue
            found = find_repeated(source, field.name, Path(folder), cast=casts[field.name])
            words = "no value comes twice"
            if found.n_rows:
                row, other = found.first[0]
                words = f"{found.n_rows} rows repeat a value, the first is row {row}, as row {other}"
            mark = " (the primary key)" if field.is_primary else ""
            notes.append(f"key candidate {field.name}{mark}: {words}")
    return notes


@schema_app.command("fetch")
def fetch_command(
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="Name of the collection.")],
    uri: Annotated[str, typer.Option(metavar="URI", envvar="MILVUS_URI", help="Server: http://localhost:19530.")],
    token: Annotated[
        str, typer.Option(metavar="TOKEN", envvar="MILVUS_TOKEN", help="API key, or user:password.", show_default=False)
    ] = "",
    db: Annotated[str, typer.Option(metavar="NAME", help="Database.", show_default=False)] = "",
    debug: DebugOption = False,
) -> None:
    """Print the schema of a collection on a server, as JSON. Needs the extra vecmill[milvus].

    \b
    Example:
      vecmill schema fetch --uri http://localhost:19530 articles > schema.json
    """
    with exit_codes(debug=debug):
        from vecmill.importer.options import Server
        from vecmill.importer.pym import fetch_schema

        if not debug:
            logging.disable(logging.ERROR)  # pymilvus logs a traceback for every error that it raises
        schema = fetch_schema(Server(uri, api_key=token, db_name=db), collection)
        print(json.dumps(schema.to_dict(), indent=2, ensure_ascii=False))


@schema_app.command("show")
def show_command(
    schema: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Schema as JSON (vecmill's, pymilvus', the REST API's), or a folder that vecmill wrote.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, in vecmill's form.")] = False,
    debug: DebugOption = False,
) -> None:
    """Show a schema as a table, after checking it against the server's rules.

    \b
    Examples:
      vecmill schema show schema.json
      vecmill schema show out/0f6f7a3e-...
    """
    with exit_codes(debug=debug):
        from vecmill.schema.reading import as_schema

        known = as_schema(_schema_of(schema))
        known.verify()
        print(json.dumps(known.to_dict(), indent=2, ensure_ascii=False) if as_json else schema_text(known))


def _schema_of(path: str) -> Any:
    """Return what is in ``path``: the schema of a manifest, or the path itself, to be read as a schema."""
    from vecmill.convert.outputs import output_of

    output = output_of(path)
    return output[1].schema if output is not None else path


def schema_text(schema: CollectionSchema) -> str:
    """Return a schema as lines of text, one a field."""
    rows = []
    for field in schema.fields:
        params = [f"{name}={value}" for name, value in field.params.items()]
        flags = ("is_primary", "auto_id", "is_partition_key", "is_clustering_key", "nullable")
        words = [flag.removeprefix("is_").replace("_", " ") for flag in flags if getattr(field, flag, False)]
        if field.default_value is not None:
            words.append(f"default {field.default_value!r}")
        rows.append((field.name, field.kind.dtype.name, " ".join(params), ", ".join(words)))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows
    ]
    if schema.enable_dynamic_field:
        lines.append("with a dynamic field")
    return "\n".join(line.rstrip() for line in lines)
