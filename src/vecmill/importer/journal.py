"""The jobs that were asked for, kept in the notes of an output, so that a run that was cut off can go on."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from vecmill.errors import StoreError
from vecmill.store.notes import IMPORTS_NAME, notes_path

FORMAT_VERSION = 1

ASKED, CREATED, COMPLETED = "asked", "created", "completed"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One job. ``state`` is asked (no answer is known), created, or completed; ``time_s`` is seconds since 1970."""

    state: str
    server: str
    collection_name: str
    rows: int
    job_id: str = ""
    time_s: float = 0.0


class Journal:
    """Entries by key, in a file that is replaced with every change. ``folder`` None: kept in memory only."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else notes_path(folder) / IMPORTS_NAME
        self._entries: dict[str, JournalEntry] = {}
        if self._path is not None and self._path.exists():
            try:
                raw = json.loads(self._path.read_text())
                if raw["vecmill_imports"] != FORMAT_VERSION:
                    raise ValueError(f"version {raw['vecmill_imports']}")
                self._entries = {key: JournalEntry(**one) for key, one in raw["imports"].items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
                reason = f"not the record of imports of this version ({err}); remove it to import anew"
                raise StoreError(" ".join(reason.split()), path=str(self._path)) from err

    def get(self, key: str) -> JournalEntry | None:
        """Return what is known of a job. None: nothing."""
        return self._entries.get(key)

    def note(self, key: str, entry: JournalEntry) -> None:
        """Replace what is known of a job. Raises StoreError."""
        self._entries[key] = JournalEntry(**{**asdict(entry), "time_s": time.time()})
        self._write()

    def drop(self, key: str) -> None:
        """Forget a job that was not created."""
        if self._entries.pop(key, None) is not None:
            self._write()

    def forget(self, server: str, collection_name: str) -> None:
        """Forget the jobs of a collection that has been created anew."""
        kept = {
            key: one
            for key, one in self._entries.items()
            if (one.server, one.collection_name) != (server, collection_name)
        }
        if len(kept) != len(self._entries):
            self._entries = kept
            self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        document = {
            "vecmill_imports": FORMAT_VERSION,
            "imports": {key: asdict(one) for key, one in self._entries.items()},
        }
        fresh = self._path.with_name(f".{IMPORTS_NAME}.tmp")
        try:
            self._path.parent.mkdir(exist_ok=True)
            fresh.write_text(json.dumps(document, indent=1, ensure_ascii=False))
            os.replace(fresh, self._path)  # noqa: PTH105 - one rename, as everywhere
        except OSError as err:
            reason = (err.strerror or str(err)).lower()
            raise StoreError(reason, path=str(self._path), errno=err.errno) from err
