"""Groups of command-line options: declared once as a dataclass, taken by any number of commands.

A group is a frozen dataclass whose fields are typer parameters. A command names the groups as its own parameters, and
`with_groups` shows typer one flat list of options:

    @dataclass(frozen=True, kw_only=True)
    class ReportFlags:
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary.")] = False
        skip: Annotated[list[str], typer.Option(metavar="NAME")] = field(default_factory=list)

    @with_groups
    def upload_command(src: Annotated[str, typer.Argument()], report: ReportFlags) -> None: ...
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return ``command`` with every parameter that is a dataclass replaced by the fields of that dataclass.

    The options keep the order of the parameters and fields. Raises TypeError for two options of the same name.
    """
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type[Any], list[str]]] = {}  # parameter -> its dataclass, names of its fields
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        group = parameter.annotation
        if dataclasses.is_dataclass(group) and isinstance(group, type):
            options = _parameters_of(group)
            groups[name] = group, [option.name for option in options]
            parameters += options
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    names = [parameter.name for parameter in parameters]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TypeError(f"{command.__name__} has two options of the name {', '.join(twice)}")

    @functools.wraps(command)
    def grouped(**given: Any) -> None:
        made = {
            name: group(**{field: given.pop(field) for field in fields}) for name, (group, fields) in groups.items()
        }
        command(**given, **made)

    grouped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    grouped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return grouped


def _parameters_of(group: type[Any]) -> list[inspect.Parameter]:
    """Return the fields of a dataclass as keyword parameters, with their typer metadata and defaults."""
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=_default_of(field), annotation=hints[field.name]
        )
        for field in dataclasses.fields(group)
    ]


def _default_of(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return inspect.Parameter.empty if field.default_factory is dataclasses.MISSING else field.default_factory()
