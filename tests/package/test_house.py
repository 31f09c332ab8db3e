"""The numbers that keep the house small: modules at the root, layers."""

from __future__ import annotations

from print_modules import PACKAGE, layers

MAX_ROOT_MODULES = 6
MAX_LAYERS = 9


def test_modules_at_the_root():
    assert len(list(PACKAGE.glob("*.py"))) <= MAX_ROOT_MODULES


def test_layers():
    assert len(layers()) <= MAX_LAYERS
