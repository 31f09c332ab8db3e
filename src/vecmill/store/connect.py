"""How to reach a bucket: parameters, URLs or a ready store -> :class:`Bucket`. Nothing is sent here."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vecmill.errors import SchemaError
from vecmill.store.bucket import Bucket
from vecmill.store.credentials import (
    asks_machine,
    azure_chain,
    azure_provider,
    google_chain,
    google_provider,
    s3_chain,
    s3_provider,
)
from vecmill.store.transfer import MB
from vecmill.store.url import GOOGLE, S3, BucketUrl, bucket_url, disk_path, is_url

if TYPE_CHECKING:
    from obstore.store import ObjectStore

log = logging.getLogger(__name__)

_AZURE_CHUNK, _AZURE_CONCURRENCY = 8 * MB, 4  # pymilvus' defaults
_GOOGLE = "storage.googleapis.com"
# The only account of the storage emulator; its key is in Microsoft's documentation.
_EMULATOR = {
    "AccountName": "devstoreaccount1",
    "AccountKey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "BlobEndpoint": "http://127.0.0.1:10000/devstoreaccount1",
}


@functools.cache
def _say_ignored() -> None:
    log.warning("AzureConnectParam: upload_chunk_size and upload_concurrency change nothing; give a Transfer instead")


@dataclass(frozen=True, slots=True)
class S3ConnectParam:
    """An S3 bucket, or one of anything that speaks S3; parameters as in pymilvus.

    ``endpoint`` is ``host[:port]`` or a URL; None is AWS. ``secure``: False for plain http; None: https, unless the
    endpoint is a URL that says http. ``credentials`` is a session of boto3 or botocore (or the credentials of one), a
    provider of the MinIO client (anything with ``retrieve()``), or a credential provider of obstore; it is asked again
    when they expire. With neither keys nor ``credentials``, the environment's own count: boto3's chain where that is
    installed (extra ``s3``). ``http_client`` cannot be used and has to be None.
    """

    bucket_name: str = "a-bucket"
    endpoint: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    secure: bool | None = None
    enable_virtual_style_endpoint: bool = False
    session_token: str | None = field(default=None, repr=False)
    region: str | None = None
    http_client: Any = field(default=None, repr=False)
    credentials: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AzureConnectParam:
    """An Azure container; parameters as in pymilvus.

    ``conn_str`` is the connection string of the account, or "" with ``account_url``
    (``https://<account>.blob.core.windows.net``). ``credential``: an account key, a SAS, a dict with ``account_key``,
    a credential object of azure-core or azure-identity (extra ``azure``), or a credential provider of obstore.
    ``upload_chunk_size`` and ``upload_concurrency`` are taken as in pymilvus and change nothing (the log says so once):
    give ``transfer=RemoteBulkWriter.Transfer(part_bytes=..., concurrency=...)``.
    """

    container_name: str
    conn_str: str | None = field(default=None, repr=False)
    account_url: str | None = None
    credential: Any = field(default=None, repr=False)
    upload_chunk_size: int = _AZURE_CHUNK
    upload_concurrency: int = _AZURE_CONCURRENCY

    def __post_init__(self) -> None:
        if (self.upload_chunk_size, self.upload_concurrency) != (_AZURE_CHUNK, _AZURE_CONCURRENCY):
            _say_ignored()


@dataclass(frozen=True, slots=True)
class GCSConnectParam:
    """A bucket of Google Cloud Storage.

    ``access_key`` and ``secret_key`` (HMAC) reach it through its S3 interface; else ``service_account_key`` (the JSON
    text) or ``service_account`` (the path of such JSON); else ``credentials``, of google-auth (extra ``gcs``) or a
    credential provider of obstore; else the environment's own. ``endpoint`` is a URL; None is Google.
    """

    bucket_name: str
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    service_account: str | None = None
    service_account_key: str | None = field(default=None, repr=False)
    endpoint: str | None = None
    credentials: Any = field(default=None, repr=False)


ConnectParam = str | S3ConnectParam | AzureConnectParam | GCSConnectParam | Any
"""How to reach a bucket: a URL, parameters, or an obstore store."""


def open_bucket(connect: ConnectParam) -> Bucket:
    """Return the bucket that parameters, a URL or an obstore store stand for. Raises SchemaError for anything else.

    URLs: ``s3://bucket/prefix``, ``gs://``, ``az://container/prefix``, ``file:///folder``; credentials, region and
    endpoint come from the environment (``AWS_*``, ``GOOGLE_*``, ``AZURE_*``).
    """
    if isinstance(connect, S3ConnectParam):
        return _s3(connect)
    if isinstance(connect, AzureConnectParam):
        return _azure(connect)
    if isinstance(connect, GCSConnectParam):
        return _gcs(connect)
    if isinstance(connect, str):
        folder = disk_path(connect) if is_url(connect) else None
        return _from_url(bucket_url(connect)) if folder is None else _folder(connect, folder)
    if type(connect).__module__.startswith("obstore"):
        return _from_store(connect)
    raise SchemaError(
        f"expected connect parameters, a URL such as s3://bucket or an obstore store, got {type(connect)}"
    )


def _s3(param: S3ConnectParam) -> Bucket:
    if param.http_client is not None:
        raise ValueError("http_client cannot be used here; give an obstore S3Store with client_options instead")
    host, allow_http, config = _s3_endpoint(param)
    own, secrets, asks = _s3_credentials(param)
    if (provider := own.get("credential_provider")) is not None:
        config["region"] = param.region or provider.config.get("region") or config["region"]
    make = _s3_maker(param.bucket_name, {**config, **own}, allow_http)
    if host == _GOOGLE:
        return Bucket(f"gs://{param.bucket_name}", "", _without_checksum(make), secrets)
    return Bucket(f"s3://{param.bucket_name}", "", make, secrets, takes_checksum=True, asks_machine=asks)


def _s3_endpoint(param: S3ConnectParam) -> tuple[str, bool, dict[str, Any]]:
    """Return the host ("" for AWS by its region), whether it speaks plain http, and the options of the store."""
    config: dict[str, Any] = {
        "region": param.region or os.environ.get("AWS_REGION") or "us-east-1",
        "virtual_hosted_style_request": param.enable_virtual_style_endpoint,
    }
    if param.endpoint is None:
        return "", False, config
    scheme, host = _scheme_and_host(param.endpoint, param.secure)
    if host.startswith("s3.") and host.endswith(".amazonaws.com"):  # AWS: the client knows it by its region
        region = host.removeprefix("s3.").removesuffix("amazonaws.com").strip(".")
        config["region"] = param.region or region or config["region"]
    elif param.enable_virtual_style_endpoint:
        config["endpoint"] = f"{scheme}://{param.bucket_name}.{host}"
    else:
        config["endpoint"] = f"{scheme}://{host}"
    return host, scheme == "http", config


def _s3_credentials(param: S3ConnectParam) -> tuple[dict[str, Any], Collection[str], bool]:
    """Return the options of the store that give credentials, their secrets, and whether the machine is asked."""
    provider = s3_provider(param.credentials) if param.credentials is not None else None
    if provider is None and param.access_key is None:
        provider = s3_chain()
    if provider is not None:
        return {"credential_provider": provider}, provider.secrets, False
    secrets: Collection[str] = tuple(filter(None, (param.secret_key, param.session_token)))
    secrets = secrets or _from_environment("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    if param.access_key is None:
        return {}, secrets, asks_machine(S3)
    config = {"access_key_id": param.access_key, "secret_access_key": param.secret_key or ""}
    if param.session_token is not None:
        config["session_token"] = param.session_token
    return config, secrets, False


def _scheme_and_host(endpoint: str, secure: bool | None) -> tuple[str, str]:
    scheme, sign, host = endpoint.rpartition("://")
    if secure is not None or not sign:
        scheme = "http" if secure is False else "https"
    return scheme, host.rstrip("/")


def _s3_maker(bucket: str, config: Mapping[str, Any], allow_http: bool) -> Callable[[Mapping[str, Any]], ObjectStore]:
    def make(options: Mapping[str, Any]) -> ObjectStore:
        from obstore.store import S3Store

        client = options["client_options"] | {"allow_http": allow_http}
        # Some S3 cannot delete many objects at once (MinIO over JuiceFS, Alibaba, Google).
        return S3Store(bucket, disable_bulk_delete=True, **{**config, **options, "client_options": client})

    return make


def _without_checksum(make: Callable[[Mapping[str, Any]], ObjectStore]) -> Callable[[Mapping[str, Any]], ObjectStore]:
    """Return ``make`` for Google's S3 interface, which knows no CRC-64."""
    return lambda options: make({**options, "unsigned_payload": True})


def _azure(param: AzureConnectParam) -> Bucket:
    if param.conn_str:
        parts = dict(pair.split("=", 1) for pair in param.conn_str.split(";") if "=" in pair)
        if parts.get("UseDevelopmentStorage", "").lower() == "true":
            parts = _EMULATOR
        account, key, sas = parts.get("AccountName"), parts.get("AccountKey"), parts.get("SharedAccessSignature")
        suffix = parts.get("EndpointSuffix", "core.windows.net")
        scheme = parts.get("DefaultEndpointsProtocol", "https")
        endpoint = parts.get("BlobEndpoint") or f"{scheme}://{account}.blob.{suffix}"
    elif param.account_url:
        account, key, sas, endpoint = None, None, None, param.account_url
    else:
        raise ValueError("AzureConnectParam needs conn_str or account_url")
    address = urlsplit(endpoint)
    if account is None:  # https://<account>.blob.core.windows.net, or http://host:port/<account>
        account = address.path.strip("/") or (address.hostname or "").partition(".")[0]
    sas = sas or address.query or None
    config: dict[str, Any] = {
        "account_name": account,
        "endpoint": address._replace(query="").geturl().rstrip("/"),
    }
    credential, provider = param.credential, None
    if isinstance(credential, Mapping):
        credential = credential.get("account_key")
    named_key = getattr(credential, "named_key", None)
    credential = named_key.key if named_key is not None else getattr(credential, "signature", credential)
    if isinstance(credential, str):
        key, sas = (None, credential.lstrip("?")) if "sig=" in credential else (credential, None)
    elif credential is not None:
        key, sas = None, None
        config["credential_provider"] = provider = azure_provider(credential)
    if key:
        config["account_key"] = key
    elif sas:
        config["sas_key"] = sas

    def make(options: Mapping[str, Any]) -> ObjectStore:
        from obstore.store import AzureStore

        client = options["client_options"] | {"allow_http": address.scheme == "http"}
        return AzureStore(param.container_name, **{**config, **options, "client_options": client})

    secrets = tuple(filter(None, (key, sas))) if provider is None else provider.secrets
    return Bucket(f"az://{param.container_name}", "", make, secrets)


def _gcs(param: GCSConnectParam) -> Bucket:
    if param.access_key is not None:
        config = {
            "access_key_id": param.access_key,
            "secret_access_key": param.secret_key or "",
            "endpoint": param.endpoint or f"https://{_GOOGLE}",
            "region": "auto",
        }
        make = _without_checksum(_s3_maker(param.bucket_name, config, config["endpoint"].startswith("http:")))
        return Bucket(f"gs://{param.bucket_name}", "", make, tuple(filter(None, (param.secret_key,))))

    provider = google_provider(param.credentials) if param.credentials is not None else None
    if all(one is None for one in (param.service_account, param.service_account_key, param.endpoint, provider)):
        provider = google_chain()

    def make_native(options: Mapping[str, Any]) -> ObjectStore:
        import json

        from obstore.store import GCSStore

        config: dict[str, Any] = {}
        client = dict(options["client_options"])
        key = param.service_account_key
        if param.service_account is not None:
            key = Path(param.service_account).read_text("utf-8")
        if param.endpoint is not None:
            # The client takes another address from the key alone; without any key it would ask the cloud's metadata.
            blank = {"client_email": "", "private_key": "", "private_key_id": "", "disable_oauth": True}
            key = json.dumps((json.loads(key) if key else blank) | {"gcs_base_url": param.endpoint})
            client["allow_http"] = param.endpoint.startswith("http:")
            own = (param.service_account, param.service_account_key, provider)
            config["skip_signature"] = all(one is None for one in own)
        if provider is not None:
            config["credential_provider"] = provider
        if key is not None:
            config["service_account_key"] = key
        return GCSStore(param.bucket_name, **{**config, **options, "client_options": client})

    return Bucket(f"gs://{param.bucket_name}", "", make_native, () if provider is None else provider.secrets)


def _from_url(url: BucketUrl) -> Bucket:
    if url.kind is S3:
        return _s3_from_url(url)
    provider = google_chain() if url.kind is GOOGLE else azure_chain()
    config: dict[str, Any] = {} if provider is None else {"credential_provider": provider}

    def make(options: Mapping[str, Any]) -> ObjectStore:
        from obstore.store import AzureStore, GCSStore

        if url.kind is GOOGLE:
            return GCSStore(url.bucket, **{**config, **options})
        client = dict(options["client_options"])
        client["allow_http"] = os.environ.get("AZURE_ENDPOINT", "").startswith("http:")
        account = {"account_name": url.account} if url.account else {}
        return AzureStore(url.bucket, **{**account, **config, **options, "client_options": client})

    names = (f"AZURE_STORAGE_{key}" for key in ("ACCOUNT_KEY", "SAS_KEY", "SAS_TOKEN"))
    secrets = _from_environment(*names) if provider is None else provider.secrets
    asks = provider is None and asks_machine(url.kind)
    return Bucket(url.root, url.key, make, secrets, asks_machine=asks)


def _s3_from_url(url: BucketUrl) -> Bucket:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    endpoint = endpoint or os.environ.get("AWS_ENDPOINT") or ""
    config: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    if "AWS_REGION" not in os.environ and "AWS_DEFAULT_REGION" not in os.environ:
        config["region"] = "us-east-1"
    secrets: Collection[str] = _from_environment("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    if (provider := s3_chain()) is not None:
        config = {**config, **provider.config, "credential_provider": provider}
        secrets = provider.secrets
    make = _s3_maker(url.bucket, config, endpoint.startswith("http:"))
    asks = provider is None and asks_machine(S3)
    return Bucket(f"s3://{url.bucket}", url.key, make, secrets, takes_checksum=True, asks_machine=asks)


def _from_environment(*names: str) -> tuple[str, ...]:
    return tuple(filter(None, (os.environ.get(name) for name in names)))


def _folder(url: str, path: Path) -> Bucket:
    def make(_options: Mapping[str, Any]) -> ObjectStore:
        from obstore.store import LocalStore

        return LocalStore(str(path.absolute()), mkdir=True)

    return Bucket(url.rstrip("/"), "", make, keeps_attributes=False)


def _from_store(store: Any) -> Bucket:
    prefix = str(getattr(store, "prefix", None) or "").strip("/")
    config = getattr(store, "config", None) or {}
    name = config.get("bucket") or config.get("container_name") or ""
    words = type(store).__name__.removesuffix("Store").lower()
    # Its keys are relative to its prefix; an import takes them relative to the bucket.
    hidden = "" if words == "local" else prefix
    return Bucket(
        f"{words}://{name}", "", lambda _options: store,
        hidden_prefix=hidden, keeps_attributes=words != "local", keeps_buffers=words == "memory",
    )  # fmt: skip
