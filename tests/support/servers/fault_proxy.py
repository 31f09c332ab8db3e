"""A proxy on loopback between a client and a store, which does something bad to the k-th request."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from servers.process import HOST

# What can be done to a request. "lost": the store does it, and the answer is lost. "twice": the store gets it twice, as
# from a client that did not see the first answer. "half": the client gets half of the answer. "cut": the store gets
# half of the body, then the connection ends.
ACTS = ("reset", "503", "429", "403", "stall", "lost", "twice", "half", "cut")
STALL_SECONDS = 30
# "slow", which is none of these: all goes well, after this time.
SLOW_SECONDS = 0.5


@dataclass
class Plan:
    """The fault, and the request that it happens to. ``stays``: to all requests from the k-th on."""

    act: str = ""
    k: int = 0
    stays: bool = False
    n_requests: int = 0
    seen: list[str] = field(default_factory=list)
    signed: list[str] = field(default_factory=list)  # the header Authorization of each
    released: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, request: str, signed: str) -> str:
        with self._lock:
            self.n_requests += 1
            self.seen.append(request)
            self.signed.append(signed)
            hit = self.n_requests == self.k or (self.stays and self.n_requests > self.k > 0)
            return self.act if hit else ""


class FaultProxy:
    """``plan`` may be replaced between two tests."""

    def __init__(self, port: int, plan: Plan) -> None:
        self.port = port
        self.plan = plan

    @property
    def endpoint(self) -> str:
        return f"{HOST}:{self.port}"

    def set(self, act: str = "", k: int = 0, *, stays: bool = False) -> Plan:
        self.plan.released.set()
        self.plan = Plan(act, k, stays)
        return self.plan


@contextmanager
def running_proxy(upstream_port: int) -> Iterator[FaultProxy]:
    """Run a proxy in threads of this process."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def handle_request(self) -> None:
            plan = proxy.plan
            act = plan.next(f"{self.command} {self.path}", self.headers.get("Authorization", ""))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if act == "reset":
                self._reset()
            elif act in ("503", "429", "403"):
                self._answer(int(act), b"<Error><Code>Fault</Code><Message>asked for</Message></Error>")
            elif act == "stall":
                plan.released.wait(STALL_SECONDS)
                self._reset()
            elif act == "cut":
                self._forward(body, cut=True)
                self._reset()
            elif act == "lost":
                self._forward(body)
                self._reset()
            else:
                if act == "slow":
                    time.sleep(SLOW_SECONDS)
                if act == "twice":
                    self._forward(body)
                status, headers, data = self._forward(body)
                if act == "half" and data and self.command != "HEAD":
                    self._answer(status, data, headers, sent=len(data) // 2)
                    self._reset()
                elif act == "half":
                    self._reset()
                else:
                    self._answer(status, data, headers)

        def _forward(self, body: bytes, *, cut: bool = False) -> tuple[int, list[tuple[str, str]], bytes]:
            upstream = http.client.HTTPConnection(HOST, upstream_port, timeout=60)
            try:
                upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    upstream.putheader(name, value)
                upstream.endheaders(body[: len(body) // 2] if cut else body)
                if cut:
                    return 0, [], b""
                reply = upstream.getresponse()
                return reply.status, reply.getheaders(), reply.read()
            finally:
                upstream.close()

        def _answer(
            self, status: int, data: bytes, headers: list[tuple[str, str]] | None = None, sent: int | None = None
        ) -> None:
            self.send_response_only(status)
            length = str(len(data))
            for name, value in headers or []:
                if name.lower() == "content-length" and self.command == "HEAD":
                    length = value
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data[:sent])

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.rfile.close()
            self.connection.close()

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_request

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that has gone is what this is about

    with Server((HOST, 0), Handler) as server:
        proxy = FaultProxy(server.server_address[1], Plan())
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.plan.released.set()
            server.shutdown()
