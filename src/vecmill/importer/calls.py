"""The import API in pymilvus' form: one function a call, its signature, and a plain `httpx.Response`.

Each sends one request and never a second one. `ImportClient` follows a job to its end and survives lost answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from vecmill.importer.options import TIMEOUT_S, BucketKeys, Cert, Server
from vecmill.importer.reply import Kind, Trouble, read_answer
from vecmill.importer.request import (
    Groups,
    Request,
    RequestFiles,
    abort_request,
    commit_request,
    create_request,
    describe_request,
    key_header,
    list_request,
)
from vecmill.importer.transport import answer_of, client_arguments, failed, request_arguments

if TYPE_CHECKING:
    import httpx


def bulk_import(
    url: str,
    collection_name: str,
    db_name: str = "",
    files: Groups | None = None,
    object_url: str = "",
    object_urls: Groups | None = None,
    cluster_id: str = "",
    project_id: str = "",
    region_id: str = "",
    api_key: str = "",
    access_key: str = "",
    secret_key: str = "",
    token: str = "",
    volume_name: str = "",
    data_paths: Groups | None = None,
    verify: bool | str = True,
    cert: Cert | None = None,
    *,
    partition_name: str = "",
    options: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
    timeout: float = TIMEOUT_S,
    api: str | None = None,
) -> httpx.Response:
    """Create an import job; arguments are pymilvus'.

    Parameters
    ----------
    url: of the server, ``http://127.0.0.1:19530`` or ``https://api.cloud.zilliz.com``.
    files: Milvus: one inner list per import file, that is one path, or all files of an NPY set.
    object_urls, object_url, access_key, secret_key, token: Zilliz Cloud, from object storage.
    volume_name, data_paths: Zilliz Cloud, from a volume.
    cluster_id, or project_id and region_id: Zilliz Cloud, where the collection is.
    api_key: "user:password" or an API key.
    verify: False, or the path of the server's certificate. True: the certificates that everybody trusts.
    cert: path of a client certificate with its key, or the paths of both.
    options: of the server ("timeout", "auto_commit", "sep", "nullkey"); values are sent as text.
    headers: more headers.
    idempotency_key: sent as ``Idempotency-Key``; Milvus 2.6.24, 3.0.2 and later answer a second create with the same
        key by the first one's job.
    timeout: seconds that the exchange may take.
    api: "v1" for the old form of Zilliz Cloud. None: the form that ``url`` asks for.

    Raises
    ------
    ImportJobError: the server refused (its ``code`` and words), or there was no answer that could be understood.
    ValueError: arguments that cannot be sent.

    >>> resp = bulk_import("http://127.0.0.1:19530", "books", files=[["1.parquet"]])  # doctest: +SKIP
    >>> resp.json()["data"]["jobId"]  # doctest: +SKIP
    '453265736269038336'
    """
    server = Server(url, api_key, db_name, cluster_id, project_id, region_id, verify, cert, timeout, api)
    request = create_request(
        server,
        collection_name,
        RequestFiles(files, object_url, object_urls, volume_name, data_paths),
        keys=BucketKeys(access_key, secret_key, token),
        partition_name=partition_name,
        options=options,
    )
    key = {} if idempotency_key is None else key_header(idempotency_key)
    return _send(request, server, {**key, **(headers or {})})


def get_import_progress(
    url: str,
    job_id: str,
    cluster_id: str = "",
    project_id: str = "",
    region_id: str = "",
    api_key: str = "",
    db_name: str = "",
    verify: bool | str = True,
    cert: Cert | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT_S,
    api: str | None = None,
) -> httpx.Response:
    """Return how far a job is. ``api="v2-getProgress"`` uses the name that the call had before Milvus 2.4.13."""
    server = Server(url, api_key, db_name, cluster_id, project_id, region_id, verify, cert, timeout, api)
    return _send(describe_request(server, job_id), server, headers)


def list_import_jobs(
    url: str,
    collection_name: str = "",
    db_name: str = "",
    cluster_id: str = "",
    project_id: str = "",
    region_id: str = "",
    api_key: str = "",
    page_size: int = 10,
    current_page: int = 1,
    verify: bool | str = True,
    cert: Cert | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT_S,
    api: str | None = None,
) -> httpx.Response:
    """List the jobs of a collection, or of all; pages exist on Zilliz Cloud only."""
    server = Server(url, api_key, db_name, cluster_id, project_id, region_id, verify, cert, timeout, api)
    return _send(list_request(server, collection_name, current_page, page_size), server, headers)


def commit_import(
    url: str,
    job_id: str,
    cluster_id: str = "",
    project_id: str = "",
    region_id: str = "",
    api_key: str = "",
    db_name: str = "",
    verify: bool | str = True,
    cert: Cert | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT_S,
) -> httpx.Response:
    """Make the rows visible of a job that was created with ``options={"auto_commit": "false"}`` (Milvus 3.0)."""
    server = Server(url, api_key, db_name, cluster_id, project_id, region_id, verify, cert, timeout)
    return _send(commit_request(server, job_id), server, headers)


def abort_import(
    url: str,
    job_id: str,
    cluster_id: str = "",
    project_id: str = "",
    region_id: str = "",
    api_key: str = "",
    db_name: str = "",
    verify: bool | str = True,
    cert: Cert | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT_S,
) -> httpx.Response:
    """Drop a job that has not been committed, and its rows (Milvus 3.0)."""
    server = Server(url, api_key, db_name, cluster_id, project_id, region_id, verify, cert, timeout)
    return _send(abort_request(server, job_id), server, headers)


def _send(request: Request, server: Server, headers: Mapping[str, str] | None) -> httpx.Response:
    import httpx

    job_id = request.body.get("jobId") or request.query.get("jobId")
    try:
        with httpx.Client(**client_arguments(server)) as http:
            response = http.request(**request_arguments(replace(request, headers=headers or {}), server))
        read_answer(answer_of(response))
    except (httpx.HTTPError, httpx.InvalidURL) as err:
        trouble = Trouble(Kind.UNCLEAR, failed(err, server).failure)
        raise trouble.error(job_id, doing=request.path) from err
    except Trouble as trouble:
        raise trouble.error(job_id) from None
    return response
