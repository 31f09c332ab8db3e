"""How requests travel: httpx, its TLS settings, and its failures in our words."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from vecmill.importer.reply import Answer
from vecmill.importer.request import Request, base_url, mask

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 20.0
"""Seconds that one exchange may take; pymilvus' value."""

Cert = str | tuple[str, str]


def tls(verify: bool | str, cert: Cert | None) -> ssl.SSLContext | bool:
    """Return what httpx takes for pymilvus' ``verify`` and ``cert``.

    ``verify`` is True, False, or the path of the server's certificate (or of a folder of them); ``cert`` the path of a
    client certificate with its key, or the paths of both.
    """
    from pathlib import Path

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


def http_arguments(request: Request, url: str, headers: dict[str, str]) -> dict[str, Any]:
    """Return the arguments of httpx' ``request``."""
    return {
        "method": request.method,
        "url": base_url(url) + request.path,
        "json": dict(request.body) if request.method == "POST" else None,
        "params": dict(request.query) or None,
        "headers": {**headers, **request.headers},
    }


def answer_of(response: httpx.Response) -> Answer:
    """Return a response as the pure functions take it."""
    return Answer(status=response.status_code, content=response.content)


def failed(error: httpx.HTTPError | httpx.InvalidURL, url: str) -> Answer:
    """Return a failed exchange; whether the request may have reached the server decides about trying again."""
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
        words = f"no connection to {mask(base_url(url))}: {words}"
    elif not isinstance(error, httpx.ReadTimeout):
        words = f"the answer was lost: {words}"
    return Answer(failure=" ".join(words.split()), sent=not not_sent)
