"""Pauses and the end of patience, by a clock that the tests move."""

from __future__ import annotations

import pytest

from vecmill.importer.waiting import Patience, Polling, Retry, Watch


def test_pauses_grow_up_to_the_longest_and_end_with_the_tries():
    pauses = list(Retry(tries=6, first_s=1, factor=3, most_s=10).pauses())
    assert len(pauses) == 5
    for pause, most in zip(pauses, [1, 3, 9, 10, 10], strict=True):
        assert most / 2 <= pause <= most


@pytest.mark.parametrize("seconds", [0.0, 0.5, 7.0, 100.0])
def test_pauses_within_a_time_make_it_up(seconds):
    pauses = list(Retry(first_s=1, factor=2, most_s=8).pauses_within(seconds))
    assert sum(pauses) >= seconds
    assert sum(pauses[:-1]) < max(seconds, 1e-9)


@pytest.mark.parametrize(
    ("patience", "reason"),
    [
        ({"timeout_s": 10}, "not loaded after 10 s"),
        ({"stall_timeout_s": 6}, "not loaded, nothing has changed for 6 s"),
        ({"timeout_s": 10, "stall_timeout_s": 6}, "not loaded, nothing has changed for 6 s"),
    ],
)
def test_patience_ends(patience, reason):
    clock = [100.0]
    watch = Watch(Patience(polling=Polling(first_s=3, factor=1), now=lambda: clock[0], **patience), "loaded")

    def look(seen: str) -> None:
        while True:
            watch.saw(seen)
            clock[0] += watch.pause()

    with pytest.raises(TimeoutError, match=f"^{reason}$"):
        look("the same")
    assert clock[0] == 100 + (10 if "after" in reason else 6)


def test_the_time_of_a_wait_may_have_begun_before():
    watch = Watch(Patience(timeout_s=10, now=lambda: 20.0), began_s=10.0)
    watch.saw(1)
    with pytest.raises(TimeoutError, match="not done after 10 s"):
        watch.pause()
