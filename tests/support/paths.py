"""Where the project, its documents and the data of its tests are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
DOCS = ROOT / "docs"
SUPPORT = ROOT / "tests" / "support"
DATA = ROOT / "tests" / "data"
SAMPLE = DATA / "embeddings.parquet"
QUESTIONS = DATA / "questions.parquet"
