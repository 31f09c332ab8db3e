"""What an import is told, as values: made once where the options come in, and handed on whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Any
from urllib.parse import urlsplit

from vecmill.errors import SchemaError
from vecmill.importer.waiting import Patience, Retry
from vecmill.schema.servers import Limits, limits_of
from vecmill.store.secrets import MASK, masked_url
from vecmill.store.url import disk_path

TIMEOUT_S = 20.0
"""Seconds that one exchange may take; pymilvus' value."""

IN_FLIGHT = 8
Cert = str | tuple[str, str]

_SECRET_FIELDS = {"accessKey", "secretKey", "token"}


class Api(StrEnum):
    """Which dialect of the import API a server speaks."""

    V2 = "v2"
    GET_PROGRESS = "v2-getProgress"  # Milvus before 2.4.13, older Zilliz Cloud: no `describe` yet
    V1 = "v1"

    @classmethod
    def of(cls, url: str, api: str | None = None) -> Api:
        """Return the dialect named by ``api``, or the one that ``url`` asks for.

        Asking for v1 are a path with ``/v1`` in it and the old hosts ``controller.api.*`` of Zilliz Cloud. Raises
        ValueError for an unknown name.
        """
        if api is not None:
            return cls(api)
        parts = urlsplit(url)
        old = (parts.hostname or "").startswith("controller.api.") or re.search(r"/v1(/|$)", parts.path)
        return cls.V1 if old else cls.V2


@dataclass(frozen=True, slots=True)
class Server:
    """A server of the import API: where it is, and how to speak to it.

    Attributes
    ----------
    url: ``http://127.0.0.1:19530`` or ``https://api.cloud.zilliz.com``.
    api_key: "user:password" or an API key; never shown.
    db_name: database, sent as a field and as the header ``DB-Name``.
    cluster_id, or project_id and region_id: Zilliz Cloud.
    verify: False, or the path of the server's certificate. True: the certificates that everybody trusts.
    cert: path of a client certificate with its key, or the paths of both.
    timeout_s: seconds that one exchange may take.
    api: name of an `Api`. None: the one that the URL asks for.
    keeps_keys: whether the server remembers idempotency keys (Milvus 2.6.24, 3.0.2 and later), so that a create whose
        answer was lost can be repeated.
    retry: when a request is repeated.
    """

    url: str
    api_key: str = field(default="", repr=False)
    db_name: str = ""
    cluster_id: str = ""
    project_id: str = ""
    region_id: str = ""
    verify: bool | str = True
    cert: Cert | None = field(default=None, repr=False)
    timeout_s: float = TIMEOUT_S
    api: str | None = None
    keeps_keys: bool = False
    retry: Retry = field(default_factory=Retry)

    def __repr__(self) -> str:
        return f"Server({self.address!r})"

    @property
    def address(self) -> str:
        """The URL as it is shown: without a path, a password or a query."""
        return str(mask(base_url(self.url)))

    @property
    def dialect(self) -> Api:
        """The form of the API."""
        return Api.of(self.url, self.api)

    @property
    def is_cloud(self) -> bool:
        """True if it is Zilliz Cloud, which reads URLs."""
        return bool(self.cluster_id or self.project_id)


@dataclass(frozen=True, slots=True)
class BucketKeys:
    """What a server needs to read a bucket: an access key, its secret, and the token of short-lived keys."""

    access_key: str = ""
    secret_key: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return f"BucketKeys({MASK if any((self.access_key, self.secret_key, self.token)) else ''})"


NO_KEYS = BucketKeys()


