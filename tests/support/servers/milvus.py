"""The real Milvus 2.3.5, from the PyPI wheel ``milvus``: one process that lives as long as a ``with`` block.

Data and log are in a temporary folder; only the unpacked binary is kept, in the user's cache folder. All ports are free
ones, those of the etcd inside too, so that other servers and other test runs on the machine do not matter.
"""

from __future__ import annotations

import importlib.util
import json
import lzma
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

VERSION = "2.3.5"
HOST = "127.0.0.1"
_ATTEMPTS = 3
ROLES = ("rootCoord", "dataCoord", "queryCoord", "dataNode", "queryNode", "indexNode", "proxy")
START_SECONDS = 60
IMPORT_SECONDS = 120
POLL_SECONDS = 0.05
LOG_TAIL = 4_000  # bytes
FAILED, COMPLETED, FAILED_AND_CLEANED = 1, 6, 7  # states of an import

# The kernel ends the server when whoever started it is gone, however that came: 1 is PR_SET_PDEATHSIG, 9 is SIGKILL.
RUN_TIED_TO_PARENT = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"


class MilvusError(Exception):
    """The server did not start, died, or refused something; with its own words."""


class Milvus:
    """A running server. ``uri`` is for pymilvus."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, port: int, http_port: int) -> None:
        self.uri = f"http://{HOST}:{port}"
        self._http = f"http://{HOST}:{http_port}"
        self._process = process
        self._log = log

    def wait_until_healthy(self) -> None:
        """Return once the server says that it is well."""
        self._wait("to be healthy", START_SECONDS, lambda: self._get("/healthz") == b"OK" or None)

    def begin_import(self, collection: str, file_groups: Iterable[Iterable[str | Path]]) -> list[int]:
        """Order one import for each group of files; return the tasks."""
        tasks = []
        for files in file_groups:
            order = {"collection_name": collection, "files": [str(Path(file).resolve()) for file in files]}
            reply = json.loads(self._get("/api/v1/import", {**order, "options": []}, method="POST"))
            if not reply.get("tasks"):
                raise MilvusError(f"import into {collection}: {reply}")
            tasks += reply["tasks"]
        return tasks

    def finish_import(self, tasks: Iterable[int]) -> int:
        """Return the rows imported once all tasks are completed, and so can be loaded whole."""
        return sum(
            self._wait(f"to import {task}", IMPORT_SECONDS, lambda task=task: self._rows(task)) for task in tasks
        )

    def _rows(self, task: int) -> int | None:
        state = json.loads(self._get("/api/v1/import/state", {"task": task}))
        if state.get("state") in (FAILED, FAILED_AND_CLEANED):
            infos = {info["key"]: info.get("value") for info in state["infos"]}
            raise MilvusError(f"refused {infos.get('files')}: {infos.get('failed_reason')}")
        return state.get("row_count", 0) if state.get("state") == COMPLETED else None

    def _get(self, path: str, body: object = None, method: str = "GET") -> bytes:
        request = urllib.request.Request(self._http + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.read()
        except urllib.error.HTTPError as error:
            return error.read()

    @property
    def has_ended(self) -> bool:
        """Whether the process is no more."""
        return self._process.poll() is not None

    def _wait(self, what: str, seconds: float, ask: Callable[[], Any]) -> Any:
        """Ask until there is an answer; what goes wrong is told with the end of the server's log."""
        stop = time.monotonic() + seconds
        last: object = "no answer"
        while time.monotonic() < stop:
            try:
                answer = ask()
                if answer is not None:
                    return answer
                last = "not yet"
            except OSError as error:
                last = error
            if self._process.poll() is not None:
                raise MilvusError(f"Milvus ended by itself with {self._process.returncode}:\n{self.log_tail()}")
            time.sleep(POLL_SECONDS)
        raise MilvusError(f"waited {seconds} s for Milvus {what} ({last}):\n{self.log_tail()}")

    def log_tail(self) -> str:
        """Return the end of the server's log."""
        return self._log.read_bytes()[-LOG_TAIL:].decode(errors="replace")


@contextmanager
def running_milvus() -> Iterator[Milvus]:
    """Start a server with nothing in it; end it and remove what it wrote when the block is left.

    On a machine that is busy, a server aborts while it starts now and then: it has three attempts.
    """
    for attempt in range(_ATTEMPTS):
        with _started() as server:
            try:
                server.wait_until_healthy()
            except MilvusError:
                if attempt == _ATTEMPTS - 1 or not server.has_ended:
                    raise
                continue
            yield server
            return


