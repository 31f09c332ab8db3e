"""The wait for a collection to be loaded: with an end, and with words about where it stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from vecmill.errors import ImportJobError
from vecmill.importer import collection as rest_collection
from vecmill.importer.client import ImportClient
from vecmill.importer.retry import Polling

# Without any word of a user: a server that loads tells of some progress in that time, however much it loads.
STALL_S = 600.0
_DONE = "LoadStateLoaded"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait: ``timeout_s`` in all, None for ever; ``stall_timeout_s`` without any change."""

    timeout_s: float | None = None
    stall_timeout_s: float = STALL_S


def load(
    client: ImportClient,
    name: str,
    db_name: str,
    patience: Patience,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Load a collection, with all that was imported into it until now, and wait until it can be searched.

    Raises ImportJobError if the server refuses, or if it takes too long: the rows are in all the same.
    """

    def look() -> tuple[str, int]:
        data = client.ask(rest_collection.load_state_request(name, db_name))
        return str(data.get("loadState") or "unknown"), int(data.get("loadProgress") or 0)

    is_loaded = look()[0] == _DONE
    client.ask(rest_collection.load_request(name, db_name, refresh=is_loaded))
    polling = Polling(most_s=2.0)
    began = changed = now()
    last: tuple[str, int] | None = None
    while (seen := look())[0] != _DONE:
        at = now()
        if seen != last:
            last, changed = seen, at
        told = f"{seen[0]} at {seen[1]} %; its rows are imported, and the server may go on loading them"
        if at - changed >= patience.stall_timeout_s:
            still = f"nothing has changed for {at - changed:.0f} s"
            raise ImportJobError(f"collection {name!r} is not loaded, {still}: {told}")
        left_s = float("inf") if patience.timeout_s is None else patience.timeout_s - (at - began)
        if left_s <= 0:
            raise ImportJobError(f"collection {name!r} is not loaded after {at - began:.0f} s: {told}")
        sleep(min(polling.next(changed=changed == at), left_s))
