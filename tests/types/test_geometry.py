"""WKT: what a geometry may look like, and where a bad one goes wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecmill.types.geometry import _PLAIN_POINT, _Reader, encode_wkt

GOOD = [
    "POINT(1 2)",
    "point (1 2)",
    "POINT Z (1 2 3)",
    "POINTZ(1 2 3)",
    "POINT M(1 2 3)",
    "POINT ZM (1 2 3 4)",
    "POINT(1 2 3)",
    "POINT EMPTY",
    "POINT(-1.5e-3 +.5)",
    "LINESTRING(0 0, 1 1)",
    "LINESTRING EMPTY",
    "POLYGON((0 0, 0 1, 1 1, 0 0))",
    "POLYGON((0 0,0 9,9 9,0 0),(1 1,1 2,2 2,1 1))",
    "MULTIPOINT(1 2, 3 4)",
    "MULTIPOINT((1 2), (3 4), EMPTY)",
    "MULTILINESTRING((0 0,1 1),(2 2,3 3))",
    "MULTIPOLYGON(((0 0,0 1,1 1,0 0)),((5 5,5 6,6 6,5 5)))",
    "GEOMETRYCOLLECTION(POINT(1 2),GEOMETRYCOLLECTION(LINESTRING(0 0,1 1)))",
    "GEOMETRYCOLLECTION EMPTY",
    "  POINT ( 1   2 )  ",
]
BAD = [
    ("", "a word"),
    ("POINT", "'('"),
    ("POINT(1)", "numbers of a point"),
    ("POINT(1 2 3 4 5)", "numbers of a point"),
    ("POINT(1 2", "')'"),
    ("POINT(1 2))", "the end"),
    ("POINT(1 2) x", "the end"),
    ("POINT(1 2, 3 4)", "one point"),
    ("POINT(a b)", "a number"),
    ("POINT(1e999 0)", "a finite number"),
    ("POINT(nan 0)", "a finite number"),
    ("POINT Z (1 2)", "3 numbers"),
    ("LINESTRING(0 0)", "two points"),
    ("LINESTRING(0 0, 1 1 1)", "2 numbers"),
    ("POLYGON((0 0, 0 1, 1 1))", "closed ring"),
    ("POLYGON((0 0, 0 1, 1 1, 2 2))", "closed ring"),
    ("POLYGON(0 0, 0 1, 1 1, 0 0)", "'('"),
    ("CIRCLE(1 2)", "name of a geometry"),
    ("SRID=4326;POINT(1 2)", "name of a geometry"),
    ("GEOMETRYCOLLECTION(" * 40 + "POINT(1 2)" + ")" * 40, "nested"),
    ("POINT(0x10 1)", "numbers of a point"),
]


@pytest.mark.parametrize("text", GOOD)
def test_well_formed_text_is_kept_as_it_is(text: str) -> None:
    assert encode_wkt(text) == text


@pytest.mark.parametrize(("text", "words"), BAD)
def test_malformed_text_is_refused_with_a_reason(text: str, words: str) -> None:
    with pytest.raises(ValueError, match="WKT") as caught:
        encode_wkt(text)
    assert words in str(caught.value)


def test_an_object_with_wkt_is_taken() -> None:
    class Shape:
        wkt = "POINT (1 2)"

    assert encode_wkt(Shape()) == "POINT (1 2)"
    with pytest.raises(ValueError, match="a int"):
        encode_wkt(5)


_number = st.floats(allow_nan=False, allow_infinity=False).map(repr)
_pair = st.tuples(_number, _number).map(" ".join)


@given(st.lists(_pair, min_size=2, max_size=6), st.sampled_from(["LINESTRING", "MultiPoint"]))
def test_any_finite_numbers_are_taken(points: list[str], kind: str) -> None:
    text = f"{kind}({', '.join(points)})"
    assert encode_wkt(text) == text


@given(st.text(alphabet="POINT()MULZ,. 0123456789eE+-", max_size=40))
def test_any_text_is_taken_or_refused_and_nothing_else(text: str) -> None:
    try:
        assert encode_wkt(text) == text
    except ValueError as error:
        assert "WKT" in str(error)


@given(st.from_regex(_PLAIN_POINT, fullmatch=True))
def test_a_plain_point_need_not_be_taken_apart(text: str) -> None:
    assert encode_wkt(text) == text
    reader = _Reader(text)
    reader.geometry()
    assert reader.at_end()
