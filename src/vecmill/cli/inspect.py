"""``vecmill inspect``: what is in a source, or in what vecmill wrote."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from vecmill.cli.bar import row_bar
from vecmill.cli.errors import exit_codes
from vecmill.cli.flags import with_groups
from vecmill.cli.options import DebugOption, KindFlags, size_text

if TYPE_CHECKING:
    from vecmill.convert.inspect import ColumnFacts, Inspection

_STEPS = "▁▂▃▄▅▆▇█"
_PIPE_WIDTH = 160
_UNBOUNDED = 10_000


@with_groups
def inspect_command(
    *,
    src: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Files or folders, as convert takes them or writes them.")
    ],
    rows: Annotated[int, typer.Option("--rows", "-n", min=0, metavar="N", help="Rows to show.")] = 3,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Rows to read.")] = 100_000,
    whole: Annotated[bool, typer.Option("--all", help="Read all rows, however many.")] = False,
    source: KindFlags,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
    debug: DebugOption = False,
) -> None:
    """Describe data: columns, types, nulls, ranges, norms of vectors, first rows.

    \b
    Examples:
      vecmill inspect embeddings.parquet
      vecmill inspect emb.fbin --all --json
      vecmill inspect out/0f6f7a3e-...
    """
    text = source.text()
    with exit_codes(as_json=as_json, debug=debug):
        from vecmill.convert.inspect import inspect

        with row_bar(None, shown=not as_json) as progress:
            found = inspect(
                src, limit=None if whole else limit, n_first=rows, kind=source.kind, text=text, progress=progress
            )
        if as_json:
            print(json.dumps(found.to_dict(), ensure_ascii=False))
        else:
            _show(found)


def _show(found: Inspection) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, soft_wrap=False)
    console.print(_heading(found), markup=False)
    table = Table(box=None, pad_edge=False)
    for title in ("column", "type", "dim", "nulls", "measure", "least", "mean", "most", "histogram", ""):
        table.add_column(title, justify="right" if title in ("dim", "nulls", "least", "mean", "most") else "left")
    for column in found.columns:
        table.add_row(*(cell.replace("[", r"\[") for cell in _cells(column)))
    if console.measure(table, options=console.options.update(width=_UNBOUNDED)).maximum <= console.width:
        console.print(table)
    else:  # a table that is cut off would hide what it was asked for
        for column in found.columns:
            console.print(_block(column), markup=False)
    for i, row in enumerate(found.first_rows):
        console.print(f"row {i}", markup=False)
        for name, value in row.items():
            console.print(
                f"  {name}: {'null' if value is None else value}", markup=False, no_wrap=True, overflow="ellipsis"
            )


def _heading(found: Inspection) -> str:
    rows = "unknown rows" if found.rows is None else f"{found.rows:,} rows"
    parts = [rows, f"{len(found.columns)} columns", size_text(found.n_bytes)]
    if found.kind == "output":
        parts.append(f"vecmill {found.file_type}: {found.segments} segments, {found.files} files")
    if found.rows_read != found.rows:
        parts.append(f"of the first {found.rows_read:,} rows:")
    return f"{found.path}\n{', '.join(parts)}"


def _cells(column: ColumnFacts) -> list[str]:
    dims = "" if column.dims is None else "-".join(str(one) for one in dict.fromkeys(column.dims))
    numbers = ["" if one is None else f"{one:.6g}" for one in (column.least, column.mean, column.most)]
    odd = f"{column.odd} with NaN or Inf" if column.odd else ""
    return [column.name, column.type, dims, str(column.nulls), column.measure, *numbers, bars(column.histogram), odd]


def _block(column: ColumnFacts) -> str:
    """Return what a row of the table says in lines of their own."""
    name, type_, dims, nulls, measure, least, mean, most, histogram, odd = _cells(column)
    facts = [
        f"dim {dims}" if dims else "",
        f"nulls {nulls}",
        f"{measure} {least} to {most}, mean {mean}" if least else "",
    ]
    lines = [f"{name}  {type_}", f"  {', '.join(filter(None, [*facts, odd]))}", f"  {histogram}" if histogram else ""]
    return "\n".join(filter(None, lines))


def bars(histogram: tuple[int, ...]) -> str:
    """Return counts as a line of blocks, the highest for the largest; a dot for none."""
    top = max(histogram, default=0)
    return "".join(_STEPS[-(-(len(_STEPS) - 1) * n // top)] if n else "·" for n in histogram)
