"""Mill embeddings into the files that Milvus and Zilliz Cloud import."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from vecmill import errors
from vecmill.convert import convert
from vecmill.errors import DataError, ImportJobError, SchemaError, StoreError, VecmillError
from vecmill.output_formats import BulkFileType
from vecmill.schema.collection import CollectionSchema, FieldSchema, create_schema
from vecmill.types.kind import DataType
from vecmill.validate import validate
from vecmill.version import __version__ as __version__

if TYPE_CHECKING:
    from vecmill.convert.report import Report
    from vecmill.importer.aclient import AsyncImportClient, AsyncImportJob
    from vecmill.importer.calls import (
        abort_import,
        bulk_import,
        commit_import,
        get_import_progress,
        list_import_jobs,
    )
    from vecmill.importer.client import ImportClient, ImportJob
    from vecmill.importer.grpc import (
        BulkInsertState,
        do_bulk_insert,
        get_bulk_insert_state,
        list_bulk_insert_tasks,
    )
    from vecmill.validate.report import ValidationReport
    from vecmill.writer.local import LocalBulkWriter
    from vecmill.writer.remote import RemoteBulkWriter
    from vecmill.writer.tasks import commit, finished_tasks, write_task

__all__ = [
    "AsyncImportClient",
    "AsyncImportJob",
    "BulkFileType",
    "BulkInsertState",
    "CollectionSchema",
    "DataError",
    "DataType",
    "FieldSchema",
    "ImportClient",
    "ImportJob",
    "ImportJobError",
    "LocalBulkWriter",
    "RemoteBulkWriter",
    "Report",
    "SchemaError",
    "StoreError",
    "ValidationReport",
    "VecmillError",
    "abort_import",
    "bulk_import",
    "commit",
    "commit_import",
    "convert",
    "create_schema",
    "do_bulk_insert",
    "errors",
    "finished_tasks",
    "get_bulk_insert_state",
    "get_import_progress",
    "list_bulk_insert_tasks",
    "list_import_jobs",
    "validate",
    "write_task",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())

# Loaded on first use: a training script that only wants the schema does not pay for the rest.
_LAZY = {
    "BulkInsertState": "vecmill.importer.grpc",
    "do_bulk_insert": "vecmill.importer.grpc",
    "get_bulk_insert_state": "vecmill.importer.grpc",
    "list_bulk_insert_tasks": "vecmill.importer.grpc",
    "AsyncImportClient": "vecmill.importer.aclient",
    "AsyncImportJob": "vecmill.importer.aclient",
    "ImportClient": "vecmill.importer.client",
    "ImportJob": "vecmill.importer.client",
    "LocalBulkWriter": "vecmill.writer.local",
    "RemoteBulkWriter": "vecmill.writer.remote",
    "Report": "vecmill.convert.report",
    "ValidationReport": "vecmill.validate.report",
    "abort_import": "vecmill.importer.calls",
    "bulk_import": "vecmill.importer.calls",
    "commit": "vecmill.writer.tasks",
    "commit_import": "vecmill.importer.calls",
    "get_import_progress": "vecmill.importer.calls",
    "finished_tasks": "vecmill.writer.tasks",
    "list_import_jobs": "vecmill.importer.calls",
    "write_task": "vecmill.writer.tasks",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
