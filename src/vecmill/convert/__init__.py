"""`convert`: whatever holds embeddings in, files that Milvus imports out, in one call.

Light on purpose, for `import vecmill` loads it: the work is in `vecmill.convert.job`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vecmill.writer.options import SEGMENT_BYTES

if TYPE_CHECKING:
    from vecmill.convert.casts import Policy
    from vecmill.convert.duplicates import Keep
    from vecmill.convert.job import OnError
    from vecmill.convert.opening import Input, PathLike
    from vecmill.convert.pump import Progress
    from vecmill.convert.report import Report
    from vecmill.filetype import BulkFileType
    from vecmill.sources import TextOptions
    from vecmill.validate.context import Level

__all__ = ["SEGMENT_BYTES", "convert"]


def convert(
    src: Input,
    dst: PathLike,
    *,
    schema: object = None,
    file_type: BulkFileType | str = "parquet",
    segment_size: int = SEGMENT_BYTES,
    columns: Mapping[str, str] | Iterable[str] | None = None,
    join: Sequence[Input] = (),
    kind: str | None = None,
    primary: str | None = None,
    id_from: str | None = None,
    skip: int = 0,
    limit: int | None = None,
    cast: Policy = "safe",
    normalize: Sequence[str] = (),
    scale: Mapping[str, float] | None = None,
    on_error: OnError = "stop",
    check_duplicates: bool = False,
    keep: Keep = "error",
    resume: bool = False,
    target: str | None = None,
    validate: Level | None = None,
    config: Mapping[str, Any] | None = None,
    text: TextOptions | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Convert files of embeddings to the files of a bulk import, in bounded memory.

    Parameters
    ----------
    src: files, folders or tables in memory, see `vecmill.sources.open_source`; or any `Source`. None when ``columns``
        names array files only.
    dst: folder to write to, on disk or in a bucket (``s3://bucket/prefix``, ``gs://``, ``az://``; credentials come from
        the environment); the files come into a folder of their own inside it.
    schema: what the rest of vecmill takes as a schema. None infers one from the data.
    file_type: "parquet", "npy", "json", "jsonl" or "csv".
    segment_size: bytes after which the next file begins.
    columns: field -> source column or NPY file; naming columns selects them, see `open_source`. With a schema, its
        fields are also found under their own names.
    join: further inputs whose columns stand beside those of ``src``, row by row; their row counts must be the same.
    kind: what ``src`` is, where neither its first bytes nor its name tell; see `vecmill.sources.kinds`.
    primary: column that becomes the primary key of an inferred schema.
    id_from: where the primary key comes from: "row", "hash", "hash:a,b", "column", "column:a"; see `with_key`.
    skip, limit: leave out the first rows; take at most so many after them.
    cast: "safe", or "unsafe" for casts that may lose something; see `vecmill.convert.casts`.
    normalize: vectors that are scaled to length 1.
    scale: vectors that are multiplied by a factor, after that.
    on_error: "stop" at the first row that does not fit; or "skip" such rows, and tell of each in ``rejects.jsonl``.
    check_duplicates: find primary keys that come more than once, before a row is written; reads the keys once more.
    keep: of rows with the same key, "first" or "last" is taken and the others are told of in ``rejects.jsonl``;
        "error" raises DataError. Keys alone decide: the row that is kept may still be one that does not fit.
    resume: go on where this very conversion to ``dst`` ended early (same data, same options); begin if it never did.
    target: release line of the server that the files are held to ("2.3" to "3.0", "cloud"); see docs/formats.md.
    validate: "headers", "sample" or "full": check what was written as `vecmill.validate` does, against ``target``. What
        was found is in ``Report.validation``.
    config: options of the format, as `LocalBulkWriter` takes them.
    text: what files of text do not say about themselves; see `vecmill.sources.TextOptions`.
    workers: ranges of rows that are converted at the same time, in threads, or in processes where Python has to change
        values (a script then needs its ``if __name__ == "__main__"``). Rows keep their order. Files of text are not
        cut: there have to be several.
    progress: called as ``progress(rows, bytes)`` after every batch, with what was read so far.

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
    from vecmill.convert.job import Settings, prepare, run
    from vecmill.errors import SchemaError

    if workers < 1:
        raise SchemaError(f"workers must be at least 1, got {workers}")
    began = time.perf_counter()
    settings = Settings(
        schema=schema, file_type=file_type, segment_size=segment_size, columns=columns, join=tuple(join),
        kind=kind, primary=primary, id_from=id_from, skip=skip, limit=limit, cast=cast, normalize=tuple(normalize),
        scale=dict(scale or {}), on_error=on_error, check_duplicates=check_duplicates, keep=keep,
        resume=resume, target=target, validate=validate, config=config, text=text,
    )  # fmt: skip
    plan = prepare(src, settings)
    if workers == 1:
        return run(plan, dst, progress=progress, began=began)
    from vecmill.convert.workers import convert_with_workers

    return convert_with_workers(plan, dst, workers, progress=progress, began=began)
