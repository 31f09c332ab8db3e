"""What a conversion wrote, row by row; and tables to convert."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from vecmill import DataType, create_schema
from vecmill.convert.opening import open_inputs

DIM = 4


def schema(*fields, dynamic=False, **pk):
    made = create_schema(enable_dynamic_field=dynamic)
    made.add_field("id", pk.pop("dtype", DataType.INT64), is_primary=True, **pk)
    made.add_field("v", DataType.FLOAT_VECTOR, dim=DIM)
    for name, dtype, options in fields:
        made.add_field(name, dtype, **options)
    return made


def vectors(n, type_=None):
    return pa.array([[float(i)] * DIM for i in range(n)], type_ or pa.list_(pa.float32(), DIM))


def rows(report) -> list[dict]:
    """Return what was written, as dicts."""
    found = []
    for batch in open_inputs(report.data_path).batches():
        columns = {n: c.tolist() if isinstance(c, np.ndarray) else c.to_pylist() for n, c in batch.items()}
        found += [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return found
