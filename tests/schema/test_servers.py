"""The table of servers, and the pages and texts that quote its numbers."""

from __future__ import annotations

import pytest

from paths import DOCS
from vecmill.schema.servers import GB, GIB, SERVICES, TARGETS, Limits, bytes_text, limits_of
from vecmill.validate.rules import RULES


def test_the_limits_follow_the_target_and_the_service() -> None:
    assert limits_of() == limits_of("2.4") == limits_of("3.0") == SERVICES["milvus"]
    assert limits_of("2.3") == Limits(files=1, file_bytes=16 * GIB, request_bytes=16 * GIB, jobs=1_024)
    assert limits_of("cloud") == limits_of(None, "cloud") == SERVICES["cloud"]
    assert limits_of("cloud", "cloud-free").request_bytes == GB
    assert set(TARGETS) > {"2.3", "cloud"}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("mars", ""), r"target 'mars' is not one of 2\.3, 2\.4"),
        ((None, "mars"), "service 'mars' is not one of milvus, cloud, cloud-free"),
    ],
)
def test_unknown_names(names: tuple[str | None, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        limits_of(*names)


def test_the_docs_quote_the_table() -> None:
    milvus, cloud = SERVICES["milvus"], SERVICES["cloud"]
    numbers = f"{milvus.files:,}, of {bytes_text(milvus.file_bytes)} each"
    page = (DOCS / "scale.md").read_text()
    assert f"| Milvus 2.4 to 3.0 | {numbers} | 6 | at most {milvus.jobs:,} jobs at a time |" in page
    assert f"| Milvus 2.3 | {limits_of('2.3').files} | 5,800 | at most {limits_of('2.3').jobs:,} at a time" in page
    numbers = f"{cloud.files:,}, of {bytes_text(cloud.file_bytes)} each, {bytes_text(cloud.request_bytes)} together"
    assert f"| Zilliz Cloud | {numbers} | 6 |" in page
    lines = [name for name in TARGETS if name != "cloud"]
    assert f"`--target {lines[0]}` ({', '.join([*lines[1:], 'cloud'])})" in (DOCS / "convert.md").read_text()


def test_the_rules_quote_the_table() -> None:
    assert RULES["request-files"].holds.endswith("from 1 to 1,024 import files, on Zilliz Cloud 1,000 and 1 TB")
    assert RULES["file-size"].holds.startswith("an import file has at most 16 GiB, ")
