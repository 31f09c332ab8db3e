"""The formats that tests run over, by their names on the command line: a new row of `FORMATS` is in all of them."""

from __future__ import annotations

from vecmill import output_formats

FORMATS = tuple(one.word for one in output_formats.FORMATS.values())
NULL_FORMATS = tuple(one.word for one in output_formats.FORMATS.values() if one.rules.carries_null)
# Suffix of the one file of a segment; a set has a folder.
SUFFIXES = {one.word: one.endings[0] for one in output_formats.FORMATS.values() if not one.is_set}
