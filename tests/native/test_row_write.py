"""native/row_write.pyx against its Python twins, and its numbers against what reads them."""

from __future__ import annotations

import json
import struct
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from examples import examples
from oracles import row_write as oracles
from vecmill._native.row_write import RowText
from vecmill.types.lookup import TYPES

EXAMPLES = examples(200)
F32_EDGES = [
    0.0, -0.0, 1e-45, 1.1754942e-38, 1.1754944e-38, 3.4028235e38, -3.4028235e38, 1.0, 0.1, 0.3, 9.999999e-6, 1e-5,
    6.1035156e-5, 1e-4, 123456.0, 8388608.0, 8388609.0, 16777215.0, 16777216.0, 16777218.0, 1e15, 1e16, 1e17, 9.5e9,
    0.5, 0.25, 0.99999994, 1.0000001, 33554430.0, 5e-324, 2.0**-126, 2.0**-149, 1e10, 99999990.0, 9.9999998e-5,
]  # fmt: skip
F64_EDGES = [
    0.0, -0.0, 5e-324, 2.2250738585072014e-308, 2.225073858507201e-308, 1.7976931348623157e308, 0.1, 1 / 3, 1e22, 1e23,
    9007199254740993.0, 2.0**-44, 123456789012345680.0, 1e16, 9999999999999998.0, 1e-5, 9.999999999999999e-6, 5e-5,
    *(2.0**k for k in range(-1074, 1024, 61)), *(10.0**k for k in range(-323, 309, 37)),
]  # fmt: skip


def finite(bits: np.ndarray, kind: type) -> np.ndarray:
    values = bits.view(kind)
    return values[np.isfinite(values)]


def texts_of(kind: str, values: np.ndarray) -> list[str]:
    """Write numbers, each as a row of its own, or all of them as one vector: these are two paths of the kernel."""
    is_vector = kind.endswith("_vector")
    dim = values.nbytes * 8 if kind == "binary_vector" else len(values) * is_vector
    rows = RowText(columns=[(kind, dim, b"", ())], tail=b"" if is_vector else b",", null=b"")
    shape = (1, -1) if is_vector else (len(values), -1)
    out = np.empty(rows.row_room * shape[0], np.uint8)
    row, size = rows.render_into([(values.view(np.uint8).reshape(shape), None, None)], 0, shape[0], out)
    assert row == shape[0]
    return out[:size].tobytes().decode().strip("[],").split(",")


@pytest.mark.parametrize("kind", ["float", "float_vector"])
def test_float32_reads_back_bit_by_bit_with_numpys_digits(kind):
    rng = np.random.default_rng(5)
    normal = rng.standard_normal(40_000, np.float32)
    values = np.concatenate([
        np.array(F32_EDGES, np.float32), 2.0 ** np.arange(-149, 128, dtype=np.float32), np.arange(-300, 300) / 10,
        (10.0 ** np.arange(-45, 39)).astype(np.float32), normal, normal * 0.036, np.round(normal, 3),
        rng.integers(-(2**25), 2**25, 5000), finite(rng.integers(0, 2**32, 40_000, dtype=np.uint32), np.float32),
    ]).astype(np.float32)  # fmt: skip
    texts = texts_of(kind, values)
    assert texts == [oracles.laid_out(value) for value in values]
    # As the server reads them (ParseFloat to 32 bits), and as those do that read a float64 first.
    assert np.array(texts, np.float32).tobytes() == values.tobytes()
    assert np.array([json.loads(text) for text in texts]).astype(np.float32).tobytes() == values.tobytes()


@EXAMPLES
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=40))
def test_float32_both_ways(values):
    array = np.array(values, np.float32)
    expected = [oracles.laid_out(value) for value in array]
    assert texts_of("float", array) == texts_of("float_vector", array) == expected


