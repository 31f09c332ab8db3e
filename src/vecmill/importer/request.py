"""The requests of the import API, REST v2 and the older v1 of Zilliz Cloud: values in, path, body and headers out.

Paths and fields as the servers document them; only fields that are set are sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vecmill.importer.options import NO_KEYS, Api, BucketKeys, Server, mask

JOBS = "/v2/vectordb/jobs/import/"
V1 = "/v1/vector/collections/import"
PAGE_SIZE = 10
"""Jobs on a page of a list; the default of the servers, and pymilvus'."""

_KEY_MOST_BYTES = 256  # of an Idempotency-Key, printable ASCII (milvus#52320)

Groups = Sequence[Sequence[str]]
"""One inner list per import file: one path, or all files of an NPY set."""


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


@dataclass(frozen=True, slots=True)
class RequestFiles:
    """The import files of a request, in one of the forms that servers take.

    Attributes
    ----------
    files: Milvus: paths on its disk, or keys in its bucket.
    object_urls, object_url: Zilliz Cloud: URLs of files, or of the folders of NPY sets; v1 knows one URL and no more.
    volume_name, data_paths: Zilliz Cloud: paths in a volume.
    """

    files: Groups | None = None
    object_url: str = ""
    object_urls: Groups | None = None
    volume_name: str = ""
    data_paths: Groups | None = None


def server_headers(server: Server) -> dict[str, str]:
    """Return the headers of every request to a server; they hold the API key."""
    headers = {"Accept": "application/json"}
    if server.api_key:
        headers["Authorization"] = f"Bearer {server.api_key}"
    if server.db_name:
        headers["DB-Name"] = server.db_name
    return headers


def key_header(key: str) -> dict[str, str]:
    """Return the header of an idempotency key. Raises ValueError for a key that the server would refuse."""
    if not re.fullmatch(rf"[!-~]{{1,{_KEY_MOST_BYTES}}}", key):
        raise ValueError(f"an idempotency key has 1 to {_KEY_MOST_BYTES} printable ASCII characters and no space")
    return {"Idempotency-Key": key}


def create_request(
    server: Server,
    collection_name: str,
    files: RequestFiles,
    *,
    keys: BucketKeys = NO_KEYS,
    partition_name: str = "",
    options: Mapping[str, object] | None = None,
    auto_commit: bool = True,
) -> Request:
    """Return the request that creates a job; ``auto_commit=False`` is sent as the option of this name."""
    two_phases = {} if auto_commit else {"auto_commit": False}
    body: dict[str, Any] = {
        "collectionName": collection_name,
        "dbName": server.db_name,
        "partitionName": partition_name,
        "files": _groups("files", files.files),
        "objectUrl": files.object_url,
        "objectUrls": _groups("object_urls", files.object_urls),
        **_cloud(server),
        "accessKey": keys.access_key,
        "secretKey": keys.secret_key,
        "token": keys.token,
        "volumeName": files.volume_name,
        "dataPaths": _groups("data_paths", files.data_paths),
        "options": option_texts({**(options or {}), **two_phases}),
    }
    if server.dialect is not Api.V1:
        return Request("POST", JOBS + "create", set_fields(body))
    known = {"clusterId", "collectionName", "partitionName", "objectUrl", "accessKey", "secretKey"}
    if not files.object_url and len(body["objectUrls"]) == 1 and len(body["objectUrls"][0]) == 1:
        body |= {"objectUrl": body["objectUrls"][0][0], "objectUrls": []}
    unknown = sorted(set_fields(body).keys() - known)
    if unknown:
        raise ValueError(f"the v1 API imports one object_url and knows no {', '.join(unknown)}")
    return Request("POST", V1, set_fields(body))


def describe_request(server: Server, job_id: str) -> Request:
    """Return the request for the progress of a job."""
    if server.dialect is Api.V1:
        return Request("GET", V1 + "/get", query=set_fields({"jobId": str(job_id), "clusterId": server.cluster_id}))
    name = "describe"
    if server.dialect is Api.GET_PROGRESS:
        name = "getProgress" if server.cluster_id else "get_progress"
    return _job_request(server, name, job_id)


def list_request(server: Server, collection_name: str = "", page: int = 1, page_size: int = PAGE_SIZE) -> Request:
    """Return the request that lists jobs; a self-hosted server has no pages."""
    pages = {"pageSize": page_size, "currentPage": page}
    if server.dialect is Api.V1:
        query = {"clusterId": server.cluster_id, **{name: str(n) for name, n in pages.items()}}
        return Request("GET", V1 + "/list", query=set_fields(query))
    body = {"collectionName": collection_name, "dbName": server.db_name, **_cloud(server), **pages}
    return Request("POST", JOBS + "list", set_fields(body))


def commit_request(server: Server, job_id: str) -> Request:
    """Return the request that makes the rows of a two-phase job visible."""
    return _job_request(server, "commit", job_id)


def abort_request(server: Server, job_id: str) -> Request:
    """Return the request that drops a job and its rows."""
    return _job_request(server, "abort", job_id)


def request_files(request: Request) -> Groups:
    """Return the files that a create asks for, as lists of paths or URLs."""
    body = request.body
    one = [[body["objectUrl"]]] if "objectUrl" in body else []
    groups: Groups = body.get("files") or body.get("objectUrls") or body.get("dataPaths") or one
    return groups


def set_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries that say something: not None, not "", not an empty list or mapping."""
    return {name: value for name, value in values.items() if value is not None and value not in ("", [], {})}


def option_texts(options: Mapping[str, object]) -> dict[str, str]:
    """Return option values as the strings that the server wants: False is "false", 300 is "300"."""
    return {
        str(name): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in options.items()
        if value is not None
    }


def _job_request(server: Server, name: str, job_id: str) -> Request:
    return Request("POST", JOBS + name, set_fields({"jobId": str(job_id), **_cloud(server)}))


def _cloud(server: Server) -> dict[str, str]:
    return {"clusterId": server.cluster_id, "projectId": server.project_id, "regionId": server.region_id}


def _groups(name: str, groups: Groups | None) -> list[list[str]]:
    """Return files as a list of lists. A flat list of paths is the most common slip, and the server's words are odd."""
    if groups is None:
        return []
    if isinstance(groups, str) or any(isinstance(group, str) for group in groups):
        raise ValueError(f"{name} is a list of lists of paths, such as [['a.parquet'], ['b.parquet']], got {groups!r}")
    return [[str(path) for path in group] for group in groups]
