"""What several test modules share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from servers.milvus import Milvus, running_milvus
from servers.postgres import Postgres, running_postgres
from servers.s3 import S3Server, running_juicefs, running_seaweed

# What takes seconds to start. The servers of S3 are up in one, so that every worker has its own.
_SERVERS = ("milvus", "postgres", "azure", "gcs")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers (make test has four: many tests wait) the tests of a module with one server run in one."""
    for item in items:
        for server in _SERVERS:
            if server in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(f"{item.path.stem} {server}"))
                break


@pytest.fixture(scope="module")
def milvus() -> Iterator[Milvus]:
    """The real server, empty, the same for all tests of a module: idle, it takes a seventh of a core."""
    with running_milvus() as server:
        yield server


@pytest.fixture(scope="session")
def juicefs() -> Iterator[S3Server]:
    """S3: the light and fast one."""
    with running_juicefs() as server:
        yield server


@pytest.fixture(scope="session")
def seaweed() -> Iterator[S3Server]:
    """S3: the one to ask whether something is right."""
    with running_seaweed() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL with pgvector, the same for all tests of a run."""
    with running_postgres() as server:
        yield server
