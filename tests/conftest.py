"""What several test modules share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from examples import examples
from servers.milvus import Milvus, running_milvus
from servers.postgres import Postgres, running_postgres
from servers.s3 import S3Server, running_juicefs, running_seaweed

settings.register_profile("vecmill", examples())
settings.load_profile("vecmill")

# Their servers take seconds to start, or their fixtures do the work of all their tests at once.
_TOGETHER = {
    "test_real_milvus", "test_grpc", "test_import_command", "test_milvus", "test_pgcopy", "test_remote_clouds",
}  # fmt: skip


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let the tests of some modules run in one worker, all others anywhere (make test has four: many tests wait).

    The marks of pytest-xdist 3.8 for this do nothing with pytest 9.2: it sets the name of an item, which is not read.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByModule(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = Path(nodeid.partition("::")[0]).stem
            return module if module in _TOGETHER else nodeid

    return ByModule(config, log)


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