def test_float64_has_the_digits_of_repr():
    rng = np.random.default_rng(6)
    values = np.concatenate([
        np.array(F64_EDGES), -np.array(F64_EDGES), finite(rng.integers(0, 2**64, 30_000, dtype=np.uint64), np.float64),
        rng.standard_normal(10_000), np.arange(2000) / 100, rng.integers(-(2**62), 2**62, 2000),
    ])  # fmt: skip
    texts = texts_of("double", values)
    assert texts == [oracles.laid_out(value) for value in values]
    assert [float(text) for text in texts] == values.tolist()
    assert [repr(float(text)) for text in texts] == [repr(value) for value in values.tolist()]


def test_every_float16_reads_back_by_way_of_float32():
    values = finite(np.arange(2**16, dtype=np.uint16), np.float16)
    texts = texts_of("float16_vector", values)
    assert texts == [oracles.laid_out(value) for value in values]
    assert np.array(texts, np.float32).astype(np.float16).tobytes() == values.tobytes()
    assert np.array([float(text) for text in texts]).astype(np.float32).astype(np.float16).tobytes() == values.tobytes()


def test_every_bfloat16_survives_a_server_that_cuts_and_one_that_rounds():
    bits = np.arange(2**16, dtype=np.uint16)
    bits = bits[bits & 0x7F80 != 0x7F80]
    back = np.array(texts_of("bfloat16_vector", bits), np.float32).view(np.uint32)
    assert np.array_equal(back, bits.astype(np.uint32) << 16)  # the very float32: nothing is left to cut or to round


@pytest.mark.parametrize(
    "kind", [kind.name for kind in TYPES.values() if kind.encoding in ("bool", "integers", "bits")]
)
def test_integers(kind):
    size = oracles.size_of(kind, 8 if kind == "binary_vector" else 1)
    powers = [10**k + d for k in range(20) for d in (-1, 0, 1)] + [2**k - 1 for k in range(65)]
    raw = b"".join((n % 256**size).to_bytes(size, "little") for p in powers for n in (p, -p))
    if kind == "bool":
        raw = bytes([0, 1, 1, 0])
    assert ",".join(texts_of(kind, np.frombuffer(raw, f"V{size}"))) == oracles.number_list(kind, raw)


# -- rows

KINDS = ["bool", "int8", "int16", "int32", "int64", "float", "double"]
TEXTS = ["text", "geometry", "timestamptz"]
VECTORS = [kind.name for kind in TYPES.values() if kind.group == "dense"]
text = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    [
        "",
        '"',
        '""',
        "\\",
        "a,b",
        "a;b",
        "\n",
        "\r",
        "\0",
        "\x1f",
        "\x7f",
        "é𝄞\u2028",
        "x" * 15 + '"',
        "y" * 16,
        "\ufeff",
    ]
)
json_text = st.sampled_from(
    ['{"a":1}', ' \n{ "a" : "x\\ny" }\r\n', "[1,\n2]", '"s"', "null", "0", '{"é":"\\u0000\\""}', "{}"]
)


@st.composite
def number(draw, kind, dim=1):
    size = oracles.size_of(kind, dim)
    raw = draw(st.binary(min_size=size, max_size=size))
    if kind == "bool":
        return bytes([raw[0] & 1])
    array = bytearray(raw)
    step = {"float": 4, "float_vector": 4, "double": 8, "float16_vector": 2, "bfloat16_vector": 2}.get(kind)
    if step:  # no NaN, no infinity
        for i in range(step - 1, size, step):
            array[i] &= 0xBF
    return bytes(array)


def packed(value: str) -> bytes:
    return struct.pack("<I", len(value.encode())) + value.encode()