@contextmanager
def _started() -> Iterator[Milvus]:
    binaries = _unpacked()
    with tempfile.TemporaryDirectory(prefix="vecmill-milvus-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        http_port, port, *ports = _free_ports(len(ROLES) + 4)
        _write_config(folder, port, ports)
        # Of the caller's environment nothing goes in: Milvus takes variables like PROXY_PORT as configuration.
        env = {
            "HOME": name, "LD_LIBRARY_PATH": str(binaries), "MILVUSCONF": name,
            "DEPLOY_MODE": "STANDALONE", "METRICS_PORT": str(http_port),
        }  # fmt: skip
        log = folder / "milvus.log"
        command = [sys.executable, "-c", RUN_TIED_TO_PARENT, str(binaries / "milvus"), "run", "standalone"]
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out)
        try:
            yield Milvus(process, log, port, http_port)
        finally:
            process.kill()  # its data go anyway, and a polite stop takes seconds
            process.wait()
            Path("/tmp/milvus", f"server_id_{process.pid}").unlink(missing_ok=True)


def _write_config(folder: Path, port: int, ports: list[int]) -> None:
    """Write the server's settings (YAML takes JSON) where they differ from its defaults."""
    *role_ports, etcd_port, peer_port, internal_port = ports
    roles: dict[str, Any] = {}
    for role, free in zip(ROLES, [*role_ports, port], strict=True):
        roles[role] = {"ip": HOST, "port": free}
    roles["proxy"]["internalPort"] = internal_port
    # It looks for work more often than it does by itself: loading takes half the time.
    often = ("checkSegmentInterval", "checkChannelInterval", "checkIndexInterval", "distPullInterval")
    roles["queryCoord"] |= dict.fromkeys(often, 100)
    etcd_data, etcd_file = str(folder / "etcd"), folder / "etcd.json"
    config = roles | {
        "etcd": {
            "use": {"embed": True}, "endpoints": f"{HOST}:{etcd_port}",
            "data": {"dir": etcd_data}, "config": {"path": str(etcd_file)},
        },
        "mq": {"type": "rocksmq"}, "rocksmq": {"path": str(folder / "rocksmq")},
        "common": {"storageType": "local"}, "localStorage": {"path": str(folder / "data")},
        "log": {"level": "warn", "stdout": True, "file": {"rootPath": ""}},
    }  # fmt: skip
    (folder / "milvus.yaml").write_text(json.dumps(config))
    (folder / "glog.conf").write_text("--logtostderr=true\n--minloglevel=1\n")
    client, peer = f"http://{HOST}:{etcd_port}", f"http://{HOST}:{peer_port}"
    etcd = {
        "name": "default", "data-dir": etcd_data, "log-outputs": [str(folder / "etcd.log")],
        "listen-client-urls": client, "advertise-client-urls": client,
        "listen-peer-urls": peer, "initial-advertise-peer-urls": peer, "initial-cluster": f"default={peer}",
        "unsafe-no-fsync": True,
    }  # fmt: skip
    etcd_file.write_text(json.dumps(etcd))


def _unpacked() -> Path:
    """Return the folder with the server and its libraries, unpacked from the wheel the first time (7 s, 250 MB)."""
    spec = importlib.util.find_spec("milvus")
    if spec is None or spec.origin is None:
        raise MilvusError(f"the package milvus=={VERSION} is not installed: pip install --group test")
    packed = Path(spec.origin).parent / "data" / "bin"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vecmill-tests"
    unpacked = cache / f"milvus-{VERSION}"
    if unpacked.is_dir():
        return unpacked
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as name:
        (whole := Path(name, "bin")).mkdir()
        for source in packed.glob("*.lzma"):
            target = whole / source.stem
            with lzma.open(source) as compressed, target.open("wb") as out:
                shutil.copyfileobj(compressed, out)
            target.chmod(0o755)
        try:
            whole.rename(unpacked)
        except OSError:
            if not unpacked.is_dir():  # else another test run was faster
                raise
    return unpacked


def _free_ports(count: int) -> list[int]:
    """Return free ports, below those that the operating system gives to outgoing connections."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(30_000, 32_500)  # below are those of other servers
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            found += [port] * (port not in found)
    return found
