"""Well-known text of a GEOMETRY, checked: the server refuses a file with malformed text, hours later.

Grammar: OGC Simple Features (06-103r4), section 7, as GEOS and PostGIS read it: keywords in any case, an optional Z, M
or ZM, EMPTY anywhere, points of a MULTIPOINT with or without parentheses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

_TOKEN = re.compile(r"\s*(?:([A-Za-z]+)|([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))|([(),]))", re.ASCII)
_BLANKS = " \t\n\r\f\v"
# The most common form, accepted without parsing.
_PLAIN_POINT = re.compile(r"POINT ?\(-?[0-9]{1,15}(?:\.[0-9]{1,20})? -?[0-9]{1,15}(?:\.[0-9]{1,20})?\)")
_DIMENSIONS = {"Z": 3, "M": 3, "ZM": 4}
_MAX_DEPTH = 32


class _Reader:
    """Tokens of one text, in turn; each method reads one element of the grammar or raises ValueError."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._dims = 0  # numbers of a point, 0 before the first

    def _next(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise self.error("a word, a number or one of ( ) ,")
        self._at = found.end()
        return found.group().strip()

    def _peek(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        return found.group().strip() if found else ""

    def error(self, expected: str) -> ValueError:
        rest = self._text[self._at : self._at + 20]
        return ValueError(f"WKT that at position {self._at} has {rest!r}, not {expected}")

    def _take(self, token: str) -> None:
        if self._peek() != token:
            raise self.error(repr(token))
        self._next()

    def at_end(self) -> bool:
        return not self._text[self._at :].strip(_BLANKS)

    def geometry(self, depth: int = 0) -> None:
        if depth > _MAX_DEPTH:
            raise ValueError(f"WKT nested more than {_MAX_DEPTH} deep")
        start, word = self._at, self._next().upper()
        suffix = next((one for one in ("ZM", "Z", "M") if word.endswith(one) and word[: -len(one)] in _BODIES), "")
        kind = word.removesuffix(suffix) if suffix else word
        if kind not in _BODIES and kind != "GEOMETRYCOLLECTION":
            self._at = start
            raise self.error("the name of a geometry")
        if not suffix and self._peek().upper() in _DIMENSIONS:
            suffix = self._next().upper()
        if suffix:
            if self._dims not in (0, _DIMENSIONS[suffix]):
                raise self.error("coordinates of one dimension throughout")
            self._dims = _DIMENSIONS[suffix]
        if kind == "GEOMETRYCOLLECTION":
            self._group(lambda: self.geometry(depth + 1))
        else:
            _BODIES[kind](self)

    def _group(self, part: Callable[[], object]) -> int:
        """Read EMPTY or parts in parentheses; return the number of parts."""
        if self._peek().upper() == "EMPTY":
            self._next()
            return 0
        self._take("(")
        n = 1
        part()
        while self._peek() == ",":
            self._next()
            part()
            n += 1
        self._take(")")
        return n

    def _position(self) -> tuple[float, ...]:
        numbers = []
        while (token := self._peek()) and token not in "(),":
            try:
                value = float(token)
            except ValueError:
                raise self.error("a number") from None
            if not math.isfinite(value):
                raise self.error("a finite number")
            numbers.append(value)
            self._next()
        if not 2 <= len(numbers) <= 4 or self._dims not in (0, len(numbers)):
            raise self.error(f"{self._dims or 'two to four'} numbers of a point")
        self._dims = len(numbers)
        return tuple(numbers)

    def point(self) -> None:
        if self._group(self._position) > 1:
            raise self.error("one point")

    def line(self) -> list[tuple[float, ...]]:
        points: list[tuple[float, ...]] = []
        self._group(lambda: points.append(self._position()))
        if len(points) == 1:
            raise self.error("a line of two points or more")
        return points

    def ring(self) -> None:
        points = self.line()
        if points and (len(points) < 4 or points[0] != points[-1]):
            raise self.error("a closed ring of four points or more")

    def polygon(self) -> None:
        self._group(self.ring)

    def points(self) -> None:
        self._group(lambda: self.point() if self._peek().upper() in ("(", "EMPTY") else self._position())

    def lines(self) -> None:
        self._group(self.line)

    def polygons(self) -> None:
        self._group(self.polygon)


_BODIES: dict[str, Callable[[_Reader], object]] = {
    "POINT": _Reader.point,
    "LINESTRING": _Reader.line,
    "POLYGON": _Reader.polygon,
    "MULTIPOINT": _Reader.points,
    "MULTILINESTRING": _Reader.lines,
    "MULTIPOLYGON": _Reader.polygons,
}


def encode_wkt(value: object) -> str:
    """Return the WKT of a str, as it is, or of an object with ``wkt`` (shapely).

    Raises ValueError, with the position, for text that is not well-formed.
    """
    text = value if isinstance(value, str) else getattr(value, "wkt", None)
    if not isinstance(text, str):
        raise ValueError(f"a {type(value).__name__}")
    if _PLAIN_POINT.fullmatch(text):
        return text
    reader = _Reader(text)
    reader.geometry()
    if not reader.at_end():
        raise reader.error("the end")
    return text
