"""The header of an NPY file as the server reads it, which is not as NumPy does.

The server's reader (sbinet/npyio) looks for the keys as text, and takes what stands at fixed places around them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vecmill.store.blob import Blob
from vecmill.validate.findings import Unreadable

MAX_HEADER_BYTES = 65_536
_MAGIC = b"\x93NUMPY"
_KEYS = (b"'descr': ", b"'fortran_order': ", b"'shape': ")
_INT64_MAX = 2**63 - 1
# What is meant, whatever stands around it. Not by Python's own parser, which what is hostile can bring down.
_MEANT = {
    "descr": re.compile(rb"['\"]descr['\"]\s*:\s*['\"]([^'\"]*)['\"]"),
    "fortran_order": re.compile(rb"['\"]fortran_order['\"]\s*:\s*(True|False)\b"),
    "shape": re.compile(rb"['\"]shape['\"]\s*:\s*\(((?:\s*\d{1,19}\s*,)*(?:\s*\d{1,19}\s*)?)\)"),
}

# What the server knows, by NumPy's letters. Anything else it refuses: '?', '=', '<S', unsigned but u1, f2, O, M, V.
_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("b1", "<b1", "|b1", "bool"), "b1"),
    **dict.fromkeys(("u1", "<u1", "|u1", "uint8"), "u1"),
    **{f"{order}{kind}": kind for kind in ("i1", "i2", "i4", "i8", "f4", "f8") for order in ("", "<", "|", ">")},
    **{f"int{8 * n}": f"i{n}" for n in (1, 2, 4, 8)},
    "float32": "f4",
    "float64": "f8",
}
_BYTES = re.compile(r"\|?(?:[Sa](\d{1,18})|(\d{1,18})[Sa])")
_UNICODE = re.compile(r"[<>|]?(?:U(\d{1,18})|(\d{1,18})U)")


@dataclass(frozen=True, slots=True)
class Descr:
    """A type: ``kind`` as NumPy's letters ("i4"; "S" and "U" for text), the bytes of an element, the byte order."""

    kind: str
    itemsize: int
    big: bool

    @property
    def is_text(self) -> bool:
        """Whether it is text."""
        return self.kind in ("S", "U")


def parse_descr(text: str) -> Descr | None:
    """Return the type that the server knows under this name, or None."""
    big = text.startswith(">")
    if text in _NAMES:
        kind = _NAMES[text]
        return Descr(kind, int(kind[1:]), big)
    for pattern, kind, size in ((_BYTES, "S", 1), (_UNICODE, "U", 4)):
        found = pattern.fullmatch(text)
        if found is not None:
            return Descr(kind, size * int(found[1] or found[2]), big)
    return None


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """What the server takes from a header, and where the values begin."""

    descr: str
    fortran: bool
    shape: tuple[int, ...]
    data_start: int


def read_header(blob: Blob) -> NpyHeader:
    """Read the header by one or two ranges of at most 64 KiB. Raises Unreadable, StoreError."""
    head = blob.read(0, 4096)
    if head[:6] != _MAGIC:
        raise Unreadable("npy-magic", "93 4E 55 4D 50 59", head[:6].hex(" ").upper(), 0)
    major = head[6] if len(head) > 6 else 0
    if major not in (1, 2):
        raise Unreadable("npy-version", "version 1 or 2", f"version {major}", 6)
    start = 10 if major == 1 else 12
    length = int.from_bytes(head[8:start], "little")
    if len(head) < start or not 1 <= length <= MAX_HEADER_BYTES or start + length > blob.size:
        got = f"{length} bytes in a file of {blob.size}" if len(head) >= start else "a file that ends before"
        raise Unreadable("npy-header-size", f"a header of 1 to {MAX_HEADER_BYTES} bytes", got, 8)
    text = head[start : start + length]
    if len(text) < length:
        text = blob.read(start, start + length)
    end = text.rfind(b"\n")
    if end < 0:
        raise Unreadable("npy-header-newline", "a newline at the end of the header", _shown(text[-40:]), start)
    header = _as_server(text[:end], start, start + length)
    misread = _misread(text, header)
    if misread is not None:
        raise Unreadable("npy-header-misread", *misread, start)
    return header


def _as_server(text: bytes, offset: int, data_start: int) -> NpyHeader:
    def wrong(expected: str, got: bytes, at: int) -> Unreadable:
        return Unreadable("npy-header-form", expected, _shown(got), offset + at)

    places = [text.find(key) for key in _KEYS]
    brace = text.find(b"}")
    if min(places) < 0 or places != sorted(places) or brace < places[2]:
        raise wrong("'descr': ..., 'fortran_order': ..., 'shape': ..., }", text[:120], 0)
    descr, order, shape = (at + len(key) for at, key in zip(places, _KEYS, strict=True))
    if places[1] - 3 < descr + 1 or places[2] - 2 < order or brace - 2 < shape + 1:
        raise wrong("'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }", text[:120], 0)
    flag = text[order : places[2] - 2]
    if flag not in (b"True", b"False"):
        raise wrong("True or False", flag, order)
    dims = text[shape : brace - 2]
    numbers = []
    for part in [] if dims == b"()" else dims[1:-1].split(b","):
        token = part.strip()
        if not token:
            continue
        if not re.fullmatch(rb"[+-]?\d{1,19}", token) or not 0 <= int(token) <= _INT64_MAX:
            raise wrong("plain integers in the shape", dims, shape)
        numbers.append(int(token))
    # One character on either side of the type is taken for its quotes.
    name = text[descr + 1 : places[1] - 3].decode("latin-1")
    return NpyHeader(name, flag == b"True", tuple(numbers), data_start)


def _misread(text: bytes, header: NpyHeader) -> tuple[str, str] | None:
    """Return (what NumPy reads, what the server does) where they differ."""
    meant: dict[str, object] = {}
    for key, pattern in _MEANT.items():
        found = pattern.search(text)
        if found is None:
            return None  # the server is the judge
        meant[key] = found[1].decode("latin-1")
    meant["fortran_order"] = meant["fortran_order"] == "True"
    meant["shape"] = tuple(int(token) for token in re.findall(r"\d+", str(meant["shape"])))
    taken = {"descr": header.descr, "fortran_order": header.fortran, "shape": header.shape}
    for key, value in taken.items():
        if meant[key] != value:
            return f"{key} {_shown(repr(meant[key]).encode())}", f"{key} {_shown(repr(value).encode())} by the server"
    return None


def _shown(text: bytes) -> str:
    shown = repr(text)[1:]
    return shown if len(shown) <= 120 else f"{shown[:117]}..."
