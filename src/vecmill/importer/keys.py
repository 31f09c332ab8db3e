"""Idempotency keys: the same files of the same writer into the same collection make the same key."""

from __future__ import annotations

import hashlib
import json
import uuid

from vecmill.importer.request import Request
from vecmill.manifest import Manifest

# Fields that say which rows go where. Credentials are left out: they may be renewed between two tries.
_WHAT = (
    "collectionName",
    "dbName",
    "partitionName",
    "files",
    "objectUrl",
    "objectUrls",
    "dataPaths",
    "volumeName",
    "clusterId",
    "projectId",
    "regionId",
    "options",
)


def key_for(request: Request, manifest: Manifest | None, again: str = "") -> str:
    """Return the key of a create.

    manifest: of the files. None: it is unknown whether they are the same as last time, so that the key is a new one,
        good for the tries of one create.
    again: any text; another text makes another key of the same files, to import them a second time on purpose.
    """
    if manifest is None:
        return f"vecmill-{uuid.uuid4().hex}"
    facts = {
        "writer": manifest.uuid,
        "files": [(entry.path, entry.rows, entry.bytes, entry.checksum) for entry in manifest.files],
        "request": {name: request.body[name] for name in _WHAT if name in request.body},
        "again": again,
    }
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    return f"vecmill-{hashlib.sha256(text.encode()).hexdigest()[:40]}"
