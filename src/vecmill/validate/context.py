"""The context of all checks of a file: schema, columns, level, CSV options."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Literal

from vecmill.encode.plan import ColumnPlan, plan_columns
from vecmill.output_formats import FORMATS, BulkFileType
from vecmill.schema.collection import CollectionSchema
from vecmill.schema.fields import DYNAMIC_FIELD
from vecmill.types.lookup import fold_name
from vecmill.validate.findings import Findings

Level = Literal["headers", "sample", "full"]
LEVELS: tuple[Level, ...] = ("headers", "sample", "full")
SAMPLE_ROWS = 10_000
MAX_FINDINGS = 20
_SAMPLE_PIECES = 16


@dataclass(frozen=True, slots=True)
class Context:
    """How files are checked.

    Attributes
    ----------
    plans: columns of a file by name, in the schema's order.
    optional: names of the columns that a file may leave out, by their folded names.
    sample_rows: rows of a file that are checked on the level "sample".
    sep, nullkey: options of CSV files.
    """

    schema: CollectionSchema
    plans: Mapping[str, ColumnPlan]
    optional: Mapping[str, str]
    level: Level
    sample_rows: int
    sep: str
    nullkey: str

    @classmethod
    def of(
        cls, schema: CollectionSchema, form: BulkFileType, level: Level, sample_rows: int, sep: str, nullkey: str
    ) -> Context:
        """Return the context for a schema and a format."""
        plans = {plan.name: plan for plan in plan_columns(schema, FORMATS[form].rules)}
        optional = {fold_name(name): name for name, plan in plans.items() if _is_optional(plan)}
        return cls(schema, plans, optional, level, sample_rows, sep, nullkey)

    @property
    def field_names(self) -> frozenset[str]:
        """Names of the fields that are not dynamic, fields that the server fills included."""
        return frozenset(field.name for field in self.schema.fields if not field.is_dynamic)

    def ranges(self, n_rows: int) -> list[tuple[int, int]]:
        """Return ranges (first, stop) of the rows to check: all rows, or pieces spread over the file."""
        if self.level == "full" or n_rows <= self.sample_rows:
            return [(0, n_rows)] if n_rows else []
        pieces = min(_SAMPLE_PIECES, self.sample_rows)
        size = self.sample_rows // pieces
        starts = [(n_rows - size) * i // max(pieces - 1, 1) for i in range(pieces)]
        return [(start, start + size) for start in starts]

    def knows(self, name: str, given: Container[str], file: str, findings: Findings) -> bool:
        """Return True if ``name`` is a column of the schema; otherwise add a finding that tells why not."""
        if name in self.plans:
            return True
        field = next((one for one in self.schema.fields if one.name == name), None)
        if field is None:
            meant = self.optional.get(fold_name(name)) if self.optional else None
            rule, expected = "column-unknown", "a field of the schema"
            if meant is not None and meant not in given:
                rule, expected = "column-misnamed", f"the name {meant!r}"
            elif self.schema.enable_dynamic_field:
                rule, expected = "column-dynamic", f"dynamic values in {DYNAMIC_FIELD}"
            findings.add(rule, file=file, field=name, expected=expected, got="a column that is no field of the schema")
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
        """Return True if every file must have this column."""
        return not (self.plans[name].field.is_dynamic or _is_optional(self.plans[name]))

    def takes_null(self, name: str) -> bool:
        """Return True if the column may hold nulls: as values, or for a default or ``$meta``."""
        field = self.plans[name].field
        return field.is_dynamic or field.nullable or field.default_value is not None

    def require(self, given: Container[str], file: str, findings: Findings, row: int | None = None) -> None:
        """Add a finding for each required column that is not in ``given``."""
        for name in self.plans:
            if name not in given and self.is_required(name):
                findings.add(
                    "column-missing", file=file, field=name, row=row, expected="a column for the field", got="none"
                )


def _is_optional(plan: ColumnPlan) -> bool:
    field = plan.field
    return field.auto_id or field.nullable or field.default_value is not None
