"""Print the tables of docs/design.md (``make tables``): modules by their first docstring lines, layers of pyproject."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

from paths import DOCS, ROOT, SRC

PACKAGE = SRC / "vecmill"
PAGE = DOCS / "design.md"


def first_line(path: Path) -> str:
    """Return the first docstring line of a module, Python or Cython."""
    text = path.read_text()
    doc = ast.get_docstring(ast.parse(text)) if path.suffix == ".py" else text.removeprefix('"""').partition('"""')[0]
    line = (doc or "").strip().partition("\n")[0].strip()
    return re.sub(r"``([^`]*)``", r"`\1`", line).replace("|", "\\|").rstrip(".")


def module_table() -> str:
    """Return the tables of all packages, lowest layer first, with a line for every module."""
    lines = []
    for row in reversed(layers()):
        for name in row:
            path = PACKAGE / name
            if not path.is_dir():
                lines += ["", f"**`{name}`**: {first_line(path.with_suffix('.py'))}."]
            elif name != "_native":
                lines += [
                    "",
                    f"**`{name}/`**: {first_line(path / '__init__.py')}.",
                    "",
                    "| module | what |",
                    "|---|---|",
                ]
                for module in sorted(path.rglob("*.py")):
                    inside = module.relative_to(path).with_suffix("").as_posix()
                    if inside != "__init__":
                        inside = inside.removesuffix("__init__")
                        lines.append(f"| `{inside}` | {first_line(module)} |")
    return "\n".join(lines).strip()


def kernel_table() -> str:
    """Return a line for every kernel."""
    rows = [f"| `{path.stem}` | {first_line(path)} |" for path in sorted((ROOT / "native").glob("*.pyx"))]
    return "\n".join(["| kernel | what |", "|---|---|", *rows])


def layers() -> list[list[str]]:
    """Return the layers of the import contract, highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    rows = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[name.strip() for name in re.split("[|:]", row)] for row in rows]


def layer_list() -> str:
    """Return the layers as a block of text."""
    return "\n".join(["```", *(" | ".join(row) for row in layers()), "```"])


def printed(page: str) -> str:
    """Return the page with fresh tables between ``<!-- printed: NAME -->`` and ``<!-- end -->``."""
    tables = {"modules": module_table, "kernels": kernel_table, "layers": layer_list}
    return re.sub(
        r"(<!-- printed: (\w+) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}{tables[found[2]]()}\n{found[3]}",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    PAGE.write_text(printed(PAGE.read_text()))