@st.composite
def column(draw, is_csv):
    quote = '""' if is_csv else '"'
    kind = draw(st.sampled_from([*KINDS, *VECTORS, *TEXTS, "json", "meta", "sparse", "array", "struct"]))
    lead = draw(st.sampled_from([b"", b'"name":', b","]))
    dim, items = 0, ()
    if kind in VECTORS:
        dim = draw(st.integers(1, 20)) * (8 if kind == "binary_vector" else 1)
        values = number(kind, dim)
    elif kind in TEXTS:
        values = text.map(str.encode)
    elif kind in ("json", "meta", "sparse"):
        values = json_text.map(str.encode)
    elif kind == "array":
        item = draw(st.sampled_from([*KINDS, "text"]))
        items = ((item, 0, b"", ()),)
        values = st.lists(text.map(packed) if item == "text" else number(item), max_size=12).map(b"".join)
    elif kind == "struct":
        kinds = draw(st.lists(st.sampled_from([*KINDS, *VECTORS, "text"]), min_size=1, max_size=3))
        items = tuple(
            (one, 16 if one in VECTORS else 0, f"{',' if i else '{'}{quote}m{i}{quote}:".encode(), ())
            for i, one in enumerate(kinds)
        )
        values = st.integers(0, 3).flatmap(
            lambda n: st.tuples(
                *(st.lists(text.map(packed) if k == "text" else number(k, d), min_size=n, max_size=n)
                  for k, d, _, _ in items)
            ).map(lambda parts: struct.pack("<I", n) + b"".join(b"".join(part) for part in parts))
        )  # fmt: skip
    else:
        values = number(kind)
    return (kind, dim, lead, items), values


@st.composite
def tables(draw):
    is_csv = draw(st.booleans())
    n = draw(st.integers(0, 5))
    columns, rows = [], []
    for _ in range(draw(st.integers(1, 4))):
        spec, values = draw(column(is_csv))
        columns.append(spec)
        rows.append(draw(st.lists(values | st.none() if draw(st.booleans()) else values, min_size=n, max_size=n)))
    return is_csv, columns, rows, draw(st.integers(0, 3))


def view_of(spec, values, before):
    """Return a column as RowText takes it, its bytes ``before`` into their buffer."""
    kind, dim, _, _ = spec
    validity = np.array([one is not None for one in values], np.uint8) if None in values else None
    if kind in KINDS or kind in VECTORS:
        width = oracles.size_of(kind, dim)
        raw = b"".join(one or bytes(width) for one in values)
        memory = np.frombuffer(bytes(before) + raw, np.uint8)[before:]
        return memory.reshape(len(values), width), None, validity
    offsets = np.array(list(accumulate((len(one or b"") for one in values), initial=before)), np.int32)
    return np.frombuffer(b"\xff" * before + b"".join(one or b"" for one in values), np.uint8), offsets, validity


@examples(400)
@given(tables(), st.integers(0, 3000))
def test_rows(table, room):
    is_csv, columns, values, before = table
    options = {
        "tail": b"\n" if is_csv else b"}\n",
        "null": b"\\N" if is_csv else b"null",
        "separator": b";" if is_csv else None,
    }
    rows = RowText(columns=columns, **options)
    views = [view_of(spec, one, before) for spec, one in zip(columns, values, strict=True)]
    n = len(values[0])
    expected = [oracles.row_text(columns, row, **options) for row in zip(*values, strict=True)]
    out, ends = np.full(room + 1, 0xEE, np.uint8), np.zeros(n, np.int64)
    start, found = 0, []
    while start < n:
        row, size = rows.render_into(views, start, n, out[:room], ends)
        assert out[room] == 0xEE
        found.append(out[:size].tobytes())
        assert found[-1] == b"".join(expected[start:row])
        assert ends[start:row].tolist() == list(accumulate(map(len, expected[start:row])))
        if row == start:  # no room for all that the row could take: more of it, in the end as much as promised
            most = rows.row_room + sum(8 * len(one[start] or b"") + 3 * 40 for one in values)
            assert room < most
            room = most
            out = np.full(room + 1, 0xEE, np.uint8)
        start = row
    assert b"".join(found) == b"".join(expected)
    if not is_csv and all(spec[2] == b"," for spec in columns):
        for row in expected:
            json.loads(b"[" + row[1:-2] + b"]")


