"""The requests of the import API, REST v2 and the older v1 of Zilliz Cloud: values in, path, body and headers out.

Paths and fields as the servers document them; only fields that are set are sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

JOBS = "/v2/vectordb/jobs/import/"
V1 = "/v1/vector/collections/import"
MASK = "****"

_SECRET_FIELDS = {"accessKey", "secretKey", "token"}
_KEY_MOST_BYTES = 256  # of an Idempotency-Key, printable ASCII (milvus#52320)


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
class Request:
    """One HTTP request: ``method``, ``path`` behind the server's URL, JSON ``body`` or ``query``, ``headers``."""

    method: str
    path: str
    body: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def masked(self) -> dict[str, Any]:
        """Return the request as plain values in which no secret can be read."""
        return {
            "method": self.method,
            "path": self.path,
            **({"query": dict(self.query)} if self.query else {}),
            **({"body": mask(self.body)} if self.body else {}),
            **({"headers": dict(self.headers)} if self.headers else {}),
        }

    def __repr__(self) -> str:
        return f"Request({self.masked()!r})"


def base_url(url: str) -> str:
    """Return ``url`` without a trailing slash and without the path of an API, with ``https://`` if no scheme is given.

    >>> base_url("http://127.0.0.1:19530/"), base_url("controller.api.gcp-us-west1.zillizcloud.com/v1")
    ('http://127.0.0.1:19530', 'https://controller.api.gcp-us-west1.zillizcloud.com')
    """
    if "://" not in url:
        url = f"https://{url}"
    return re.sub(r"/v[12](/.*)?$", "", url.rstrip("/"))


def headers_for(*, api_key: str = "", db_name: str = "", idempotency_key: str | None = None) -> dict[str, str]:
    """Return the headers of a request. Raises ValueError for a key that the server would refuse."""
    headers = {"Accept": "application/json"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    if db_name:
        headers["DB-Name"] = db_name
    if idempotency_key is not None:
        if not re.fullmatch(rf"[!-~]{{1,{_KEY_MOST_BYTES}}}", idempotency_key):
            raise ValueError(f"an idempotency key has 1 to {_KEY_MOST_BYTES} printable ASCII characters and no space")
        headers["Idempotency-Key"] = idempotency_key
    return headers


def create_request(
    collection_name: str,
    *,
    api: Api = Api.V2,
    db_name: str = "",
    partition_name: str = "",
    files: Sequence[Sequence[str]] | None = None,
    object_url: str = "",
    object_urls: Sequence[Sequence[str]] | None = None,
    cluster_id: str = "",
    project_id: str = "",
    region_id: str = "",
    access_key: str = "",
    secret_key: str = "",
    token: str = "",
    volume_name: str = "",
    data_paths: Sequence[Sequence[str]] | None = None,
    options: Mapping[str, object] | None = None,
) -> Request:
    """Return the request that creates a job.

    ``files`` is for Milvus; ``object_url(s)`` or ``volume_name`` with ``data_paths``, with ``cluster_id`` or
    ``project_id`` and ``region_id``, for Zilliz Cloud. v1 knows one ``object_url`` and no more.
    """
    body: dict[str, Any] = {
        "collectionName": collection_name,
        "dbName": db_name,
        "partitionName": partition_name,
        "files": _groups("files", files),
        "objectUrl": object_url,
        "objectUrls": _groups("object_urls", object_urls),
        "clusterId": cluster_id,
        "projectId": project_id,
        "regionId": region_id,
        "accessKey": access_key,
        "secretKey": secret_key,
        "token": token,
        "volumeName": volume_name,
        "dataPaths": _groups("data_paths", data_paths),
        "options": option_texts(options),
    }
    if api is not Api.V1:
        return Request("POST", JOBS + "create", set_fields(body))
    known = {"clusterId", "collectionName", "partitionName", "objectUrl", "accessKey", "secretKey"}
    if not object_url and len(body["objectUrls"]) == 1 and len(body["objectUrls"][0]) == 1:
        body |= {"objectUrl": body["objectUrls"][0][0], "objectUrls": []}
    unknown = sorted(set_fields(body).keys() - known)
    if unknown:
        raise ValueError(f"the v1 API imports one object_url and knows no {', '.join(unknown)}")
    return Request("POST", V1, set_fields(body))


def describe_request(
    job_id: str, *, api: Api = Api.V2, cluster_id: str = "", project_id: str = "", region_id: str = ""
) -> Request:
    """Return the request for the progress of a job."""
    if api is Api.V1:
        return Request("GET", V1 + "/get", query=set_fields({"jobId": str(job_id), "clusterId": cluster_id}))
    name = "getProgress" if api is Api.GET_PROGRESS and cluster_id else "describe"
    if api is Api.GET_PROGRESS and not cluster_id:
        name = "get_progress"
    return Request("POST", JOBS + name, _job_body(job_id, cluster_id, project_id, region_id))


def list_request(
    *,
    api: Api = Api.V2,
    collection_name: str = "",
    db_name: str = "",
    cluster_id: str = "",
    project_id: str = "",
    region_id: str = "",
    page_size: int = 10,
    current_page: int = 1,
) -> Request:
    """Return the request that lists jobs; a self-hosted server has no pages."""
    pages = {"pageSize": page_size, "currentPage": current_page}
    if api is Api.V1:
        query = {"clusterId": cluster_id, **{name: str(n) for name, n in pages.items()}}
        return Request("GET", V1 + "/list", query=set_fields(query))
    body = {
        "collectionName": collection_name,
        "dbName": db_name,
        "clusterId": cluster_id,
        "projectId": project_id,
        "regionId": region_id,
        **pages,
    }
    return Request("POST", JOBS + "list", set_fields(body))


def commit_request(job_id: str, *, cluster_id: str = "", project_id: str = "", region_id: str = "") -> Request:
    """Return the request that makes the rows of a two-phase job visible."""
    return Request("POST", JOBS + "commit", _job_body(job_id, cluster_id, project_id, region_id))


def abort_request(job_id: str, *, cluster_id: str = "", project_id: str = "", region_id: str = "") -> Request:
    """Return the request that drops a job and its rows."""
    return Request("POST", JOBS + "abort", _job_body(job_id, cluster_id, project_id, region_id))


def set_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries that say something: not None, not "", not an empty list or mapping."""
    return {name: value for name, value in values.items() if value is not None and value not in ("", [], {})}


def option_texts(options: Mapping[str, object] | None) -> dict[str, str]:
    """Return option values as the strings that the server wants: False is "false", 300 is "300"."""
    return {
        str(name): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in (options or {}).items()
        if value is not None
    }


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
        return re.sub(r"\?.*$", f"?{MASK}", re.sub(r"://[^/@]*@", f"://{MASK}@", value))
    return value


def _job_body(job_id: str, cluster_id: str, project_id: str, region_id: str) -> dict[str, Any]:
    body = {"jobId": str(job_id), "clusterId": cluster_id, "projectId": project_id, "regionId": region_id}
    return set_fields(body)


def _groups(name: str, groups: Sequence[Sequence[str]] | None) -> list[list[str]]:
    """Return files as a list of lists. A flat list of paths is the most common slip, and the server's words are odd."""
    if groups is None:
        return []
    if isinstance(groups, str) or any(isinstance(group, str) for group in groups):
        raise ValueError(f"{name} is a list of lists of paths, such as [['a.parquet'], ['b.parquet']], got {groups!r}")
    return [[str(path) for path in group] for group in groups]
