"""CSV ``<n>.csv`` by RFC 4180 with LF line ends: a header of field names, then one line for each row.

Vectors, arrays and JSON are JSON text in quoted cells. The server reads cells with Go's encoding/csv (milvus,
internal/util/importutilv2/csv). That reader treats quoted and plain cells alike, skips blank lines, and reads CR LF
within quotes as LF.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NoReturn

from vecmill.encode.plan import ColumnPlan
from vecmill.errors import SchemaError
from vecmill.formats.text import Layout, TextFormat
from vecmill.output_formats import FORMATS, BulkFileType, check_separator, is_in_numbers


class CsvFormat(TextFormat):
    """CSV. ``config``: ``sep``, the separator (default ","), and ``nullkey``, the text of a null (default "").

    Raises SchemaError for a separator that the server refuses, and for a null key that a value could equal that is not
    text.
    """

    row = FORMATS[BulkFileType.CSV]

    def __init__(self, config: Mapping[str, Any]) -> None:
        sep, nullkey = (config.get(key) for key in ("sep", "nullkey"))
        try:
            self._sep = check_separator("," if sep is None else sep)
        except ValueError as err:
            raise SchemaError(f"config {err}") from None
        self._nullkey = "" if nullkey is None else nullkey
        if not isinstance(self._nullkey, str) or not _is_null_key(self._nullkey):
            raise SchemaError(
                f"config 'nullkey' is {nullkey!r}, expected text on one line that is no number, bool or JSON value"
            )
        self._quotes_numbers = is_in_numbers(self._sep)
        if self._quotes_numbers and self._cell(self._nullkey) != self._nullkey:
            raise SchemaError(
                f"config 'nullkey' is {nullkey!r}, expected text without quotes and without the separator {sep!r}, "
                "which may be part of numbers"
            )
        self.rules = replace(self.row.rules, null_text=self._nullkey)
        self.import_options = {"sep": self._sep, "nullkey": self._nullkey}

    def layout_of(self, plans: Sequence[ColumnPlan]) -> Layout:
        """Return the layout."""
        null = self._cell(self._nullkey)
        # Quotes around numbers, bools and their nulls.
        quotes = ['"' if self._quotes_numbers and not plan.is_variable and not plan.is_vector else "" for plan in plans]
        if not null and len(plans) == 1 and not quotes[0]:
            null = '""'  # a blank line is no row
        header = self._sep.join(self._cell(plan.name) for plan in plans)
        leads = [quotes[0], *(f"{before}{self._sep}{own}" for before, own in pairwise(quotes))]
        return Layout(
            head=f"{header}\n".encode(), row_head=b"", leads=[lead.encode() for lead in leads],
            row_tail=f"{quotes[-1]}\n".encode(), tail=b"", null=null.encode(), separator=self._sep.encode(),
        )  # fmt: skip

    def _cell(self, text: str) -> str:
        return '"{}"'.format(text.replace('"', '""')) if self._sep in text or '"' in text else text


def _is_null_key(text: str) -> bool:
    if any(char in text for char in "\r\n\0"):
        return False
    if text == "null":
        return True
    try:
        json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return True
    return False


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
