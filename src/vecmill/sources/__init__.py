"""Files and tables in memory as columns: `open_source` returns a `Source`; one module per kind of file."""

from vecmill.sources.base import Column, Source
from vecmill.sources.opening import open_source
from vecmill.sources.text.options import TextOptions

__all__ = ["Column", "Source", "TextOptions", "open_source"]
