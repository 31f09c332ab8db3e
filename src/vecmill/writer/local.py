"""The writer of files on local disk."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from vecmill.output_formats import BulkFileType
from vecmill.store.local_place import LocalPlace
from vecmill.writer.api import BulkWriter
from vecmill.writer.options import LOCAL_SEGMENT_BYTES, KeywordOptions, WriterOptions


class LocalBulkWriter(BulkWriter):
    """Write import files to local disk.

    The parameters are pymilvus'.

    Parameters
    ----------
    schema: a CollectionSchema (vecmill's or pymilvus'), a dict, or the path of a JSON file.
    local_path: files go to ``<local_path>/<uuid>/<n>.parquet`` or ``<local_path>/<uuid>/<n>/<field>.npy``, n from 1.
        The manifest that lists them is ``<local_path>/_vecmill-<uuid>/manifest.json``.
    chunk_size: encoded bytes at which a segment is closed. The keyword ``segment_size`` means the same, and wins.
    file_type, config, target, validate, resume, cores: see `vecmill.writer.options.WriterOptions`.

    With ``resume=True``, ``local_path`` is the folder of a writer that ended early (its ``data_path``). Its manifest is
    read, unpublished files are removed, and numbering continues after the published segments. The first
    ``manifest.n_rows`` rows are there; the caller continues with the next row, and errors count from there. A folder
    without a manifest is started anew.

    As a context manager it commits the remaining rows on a clean exit, and publishes nothing more after an exception.

    Raises SchemaError if the schema breaks a rule of the server or has a field that the format cannot carry. Raises
    StoreError if the folder cannot be made, or if the output to resume has another schema or format.

    >>> from vecmill import DataType, LocalBulkWriter, create_schema
    >>> schema = create_schema()
    >>> _ = schema.add_field("id", DataType.INT64, is_primary=True)
    >>> _ = schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, LocalBulkWriter(schema, folder) as writer:
    ...     writer.append_row({"id": 1, "vector": [0.1, 0.2, 0.3, 0.4]})
    ...     writer.commit()
    ...     len(writer.batch_files)
    1
    """

    def __init__(
        self,
        schema: Any,
        local_path: str | os.PathLike[str],
        chunk_size: int = LOCAL_SEGMENT_BYTES,
        file_type: BulkFileType | str | int = BulkFileType.PARQUET,
        config: Mapping[str, Any] | None = None,
        **options: Unpack[KeywordOptions],
    ) -> None:
        options["segment_size"] = options.get("segment_size") or chunk_size
        made = WriterOptions.of(file_type=file_type, config=config, **options)
        writer_uuid = str(uuid.uuid4())
        self._root = Path(local_path) if made.resume else Path(local_path) / writer_uuid
        super().__init__(schema, LocalPlace(self._root), writer_uuid, made)

    @property
    def data_path(self) -> Path:
        """The writer's folder, ``<local_path>/<uuid>``."""
        return self._root

    def __enter__(self) -> LocalBulkWriter:
        return self
