"""`convert`: whatever holds embeddings in, files that Milvus imports out, in one call.

Light on purpose, for `import vecmill` loads it: the work is in `vecmill.convert.job`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Unpack

from vecmill.convert.options import ConvertKeywords, ConvertOptions, tells_options
from vecmill.writer.options import SEGMENT_BYTES

if TYPE_CHECKING:
    from vecmill.convert.opening import Input, PathLike
    from vecmill.convert.pump import Progress
    from vecmill.convert.report import Report

__all__ = ["SEGMENT_BYTES", "convert"]


@tells_options
def convert(
    src: Input, dst: PathLike, *, progress: Progress | None = None, **options: Unpack[ConvertKeywords]
) -> Report:
    """Convert files of embeddings to the files of a bulk import, in bounded memory.

    Parameters
    ----------
    src: files, folders or tables in memory, see `vecmill.sources.open_source`; or any `Source`. None when ``columns``
        names array files only.
    dst: folder to write to, on disk or in a bucket (``s3://bucket/prefix``, ``gs://``, ``az://``; credentials come from
        the environment). The files come into a folder of their own inside it.
    progress: called as ``progress(rows, bytes)`` after every batch, with the rows and bytes read so far.
    options: see `ConvertOptions`.

    Raises
    ------
    SchemaError: the schema is wrong, or none can be inferred, or an option contradicts it.
    DataError: rows or columns do not fit; ``file`` and ``row`` say where in the source. A note says what is published.
        Or the server would not take what was written: then ``findings`` lists why, and the files stay.
    StoreError: a file cannot be read or written.

    >>> report = convert("embeddings.parquet", "out", file_type="npy")  # doctest: +SKIP
    >>> report.files  # doctest: +SKIP
    [['out/9b0.../1/id.npy', 'out/9b0.../1/vector.npy']]
    """
    from vecmill.convert.job import prepare
    from vecmill.convert.workers import carry_out

    began = time.perf_counter()
    return carry_out(prepare(src, ConvertOptions.of(**options)), dst, progress=progress, began=began)
