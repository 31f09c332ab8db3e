"""How a command ends: errors become one line on stderr and an exit code.

Exit codes besides 0 are those of the table in docs/convert.md; what typer finds wrong exits with USAGE as well.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from vecmill.errors import SchemaError, VecmillError

REFUSED, USAGE, INTERRUPTED = 1, 2, 130


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
