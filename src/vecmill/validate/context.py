"""What every check has to know: the schema, the target, how much is to be read."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Literal

from vecmill.plan import ColumnPlan, FormatRules, plan_columns
from vecmill.schema import CollectionSchema
from vecmill.validate.findings import Findings

Level = Literal["headers", "sample", "full"]
LEVELS: tuple[Level, ...] = ("headers", "sample", "full")
SAMPLE_ROWS = 10_000
MAX_FINDINGS = 20
_SAMPLE_PIECES = 16


@dataclass(frozen=True, slots=True)
class Context:
    """How files are checked.

    ``plans``: the columns of a file by name, in the schema's order. On the level "sample", ``sample_rows`` rows of a
    file are looked at. ``sep``, ``nullkey``: of CSV.
    """

    schema: CollectionSchema
    plans: Mapping[str, ColumnPlan]
    level: Level
    sample_rows: int
    sep: str
    nullkey: str

    @classmethod
    def of(cls, schema: CollectionSchema, form: str, level: Level, sample_rows: int, sep: str, nullkey: str) -> Context:
        """Compile the columns for a format."""
        rules = FormatRules(name=form, carries_null=form != "npy", carries_nul=form != "npy")
        plans = {plan.name: plan for plan in plan_columns(schema, rules)}
        return cls(schema, plans, level, sample_rows, sep, nullkey)

    @property
    def field_names(self) -> frozenset[str]:
        """The fields that are not dynamic, those included that the server fills."""
        return frozenset(field.name for field in self.schema.fields if not field.is_dynamic)

    def ranges(self, n_rows: int) -> list[tuple[int, int]]:
        """Return the rows to look at, as ranges: all of them, or pieces from the first to the last."""
        if self.level == "full" or n_rows <= self.sample_rows:
            return [(0, n_rows)] if n_rows else []
        pieces = min(_SAMPLE_PIECES, self.sample_rows)
        size = self.sample_rows // pieces
        starts = [(n_rows - size) * i // max(pieces - 1, 1) for i in range(pieces)]
        return [(start, start + size) for start in starts]

    def knows(self, name: str, file: str, findings: Findings) -> bool:
        """Whether a column is to be looked at; if not, say why it should not be there."""
        if name in self.plans:
            return True
        field = next((one for one in self.schema.fields if one.name == name), None)
        if field is None:
            findings.add(
                "column-unknown", file=file, field=name, expected="a field of the schema", got="none of this name"
            )
        elif field.is_function_output:
            findings.add(
                "column-function-output", file=file, field=name, expected="no column: a function makes it", got="one"
            )
        else:
            findings.add(
                "column-auto-id", file=file, field=name, expected="no column: the server makes the key", got="one"
            )
        return False

    def is_required(self, name: str) -> bool:
        """Whether every file has to have this column."""
        field = self.plans[name].field
        return not (field.is_dynamic or field.nullable or field.default_value is not None)

    def require(self, given: Container[str], file: str, findings: Findings, row: int | None = None) -> None:
        """Say which columns are missing."""
        for name, plan in self.plans.items():
            if name in given or plan.field.is_dynamic:
                continue
            # Before 2.5 servers fill nothing in.
            lines = [line for line in findings.lines if line < (2, 5) or self.is_required(name)]
            if lines:
                findings.add(
                    "column-missing", file=file, field=name, row=row, expected="a column for the field", got="none",
                    lines=lines,
                )  # fmt: skip
