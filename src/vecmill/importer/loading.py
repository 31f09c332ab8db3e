"""The wait for a collection to be loaded, over REST or over gRPC: with an end, and with words about where it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from vecmill.errors import ImportJobError
from vecmill.importer import collection
from vecmill.importer.client import ImportClient
from vecmill.importer.waiting import Patience, Watch

STALL_S = 600.0
"""Seconds without a change after which a load is given up, if nothing is said: a server that loads makes progress."""

_MOST_PAUSE_S = 2.0


class LoadState(NamedTuple):
    """How far a load is: the server's word for it, per cent, and whether it is over."""

    name: str
    percent: int
    is_loaded: bool


class Loads(Protocol):
    """Loads one collection of one server. Both methods raise ImportJobError."""

    def start(self) -> None:
        """Begin to load. A collection that is loaded takes in what was imported since."""

    def look(self) -> LoadState:
        """Return how far the load is."""


class RestLoads:
    """Loads over REST v2."""

    def __init__(self, client: ImportClient, name: str) -> None:
        self._client = client
        self._name = name

    def start(self) -> None:
        """Begin to load."""
        self._client.ask(collection.load_request(self._client.server, self._name, refresh=self.look().is_loaded))

    def look(self) -> LoadState:
        """Return how far the load is."""
        data = self._client.ask(collection.load_state_request(self._client.server, self._name))
        state = str(data.get("loadState") or "unknown")
        return LoadState(state, int(data.get("loadProgress") or 0), state == "LoadStateLoaded")


class GrpcLoads:
    """Loads over gRPC; ``client`` is a MilvusClient."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name
        self._is_refresh = False

    def start(self) -> None:
        """Begin to load."""
        self._is_refresh = self._client.get_load_state(self._name)["state"].name == "Loaded"
        load = self._client.refresh_load if self._is_refresh else self._client.load_collection
        load(self._name, _async=True)

    def look(self) -> LoadState:
        """Return how far the load is. The state of Milvus 2.3 does not tell of a refresh, its progress does."""
        handler = self._client._get_connection()
        percent = int(handler.get_loading_progress(self._name, is_refresh=self._is_refresh))
        return LoadState("LoadStateLoaded" if percent >= 100 else "LoadStateLoading", percent, percent >= 100)


def load(loads: Loads, name: str, patience: Patience, began_s: float | None = None) -> None:
    """Load a collection, with all that was imported into it until now, and wait until it can be searched.

    ``began_s`` is when the time of ``patience`` began. None: now.

    Raises ImportJobError if the server refuses, or if it takes too long: the rows are in all the same.
    """
    stall_s = STALL_S if patience.stall_timeout_s is None else patience.stall_timeout_s
    polling = replace(patience.polling, most_s=min(patience.polling.most_s, _MOST_PAUSE_S))
    patience = replace(patience, stall_timeout_s=stall_s, polling=polling)
    loads.start()
    watch = Watch(patience, "loaded", began_s)
    while not (seen := loads.look()).is_loaded:
        watch.saw(seen)
        try:
            patience.sleep(watch.pause())
        except TimeoutError as late:
            told = f"{seen.name} at {seen.percent} %; its rows are imported, and the server may go on loading them"
            raise ImportJobError(f"collection {name!r} is {late}: {told}") from None
