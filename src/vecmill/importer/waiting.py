"""How long to wait for a server: repeats of a request, pauses between looks, and the end of all patience."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice


@dataclass(frozen=True, slots=True)
class Retry:
    """When a request is repeated.

    Attributes
    ----------
    tries: requests in all, the first one included.
    first_s, factor, most_s: seconds of the first pause, what every further one is multiplied by, and the longest one.
    room_s: seconds to repeat a create while the server's queue of jobs is full.
    settle_s: seconds to look for the job of a create whose answer was lost.

    Pauses are shortened by up to half at random, so that clients that failed together do not come back together.
    """

    tries: int = 7
    first_s: float = 0.25
    factor: float = 2.0
    most_s: float = 15.0
    room_s: float = 600.0
    settle_s: float = 30.0

    def pauses(self) -> Iterator[float]:
        """Yield the pause after each failed try but the last, in seconds."""
        return islice(self._pauses(), self.tries - 1)

    def pauses_within(self, seconds: float) -> Iterator[float]:
        """Yield pauses until they make up ``seconds`` together."""
        waited_s = 0.0
        for pause_s in self._pauses():
            if waited_s >= seconds:
                return
            waited_s += pause_s
            yield pause_s

    def _pauses(self) -> Iterator[float]:
        pause_s = self.first_s
        while True:
            pause_s = min(self.most_s, pause_s)
            yield pause_s * random.uniform(0.5, 1.0)
            pause_s *= self.factor


@dataclass(frozen=True, slots=True)
class Polling:
    """The pause before the next look: longer while nothing changes, shorter when something did.

    With these values a pause is about a twentieth of the time waited so far; a change is seen at most so much later.
    """

    first_s: float = 0.1
    most_s: float = 10.0
    factor: float = 1.05

    def after(self, pause_s: float, *, changed: bool) -> float:
        """Return the seconds of the pause that follows one of ``pause_s``."""
        return min(self.most_s, max(self.first_s, pause_s / 2 if changed else pause_s * self.factor))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for work that a server does, and how often to look.

    Attributes
    ----------
    timeout_s: seconds in all. None: no limit.
    stall_timeout_s: seconds without any change. None: the default of whoever waits.
    polling: the pauses between looks.
    now, sleep: a clock, and what lets a number of seconds go by.
    """

    timeout_s: float | None = None
    stall_timeout_s: float | None = None
    polling: Polling = field(default_factory=Polling)
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


class Watch:
    """Looks at one thing that a server works on: how long it has not changed, when to look again, when to give up.

    ``wanted`` is the word for the end of the work; ``began_s`` is when the wait began. None: now.
    """

    def __init__(self, patience: Patience, wanted: str = "done", began_s: float | None = None) -> None:
        self._patience = patience
        self._wanted = wanted
        self._changed_s = patience.now()
        self._began_s = self._changed_s if began_s is None else began_s
        self._last: object = None
        self._stalled_s = self._pause_s = 0.0

    def saw(self, seen: object) -> float:
        """Note what a look has shown; return the seconds since it last changed."""
        now_s = self._patience.now()
        if seen != self._last:
            self._last, self._changed_s = seen, now_s
        self._stalled_s = now_s - self._changed_s
        return self._stalled_s

    def pause(self) -> float:
        """Return the seconds until the next look. Raises TimeoutError, with words, when it is time to give up."""
        patience = self._patience
        if patience.stall_timeout_s is not None and self._stalled_s >= patience.stall_timeout_s:
            raise TimeoutError(f"not {self._wanted}, nothing has changed for {self._stalled_s:.0f} s")
        left_s = float("inf")
        if patience.timeout_s is not None:
            left_s = patience.timeout_s - (patience.now() - self._began_s)
            if left_s <= 0:
                raise TimeoutError(f"not {self._wanted} after {patience.timeout_s:g} s")
        self._pause_s = patience.polling.after(self._pause_s, changed=self._stalled_s == 0)
        return min(self._pause_s, left_s)
