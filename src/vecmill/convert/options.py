"""Options of a conversion: each with its meaning, unit and default, declared once.

`ConvertOptions` is the value that is made of a caller's keywords and handed on whole, `ConvertKeywords` says their
types. A new option is a field in each of the two: ``help(convert)`` and what ``convert.json`` records follow from them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, cast, get_args

from vecmill.errors import SchemaError
from vecmill.writer.options import WriterKeywords, WriterOptions

if TYPE_CHECKING:
    from vecmill.convert.opening import Input
    from vecmill.sources import TextOptions
    from vecmill.sources.opening import RowsFrom
    from vecmill.validate.context import Level

Policy = Literal["safe", "unsafe"]
OnError = Literal["stop", "skip"]
Keep = Literal["first", "last", "error"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

# Marks an option that decides which rows are written: a resume compares it, in this form, with that of the run before.
_ASKED = {"asked": lambda value: value}
_ASKED_AS_TEXT = {"asked": repr}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """What is asked of a conversion, besides where from and where to.

    Attributes
    ----------
    writer: options of the writer; the conversion itself sees to ``resume`` and ``validate``.
    schema: schema of the collection, in any form that vecmill takes. None: inferred from the data.
    columns: field -> source column or array file; naming columns selects them, see `open_source`. With a schema, its
        fields are also found under their own names.
    drop: columns of the source to leave out, which are not looked at; ``*`` stands for any text.
    rows_from: "keys" makes a row of every array of ``src`` (HDF5, torch, safetensors, NPZ, a folder of NPY files): its
        key is the column ``id``, its values are ``vector``. None: every array is a column.
    join: further inputs whose columns stand beside those of ``src``, row by row; all must have as many rows.
    kind: what ``src`` is, where neither its first bytes nor its name tell; see `vecmill.sources.kinds`.
    text: what files of text do not say about themselves; see `vecmill.sources.TextOptions`.
    primary: column that becomes the primary key of an inferred schema.
    id_from: where the primary key comes from: "row", "hash", "hash:a,b", "column", "column:a"; see `with_key`.
    skip, limit: leave out the first ``skip`` rows; take at most ``limit`` rows after them. None: all.
    cast: "safe", or "unsafe" for casts that may lose something; see `vecmill.convert.casts`.
    normalize: vector fields that are scaled to length 1.
    scale: vector field -> factor that its values are multiplied by, after ``normalize`` and before a cast.
    on_error: "stop" at the first row that does not fit; or "skip" such rows and list them in ``rejects.jsonl``.
    check_duplicates: find repeated primary keys before a row is written; reads the keys once more.
    keep: of rows with the same key, the "first" or "last" is written and the others are listed in ``rejects.jsonl``;
        "error" raises DataError. Keys alone decide: the row that is kept may still be one that does not fit.
    resume: continue this very conversion to ``dst`` (same data, same options) if it ended early; else begin it.
    validate: "headers", "sample" or "full": check the written files as `vecmill.validate` does, against ``target``.
        The findings are in ``Report.validation``. None: do not.
    workers: row ranges that are converted at the same time, in threads, or in processes where Python has to change
        values (a script then needs its ``if __name__ == "__main__"``). Rows keep their order. Files of text are not
        cut: there have to be several.

    Raises SchemaError for a value that an option does not take.
    """

    writer: WriterOptions = field(default_factory=WriterOptions)
    schema: object = None
    columns: Mapping[str, str] | Iterable[str] | None = None
    drop: Sequence[str] = ()
    rows_from: RowsFrom | None = field(default=None, metadata=_ASKED)
    join: Sequence[Input] = ()
    kind: str | None = None
    text: TextOptions | None = field(default=None, metadata=_ASKED_AS_TEXT)
    primary: str | None = None
    id_from: str | None = field(default=None, metadata=_ASKED)
    skip: int = field(default=0, metadata=_ASKED)
    limit: int | None = field(default=None, metadata=_ASKED)
    cast: Policy = field(default="safe", metadata=_ASKED)
    normalize: Sequence[str] = field(default=(), metadata=_ASKED)
    scale: Mapping[str, float] = field(default_factory=dict, metadata=_ASKED)
    on_error: OnError = "stop"
    check_duplicates: bool = field(default=False, metadata=_ASKED)
    keep: Keep = field(default="error", metadata=_ASKED)
    resume: bool = False
    validate: Level | None = None
    workers: int = 1

    def __post_init__(self) -> None:
        from vecmill.validate.context import LEVELS

        for name, kind in (("cast", Policy), ("on_error", OnError), ("keep", Keep)):
            words, value = get_args(kind), getattr(self, name)
            if value not in words:
                known = f"{', '.join(map(repr, words[:-1]))} or {words[-1]!r}"
                raise SchemaError(f"{name} is {known}, not {value!r}")
        if self.validate is not None and self.validate not in LEVELS:
            raise SchemaError(f"validate is one of {', '.join(LEVELS)}, not {self.validate!r}")
        if self.workers < 1:
            raise SchemaError(f"workers must be at least 1, got {self.workers}")

    @classmethod
    def of(cls, **given: Unpack[ConvertKeywords]) -> ConvertOptions:
        """Return the options that a caller has given, those of the writer among them.

        Raises SchemaError for a value that an option does not take, TypeError for an unknown option.
        """
        own: dict[str, Any] = {name: value for name, value in given.items() if name not in _OF_WRITER}
        own |= {name: tuple(own[name]) for name in ("drop", "join", "normalize") if name in own}
        own["scale"] = dict(own.get("scale") or {})
        of_writer = cast("WriterKeywords", {name: value for name, value in given.items() if name in _OF_WRITER})
        try:
            return cls(writer=WriterOptions.of(**of_writer), **own)
        except SchemaError:
            raise
        except ValueError as err:
            raise SchemaError(str(err)) from err

    @property
    def skips(self) -> bool:
        """Whether rows that do not fit are left out."""
        return self.on_error == "skip"

    def question(self) -> dict[str, Any]:
        """Return the options that decide which rows are written, as values fit for JSON.

        Inputs, columns and the schema are not among them: a conversion records those that it has found.
        """
        asked = {one.name: one.metadata["asked"](getattr(self, one.name)) for one in fields(self) if one.metadata}
        asked |= {"file_type": self.writer.file_type.name, "target": self.writer.target}
        return asked | ({"config": dict(self.writer.config)} if self.writer.config else {})


class ConvertKeywords(WriterKeywords, total=False):
    """All of `ConvertOptions`, and all of `WriterOptions`, as a caller gives them."""

    schema: object
    columns: Mapping[str, str] | Iterable[str] | None
    drop: Sequence[str]
    rows_from: RowsFrom | None
    join: Sequence[Input]
    kind: str | None
    text: TextOptions | None
    primary: str | None
    id_from: str | None
    skip: int
    limit: int | None
    cast: Policy
    normalize: Sequence[str]
    scale: Mapping[str, float] | None
    on_error: OnError
    check_duplicates: bool
    keep: Keep
    workers: int


_OWN = {one.name: one for one in fields(ConvertOptions) if one.name != "writer"}
_OF_WRITER = {one.name: one for one in fields(WriterOptions) if one.name not in _OWN}


def tells_options(function: _Function) -> _Function:
    """Have ``help(function)`` list every option of a conversion: in its signature, and where it says ``options:``."""
    parameters = list(inspect.signature(function).parameters.values())[:-1]
    for name, option in {**_OWN, **_OF_WRITER}.items():
        default = option.default if option.default_factory is MISSING else option.default_factory()
        type_ = ConvertKeywords.__annotations__[name]
        annotation = getattr(type_, "__forward_arg__", type_)
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        )
    function.__signature__ = inspect.Signature(parameters, return_annotation="Report")  # type: ignore[attr-defined]
    if function.__doc__:  # python -OO has none
        before, after = function.__doc__.split("    options: see `ConvertOptions`.\n")
        told = _explained(ConvertOptions)
        del told["writer"]
        told = {**told, **{name: text for name, text in _explained(WriterOptions).items() if name not in told}}
        function.__doc__ = before + "".join(told.values()) + after
    return function


def _explained(options: type[Any]) -> dict[str, str]:
    """Return what the docstring of a class says of each attribute: name -> its lines."""
    lines = (options.__doc__ or "").partition("----------\n")[2].partition("\n\n")[0].splitlines(keepends=True)
    told: dict[str, str] = {}
    for line in lines:
        if not line.startswith("     "):
            name = line.partition(":")[0].strip()
            told[name] = ""
        told[name] += line if line.endswith("\n") else f"{line}\n"
    return told
