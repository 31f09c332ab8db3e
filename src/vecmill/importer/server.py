"""Where a server is and how it wants to be spoken to: everything that a client of it needs to know once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vecmill.importer.request import (
    Api,
    Request,
    abort_request,
    base_url,
    commit_request,
    create_request,
    describe_request,
    headers_for,
    list_request,
    mask,
)
from vecmill.importer.retry import Retry
from vecmill.importer.transport import TIMEOUT_S, Cert

PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Server:
    """A server of the import API.

    Attributes
    ----------
    url: ``http://127.0.0.1:19530`` or ``https://api.cloud.zilliz.com``.
    api_key: "user:password" or an API key; never shown.
    db_name: database, sent as a field and as the header ``DB-Name``.
    cluster_id, or project_id and region_id: Zilliz Cloud.
    verify, cert: as in `bulk_import`. timeout_s: of one exchange.
    api: dialect, found out from the URL when None.
    keeps_keys: whether the server remembers Idempotency-Keys (Milvus 2.6.24, 3.0.2 and later), so that a create whose
        answer was lost may simply be repeated.
    retry: of what may be repeated. room_s: seconds to wait for room in the server's queue of jobs. settle_s: seconds to
        look for the job of a create whose answer was lost.
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
    room_s: float = 600.0
    settle_s: float = 30.0

    def __repr__(self) -> str:
        return f"Server({mask(base_url(self.url))!r})"

    @property
    def dialect(self) -> Api:
        """The form of the API."""
        return Api.of(self.url, self.api)

    @property
    def where(self) -> dict[str, str]:
        """The fields of Zilliz Cloud."""
        return {"cluster_id": self.cluster_id, "project_id": self.project_id, "region_id": self.region_id}

    def headers(self) -> dict[str, str]:
        """Return the headers of every request; they hold the API key."""
        return headers_for(api_key=self.api_key, db_name=self.db_name)

    def create(
        self, collection_name: str, *, options: Mapping[str, object] | None, auto_commit: bool = True, **arguments: Any
    ) -> Request:
        """Return the request of a create; ``arguments`` are those of `create_request`."""
        two_phases = {} if auto_commit else {"auto_commit": "false"}
        known: dict[str, Any] = {"api": self.dialect, "db_name": self.db_name, **self.where}
        return create_request(collection_name, options={**(options or {}), **two_phases}, **known, **arguments)

    def describe(self, job_id: str) -> Request:
        """Return the request of a describe."""
        return describe_request(job_id, api=self.dialect, **self.where)

    def list(self, collection_name: str = "", page: int = 1) -> Request:
        """Return the request of one page of a list."""
        return list_request(
            api=self.dialect,
            collection_name=collection_name,
            db_name=self.db_name,
            page_size=PAGE_SIZE,
            current_page=page,
            **self.where,
        )

    def commit(self, job_id: str) -> Request:
        """Return the request of a commit."""
        return commit_request(job_id, **self.where)

    def abort(self, job_id: str) -> Request:
        """Return the request of an abort."""
        return abort_request(job_id, **self.where)


def group_names(request: Request) -> Sequence[Sequence[str]]:
    """Return the files that a create asks for, as lists of paths or URLs."""
    body = request.body
    one = [[body["objectUrl"]]] if "objectUrl" in body else []
    groups: Sequence[Sequence[str]] = body.get("files") or body.get("objectUrls") or body.get("dataPaths") or one
    return groups
