"""The import API in pymilvus' form: one function a call, its signature, and a plain `httpx.Response`.

They send one request and never a second one. `ImportClient` is the form that follows a job and survives lost answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vecmill.importer.reply import Kind, Trouble, read_answer
from vecmill.importer.request import (
    Api,
    Request,
    abort_request,
    commit_request,
    create_request,
    describe_request,
    headers_for,
    list_request,
)
from vecmill.importer.transport import TIMEOUT_S, Cert, answer_of, failed, http_arguments, tls

if TYPE_CHECKING:
    import httpx

Files = Sequence[Sequence[str]]


def bulk_import(
    url: str,
    collection_name: str,
    db_name: str = "",
    files: Files | None = None,
    object_url: str = "",
    object_urls: Files | None = None,
    cluster_id: str = "",
    project_id: str = "",
    region_id: str = "",
    api_key: str = "",
    access_key: str = "",
    secret_key: str = "",
    token: str = "",
    volume_name: str = "",
    data_paths: Files | None = None,
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
    cluster_id, or project_id and region_id: Zilliz Cloud, where to.
    api_key: "user:password" or an API key.
    verify, cert: False, or path of the server's certificate; path of a client certificate, or of it and its key.
    options: of the server ("timeout", "auto_commit", "sep", "nullkey"); values are sent as strings.
    headers: more headers. idempotency_key: sent as ``Idempotency-Key``; Milvus 2.6.24 and 3.0.2 or later answer a
        second create with the same key by the first one's job.
    timeout: seconds for the exchange.
    api: "v1" for the old form of Zilliz Cloud; found out from ``url`` when None.

    Raises
    ------
    ImportJobError: the server refused (its ``code`` and words), or there was no answer that could be understood.
    ValueError: arguments that cannot be sent.

    >>> resp = bulk_import("http://127.0.0.1:19530", "books", files=[["1.parquet"]])  # doctest: +SKIP
    >>> resp.json()["data"]["jobId"]  # doctest: +SKIP
    '453265736269038336'
    """
    request = create_request(
        collection_name,
        api=Api.of(url, api),
        db_name=db_name,
        partition_name=partition_name,
        files=files,
        object_url=object_url,
        object_urls=object_urls,
        cluster_id=cluster_id,
        project_id=project_id,
        region_id=region_id,
        access_key=access_key,
        secret_key=secret_key,
        token=token,
        volume_name=volume_name,
        data_paths=data_paths,
        options=options,
    )
    known = headers_for(api_key=api_key, db_name=db_name, idempotency_key=idempotency_key)
    return _send(request, url, {**known, **(headers or {})}, verify, cert, timeout)


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
    """Ask how far a job is; ``api="v2-getProgress"`` uses the name that the call had before Milvus 2.4.13."""
    request = describe_request(
        job_id, api=Api.of(url, api), cluster_id=cluster_id, project_id=project_id, region_id=region_id
    )
    known = headers_for(api_key=api_key, db_name=db_name)
    return _send(request, url, {**known, **(headers or {})}, verify, cert, timeout)


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
    request = list_request(
        api=Api.of(url, api),
        collection_name=collection_name,
        db_name=db_name,
        cluster_id=cluster_id,
        project_id=project_id,
        region_id=region_id,
        page_size=page_size,
        current_page=current_page,
    )
    known = headers_for(api_key=api_key, db_name=db_name)
    return _send(request, url, {**known, **(headers or {})}, verify, cert, timeout)


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
    request = commit_request(job_id, cluster_id=cluster_id, project_id=project_id, region_id=region_id)
    known = headers_for(api_key=api_key, db_name=db_name)
    return _send(request, url, {**known, **(headers or {})}, verify, cert, timeout)


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
    request = abort_request(job_id, cluster_id=cluster_id, project_id=project_id, region_id=region_id)
    known = headers_for(api_key=api_key, db_name=db_name)
    return _send(request, url, {**known, **(headers or {})}, verify, cert, timeout)


def _send(
    request: Request, url: str, headers: dict[str, str], verify: bool | str, cert: Cert | None, timeout: float
) -> httpx.Response:
    import httpx

    job_id = request.body.get("jobId") or request.query.get("jobId")
    try:
        with httpx.Client(verify=tls(verify, cert), timeout=timeout) as http:
            response = http.request(**http_arguments(request, url, headers))
        read_answer(answer_of(response))
    except (httpx.HTTPError, httpx.InvalidURL) as err:
        trouble = Trouble(Kind.UNCLEAR, failed(err, url).failure)
        raise trouble.error(job_id, doing=request.path) from err
    except Trouble as trouble:
        raise trouble.error(job_id) from None
    return response
