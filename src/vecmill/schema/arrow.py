"""Arrow schemas of tables: which of their columns are a caller's."""

from __future__ import annotations

import re
from typing import Any

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def column_names(schema: Any) -> list[str]:
    """Return the names of the columns of an Arrow schema, without the row labels that pandas adds to a frame."""
    hides = b"pandas" in (schema.metadata or {})
    return [name for name in schema.names if not (hides and _PANDAS_INDEX.fullmatch(name))]
