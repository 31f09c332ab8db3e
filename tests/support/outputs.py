"""Where the outputs of writers are in a folder, and what vecmill notes about each."""

from __future__ import annotations

from pathlib import Path

from vecmill.store.notes import is_notes, notes_name, notes_path


def notes(folder: str | Path) -> Path:
    """Return the folder of the notes about an output."""
    return notes_path(Path(folder))


def notes_key(folder: str) -> str:
    """Return the key or URL of the notes about a folder in a bucket."""
    above, slash, name = folder.rpartition("/")
    return f"{above}{slash}{notes_name(name)}"


def outputs(root: Path) -> list[Path]:
    """Return what is in a folder besides notes."""
    return sorted(path for path in root.iterdir() if not is_notes(path.name))
