"""A few rounds of `validate_fuzz`: random schemas, rows, files and faults."""

from __future__ import annotations

import pytest

from validate_fuzz import run


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # what pymilvus' writer refuses
@pytest.mark.parametrize("first", [1, 1_000, 2_000])
def test_no_false_alarm_and_every_fault_is_found(first):
    counts = run(range(first, first + 8), seconds=30)
    assert counts["rounds"] and counts["faults"]
