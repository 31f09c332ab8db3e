"""How long to wait before the next try. All waiting for servers goes through here."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    """Tries and the pauses between them: ``first_s``, then ``factor`` times as long, at most ``most_s`` seconds.

    Pauses are shortened by up to half at random, so that clients that failed together do not come back together.
    """

    tries: int = 7
    first_s: float = 0.25
    factor: float = 2.0
    most_s: float = 15.0

    def pauses(self) -> Iterator[float]:
        """Yield the pause after each failed try but the last."""
        for i in range(self.tries - 1):
            yield min(self.most_s, self.first_s * self.factor**i) * random.uniform(0.5, 1.0)


@dataclass(slots=True)
class Polling:
    """The pause before the next look at a job: longer while nothing changes, shorter when something did.

    As it is, a pause is about a twentieth of the time waited so far: so much later than the server knows it is told.
    """

    first_s: float = 0.1
    most_s: float = 10.0
    factor: float = 1.05
    _pause_s: float = 0.0

    def next(self, *, changed: bool) -> float:
        """Return the seconds to wait."""
        pause = self._pause_s / 2 if changed else self._pause_s * self.factor
        self._pause_s = min(self.most_s, max(self.first_s, pause))
        return self._pause_s
