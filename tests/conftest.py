"""What several test modules share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from servers.milvus import Milvus, running_milvus


@pytest.fixture(scope="session")
def milvus() -> Iterator[Milvus]:
    """The real server, empty, the same for all tests of a run."""
    with running_milvus() as server:
        yield server