def test_a_long_row_of_floats_meets_no_neighbour():
    values = np.full((1, 32_768), -1.1754942e-38, np.float32).view(np.uint8)
    rows = RowText(columns=[("float_vector", 32_768, b"", ())], tail=b"", null=b"null")
    out = np.full(rows.row_room + 1, 0xEE, np.uint8)
    assert rows.render_into([(values, None, None)], 0, 1, out[:-2]) == (0, 0)
    row, size = rows.render_into([(values, None, None)], 0, 1, out[:-1])
    assert (row, out[-1]) == (1, 0xEE)
    assert json.loads(out[:size].tobytes()) == [-1.1754942e-38] * 32_768


GOOD = (np.zeros((2, 4), np.uint8), None, None)


@pytest.mark.parametrize(
    ("columns", "views", "words"),
    [
        ([("int32", 0, b"", ())], [], "expected 1 columns, got 0"),
        ([("int32", 0, b"", ())], [(np.zeros((1, 4), np.uint8), None, None)], "fewer than 2 rows"),
        ([("int32", 0, b"", ())], [(*GOOD[:2], np.ones(1, np.uint8))], "validity"),
        ([("text", 0, b"", ())], [(GOOD[0], np.array([0, 9, 9], np.int32), None)], "offsets"),
        ([("text", 0, b"", ())], [(GOOD[0], np.array([0, 4, 2], np.int32), None)], "offsets"),
        ([("text", 0, b"", ())], [(GOOD[0], np.array([-1, 0, 2], np.int32), None)], "offsets"),
        ([("text", 0, b"", ())], [(GOOD[0], np.array([0, 1], np.int32), None)], "offsets"),
        ([("array", 0, b"", ())], None, "one kind of element"),
        ([("array", 0, b"", (("struct", 0, b"", ()),))], None, "no struct inside"),
        ([("struct", 0, b"", ())], None, "at least one member"),
        ([("array", 0, b"", (("json", 0, b"", ()),))], None, "no json inside"),
        ([("array", 0, b"", (("float_vector", 2, b"", ()),))], None, "no vector inside"),
        ([("float_vector", 0, b"", ())], None, "at least one dimension"),
        ([("struct", 0, b"", (("int8", 0, b"", ()),) * 257)], None, "more than 256"),
    ],
)
def test_what_would_read_beyond_memory_is_refused(columns, views, words):
    with pytest.raises(ValueError, match=words):
        RowText(columns=columns, tail=b"", null=b"").render_into(views, 0, 2, np.empty(1000, np.uint8))


def test_arguments():
    rows = RowText(columns=[("int32", 0, b"", ())], tail=b"", null=b"")
    out = np.empty(1000, np.uint8)
    assert rows.render_into([GOOD], 1, 1, out) == (1, 0)
    assert rows.render_into([GOOD], 0, 2, out[:0]) == (0, 0)
    for start, stop in ((-1, 1), (2, 1)):
        with pytest.raises(ValueError, match="negative"):
            rows.render_into([GOOD], start, stop, out)
    with pytest.raises(ValueError, match="ends must hold 2"):
        rows.render_into([GOOD], 0, 2, out, np.empty(1, np.int64))
    with pytest.raises(KeyError):
        RowText(columns=[("nonsense", 0, b"", ())], tail=b"", null=b"")


@EXAMPLES
@given(st.text(st.characters(codec="utf-8")))
@example("".join(map(chr, range(128))))
def test_strings_are_those_of_json(value):
    rows = RowText(columns=[("text", 0, b"", ())], tail=b"", null=b"")
    raw = np.frombuffer(value.encode(), np.uint8)
    out = np.empty(8 * len(raw) + 200, np.uint8)
    _, size = rows.render_into([(raw, np.array([0, len(raw)], np.int32), None)], 0, 1, out)
    assert out[:size].tobytes().decode() == json.dumps(value, ensure_ascii=False)
