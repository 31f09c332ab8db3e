"""Groups of command-line options: one dataclass, any number of commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from vecmill.cli.flags import with_groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing.")] = False
    names: Annotated[list[str], typer.Option("--name", metavar="NAME", help="A name.")] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    size: Annotated[int, typer.Option(parser=lambda text: int(text) * 2, metavar="SIZE", help="A size.")]


def run(command, *args):
    app = typer.Typer(rich_markup_mode=None)
    app.command()(command)
    return CliRunner().invoke(app, list(args))


def test_a_command_gets_its_groups_as_values():
    got = []

    @with_groups
    def command(*, src: Annotated[str, typer.Argument()], size: Needed, shown: Shown, last: int = 3) -> None:
        """Say it."""
        got.append((src, size, shown, last))

    assert run(command, "a", "--size", "2", "--name", "x", "--name", "y", "-q").exit_code == 0
    assert run(command, "b", "--size", "1", "--last", "4").exit_code == 0
    assert got == [
        ("a", Needed(size=4), Shown(quiet=True, names=["x", "y"]), 3),
        ("b", Needed(size=2), Shown(quiet=False, names=[]), 4),
    ]


def test_help_and_errors_name_the_options_as_if_they_stood_in_the_command():
    @with_groups
    def command(*, size: Needed, shown: Shown) -> None:
        """Say it."""

    told = run(command, "--help").output
    assert "Say it." in told
    assert [told.index(word) for word in ("--size", "--quiet", "--name")] == sorted(
        told.index(word) for word in ("--size", "--quiet", "--name")
    )
    assert "-q, --quiet" in told
    assert "shown" not in told
    assert "Missing option '--size'" in run(command).output


def test_two_options_of_one_name_are_an_error_of_the_program():
    with pytest.raises(TypeError, match="two options of the name quiet"):

        @with_groups
        def command(*, shown: Shown, quiet: bool = False) -> None: ...
