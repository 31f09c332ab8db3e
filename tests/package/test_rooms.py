"""The tests lie in rooms that have the names of the packages they test."""

from __future__ import annotations

import ast

from paths import ROOT

TESTS, PACKAGE = ROOT / "tests", ROOT / "src" / "vecmill"
BESIDE = {"native", "package", "real", "support", "data"}
"""Kernels, the package as a whole, the real server, what tests share, and files that they read."""


def packages() -> set[str]:
    return {path.parent.name for path in PACKAGE.glob("[a-z]*/__init__.py")}


def test_every_package_has_its_room_and_every_room_its_package():
    assert {path.name for path in TESTS.iterdir() if path.is_dir() and path.name[0].isalpha()} == packages() | BESIDE


def test_rooms_are_packages():
    # So that modules of several rooms may have the same name, as those that they test.
    rooms = {path.parent for path in TESTS.glob("*/test_*.py")} | {TESTS}
    assert [room.name for room in sorted(rooms) if not (room / "__init__.py").exists()] == []


def test_what_tests_share_lies_in_support():
    shared = {path.stem for path in TESTS.glob("*/test_*.py")}
    for path in TESTS.rglob("*.py"):
        imported = {node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}
        assert not imported & shared, path
