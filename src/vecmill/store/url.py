"""URLs of places: the one table of schemes, and the only code that tells a URL from a path."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from vecmill.errors import SchemaError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_FILE = "file"


@dataclass(frozen=True, slots=True)
class StoreKind:
    """A kind of object store.

    Attributes
    ----------
    schemes: of its URLs.
    credentials: how environment variables begin that give credentials. Where none is set, the store client asks the
        metadata service of the machine.
    wanted: what to do when no credentials are found, in words.
    """

    schemes: tuple[str, ...]
    credentials: tuple[str, ...]
    wanted: str


S3 = StoreKind(
    schemes=("s3", "s3a"),
    credentials=("AWS_ACCESS_KEY", "AWS_SKIP_SIGNATURE", "AWS_WEB_IDENTITY", "AWS_CONTAINER_CREDENTIALS"),
    wanted="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_REGION, AWS_ENDPOINT_URL), or "
    "AWS_SKIP_SIGNATURE=true for a public bucket; profiles, SSO and roles need vecmill[s3]",
)
GOOGLE = StoreKind(
    schemes=("gs",),
    credentials=("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SKIP_SIGNATURE"),
    wanted="set GOOGLE_APPLICATION_CREDENTIALS to the path of a key, or GOOGLE_SKIP_SIGNATURE=true for a public "
    "bucket; a login of gcloud needs vecmill[gcs]",
)
AZURE_KEYS = tuple(
    f"AZURE_STORAGE_{name}" for name in ("ACCOUNT_KEY", "ACCESS_KEY", "SAS_KEY", "SAS_TOKEN", "TOKEN", "USE_EMULATOR")
)
AZURE = StoreKind(
    schemes=("az", "azure", "abfs", "abfss", "adl"),
    credentials=(*AZURE_KEYS, "AZURE_SKIP_SIGNATURE", "AZURE_CLIENT", "AZURE_FEDERATED"),
    wanted="set AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or "
    "AZURE_SKIP_SIGNATURE=true for a public container; a login of az needs vecmill[azure]",
)

SCHEMES = {scheme: kind for kind in (S3, GOOGLE, AZURE) for scheme in kind.schemes}
"""Every scheme of a URL that names something in a bucket."""


@dataclass(frozen=True, slots=True)
class BucketUrl:
    """The URL of a bucket, or of something in it: ``<scheme>://<host>/<key>``.

    ``host`` is the name of the bucket; for Azure it may be ``container@account.dfs...``. Keys stand in a URL as they
    are: a '#', '?' or '%' is part of them. ``key`` neither begins nor ends with a slash.
    """

    scheme: str
    host: str
    key: str

    @property
    def kind(self) -> StoreKind:
        """The kind of store."""
        return SCHEMES[self.scheme]

    @property
    def root(self) -> str:
        """The URL of the bucket."""
        return f"{self.scheme}://{self.host}"

    @property
    def bucket(self) -> str:
        """The name of the bucket or container."""
        return self.host.partition("@")[0]

    @property
    def account(self) -> str:
        """The account that the URL names, "" where it names none."""
        return self.host.partition("@")[2].partition(".")[0]


def is_url(given: object) -> bool:
    """Whether ``given`` is a URL, of whatever scheme. Paths are none, nor is what is not a string."""
    return isinstance(given, str) and _SCHEME.match(given) is not None


def disk_path(given: Any) -> Path | None:
    """Return the path that is given, or that ``file:///folder`` names. Return None for all that is not on a disk.

    Raises SchemaError for a ``file://`` URL without an absolute path, or of another machine.
    """
    if isinstance(given, os.PathLike):
        return Path(given)
    if not isinstance(given, str):
        return None
    found = _SCHEME.match(given)
    if found is None:
        return Path(given)
    if found[1].lower() != _FILE:
        return None
    host, slash, path = given[found.end() :].partition("/")
    if not slash or host not in ("", "localhost"):
        raise SchemaError(f"expected file:///folder, an absolute path behind two slashes, got {given!r}")
    return Path(unquote(slash + path))


def in_bucket(given: object) -> bool:
    """Whether ``given`` is the URL of something in a bucket, of a scheme that is known."""
    return isinstance(given, str) and (found := _SCHEME.match(given)) is not None and found[1].lower() in SCHEMES


def bucket_url(url: str) -> BucketUrl:
    """Return the parts of a URL. Raises SchemaError for one that names no bucket of a known scheme."""
    found = _SCHEME.match(url)
    scheme = found[1].lower() if found is not None else ""
    host, _, key = url[found.end() if found is not None else 0 :].partition("/")
    if scheme not in SCHEMES or not host:
        raise SchemaError(f"expected s3://bucket/prefix, gs://..., az://container/... or file:///folder, got {url!r}")
    return BucketUrl(scheme, host, key.strip("/"))


def kind_of_url(url: str) -> StoreKind | None:
    """Return the kind of store that a URL of something in a bucket is of, None for all else."""
    found = _SCHEME.match(url)
    return SCHEMES.get(found[1].lower()) if found is not None else None


def bucket_part(url: str) -> str:
    """Return the URL of the bucket that a URL of something in it begins with."""
    found = _SCHEME.match(url)
    return url if found is None else found[0] + url[found.end() :].partition("/")[0]


def blanked(url: str, mask: str) -> str:
    """Return a URL with ``mask`` in the place of user and password, and of the query."""
    return re.sub(r"\?.*$", f"?{mask}", re.sub(r"://[^/@]*@", f"://{mask}@", url))