class Way(StrEnum):
    """How rows get into a collection: by import jobs over REST or gRPC, or by inserts into Milvus Lite."""

    REST = auto()
    GRPC = auto()
    LITE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """What is imported.

    Attributes
    ----------
    src: output of a conversion: its folder, or its URL in a bucket.
    upload_to: URL in a bucket that the output is sent to first. None: the server reads it where it is.
    validate: whether headers, footers and first rows are checked before anything is sent.
    target: release line whose rules hold, a key of TARGETS. None: any of Milvus.
    service: whose limits hold, a key of SERVICES. "": by the target.
    """

    src: str
    upload_to: str | None = None
    validate: bool = True
    target: str | None = None
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionOptions:
    """Where the rows go.

    Attributes
    ----------
    name: of the collection.
    partition_name: of the partition. "": the default one.
    create: whether the collection is created if there is none.
    index_type, metric: of the vector fields of a new collection. "": what fits their types.
    load: whether the collection is loaded at the end.
    """

    name: str
    partition_name: str = ""
    create: bool = False
    index_type: str = ""
    metric: str = ""
    load: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """How the jobs run.

    Attributes
    ----------
    wait: whether they are followed to their end; else they are only created.
    two_phase: whether they are committed once the rows of all of them are in.
    in_flight: the most jobs that are not over, at the same time.
    again: whether files are imported that have been imported before.
    options: of the server; values are sent as text.
    """

    wait: bool = True
    two_phase: bool = False
    in_flight: int = IN_FLIGHT
    again: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What an import is told: the options of ``vecmill import``.

    For Milvus Lite, ``server.url`` is the path of its file.
    """

    output: OutputOptions
    server: Server
    collection: CollectionOptions
    way: Way = Way.REST
    keys: BucketKeys = NO_KEYS
    jobs: JobOptions = field(default_factory=JobOptions)
    patience: Patience = field(default_factory=Patience)

    @property
    def release_line(self) -> str | None:
        """The release line whose rules hold. None: any, since no request of Milvus tells its version."""
        if self.output.target is not None:
            return self.output.target
        if self.server.is_cloud or self.output.service.startswith("cloud"):
            return "cloud"
        return "2.3" if self.way is Way.GRPC else None

    def limits(self) -> Limits:
        """Return the limits of a request. Raises SchemaError for an unknown target or service."""
        try:
            return limits_of(self.release_line, self.output.service)
        except ValueError as err:
            raise SchemaError(str(err)) from err

    def check(self) -> None:
        """Raise SchemaError for options that do not go together, or that no server has."""
        output, jobs = self.output, self.jobs
        if self.way is Way.GRPC and (jobs.two_phase or self.server.is_cloud):
            raise SchemaError("gRPC is for Milvus 2.2 and 2.3: a --url, no two phases, no cluster or project")
        if self.way is Way.GRPC and (self.release_line != "2.3" or output.service not in ("", "milvus")):
            raise SchemaError("gRPC is for Milvus 2.2 and 2.3: no other --target or --service")
        if output.upload_to is not None and (self.way is Way.LITE or disk_path(output.src) is None):
            raise SchemaError("an upload is for an output on this disk that a server reads from a bucket")
        if jobs.two_phase and not jobs.wait:
            raise SchemaError("two phases end with a commit, so they cannot go without waiting")
        if self.collection.load and not jobs.wait:
            raise SchemaError("a collection is loaded when all rows are in, so it cannot go without waiting")
        self.limits()


def base_url(url: str) -> str:
    """Return ``url`` without a trailing slash and without the path of an API, with ``https://`` if no scheme is given.

    >>> base_url("http://127.0.0.1:19530/"), base_url("controller.api.gcp-us-west1.zillizcloud.com/v1")
    ('http://127.0.0.1:19530', 'https://controller.api.gcp-us-west1.zillizcloud.com')
    """
    if "://" not in url:
        url = f"https://{url}"
    return re.sub(r"/v[12](/.*)?$", "", url.rstrip("/"))


def mask(value: Any, name: str = "") -> Any:
    """Return JSON values with secrets replaced: keys and tokens, credentials and signatures in URLs.

    >>> mask({"secretKey": "s3cr3t", "objectUrl": "https://me:pw@host/a.parquet?sig=abc"})
    {'secretKey': '****', 'objectUrl': 'https://****@host/a.parquet?****'}
    """
    if name in _SECRET_FIELDS:
        return MASK
    if isinstance(value, Mapping):
        return {key: mask(one, key) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [mask(one) for one in value]
    if isinstance(value, str) and "://" in value:
        return masked_url(value)
    return value
