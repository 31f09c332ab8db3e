"""``python -m vecmill`` is the command ``vecmill``."""

from vecmill.cli import app

app(prog_name="vecmill")
