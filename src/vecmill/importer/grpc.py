"""The gRPC form of the import API (Milvus 2.2 and later), over pymilvus' channel: extra ``vecmill[milvus]``.

A task is one import file: one JSON or Parquet file, or the files of an NPY set. Names, arguments and states are those
of ``pymilvus.utility``. One thing differs: an order is sent once. pymilvus repeats an order whose answer was lost, and
the rows arrive twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from vecmill.errors import ImportJobError

_OPTIONS = ("bucket", "backup", "sep", "nullkey")
TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class BulkInsertState:
    """How far a task is. ``state`` is one of the numbers below; ``infos`` is whatever else the server tells.

    Persisted means that the rows are in files. All of them can be loaded once the task is Completed.
    """

    ImportPending: ClassVar[int] = 0
    ImportFailed: ClassVar[int] = 1
    ImportStarted: ClassVar[int] = 2
    ImportPersisted: ClassVar[int] = 5
    ImportCompleted: ClassVar[int] = 6
    ImportFailedAndCleaned: ClassVar[int] = 7
    ImportUnknownState: ClassVar[int] = 100

    FAILED_REASON: ClassVar[str] = "failed_reason"
    IMPORT_FILES: ClassVar[str] = "files"
    IMPORT_COLLECTION: ClassVar[str] = "collection"
    IMPORT_PARTITION: ClassVar[str] = "partition"
    IMPORT_PROGRESS: ClassVar[str] = "progress_percent"

    task_id: int
    state: int
    row_count: int = 0
    id_ranges: tuple[int, ...] = ()
    infos: Mapping[str, str] = field(default_factory=dict)
    create_timestamp: int = 0

    @property
    def state_name(self) -> str:
        """The state in the server's words."""
        return _NAMES.get(self.state, "Unknown")

    @property
    def failed_reason(self) -> str:
        """Why the task failed, or ""."""
        return self.infos.get(self.FAILED_REASON, "")

    @property
    def files(self) -> str:
        """The files, joined by commas."""
        return self.infos.get(self.IMPORT_FILES, "")

    @property
    def collection_name(self) -> str:
        """The collection."""
        return self.infos.get(self.IMPORT_COLLECTION, "")

    @property
    def partition_name(self) -> str:
        """The partition, "" for a partition key."""
        return self.infos.get(self.IMPORT_PARTITION, "")

    @property
    def progress(self) -> int:
        """Per cent."""
        text = self.infos.get(self.IMPORT_PROGRESS, "0")
        return int(text) if text.isdigit() else 0

    @property
    def ids(self) -> list[int]:
        """The primary keys that the server has made, if it makes them: ``id_ranges`` are pairs of begin and end."""
        pairs = zip(self.id_ranges[::2], self.id_ranges[1::2], strict=True)
        return [one for begin, end in pairs for one in range(begin, end)]

    @property
    def create_time_str(self) -> str:
        """When the task was created, in local time."""
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.create_timestamp))

    @property
    def is_failed(self) -> bool:
        """True if the task failed: its rows are gone or will be."""
        return self.state in (self.ImportFailed, self.ImportFailedAndCleaned)


_NAMES = {
    BulkInsertState.ImportPending: "Pending",
    BulkInsertState.ImportFailed: "Failed",
    BulkInsertState.ImportStarted: "Started",
    BulkInsertState.ImportPersisted: "Persisted",
    BulkInsertState.ImportCompleted: "Completed",
    BulkInsertState.ImportFailedAndCleaned: "Failed and cleaned",
}


def do_bulk_insert(
    collection_name: str,
    files: Sequence[str],
    partition_name: str | None = None,
    timeout: float | None = None,
    using: Any = "default",
    **kwargs: Any,
) -> int:
    """Order the import of one JSON or Parquet file, or of the files of one NPY set; return the id of the task.

    ``using`` is a MilvusClient, or names a connection of pymilvus. ``bucket``, ``backup``, ``sep`` and ``nullkey``
    become options of the order. The order is sent once: when its answer is lost, see `list_bulk_insert_tasks`.

    Raises ImportJobError with the server's code and words.

    >>> from pymilvus import connections  # doctest: +SKIP
    >>> connections.connect(uri="http://127.0.0.1:19530")  # doctest: +SKIP
    >>> do_bulk_insert("books", files=["out/1/id.npy", "out/1/vector.npy"])  # doctest: +SKIP
    445837462719123456
    """
    return insert_with(_handler(using), collection_name, files, partition_name, timeout, kwargs)


def get_bulk_insert_state(
    task_id: int, timeout: float | None = None, using: Any = "default", **kwargs: Any
) -> BulkInsertState:
    """Return how far a task is. Raises ImportJobError for a task that the server does not know."""
    return state_with(_handler(using), task_id, timeout)


