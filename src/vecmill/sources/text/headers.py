"""How text files begin: of which kind they are, and which columns their headers name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from vecmill.sources.text.options import WORDS
from vecmill.sources.text.pgcopy import SIGNATURE
from vecmill.sources.text.stream import NOTHING, Blocks, TextInput
from vecmill.sources.text.words import form_of

_LOOK_BYTES = 1 << 16


def kind_of_bytes(source: TextInput, said: str | None = None) -> str | None:
    """Return the kind of a file by its first bytes, where they may tell another one than was ``said``.

    None: they do not tell.
    """
    with Blocks(source, look=True, block_bytes=_LOOK_BYTES) as blocks:
        head = blocks.next(NOTHING)[0].tobytes()
    if head.startswith(SIGNATURE):
        return "copy-binary"
    words = form_of(head) if said in (None, *WORDS) else None
    if words is not None or said in WORDS:
        return words or said
    text = head.lstrip(b" \t\r\n")
    if text[:1] == b"[" and said != "copy":
        return "json"
    if said in ("jsonl", "copy") or text[:1] != b"{":
        return said
    line, _, behind = text.partition(b"\n")
    try:
        return "jsonl" if isinstance(json.loads(line), dict) and behind.strip() else "json"
    except ValueError:
        return "json"


def columns_of_some(headers: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, str]]:
    """Return the columns that not all files have: the first file that has it, and the first that does not."""
    files = list(headers)
    first: dict[str, str] = {}
    runs: dict[str, int] = {}  # so many files have it before the first that does not
    for i, (file, header) in enumerate(headers.items()):
        for name in header:
            first.setdefault(name, file)
            if runs.setdefault(name, 0) == i:
                runs[name] = i + 1
    return {name: (file, files[runs[name]]) for name, file in first.items() if runs[name] < len(files)}
