"""Credentials that expire: the objects of the clouds' own packages as what the store client asks again and again.

Most of those objects keep their own clock and renew themselves in time, so they are asked every minute.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any

from vecmill.store.url import AZURE_KEYS, StoreKind

ASK_SECONDS = 60.0
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_AZURE_SCOPE = "https://storage.azure.com/.default"
# Of what a provider has returned last, so that no message tells it: a key and a token, now and the time before.
_N_SECRETS = 4
_SECRET_NAMES = ("secret_access_key", "token", "access_key", "sas_token")


class Provider:
    """What obstore calls for credentials. ``secrets``: those that it got last."""

    def __init__(self, ask: Callable[[], Any], region: str | None = None) -> None:
        self._ask = ask
        self.secrets: deque[str] = deque(maxlen=_N_SECRETS)
        # Where obstore looks for the region of a session.
        self.config: Mapping[str, Any] = getattr(ask, "config", {}) if region is None else {"region": region}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self._ask).__name__})"

    def __call__(self) -> Any:
        """Return credentials as obstore takes them."""
        found = self._ask()
        if inspect.isawaitable(found):
            # The client could await it in a loop of the caller only; it asks from a thread of its own, which has none.
            found = asyncio.run(_result(found))
        if isinstance(found, Mapping):
            new = [found[name] for name in _SECRET_NAMES if found.get(name)]
            self.secrets.extend(one for one in new if one not in self.secrets)
        return found


async def _result(found: Awaitable[Any]) -> Any:
    return await found


def s3_provider(credentials: Any) -> Provider:
    """Return the provider for a boto3 or botocore session or its credentials, one of the MinIO client or of obstore.

    Raises ValueError for anything else, and for a session without credentials.
    """
    if hasattr(credentials, "get_credentials"):
        held = credentials.get_credentials()
        if held is None:
            raise ValueError("the session has no credentials: no profile, environment variable or role gives any")
        return Provider(_botocore(held), _region(credentials))
    if hasattr(credentials, "get_frozen_credentials"):
        return Provider(_botocore(credentials))
    if hasattr(credentials, "retrieve"):
        return Provider(_minio(credentials))
    return _callable(credentials, "a boto3 session, a provider of the MinIO client")


def google_provider(credentials: Any) -> Provider:
    """Return the provider for credentials of google-auth, or for one of obstore. Raises ValueError otherwise."""
    if not hasattr(credentials, "refresh"):
        return _callable(credentials, "credentials of google-auth")

    def ask() -> Mapping[str, Any]:
        if not credentials.valid:
            from google.auth.transport.requests import Request

            credentials.refresh(Request())
        return {"token": credentials.token, "expires_at": _soon()}

    return Provider(ask)


def azure_provider(credential: Any) -> Provider:
    """Return the provider for a TokenCredential of azure-core, or for one of obstore. Raises ValueError otherwise."""
    if not hasattr(credential, "get_token"):
        return _callable(credential, "an account key, a SAS, a credential of azure-identity")
    return Provider(lambda: {"token": credential.get_token(_AZURE_SCOPE).token, "expires_at": _soon()})


def s3_chain() -> Provider | None:
    """Return boto3's chain (profiles, SSO, roles), where it is installed and no key is in the environment."""
    if "AWS_ACCESS_KEY_ID" in os.environ or "AWS_SKIP_SIGNATURE" in os.environ or find_spec("boto3") is None:
        return None
    import boto3

    session = boto3.Session()
    return None if session.get_credentials() is None else s3_provider(session)


def google_chain() -> Provider | None:
    """Return google-auth's application default credentials, where it is installed; they are looked for when asked."""
    own = ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SKIP_SIGNATURE")
    if any(name.startswith(own) for name in os.environ) or not _has("google.auth"):
        return None
    found: list[Provider] = []

    def ask() -> Any:
        if not found:  # without a network this may take longer than the bucket is waited for
            import google.auth

            found.append(google_provider(google.auth.default(scopes=[_GOOGLE_SCOPE])[0]))
        return found[0]()

    return Provider(ask)


def azure_chain() -> Provider | None:
    """Return azure-identity's chain, where it is installed and the environment gives no key, SAS or token."""
    if any(name in os.environ for name in (*AZURE_KEYS, "AZURE_SKIP_SIGNATURE")) or not _has("azure.identity"):
        return None
    from azure.identity import DefaultAzureCredential

    return azure_provider(DefaultAzureCredential())


def asks_machine(kind: StoreKind) -> bool:
    """Whether the environment gives no credentials, so that the metadata service of the machine is asked."""
    return not any(name.startswith(kind.credentials) for name in os.environ)


def _has(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of its parent
        return False


def _soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=ASK_SECONDS)


def _callable(credentials: Any, wanted: str) -> Provider:
    if not callable(credentials):
        raise ValueError(f"expected {wanted} or a credential provider of obstore, got {type(credentials)}")
    return credentials if isinstance(credentials, Provider) else Provider(credentials)


def _region(session: Any) -> str | None:
    region = getattr(session, "region_name", None)  # boto3
    if region is None and hasattr(session, "get_config_variable"):  # botocore
        region = session.get_config_variable("region")
    return region


def _botocore(credentials: Any) -> Callable[[], Mapping[str, Any]]:
    def ask() -> Mapping[str, Any]:
        found = credentials.get_frozen_credentials()
        return {
            "access_key_id": found.access_key,
            "secret_access_key": found.secret_key,
            "token": found.token,
            "expires_at": _soon(),
        }

    return ask


def _minio(credentials: Any) -> Callable[[], Mapping[str, Any]]:
    def ask() -> Mapping[str, Any]:
        found = credentials.retrieve()
        return {
            "access_key_id": found.access_key,
            "secret_access_key": found.secret_key,
            "token": found.session_token,
            "expires_at": _soon(),
        }

    return ask
