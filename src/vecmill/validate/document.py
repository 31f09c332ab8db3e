"""Prints docs/rules.md from the table of the rules (``python -m vecmill.validate.document``)."""

from __future__ import annotations

from vecmill.output_formats import FORMATS
from vecmill.validate.rule import Rule
from vecmill.validate.rules import RULES


def as_markdown() -> str:
    """Return docs/rules.md."""
    lines = [
        "# The rules that `vecmill validate` applies",
        "",
        "Printed from `src/vecmill/validate/{rules,format_rules}.py` by `python -m vecmill.validate.document`.",
        "",
        "- **refused**: the server refuses the file, and with it the whole import job.",
        "- **silent**: the server takes the file, and the rows in the collection differ from those in the file.",
        "- **advice**: the fields arrive as they are in the file, but it is worth a look. It does not change the exit",
        "  code.",
        "",
        "A version stands for that release line and all later ones, up to the next one named. Which type each format",
        "carries is in [formats.md](formats.md) (rule `schema-format`).",
    ]
    titles = {
        "file": "Files",
        "request": "",
        "schema": "",
        "manifest": "",
        "column": "Columns",
        "value": "Values",
    }
    for form, one in FORMATS.items():
        names = [other.rules.name for other in FORMATS.values() if other.dialect_of is form]
        titles[one.rules.name.lower()] = " and ".join([one.rules.name, *names])
    for rule in RULES.values():
        title = titles.pop(rule.id.partition("-")[0], "")
        if title:
            head = "| Rule | What must hold | When broken | Way out | Source |\n|---|---|---|---|---|"
            lines += ["", f"## {title}", "", head]
        cells = (f"`{rule.id}`", rule.holds, _when(rule), rule.way_out, rule.source)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _when(rule: Rule) -> str:
    words = []
    for form, held in rule.severities.items():
        steps = [
            f"{severity or 'fine'}{f' from {since[0]}.{since[1]} on' if since > (0, 0) else ''}"
            for since, severity in held
        ]
        others = "other formats" if len(rule.severities) > 1 else ""
        name = FORMATS[form].rules.name if form is not None else others
        words.append(f"{name}: {', '.join(steps)}" if name else ", ".join(steps))
    return "; ".join(words)


if __name__ == "__main__":
    print(as_markdown(), end="")