def list_bulk_insert_tasks(
    limit: int = 0,
    collection_name: str | None = None,
    timeout: float | None = None,
    using: Any = "default",
    **kwargs: Any,
) -> list[BulkInsertState]:
    """Return the latest ``limit`` tasks (0: all) of a collection, or of all collections."""
    return list_with(_handler(using), limit, collection_name, timeout)


def insert_with(
    handler: Any,
    collection_name: str,
    files: Sequence[str],
    partition_name: str | None,
    timeout: float | None,
    options: Mapping[str, object],
) -> int:
    """Order an import over a pymilvus handler; return the task."""
    from pymilvus.grpc_gen import common_pb2, milvus_pb2

    if isinstance(files, str) or not all(isinstance(path, str) for path in files):
        raise ValueError(f"files is a list of paths, got {files!r}")
    given = {name: str(options[name]) for name in _OPTIONS if options.get(name) is not None}
    request = milvus_pb2.ImportRequest(
        collection_name=collection_name,
        partition_name=partition_name or "",
        files=list(files),
        options=[common_pb2.KeyValuePair(key=name, value=value) for name, value in given.items()],
        channel_names=options.get("channel_names"),
    )
    with _wording("the import was not ordered"):
        reply = handler._stub.Import(request, timeout=timeout or TIMEOUT_S, metadata=_metadata())
    _check(reply.status)
    if not reply.tasks:
        raise ImportJobError("the server took the order but named no task")
    return int(reply.tasks[0])


def state_with(handler: Any, task_id: int, timeout: float | None) -> BulkInsertState:
    """Ask for a task over a pymilvus handler."""
    from pymilvus.grpc_gen import milvus_pb2

    if isinstance(task_id, bool) or not isinstance(task_id, int):
        raise ValueError(f"task_id is an integer, got {task_id!r}")
    with _wording("the state of the task is not known", str(task_id)):
        request = milvus_pb2.GetImportStateRequest(task=task_id)
        reply = handler._stub.GetImportState(request, timeout=timeout or TIMEOUT_S, metadata=_metadata())
    _check(reply.status, str(task_id))
    return _state(task_id, reply)


def list_with(handler: Any, limit: int, collection_name: str | None, timeout: float | None) -> list[BulkInsertState]:
    """Ask for tasks over a pymilvus handler."""
    from pymilvus.grpc_gen import milvus_pb2

    with _wording("the tasks are not known"):
        request = milvus_pb2.ListImportTasksRequest(collection_name=collection_name or "", limit=limit)
        reply = handler._stub.ListImportTasks(request, timeout=timeout or TIMEOUT_S, metadata=_metadata())
    _check(reply.status)
    return [_state(int(task.id), task) for task in reply.tasks]


def _handler(using: Any) -> Any:
    if not isinstance(using, str):
        return using._get_connection()
    try:
        from pymilvus import connections
        from pymilvus.exceptions import MilvusException
    except ImportError as err:
        raise missing_extra("milvus") from err
    try:
        return connections._fetch_handler(using)
    except MilvusException as err:
        raise ImportJobError(f"no connection {using!r}: {_line(err.message)}", code=int(err.code)) from err


def missing_extra(extra: str) -> ImportJobError:
    """Return the error of a feature whose packages are not installed."""
    return ImportJobError(f"this needs packages that are not installed: pip install 'vecmill[{extra}]'")


def _metadata() -> tuple[tuple[str, str], ...]:
    """Return what pymilvus sends beside a request: the time, for the server's records."""
    return (("client-request-unixmsec", str(int(time.time() * 1000))),)


@contextmanager
def _wording(doing: str, job_id: str | None = None) -> Iterator[None]:
    """Turn the error of a call into one line that says whether the server may have received it."""
    import grpc

    try:
        yield
    except grpc.RpcError as err:
        name = err.code().name if hasattr(err, "code") else type(err).__name__
        words = _line(err.details() if hasattr(err, "details") else err)
        unclear = not (name == "UNAVAILABLE" and "connect" in words)
        maybe = "; the server may have got it or not" if unclear and job_id is None else ""
        raise ImportJobError(f"{doing}: {name}: {words}{maybe}", job_id=job_id, unclear=unclear) from err


def _check(status: Any, job_id: str | None = None) -> None:
    code = int(getattr(status, "code", 0) or 0) or int(status.error_code)
    if code:
        raise ImportJobError(_line(status.reason) or "the server gave no reason", code=code, job_id=job_id)


def _state(task_id: int, raw: Any) -> BulkInsertState:
    known = int(raw.state)
    return BulkInsertState(
        task_id=task_id,
        state=known if known in _NAMES else BulkInsertState.ImportUnknownState,
        row_count=int(raw.row_count),
        id_ranges=tuple(int(one) for one in raw.id_list),
        infos=_infos(raw.infos),
        create_timestamp=int(raw.create_ts),
    )


def _infos(pairs: Iterable[Any]) -> dict[str, str]:
    return {str(pair.key): str(pair.value) for pair in pairs}


def _line(text: object) -> str:
    return " ".join(str(text).split())
