"""Every kernel names its Python twin; every twin that is named exists; all headers can be included together."""

from __future__ import annotations

import importlib
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "native"
SOURCES = sorted(path for path in NATIVE.iterdir() if path.suffix in (".h", ".pyx", ".pxd"))
TWIN = re.compile(r"Python twin: (\S+)\.py \(([\w, ]+)\)")
ROOTS = ("tests/support/", "src/")


def module_of(path: str) -> str:
    for root in ROOTS:
        if path.startswith(root):
            return path.removeprefix(root).replace("/", ".")
    raise AssertionError(f"{path} is in none of {', '.join(ROOTS)}")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_twins_exist(source):
    text = source.read_text()
    for path, names in TWIN.findall(text):
        module = importlib.import_module(module_of(path))
        for name in names.split(", "):
            assert hasattr(module, name), f"{source.name}: {path}.py has no {name}"
    assert not re.search(r"[Oo]racles?\b(?!/)|twins:", text), (
        f"{source.name}: 'Python twin: PATH (NAME)' is the one form"
    )


@pytest.mark.parametrize("source", sorted(NATIVE.glob("*.pyx")), ids=lambda path: path.name)
def test_every_kernel_names_its_twin(source):
    """A kernel is a public function or class of a module; its docstring names the twin."""
    parts = re.split(r"(?m)^(?=def |cpdef |cdef class |cdef |[A-Za-z_@])", source.read_text())
    for part in parts:
        found = re.match(r"(?:def|cpdef [\w ]+?|cdef class) ([A-Za-z]\w*)[(:]", part)
        if found is not None:
            assert TWIN.search(part), f"{source.name}: {found[1]} names no twin"


def test_all_headers_can_be_included_together():
    text = "".join(f'#include "{path}"\n' for path in sorted(NATIVE.glob("*.h")))
    include = sysconfig.get_paths()["include"]
    command = ["gcc", "-fsyntax-only", "-Wall", "-Wno-unused-function", f"-I{include}", f"-I{NATIVE}", "-x", "c", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
