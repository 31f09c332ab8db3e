"""Print vecmill/importer/client.py from vecmill/importer/aclient.py (``make tables``): the same without asyncio."""

from __future__ import annotations

import re

from paths import SRC

SOURCE = SRC / "vecmill" / "importer" / "aclient.py"
PRINTED = SRC / "vecmill" / "importer" / "client.py"

_NOTE = "# Printed from aclient.py by `make tables`: do not change it here.\n\n"
_WORDS = {
    r"\basync (def|with)\b": r"\1",
    r"\bawait ": "",
    r"\b__a(enter|exit)__\b": r"__\1__",
    r"\baclose\b": "close",
    r"\bimport asyncio\b": "import time",
    r"\basyncio\.sleep\b": "time.sleep",
    r" in asyncio\b": "",
    r"\bAsync(?=[A-Z])": "",
}


def printed(source: str) -> str:
    """Return the text of client.py for that of aclient.py."""
    for pattern, word in _WORDS.items():
        source = re.sub(pattern, word, source)
    head, mark, rest = source.partition("from __future__")
    return f"{head}{_NOTE}{mark}{rest}"


if __name__ == "__main__":
    PRINTED.write_text(printed(SOURCE.read_text()))
