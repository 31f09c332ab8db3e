"""Checks of text columns in Arrow's layout: length, UTF-8, JSON, WKT, timestamps, sparse vectors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmill._native import scan_check as scan
from vecmill._native import sparse as sparse_kernel
from vecmill._native import text as text_kernel
from vecmill.encode.plan import ColumnPlan
from vecmill.types.geometry import encode_wkt
from vecmill.types.text import META
from vecmill.types.timestamptz import is_finer_than_stored, timestamptz_problem
from vecmill.validate.findings import Findings, Problem
from vecmill.validate.text.json_values import KeysTwice, keys_of
from vecmill.validate.text.sparse import sparse_problem

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class TextChecks:
    """The rules of one text column of one file.

    ``label``: the field in findings; ``taken``: keys that ``$meta`` must not have; ``renamed``: rule ids to replace.
    """

    plan: ColumnPlan
    file: str
    findings: Findings
    label: str
    taken: frozenset[str] = frozenset()
    renamed: dict[str, str] = field(default_factory=dict)

    def with_rule(self, rule: str, other: str) -> TextChecks:
        """Return a copy that adds findings of ``rule`` under the id ``other``."""
        return replace(self, renamed={**self.renamed, rule: other})

    @property
    def reads_text(self) -> bool:
        """True if values are parsed, and not only measured."""
        return self.plan.kind.group != "text"

    def add(self, rule: str, rows: Array, got: Callable[[int], str], expected: str) -> None:
        """Add a finding for each of ``rows``."""
        rule = self.renamed.get(rule, rule)
        self.findings.add_rows(rule, rows, got, file=self.file, field=self.label, expected=expected)

    def lengths(self, n_bytes: Array, rows: Array) -> None:
        """Check lengths of values in bytes; ``rows``: their row numbers."""
        kind, limit = self.plan.kind, self.plan.max_bytes
        if not (kind.group == "text" or kind.is_json) or n_bytes.max(initial=0) <= limit:
            return
        wrong = np.flatnonzero(n_bytes > limit)
        rule = "value-json-size" if kind.is_json else "value-text-length"
        self.add(rule, rows[wrong], lambda i: f"{n_bytes[wrong[i]]} bytes", f"at most {limit} bytes")


def check_texts(checks: TextChecks, offsets: Array, data: Array, rows: Array) -> None:
    """Check values: bytes ``offsets[i]`` to ``offsets[i + 1]`` of ``data`` are the value of ``rows[i]``."""
    kind = checks.plan.kind
    checks.lengths(np.diff(offsets), rows)

    def add(rule: str, wrong: Array, expected: str) -> None:
        def got(i: int) -> str:
            start, stop = offsets[wrong[i]], offsets[wrong[i] + 1]
            return repr(data[start : min(stop, start + 60)].tobytes())[1:]

        checks.add(rule, rows[wrong], got, expected)

    wrong = np.fromiter(_not_utf8(offsets, data), np.int64)
    if len(wrong):
        add("value-text-utf8", wrong, "UTF-8")
    if kind.is_json:
        for rule, found in _not_json(offsets, data, kind is META).items():
            add(rule, found, "JSON text" if rule == "value-json" else "a JSON object")
        if kind is META:
            add("value-meta-field", _with_keys(offsets, data, checks.taken), "no key that is a field of the schema")
    elif kind.group in _FORMS:
        skipped = set(wrong.tolist())
        for i in _not_surely_sparse(offsets, data) if kind.group == "sparse" else range(len(offsets) - 1):
            if i in skipped:
                continue
            problem = form_problem(kind.group, data[offsets[i] : offsets[i + 1]].tobytes().decode())
            if problem is not None:
                checks.add(problem.rule, rows[i : i + 1], lambda _i, got=problem.got: got, problem.expected)  # type: ignore[misc]


def _not_utf8(offsets: Array, data: Array) -> Iterator[int]:
    start = 0
    while True:
        row, reason = text_kernel.check_text(offsets[start:], data, -1)
        if reason == text_kernel.FINE:
            return
        yield start + row
        start += row + 1


def _not_surely_sparse(offsets: Array, data: Array) -> Iterator[int]:
    i = -1
    while (i := sparse_kernel.check_sparse(offsets, data, i + 1)) >= 0:
        yield i


def _not_json(offsets: Array, data: Array, is_meta: bool) -> dict[str, Array]:
    wrong: dict[str, list[int]] = {"value-json": [], "value-meta": []}
    start = 0
    while True:
        row, place = scan.check_json(offsets, data, start, is_meta)
        if row < 0:
            return {rule: np.array(found) for rule, found in wrong.items() if found}
        wrong["value-meta" if place < 0 else "value-json"].append(row)
        start = row + 1


def _with_keys(offsets: Array, data: Array, keys: frozenset[str]) -> Array:
    """Return the indexes of values whose objects have one of ``keys``."""
    # Such a key, or letters of one as escapes, may be anywhere: few rows are decoded.
    names = b"|".join(re.escape(key.encode()) for key in sorted(keys))
    pattern = re.compile(rb'"(?:' + names + rb')"[ \t\r\n]*:|\\u00[2-7]')
    base = int(offsets[0])
    places = [base + found.start() for found in pattern.finditer(data[base : offsets[-1]].data)]
    rows = np.unique(np.searchsorted(offsets, places, side="right") - 1)
    return np.array([i for i in rows if not keys.isdisjoint(keys_of(data[offsets[i] : offsets[i + 1]].tobytes()))], int)


def _geometry_problem(text: str) -> Problem | None:
    try:
        encode_wkt(text)
    except ValueError as error:
        return Problem("value-geometry", "well-formed WKT", str(error))
    return None


def _time_problem(text: str) -> Problem | None:
    problem = timestamptz_problem(text)
    if problem is not None:
        return Problem("value-timestamptz", "RFC 3339 text or a naive time", f"{text[:60]!r}: {problem}")
    if is_finer_than_stored(text):
        return Problem("value-timestamptz-finer", "microseconds at most", repr(text[:60]))
    return None


def _sparse_text_problem(text: str) -> Problem | None:
    twice = KeysTwice()
    try:
        decoded = json.loads(text, object_pairs_hook=twice)
    except (ValueError, RecursionError):
        return Problem("value-sparse", "a sparse vector as a JSON object", repr(text[:60]))
    return sparse_problem(decoded) or twice.problem()


_FORMS: Mapping[str, Callable[[str], Problem | None]] = {
    "geometry": _geometry_problem,
    "timestamptz": _time_problem,
    "sparse": _sparse_text_problem,
}


def form_problem(group: str, text: str) -> Problem | None:
    """Return what is wrong with text of a group: "geometry", "timestamptz" or "sparse". None: nothing."""
    return _FORMS[group](text)
