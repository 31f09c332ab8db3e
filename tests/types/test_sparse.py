"""Sparse vectors: every form that they come in, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from other_readers import columns, refusal, schema_of, write
from vecmill import DataType
from vecmill.types.sparse import encode_sparse

D = DataType
FORMS: list[Any] = [
    {7: 0.5, 3: 1.25},
    {"7": 0.5, "3": 1.25},
    {"indices": [7, 3], "values": [0.5, 1.25]},
    {"values": np.array([1.25, 0.5]), "indices": np.array([3, 7])},
    [(7, 0.5), (3, 1.25)],
    [[3, 1.25], [7, 0.5]],
    ((7, 0.5), (3, 1.25)),
    np.array([[3, 1.25], [7, 0.5]], dtype=object),
    sp.csr_array(([0.5, 1.25], ([0, 0], [7, 3])), shape=(1, 9)),
    sp.coo_matrix(([0.5, 1.25], ([0, 0], [7, 3])), shape=(1, 9)),
    sp.coo_array(([0.5, 1.25], ([7, 3],)), shape=(9,)),
    {np.int64(7): np.float32(0.5), np.uint32(3): 1.25},
    '{"7":0.5,"3":1.25}',
    "[[7,0.5],[3,1.25]]",
    [{"index": 7, "value": 0.5}, {"value": 1.25, "index": 3}],
    '[{"index":7,"value":0.5},{"index":3,"value":1.25}]',
    '{"indices":[7,3],"values":[0.5,1.25]}',
]
BAD: list[tuple[Any, str]] = [
    ({-1: 0.5}, "index -1"),
    ({2**32 - 1: 0.5}, "index 4294967295"),
    ({2**70: 0.5}, "outside 0 to"),
    ({"99999999999999999999999999": 0.5}, "outside 0 to"),
    ({1: -0.5}, "value -0.5"),
    ({1: float("nan")}, "value nan"),
    ({1: float("inf")}, "value inf"),
    ({1: 1e39}, "value 1e[+]39"),
    ({"indices": [3, 3], "values": [1, 2]}, "index 3 twice"),
    ({1: 0.5, "1": 0.25}, "index 1 twice"),
    ({"indices": [3, 4], "values": [1]}, "2 indices for 1 values"),
    ({"01": 0.5}, "no decimal number"),
    ({"0x1f": 0.5}, "no decimal number"),
    ({"indices": [3]}, "no decimal number"),
    ({True: 0.5}, "index of type bool"),
    ({1.5: 0.5}, "index of type float"),
    ({1: "x"}, "value of type str"),
    ({1: None}, "value of type NoneType"),
    ([(1, 2, 3)], "no pair"),
    ([1, 2], "no pair"),
    (5, "a int"),
    ("[1]", "no pair"),
    ("5", "a int"),
    ('{"1":0.5,"1":0.25}', "twice"),
    ({"index": 3, "value": 0.5}, "no decimal number"),
    ([{"index": 3, "weight": 0.5}], "no pair"),
    ("{", "Expecting"),
    (sp.csr_array(np.eye(2)), "2 rows"),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: type(form).__name__)
def test_every_form_is_one_vector_sorted_by_index(form: Any) -> None:
    assert encode_sparse(form) == '{"3":1.25,"7":0.5}'


@pytest.mark.parametrize(("value", "words"), BAD)
def test_what_the_server_refuses_or_wraps_is_refused(value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        encode_sparse(value)


def test_an_empty_vector_is_an_empty_object() -> None:
    assert encode_sparse({}) == encode_sparse([]) == "{}"


_values = st.floats(min_value=0, max_value=3.4028234663852886e38, width=32)
_vectors = st.dictionaries(st.integers(0, 2**32 - 2), _values, max_size=40)


@given(_vectors)
def test_values_read_back_as_the_same_float32(vector: dict[int, float]) -> None:
    text = encode_sparse(vector)
    back = json.loads(text)
    assert list(back) == [str(index) for index in sorted(vector)]
    assert [np.float32(back[str(i)]).tobytes() for i in vector] == [np.float32(v).tobytes() for v in vector.values()]


def test_rows_and_a_matrix_give_the_same_column(tmp_path: Any) -> None:
    rng = np.random.default_rng(5)
    matrix = sp.random_array((500, 10_000), density=0.003, format="csr", dtype=np.float32, rng=rng)
    schema = schema_of(("s", D.SPARSE_FLOAT_VECTOR, {}))
    rows = [
        {"id": i, "s": dict(zip(matrix[[i]].indices.tolist(), matrix[[i]].data.tolist(), strict=True))}
        for i in range(500)
    ]
    by_rows = write(tmp_path / "a", schema, lambda w: w.append_rows(rows))
    by_batch = write(tmp_path / "b", schema, lambda w: w.append_batch({"id": np.arange(500), "s": matrix}))
    assert columns(by_rows)["s"] == columns(by_batch)["s"]


def test_a_bad_row_is_named(tmp_path: Any) -> None:
    schema = schema_of(("s", D.SPARSE_FLOAT_VECTOR, {}))
    rows = [{"id": 0, "s": {1: 0.5}}, {"id": 1, "s": {1: -0.5}}]
    batch = {name: [row[name] for row in rows] for name in ("id", "s")}
    error = refusal(tmp_path, schema, lambda w: w.append_batch(batch))
    assert (error.field, error.row) == ("s", 1)
    assert "-0.5 at index 1" in error.got
