"""Options that several commands share, as groups, and how their values are read."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from vecmill.errors import DataError
from vecmill.output_formats import FORMATS, BulkFileType, check_separator, parse_file_type

if TYPE_CHECKING:
    from vecmill.sources import TextOptions

_UNITS = {"": 1, "B": 1} | {
    f"{prefix}{end}": base ** (i + 1)
    for i, prefix in enumerate("KMGT")
    for end, base in (("", 1024), ("B", 1000), ("IB", 1024))
}


FORMAT_WORDS = tuple(one.word for one in FORMATS.values())


def parse_format(text: str) -> BulkFileType:
    """Return the format of one of `FORMAT_WORDS`."""
    if text not in FORMAT_WORDS:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(FORMAT_WORDS)}")
    return parse_file_type(text)


def parse_size(text: str) -> int:
    """Return the bytes that ``512MB``, ``1GiB``, ``64M`` or ``100000`` mean. MB are 10^6 bytes, MiB and M 2^20.

    Raises BadParameter for any other text.

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
    """Return ``FIELD=SOURCE`` options as a mapping. None: there are none. ``NAME`` stands for ``NAME=NAME``."""
    columns: dict[str, str] = {}
    for pair in pairs:
        name, sign, source = pair.partition("=")
        if not name or (sign and not source):
            raise typer.BadParameter(f"expected FIELD=SOURCE, got {pair!r}", param_hint="--map")
        if name in columns:
            raise typer.BadParameter(f"field {name!r} is given twice", param_hint="--map")
        columns[name] = source or name
    return columns or None


def parse_factors(pairs: list[str]) -> dict[str, float]:
    """Return ``FIELD=FACTOR`` options as a mapping."""
    factors: dict[str, float] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            factor = float(text)
        except ValueError:
            factor = math.nan
        if not name or not math.isfinite(factor):
            raise typer.BadParameter(f"expected FIELD=FACTOR, got {pair!r}", param_hint="--scale")
        factors[name] = factor
    return factors


def parse_character(text: str | None) -> str | None:
    r"""Return a separator as it was typed, and a tab for ``tab`` or ``\t``, which a shell cannot easily pass."""
    return {"\\t": "\t", "tab": "\t"}.get(text or "", text)


def parse_separator(text: str | None) -> str | None:
    """Return a separator of CSV files as it was typed, see `parse_character`. Raises BadParameter."""
    sep = parse_character(text)
    try:
        return None if sep is None else check_separator(sep)
    except ValueError as err:
        raise typer.BadParameter(str(err), param_hint="--sep") from None


def _known_kind(kind: str | None) -> str | None:
    if kind is not None:
        from vecmill.sources.kinds import kind_named

        try:
            kind_named(kind)
        except DataError as err:
            raise typer.BadParameter(str(err)) from err
    return kind


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
DebugOption = Annotated[bool, typer.Option("--debug", help="Show where in the code an error comes from.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindFlags:
    """What the files of a source are, where they do not say so themselves."""

    kind: Annotated[
        str | None,
        typer.Option(
            callback=_known_kind,
            metavar="KIND",
            help="What the files are, where neither their first bytes nor their names tell: csv, fvecs, fbin, ...",
            show_default=False,
        ),
    ] = None
    separator: Annotated[
        str | None,
        typer.Option(
            metavar="CHAR",
            help="Between the fields of text that is read; else a comma in CSV, a tab in TSV and COPY.",
            show_default=False,
        ),
    ] = None
    null: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What stands for null in CSV and TSV that is read; else an empty field. COPY: \\N.",
            show_default=False,
        ),
    ] = None
    header: Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header", help="Whether text begins with names; else not in COPY.", show_default=False
        ),
    ] = None
    names: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Columns of text without a header, in order.", show_default=False),
    ] = None
    types: Annotated[
        list[str],
        typer.Option(
            "--type",
            metavar="COLUMN=TYPE",
            show_default=False,
            help="Type of a column of text whose first rows do not tell: bigint, text, vector(768), ... Repeatable.",
        ),
    ] = field(default_factory=list)

    records: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Where in a JSON document the rows are, as hits.hits; else its one array of objects.",
            show_default=False,
        ),
    ] = None

    decimal: Annotated[
        str | None,
        typer.Option(
            metavar="CHAR",
            help="Character before the fraction of a number in CSV: ',' (default: '.').",
            show_default=False,
        ),
    ] = None

    def text(self) -> TextOptions | None:
        """Return what the options say of files of text. None: they say nothing. Raises BadParameter."""
        from vecmill.sources import TextOptions

        types = self._types()
        given = (self.separator, self.null, self.header, self.names, self.records, self.decimal)
        if all(one is None for one in given) and not types:
            return None
        try:
            return TextOptions(
                separator=parse_character(self.separator), null=self.null, header=self.header,
                names=self.names.split(",") if self.names else (), types=types, records=self.records,
                decimal=self.decimal or ".",
            )  # fmt: skip
        except DataError as err:
            raise typer.BadParameter(str(err), param_hint="--separator") from err

    def _types(self) -> dict[str, str]:
        from vecmill.sources.text.types import declared

        types: dict[str, str] = {}
        for pair in self.types:
            column, sign, word = pair.partition("=")
            if not column or not sign or not word:
                raise typer.BadParameter(f"expected COLUMN=TYPE, got {pair!r}", param_hint="--type")
            try:
                declared(column, word)
            except DataError as err:
                raise typer.BadParameter(str(err), param_hint="--type") from err
            types[column] = word
        return types


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFlags:
    """How a command tells what it did."""

    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as one JSON document on stdout, and nothing else there.")
    ] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")] = False
    debug: DebugOption = False
