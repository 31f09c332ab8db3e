"""What the commands share: how options are read, and how errors become one line and an exit code."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from vecmill.errors import SchemaError, VecmillError

if TYPE_CHECKING:
    from vecmill.sources import TextOptions

REFUSED, USAGE, INTERRUPTED = 1, 2, 130
"""Exit codes besides 0: docs/convert.md has the table. What typer finds wrong is USAGE as well."""

_UNITS = {"": 1, "B": 1} | {
    f"{prefix}{end}": base ** (i + 1)
    for i, prefix in enumerate("KMGT")
    for end, base in (("", 1024), ("B", 1000), ("IB", 1024))
}


def parse_size(text: str) -> int:
    """Return the bytes that ``512MB``, ``1GiB``, ``64M`` or ``100000`` mean. MB are 10^6 bytes, MiB and M 2^20.

    >>> parse_size("1.5KiB"), parse_size("2MB")
    (1536, 2000000)
    """
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    if found is None or found[2].upper() not in _UNITS:
        raise typer.BadParameter(f"expected a size such as 512MB, 1GiB or 100000, got {text!r}")
    size = int(float(found[1]) * _UNITS[found[2].upper()])
    if size < 1:
        raise typer.BadParameter(f"a size must be at least one byte, got {text!r}")
    return size


def size_text(n_bytes: int) -> str:
    """Return a size for people: ``3.5 MB``. Units are powers of ten, as in the speeds."""
    size = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def parse_columns(pairs: list[str]) -> dict[str, str] | None:
    """Return ``FIELD=SOURCE`` options as a mapping, None when there are none. ``NAME`` stands for ``NAME=NAME``."""
    columns: dict[str, str] = {}
    for pair in pairs:
        field, sign, name = pair.partition("=")
        if not field or (sign and not name):
            raise typer.BadParameter(f"expected FIELD=SOURCE, got {pair!r}", param_hint="--map")
        if field in columns:
            raise typer.BadParameter(f"field {field!r} is given twice", param_hint="--map")
        columns[field] = name or field
    return columns or None


def parse_factors(pairs: list[str]) -> dict[str, float]:
    """Return ``FIELD=FACTOR`` options as a mapping."""
    factors: dict[str, float] = {}
    for pair in pairs:
        field, _, text = pair.partition("=")
        try:
            factor = float(text)
        except ValueError:
            factor = math.nan
        if not field or not math.isfinite(factor):
            raise typer.BadParameter(f"expected FIELD=FACTOR, got {pair!r}", param_hint="--scale")
        factors[field] = factor
    return factors


MapOption = Annotated[
    list[str],
    typer.Option(
        "--map",
        "-m",
        metavar="FIELD=SOURCE",
        help="Fill FIELD from the column SOURCE, or from a file (vector=emb.npy; quote patterns: 'vector=emb_*.npy'). "
        "Naming columns selects them: the rest is left out, unless --map '*' is given too. Repeatable.",
        show_default=False,
    ),
]
PrimaryOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Column that is the primary key when the schema is inferred; else id or pk, else the server makes one.",
        show_default=False,
    ),
]


def _known_kind(kind: str | None) -> str | None:
    if kind is not None:
        from vecmill.errors import DataError
        from vecmill.sources.kinds import kind_named

        try:
            kind_named(kind)
        except DataError as err:
            raise typer.BadParameter(str(err)) from err
    return kind


KindOption = Annotated[
    str | None,
    typer.Option(
        "--kind",
        callback=_known_kind,
        metavar="KIND",
        help="What the files are, where neither their first bytes nor their names tell: csv, fvecs, fbin, ...",
        show_default=False,
    ),
]
SeparatorOption = Annotated[
    str | None,
    typer.Option(
        "--separator",
        metavar="CHAR",
        help="Between the fields of text; else a comma in CSV, a tab in TSV and COPY.",
        show_default=False,
    ),
]
NullOption = Annotated[
    str | None,
    typer.Option(
        "--null",
        metavar="TEXT",
        help="What stands for null in CSV and TSV; else an empty field. COPY: \\N.",
        show_default=False,
    ),
]
HeaderOption = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Whether text begins with names; else not in COPY.", show_default=False),
]
NamesOption = Annotated[
    str | None,
    typer.Option("--names", metavar="A,B,...", help="Columns of text without a header, in order.", show_default=False),
]
TypeOption = Annotated[
    list[str],
    typer.Option(
        "--type",
        metavar="COLUMN=TYPE",
        show_default=False,
        help="Type of a column of text whose first rows do not tell: bigint, text, vector(768), ... Repeatable.",
    ),
]


def parse_text(
    separator: str | None, null: str | None, header: bool | None, names: str | None, types: list[str]
) -> TextOptions | None:
    """Return what the options say of text, None when they say nothing."""
    from vecmill.errors import DataError
    from vecmill.sources import TextOptions

    declared: dict[str, str] = {}
    for pair in types:
        column, sign, word = pair.partition("=")
        if not column or not sign or not word:
            raise typer.BadParameter(f"expected COLUMN=TYPE, got {pair!r}", param_hint="--type")
        _check_type(column, word)
        declared[column] = word
    if (separator, null, header, names) == (None, None, None, None) and not declared:
        return None
    separator = {"\\t": "\t", "tab": "\t"}.get(separator or "", separator)
    try:
        return TextOptions(
            separator=separator, null=null, header=header, names=names.split(",") if names else (), types=declared
        )
    except DataError as err:
        raise typer.BadParameter(str(err), param_hint="--separator") from err


def _check_type(column: str, word: str) -> None:
    from vecmill.errors import DataError
    from vecmill.sources.text.types import declared

    try:
        declared(column, word)
    except DataError as err:
        raise typer.BadParameter(str(err), param_hint="--type") from err


DebugOption = Annotated[bool, typer.Option("--debug", help="Show where in the code an error comes from.")]


@contextmanager
def exit_codes(
    *, as_json: bool = False, debug: bool = False, go_on: str = "", interrupted: str = "nothing was published"
) -> Iterator[None]:
    """Word errors as one line on stderr, and leave with their exit code.

    ``go_on``: the command that goes on after an interrupt, ``interrupted``: what is said of one.

    With ``as_json`` the facts also go to stdout as the one document there. With ``debug`` the traceback comes first.
    An error that nobody expected is a bug, and is worded as one; exit code 1.
    """
    try:
        yield
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except BaseException as err:
        if debug and not isinstance(err, BrokenPipeError):
            traceback.print_exc()
        _leave(err, as_json=as_json, go_on=go_on, interrupted=interrupted)


def _leave(error: BaseException, *, as_json: bool, go_on: str, interrupted: str) -> NoReturn:
    if isinstance(error, BrokenPipeError) or not isinstance(error, Exception | KeyboardInterrupt):
        raise error  # whoever read stdout has seen enough, which typer knows how to end
    if isinstance(error, KeyboardInterrupt):
        if not hasattr(error, "__notes__"):
            error.add_note(interrupted)
        if go_on:
            error.add_note(f"go on with: {go_on}")
        _fail(error, "interrupted", INTERRUPTED, as_json=as_json)
    if isinstance(error, SchemaError):
        _fail(error, str(error), USAGE, as_json=as_json)
    if isinstance(error, VecmillError | OSError):
        _fail(error, str(error), REFUSED, as_json=as_json)
    _fail(error, f"unexpected {type(error).__name__}: {error}; --debug shows where", REFUSED, as_json=as_json)


def _fail(err: BaseException, message: str, code: int, *, as_json: bool) -> NoReturn:
    notes = list(getattr(err, "__notes__", ()))
    findings = getattr(err, "findings", ())
    shown = [message, *notes]
    if findings:  # of a validation: a line each, with its way out; then what is said of all of them
        for one in findings:
            print(f"error: {_one_line(f'{one}; {one.way_out}')}", file=sys.stderr)
        shown = ["not fit for import", *notes[1:]]
    print(f"error: {_one_line('; '.join(shown))}", file=sys.stderr)
    if as_json:
        facts: dict[str, Any] = {"type": type(err).__name__, "message": message, "notes": notes}
        for name in ("field", "row", "file", "expected", "got", "path", "reason", "code", "job_id"):
            if getattr(err, name, None) is not None:
                facts[name] = getattr(err, name)
        if findings:
            facts["findings"] = [dataclasses.asdict(one) for one in findings]
        print_any(json.dumps({"error": facts}, ensure_ascii=False))
    raise typer.Exit(code)


def print_any(text: str) -> None:
    """Print text with names in it that need not be UTF-8: escaped, which JSON takes too."""
    print(text.encode(errors="backslashreplace").decode())


def _one_line(text: str) -> str:
    return " ".join(text.split())
