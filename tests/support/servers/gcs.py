"""Google's XML API, whose requests are those of S3 but for few headers, before a SeaweedFS that knows no users."""

from __future__ import annotations

import hashlib
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from servers.process import HOST
from servers.s3 import S3Server, running_seaweed

_TO_S3 = {"x-goog-copy-source": "x-amz-copy-source"}
_NOT_PASSED = {"authorization", "host", "connection", "transfer-encoding", "content-length"}


@contextmanager
def running_gcs() -> Iterator[tuple[str, S3Server]]:
    """Yield the endpoint for a client of Google's, and the server behind it, to look at."""
    with running_seaweed(anonymous=True) as upstream:

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {}
                for name, value in self.headers.items():
                    lower = name.lower()
                    if lower == "x-goog-if-generation-match":
                        # A generation is the hash of an ETag here, and cannot be turned round: only "none" can be.
                        headers |= {"If-None-Match": "*"} if value.strip() == "0" else {}
                    elif lower.startswith("x-goog-meta-"):
                        headers[f"x-amz-meta-{lower.removeprefix('x-goog-meta-')}"] = value
                    elif lower not in _NOT_PASSED:
                        headers[_TO_S3.get(lower, name)] = value
                connection = http.client.HTTPConnection(HOST, upstream.port, timeout=60)
                connection.request(self.command, self.path, body=body, headers=headers)
                reply = connection.getresponse()
                data = reply.read()
                self.send_response_only(reply.status)
                length = str(len(data))
                for name, value in reply.getheaders():
                    lower = name.lower()
                    if lower == "content-length" and self.command == "HEAD":
                        length = value
                    if lower == "etag":
                        self.send_header(
                            "x-goog-generation", str(int(hashlib.md5(value.encode()).hexdigest()[:13], 16))
                        )
                    if lower not in _NOT_PASSED:
                        self.send_header(name, value)
                self.send_header("Content-Length", length)
                connection.close()
                try:
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(data)
                except (BrokenPipeError, ConnectionResetError):  # the client has hung up
                    self.close_connection = True

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward

        with ThreadingHTTPServer((HOST, 0), Handler) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            try:
                yield f"http://{HOST}:{server.server_address[1]}", upstream
            finally:
                server.shutdown()
