"""The code of docs/scale.md does what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from failing_calls import SRC, check_folder, columns_of, small_schema
from paths import DOCS
from vecmill import validate

DOC = DOCS / "scale.md"
N_FILES, N_ROWS = 3, 400
# Spark is 400 MB and needs Java: tried where it is installed.
ENGINES = ["A pool of processes", "Dask", *(["Spark"] if find_spec("pyspark") else [])]


@pytest.mark.parametrize("title", ENGINES)
def test_it_runs(tmp_path: Path, title: str) -> None:
    (tmp_path / "shards").mkdir()
    for i in range(N_FILES):
        columns = columns_of(range(i * N_ROWS, (i + 1) * N_ROWS))
        pq.write_table(pa.table(columns | {"vector": list(columns["vector"])}), tmp_path / "shards" / f"{i}.parquet")
    (tmp_path / "schema.json").write_text(json.dumps(small_schema().to_dict()))
    code = re.search(rf"### {title}\n\n```python\n(.*?)```", DOC.read_text(), re.DOTALL)
    assert code is not None
    (tmp_path / "script.py").write_text(code[1])
    path = os.pathsep.join([str(SRC), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"PYTHONPATH": path, "PYSPARK_PYTHON": sys.executable}
    for _ in range(2 if title == "A pool of processes" else 1):  # it may be run again; the others commit alike
        done = subprocess.run(
            [sys.executable, "script.py"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert sorted(check_folder(tmp_path / "out")) == list(range(N_FILES * N_ROWS))
        validate(tmp_path / "out").raise_for_errors()
