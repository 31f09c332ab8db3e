"""The numbers that keep the house small: modules, layers, classes, functions; and the tables of docs/design.md.

How many parameters a function has is asked by ruff (PLR0913, ``max-args`` in pyproject.toml).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from print_modules import PACKAGE, PAGE, layers, printed

MAX_ROOT_MODULES = 6
MAX_LAYERS = 9
MAX_LINES = 400
MAX_METHODS = 15
MAX_COMPLEXITY = 20
MAX_FILES_OF_A_TYPE = 6

LARGE_CLASSES = {
    # Whatever can be asked of a folder is asked here, so that no caller tells disks from buckets.
    "store/place.py: Place",
    "store/local_place.py: LocalPlace",
    "store/bucket_place.py: BucketPlace",
    # Every request that is sent for an object, with its attempts.
    "store/objects.py: Objects",
}
"""Classes with more methods, and why."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text())


def within(function: ast.AST) -> Iterator[ast.AST]:
    """Yield what is in a function, but for functions that are defined in it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from within(node)


def complexity(function: ast.AST) -> int:
    """Return the cyclomatic complexity as radon counts it: decisions, comprehensions and operands of and, or count."""
    n = 1
    for node in within(function):
        if isinstance(node, ast.If | ast.IfExp | ast.ExceptHandler | ast.Assert | ast.Lambda | ast.match_case):
            n += 1
        elif isinstance(node, ast.For | ast.AsyncFor | ast.While):
            n += 1 + bool(node.orelse)
        elif isinstance(node, ast.Try):
            n += bool(node.orelse)
        elif isinstance(node, ast.comprehension):
            n += 1 + len(node.ifs)
        elif isinstance(node, ast.BoolOp):
            n += len(node.values) - 1
    return n


def test_modules_at_the_root():
    assert len(list(PACKAGE.glob("*.py"))) <= MAX_ROOT_MODULES


def test_layers():
    assert len(layers()) <= MAX_LAYERS


def test_files_are_short():
    assert [path.name for path in PACKAGE.rglob("*.py") if len(path.read_text().splitlines()) > MAX_LINES] == []


def test_a_type_is_known_in_few_files():
    assert (
        len([path for path in PACKAGE.rglob("*.py") if "int8_vector" in path.read_text().lower()])
        <= MAX_FILES_OF_A_TYPE
    )


def test_classes_have_few_methods():
    # Those with names of the language (__eq__, __enter__) do not count.
    large = set()
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                methods = [one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
                if len([one for one in methods if not one.name.startswith("__")]) > MAX_METHODS:
                    large.add(f"{name}: {node.name}")
    assert large == LARGE_CLASSES


def test_functions_are_not_complex():
    found = {
        f"{name}: {node.name}": complexity(node)
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {one: n for one, n in found.items() if n > MAX_COMPLEXITY} == {}


def test_complexity_counts_decisions():
    text = """
def f(a, b):
    if a and b or a:                         # 1 + 2 operators
        return [x for x in a if x]           # 2
    for x in a:                              # 1, its else 1
        assert x                             # 1
    else:
        def g(): return 1 if a else 2        # of its own
    try:
        pass
    except ValueError:                       # 1
        return a if b else lambda: b         # 2
"""
    assert complexity(ast.parse(text).body[0]) == 1 + 3 + 2 + 2 + 1 + 1 + 2


def test_tables_of_the_design_page_are_those_of_the_code():
    page = PAGE.read_text()
    assert printed(page) == page
