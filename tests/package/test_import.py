"""`import vecmill` is light: scripts that train models import it beside everything else."""

import json
import subprocess
import sys

HEAVY = ["pyarrow", "obstore", "httpx", "rich", "typer", "pandas", "zstandard"]

MEASURE = """
import json, sys, time
import numpy
start = time.perf_counter()
import vecmill
seconds = time.perf_counter() - start
from vecmill import LocalBulkWriter
print(json.dumps([seconds, sorted(name for name in %r if name in sys.modules)]))
"""


def test_import_is_fast_and_pulls_no_heavy_package():
    runs = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", MEASURE % (HEAVY,)], capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout))
    assert all(pulled == [] for _, pulled in runs)
    assert min(seconds for seconds, _ in runs) < 0.25


def test_a_script_that_wants_a_schema_loads_no_numpy():
    code = "import sys; from vecmill import DataType, create_schema, convert, validate; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_all_public_names_exist():
    import vecmill

    for name in vecmill.__all__:
        assert getattr(vecmill, name) is not None
    assert set(vecmill.__all__) <= set(dir(vecmill))


def test_unknown_name_is_an_attribute_error():
    import pytest

    import vecmill

    with pytest.raises(AttributeError, match="no_such_name"):
        _ = vecmill.no_such_name


def test_numpy_data_never_import_pyarrow(tmp_path):
    code = """
import sys, numpy as np
from vecmill import *
schema = create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("text", DataType.VARCHAR, max_length=9)
schema.add_field("v", DataType.FLOAT_VECTOR, dim=4)
for kind in ("npy", "parquet"):
    with LocalBulkWriter(schema, sys.argv[1], file_type=kind) as writer:
        writer.append_batch({"id": np.arange(9), "text": ["a"] * 9, "v": np.ones((9, 4), "f4")})
        writer.append_row({"id": 1, "text": "b", "v": [1, 2, 3, 4]})
    assert writer.manifest.n_rows == 10
assert "pyarrow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
