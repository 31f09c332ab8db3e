"""Azurite, Microsoft's emulator of Azure Blob Storage, from npm."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from azure.storage.blob import BlobServiceClient

from servers.process import HOST, ServerError, cache_folder, free_ports, listens, running, temporary_folder

VERSION = "3.35.0"
ACCOUNT = "devstoreaccount1"  # the emulator's only one; its key is in Microsoft's documentation
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class AzureServer:
    """A running emulator."""

    port: int

    @property
    def url(self) -> str:
        """The account's URL."""
        return f"http://{HOST}:{self.port}/{ACCOUNT}"

    @property
    def conn_str(self) -> str:
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.url};"

    @property
    def client(self) -> BlobServiceClient:
        """Microsoft's own client: how the tests look at a container."""
        return BlobServiceClient.from_connection_string(self.conn_str)

    def new_container(self, name: str) -> str:
        self.client.create_container(name)
        return name

    def keys(self, container: str) -> list[str]:
        return sorted(blob.name for blob in self.client.get_container_client(container).list_blobs())

    def read(self, container: str, key: str) -> bytes:
        return self.client.get_blob_client(container, key).download_blob().readall()


def _installed() -> Path:
    """Return the program, installed from npm the first time (25 s)."""
    folder = cache_folder() / f"azurite-{VERSION}"
    program = folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    if not program.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise ServerError("npm is missing: the tests of Azure install azurite with it")
        folder.mkdir(exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), f"azurite@{VERSION}"]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    return program


@contextmanager
def running_azurite() -> Iterator[AzureServer]:
    """Start the emulator with nothing in it."""
    node = shutil.which("node")
    if node is None:
        raise ServerError("node is missing: the tests of Azure run azurite with it")
    with temporary_folder("azurite") as folder:
        (port,) = free_ports(1)
        command = [
            node, _installed(), "--disableTelemetry", "--silent", "--skipApiVersionCheck",
            "--blobHost", HOST, "--blobPort", str(port), "--location", folder / "data",
        ]  # fmt: skip
        with running(command, folder=folder, is_up=lambda: listens(port)):
            yield AzureServer(port)
