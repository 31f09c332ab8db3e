"""The writer of files in a bucket."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Unpack

from vecmill.output_formats import BulkFileType
from vecmill.store import connect
from vecmill.store import transfer as transfers
from vecmill.store.bucket_place import open_bucket_place
from vecmill.store.connect import AzureConnectParam, GCSConnectParam, S3ConnectParam
from vecmill.writer.api import BulkWriter
from vecmill.writer.options import REMOTE_SEGMENT_BYTES, KeywordOptions, WriterOptions


class RemoteBulkWriter(BulkWriter):
    """Write import files straight into object storage.

    The parameters are pymilvus', the methods those of :class:`LocalBulkWriter`.

    Parameters
    ----------
    remote_path: objects get the keys ``<remote_path>/<uuid>/<n>.parquet`` or ``<remote_path>/<uuid>/<n>/<field>.npy``.
        The manifest is ``<remote_path>/_vecmill-<uuid>/manifest.json``: an object that it does not list is not part of
        the output.
    connect_param: an ``S3ConnectParam`` (or ``ConnectParam``), ``AzureConnectParam`` or ``GCSConnectParam`` of this
        class; a URL such as ``s3://bucket/prefix`` (credentials come from the environment); or an obstore store. https
        is used unless ``secure=False`` or the URL says otherwise.
    schema, chunk_size, file_type, config, target: as for :class:`LocalBulkWriter`.
    validate: likewise. "headers" costs a few requests per file, "full" reads all bytes back.
    transfer: a :class:`RemoteBulkWriter.Transfer`.
    resume: if True, ``remote_path`` is the folder of a writer that ended early (its ``data_path``).

    Parquet, JSON and CSV files are uploaded in parts while they are written: no local disk is used, and ``transfer``
    bounds the memory. The columns of an NPY set are uploaded when the segment is full. Until then they are in memory,
    or in ``TMPDIR`` if ``transfer.spool_bytes`` is less than ``chunk_size``. An ``append_batch`` that fills at least
    half of ``chunk_size`` is uploaded directly from its arrays before it returns, as sets of its own, of equal size up
    to ``chunk_size``.

    The bucket is contacted when the writer is made, before any row is taken. Raises StoreError within 10 s if it does
    not answer, does not exist, or refuses the credentials; otherwise as :class:`LocalBulkWriter`.
    """

    S3ConnectParam = S3ConnectParam
    ConnectParam = S3ConnectParam
    AzureConnectParam = AzureConnectParam
    GCSConnectParam = GCSConnectParam
    Transfer = transfers.Transfer

    def __init__(
        self,
        schema: Any,
        remote_path: str,
        connect_param: connect.ConnectParam,
        chunk_size: int = REMOTE_SEGMENT_BYTES,
        file_type: BulkFileType | str | int = BulkFileType.PARQUET,
        config: Mapping[str, Any] | None = None,
        **options: Unpack[KeywordOptions],
    ) -> None:
        options["segment_size"] = options.get("segment_size") or chunk_size
        made = WriterOptions.of(file_type=file_type, config=config, **options)
        writer_uuid = str(uuid.uuid4())
        path = PurePosixPath("/") / remote_path
        self._path = path if made.resume else path / writer_uuid
        place = open_bucket_place(connect_param, self._path, transfer=made.transfer, largest_bytes=made.segment_size)
        super().__init__(schema, place, writer_uuid, made)

    @property
    def data_path(self) -> PurePosixPath:
        """The writer's folder in the bucket, ``/<remote_path>/<uuid>``."""
        return self._path

    def __enter__(self) -> RemoteBulkWriter:
        return self
