"""JSON ``<n>.json``, ``{"rows":[...]}``, which every server reads; JSON Lines ``<n>.jsonl``, one object on each line.

Both are compact, in UTF-8 without escapes. Values have the forms that milvus reads, internal/util/importutilv2/json.
"""

from __future__ import annotations

from collections.abc import Sequence

from vecmill.encode.plan import ColumnPlan
from vecmill.formats.text import Layout, TextFormat, member_leads
from vecmill.output_formats import FORMATS, BulkFileType


class JsonFormat(TextFormat):
    """One object with the list of rows. Sealing the segment writes its end."""

    row = FORMATS[BulkFileType.JSON]
    rules = row.rules

    def layout_of(self, plans: Sequence[ColumnPlan]) -> Layout:
        """Return the layout: each row on a line of its own, the comma before it."""
        leads = _leads(plans)
        return Layout(
            head=b'{"rows":[', row_head=b",\n", skip=1, leads=leads, row_tail=b"}", tail=b"\n]}", null=b"null"
        )


class JsonLinesFormat(TextFormat):
    """One object on each line."""

    row = FORMATS[BulkFileType.JSONL]
    rules = row.rules

    def layout_of(self, plans: Sequence[ColumnPlan]) -> Layout:
        """Return the layout."""
        return Layout(head=b"", row_head=b"", leads=_leads(plans), row_tail=b"}\n", tail=b"", null=b"null")


def _leads(plans: Sequence[ColumnPlan]) -> list[bytes]:
    return member_leads([plan.name for plan in plans], is_csv=False)
