"""Options of a conversion: declared once, and the same ones at every door."""

from __future__ import annotations

import inspect
import json
import pickle
from dataclasses import fields
from typing import Any

import pytest

from vecmill import BulkFileType, SchemaError, convert
from vecmill.convert.options import ConvertKeywords, ConvertOptions
from vecmill.writer.options import WriterOptions

OWN = {one.name for one in fields(ConvertOptions)} - {"writer"}
OF_WRITER = {one.name for one in fields(WriterOptions)}


def test_keywords_and_options_are_the_same() -> None:
    assert set(ConvertKeywords.__annotations__) == OWN | OF_WRITER


def test_help_tells_every_option_with_its_default() -> None:
    parameters = inspect.signature(convert).parameters
    assert set(parameters) == {"src", "dst", "progress"} | OWN | OF_WRITER
    assert (parameters["keep"].default, parameters["cores"].default, parameters["scale"].default) == ("error", None, {})
    assert parameters["file_type"].annotation == "BulkFileType | str | int"
    assert convert.__doc__
    told = [line.strip().partition(":")[0] for line in convert.__doc__.splitlines() if line.startswith("    ")]
    named = [name for line in told for name in line.split(", ")]
    assert sorted(OWN | OF_WRITER) == sorted(name for name in named if name in OWN | OF_WRITER)


def test_what_callers_give_becomes_one_value() -> None:
    options = ConvertOptions.of(file_type="npy", config=None, cores=2, normalize=["v"], scale=None, resume=True)
    writer = WriterOptions(file_type=BulkFileType.NUMPY, cores=2)
    assert options == ConvertOptions(writer=writer, normalize=("v",), resume=True)
    assert pickle.loads(pickle.dumps(options)) == options


def test_the_conversion_sees_to_resume_and_validate_itself() -> None:
    options = ConvertOptions.of(resume=True, validate="full")
    assert (options.writer.resume, options.writer.validate) == (False, None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cast": "wild"}, "cast is 'safe' or 'unsafe', not 'wild'"),
        ({"keep": "both"}, "keep is 'first', 'last' or 'error', not 'both'"),
        ({"on_error": "go"}, "on_error is 'stop' or 'skip', not 'go'"),
        ({"target": "1.0"}, "target '1.0' is not one of 2.3, "),
        ({"validate": "some"}, "validate is one of headers, sample, full, not 'some'"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"segment_size": 0}, "must be positive, got 0"),
        ({"file_type": "xml"}, "xml"),
    ],
)
def test_values_that_an_option_does_not_take(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        convert("nowhere", "out", **given)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="segment_sise"):
        convert("nowhere", "out", segment_sise=1)  # type: ignore[call-arg]


def test_the_question_has_what_decides_the_rows_and_nothing_else() -> None:
    usual = json.loads(json.dumps(ConvertOptions().question()))
    changes: dict[str, Any] = {
        "id_from": "row", "skip": 1, "limit": 2, "cast": "unsafe", "normalize": ("v",), "scale": {"v": 2.0},
        "check_duplicates": True, "keep": "last", "text": "text", "rows_from": "keys",
        "file_type": "npy", "target": "2.5",
    }  # fmt: skip
    assert usual.keys() == changes.keys()
    for name, value in changes.items():
        other = json.loads(json.dumps(ConvertOptions.of(**{name: value}).question()))
        assert [key for key in usual if usual[key] != other[key]] == [name]
    free: dict[str, Any] = {"on_error": "skip", "workers": 2, "segment_size": 7, "resume": True, "cores": 1}
    assert json.loads(json.dumps(ConvertOptions.of(**free).question())) == usual
