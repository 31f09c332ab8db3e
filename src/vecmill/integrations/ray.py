"""Ray: a dataset to import files (`MilvusDatasink`), and files to import files (`convert_on_ray`). Extra ``ray``."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

from vecmill.convert.job import Plan
from vecmill.convert.ranges import RangeJob, RangeResult, run_range, run_ranges
from vecmill.convert.report import Report
from vecmill.errors import StoreError, VecmillError
from vecmill.manifest import FileEntry, Manifest
from vecmill.output_formats import FORMATS
from vecmill.schema.reading import as_schema
from vecmill.store.notes import MANIFEST_NAME
from vecmill.store.place import Place
from vecmill.store.url import disk_path
from vecmill.writer.options import WriterKeywords, WriterOptions
from vecmill.writer.tasks import commit, discard, open_export, write_task

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # what is milled here is nobody else's business
try:
    import ray
    from ray.data import Datasink
except ModuleNotFoundError as err:
    raise ModuleNotFoundError(f"{err}; pip install 'vecmill[ray]'", name=err.name) from err

log = logging.getLogger(__name__)

_TEXT_GROWTH = 2.5  # bytes of float32 values as text, for one byte as number
_BUNDLE = 0.75  # part of a segment: a task gets whole blocks, and a little more than a segment would make two files
_TEXT_BATCH_BYTES = 8 << 20
_STORE_BYTES = 200 << 20  # only jobs and results pass through it


@dataclass(frozen=True, slots=True)
class SinkReport:
    """Files that a `MilvusDatasink` has written.

    ``files``: one inner list per import file, as ``bulk_import(files=...)`` takes it; ``url``: the folder.
    """

    rows: int
    bytes: int
    files: list[list[str]]
    url: str
    manifest: Manifest


class MilvusDatasink(Datasink):  # type: ignore[misc]  # Ray has no types here
    """Sink of ``ray.data.Dataset.write_datasink`` that writes import files.

    Every write task streams its blocks (Arrow, without a copy) straight to the folder ``url``, and the driver puts one
    manifest over all of them when they are done. A task that is tried again, or was started twice, writes beside the
    first attempt; the files of one attempt are listed, and those of the others are removed.

    Parameters
    ----------
    schema: as for `LocalBulkWriter`. Columns of the dataset are fields of the schema.
    url: a folder that all nodes see, or ``s3://bucket/prefix``, ``gs://``, ``az://`` (the nodes need the credentials in
        their environment); with ``connect_param`` a prefix in that bucket. One export a folder.
    merge: False: blocks are not put together, and a task writes what it has read or made at once, which saves the way
        through the object store. Files are then as large as Ray's blocks, if those are smaller than a segment.
    replace: take the place of an export that is there already.
    options: file_type, segment_size (default 512 MiB), config, target, validate, transfer, cores, see
        `vecmill.writer.options.WriterOptions`. Ray gives about ``segment_size`` bytes of blocks to one task, which
        holds them in the object store while it writes; they leave as files of equal size.

    ``report`` is a `SinkReport` when the write is done. Rows stand in the order of the write tasks.

    Raises SchemaError when it is made. When it is written to, StoreError before the first row if another export is
    there or the store does not answer.

    >>> sink = MilvusDatasink(schema, "s3://bucket/books")  # doctest: +SKIP
    >>> ray.data.read_parquet("s3://bucket/embeddings").write_datasink(sink)  # doctest: +SKIP
    >>> sink.report.rows  # doctest: +SKIP
    1000000000
    """

    def __init__(
        self,
        schema: Any,
        url: str | os.PathLike[str],
        *,
        merge: bool = True,
        connect_param: Any = None,
        replace: bool = False,
        **options: Unpack[WriterKeywords],
    ) -> None:
        known = as_schema(schema)
        self._options = WriterOptions.of(**options)
        self._options.open_format(known)  # raises here, and not in a worker
        self._schema = known.to_dict()
        path = disk_path(url) if connect_param is None else None
        self._url = os.fspath(url) if path is None else str(path.absolute())  # workers have other folders
        self._merge = merge
        self._connect_param = connect_param
        self._replace = replace
        self._committing = False
        self.report: SinkReport | None = None

    @property
    def min_bytes_per_write(self) -> int | None:
        """Bytes of blocks that make a task: small blocks are put together."""
        if not self._merge:
            return None
        growth = _TEXT_GROWTH if FORMATS[self._options.file_type].is_text else 1
        return max(1, int(_BUNDLE * self._options.segment_size / growth))

    def get_name(self) -> str:
        """Name of the write tasks in Ray's progress."""
        return "Milvus"

    def on_write_start(self, schema: Any = None) -> None:
        """Raise StoreError if another export is in the folder. Called in the driver."""
        del schema
        place = self._place()
        if not self._replace and place.notes.read_text(MANIFEST_NAME) is not None:
            where = place.notes.name(MANIFEST_NAME)
            raise StoreError("another export is there; choose another folder, or say replace=True", path=where)

    def write(self, blocks: Iterable[Any], ctx: Any) -> tuple[int, list[FileEntry]]:
        """Write the blocks of one task. Called in a worker."""
        held = list(blocks)  # Ray holds them anyhow until the task has ended
        n_bytes = sum(_n_bytes(block) for block in held)
        share = n_bytes / max(1, -(-n_bytes // self._options.segment_size))
        # A little room for headers, so that the last rows do not begin a file of their own.
        size = min(self._options.segment_size, int(share * 1.05) + (1 << 16))
        entries = write_task(
            (part for block in held for part in self._parts(block)),
            self._url,
            ctx.task_idx,
            schema=self._schema,
            connect_param=self._connect_param,
            **replace(self._options, segment_size=size).keywords(),
        )
        return ctx.task_idx, entries

    def _parts(self, block: Any) -> Iterator[Any]:
        """Cut a block where the writer could not take it back whole: text that has left a machine stays."""
        n_rows = len(block)
        if n_rows and FORMATS[self._options.file_type].is_text:
            step = max(1, n_rows * _TEXT_BATCH_BYTES // max(1, _n_bytes(block)))
            cut = block.iloc.__getitem__ if hasattr(block, "iloc") else lambda part: block[part]
            yield from (cut(slice(start, start + step)) for start in range(0, n_rows, step))
        elif n_rows:
            yield block

    def on_write_complete(self, write_result: Any) -> None:
        """Commit what all tasks have written. Called in the driver."""
        self._committing = True
        by_task: dict[int, list[FileEntry]] = {}
        for task, entries in filter(None, write_result.write_returns):
            by_task.setdefault(task, entries)
        manifest = commit(
            self._url,
            [entry for _, entries in sorted(by_task.items()) for entry in entries],
            schema=self._schema,
            connect_param=self._connect_param,
            replace=self._replace,
            **self._options.keywords(),
        )
        place = self._place()
        files = [[place.address(entry.path) for entry in segment.files] for segment in manifest.segments]
        self.report = SinkReport(manifest.n_rows, manifest.n_bytes, files, place.where, manifest)

    def on_write_failed(self, error: Exception) -> None:
        """Remove what tasks have written. Called in the driver, on the way of the error that tells why."""
        del error
        if self._committing:  # the work is done: commit can be repeated, and the manifest may have been put
            return
        try:
            discard(self._url, connect_param=self._connect_param, transfer=self._options.transfer)
        except StoreError as second:
            log.warning("what tasks have written could not be removed: %s", second)

    def _place(self) -> Place:
        return open_export(self._url, self._connect_param, self._options.transfer, self._options.segment_size)


def _n_bytes(block: Any) -> int:
    """Return the bytes of a block: a pyarrow Table or a pandas DataFrame."""
    return int(block.nbytes if hasattr(block, "nbytes") else block.memory_usage(index=False, deep=True).sum())


def convert_on_ray(plan: Plan, dst: Any, *, address: str | None = None, began: float | None = None) -> Report:
    """Run a planned conversion on a cluster: a task a range, see `vecmill.convert.ranges.run_ranges`.

    ``address``: of the cluster ("auto", ``host:port``, ``ray://...``); None starts one on this machine for the time of
    the call, unless the process is connected already. The nodes see the inputs under the same paths, and have vecmill
    installed. Ray shows the progress. Raises as `convert` does.
    """
    mine = not ray.is_initialized()
    if mine and address is None:
        ray.init(
            include_dashboard=False, _node_ip_address="127.0.0.1", object_store_memory=_STORE_BYTES,
            log_to_driver=False,
        )  # fmt: skip
    elif mine:
        ray.init(address, log_to_driver=False)
    try:
        n_workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        return run_ranges(plan, dst, _spread, n_workers=n_workers, began=began)
    finally:
        if mine:
            ray.shutdown()


def _spread(jobs: Sequence[RangeJob]) -> Generator[RangeResult, None, None]:
    # Ray runs one task, to see how large its result is, before it starts more: so the first has nothing to do.
    rows = [{"job": b""}, *({"job": pickle.dumps(job)} for job in jobs)]
    for row in ray.data.from_items(rows, override_num_blocks=len(rows)).map(_run).iter_rows():
        result = pickle.loads(row["result"])
        if isinstance(result, VecmillError):
            raise result
        if result is not None:
            yield result


def _run(row: Mapping[str, bytes]) -> dict[str, bytes]:
    """Run a job in a worker. A refusal is a result like any other: Ray would wrap it, and try the range again."""
    result: RangeResult | VecmillError | None = None
    try:
        if row["job"]:
            result = run_range(pickle.loads(row["job"]))
    except VecmillError as err:
        result = err
    return {"result": pickle.dumps(result)}
