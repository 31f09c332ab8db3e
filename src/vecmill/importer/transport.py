"""Requests over HTTP: what httpx is told, its TLS settings, and its failures in one line."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from vecmill.importer.options import Server, base_url
from vecmill.importer.reply import Answer
from vecmill.importer.request import Request, server_headers

if TYPE_CHECKING:
    import httpx


def client_arguments(server: Server) -> dict[str, Any]:
    """Return the arguments of an httpx client for a server."""
    return {"verify": _tls(server), "timeout": server.timeout_s}


def _tls(server: Server) -> ssl.SSLContext | bool:
    """Return what httpx takes for pymilvus' ``verify`` (which may also be a folder of certificates) and ``cert``."""
    from pathlib import Path

    verify, cert = server.verify, server.cert
    if verify in (True, False) and cert is None:
        return bool(verify)
    if isinstance(verify, str):
        is_folder = Path(verify).is_dir()
        context = ssl.create_default_context(cafile=None if is_folder else verify, capath=verify if is_folder else None)
    else:
        import certifi

        context = ssl.create_default_context(cafile=certifi.where())
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    if cert is not None:
        context.load_cert_chain(*((cert,) if isinstance(cert, str) else cert))
    return context


def request_arguments(request: Request, server: Server) -> dict[str, Any]:
    """Return the arguments of httpx' ``request``."""
    return {
        "method": request.method,
        "url": base_url(server.url) + request.path,
        "json": dict(request.body) if request.method == "POST" else None,
        "params": dict(request.query) or None,
        "headers": {**server_headers(server), **request.headers},
    }


def answer_of(response: httpx.Response) -> Answer:
    """Return a response as an `Answer`."""
    return Answer(status=response.status_code, content=response.content)


def failed(error: httpx.HTTPError | httpx.InvalidURL, server: Server) -> Answer:
    """Return a failed exchange; ``sent`` is False only if surely nothing reached the server."""
    import httpx

    not_sent = isinstance(
        error,
        httpx.ConnectError
        | httpx.ConnectTimeout
        | httpx.PoolTimeout
        | httpx.UnsupportedProtocol
        | httpx.ProxyError
        | httpx.InvalidURL,
    )
    words = "the answer timed out" if isinstance(error, httpx.ReadTimeout) else str(error) or type(error).__name__
    if not_sent:
        words = f"no connection to {server.address}: {words}"
    elif not isinstance(error, httpx.ReadTimeout):
        words = f"the answer was lost: {words}"
    return Answer(failure=" ".join(words.split()), sent=not not_sent)
