"""Arrow IPC files and streams (Feather, Hugging Face's saved datasets), mapped."""

from __future__ import annotations

import json
import mmap
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from vecmill.errors import DataError
from vecmill.sources.base import SourceFile, names_text, reading
from vecmill.sources.remote import AnyPath, ObjectPath
from vecmill.sources.tables import Table, skipping, slices

_FILE_MAGIC = b"ARROW1"
_RELEASE_BYTES = 32 << 20
_STATE, _SPLITS = "state.json", "dataset_dict.json"


def tables(places: Sequence[SourceFile]) -> list[Table]:
    """Return Arrow files, or the files of folders that ``datasets`` saved, as tables. Raises DataError, StoreError."""
    return [_IpcTable(path) for place in places for path in _paths(place)]


def _paths(place: SourceFile) -> list[AnyPath]:
    """Return the Arrow files of a place. A saved dataset lists them in its state.json."""
    path = place.path
    if not isinstance(path, Path) or not path.is_dir():
        if place.member:
            raise DataError(file=str(path), expected="a path: an Arrow file has no parts", got=f"part {place.member!r}")
        return [path]
    with reading(path, "saved dataset"):
        if (path / _SPLITS).is_file():
            splits = [str(name) for name in json.loads((path / _SPLITS).read_text())["splits"]]
            chosen = place.member or (splits[0] if len(splits) == 1 else "")
            if chosen not in splits:
                expected = f"a split {chosen!r}" if chosen else "the name of a split (folder:name)"
                raise DataError(file=str(path), expected=expected, got=f"splits {names_text(splits)}")
            path /= chosen
        try:
            entries = json.loads((path / _STATE).read_text())["_data_files"]
            files: list[AnyPath] = [path / str(entry["filename"]) for entry in entries]
        except (KeyError, TypeError) as err:
            raise DataError(file=str(path / _STATE), expected="a list of data files", got=f"no {err}") from err
        if not files:
            raise DataError(file=str(path), expected="data files", got="none of them in it")
        return files


class _IpcTable:
    """One Arrow file or stream.

    The file is mapped, and its pages are given back while it is read, so that the resident size does not grow with the
    data: writers like Polars put a whole frame into one batch. Batches that are compressed take memory as a whole.
    """

    def __init__(self, path: AnyPath) -> None:
        self._path = path
        self.place = str(path)
        with reading(path, "Arrow"):
            self.n_bytes = path.stat().st_size
            if not self.n_bytes:
                raise DataError(file=str(path), expected="an Arrow file", got="an empty file")
            with path.open("rb") as file:
                magic = file.read(len(_FILE_MAGIC))
            if magic.startswith(b"FEA1"):
                raise DataError(file=str(path), expected="Feather version 2 (an Arrow file)", got="Feather version 1")
            self._is_file = magic == _FILE_MAGIC
        self.schema: Any = None
        self._is_compressed = False
        self.n_rows: int | None = None
        self.null_counts: dict[str, int] = {}
        self._count()

    def _count(self) -> None:
        """Count rows and nulls if batches are not compressed, so that no value is touched."""
        import pyarrow as pa
        import pyarrow.types as t

        if not isinstance(self._path, Path):  # reading all of an object, only to count, would cost too much
            with reading(self._path, "Arrow"), self._path.open() as file:
                self.schema = self._reader(pa.PythonFile(file, "r"), None).schema
            return
        with reading(self._path, "Arrow"):
            whole = pa.py_buffer(self._mapped(self._path))
            low, high = whole.address, whole.address + whole.size
            reader = self._reader(pa.BufferReader(whole), None)
            self.schema = reader.schema
            n_rows = 0
            nulls = {field.name: 0 for field in self.schema if not t.is_nested(field.type)}
            for batch in self._batches(reader):
                buffers = [b for column in batch.columns for b in column.buffers() if b is not None and b.size]
                if any(not low <= buffer.address < high for buffer in buffers):
                    self._is_compressed = True
                    self.n_rows = _footer_rows(self._path) if self._is_file else None
                    return
                n_rows += batch.num_rows
                for name in nulls:
                    nulls[name] += batch.column(self.schema.get_field_index(name)).null_count
        self.n_rows, self.null_counts = n_rows, nulls

    def read(self, columns: Sequence[str], batch_rows: int | None, start_row: int) -> Generator[Any, None, None]:
        """Yield slices of the batches; see `Table.read`."""
        import pyarrow as pa

        if not isinstance(self._path, Path):
            yield from self._fetched(self._path, columns, batch_rows, start_row)
            return
        with reading(self._path, "Arrow"):
            mapped = self._mapped(self._path)
            # Arrow copies what it selects, which saves work only where it is decompressed.
            selected = [self.schema.get_field_index(name) for name in columns] if self._is_compressed else None
            reader = self._reader(pa.BufferReader(pa.py_buffer(mapped)), selected)
            n_bytes = 0
            for batch in skipping((batch.select(columns) for batch in self._batches(reader)), start_row):
                for part in slices(batch, batch_rows):
                    n_bytes += part.nbytes
                    yield part
                    if n_bytes > _RELEASE_BYTES:
                        mapped.madvise(mmap.MADV_DONTNEED)
                        n_bytes = 0

    def _fetched(
        self, path: ObjectPath, columns: Sequence[str], batch_rows: int | None, start_row: int
    ) -> Generator[Any, None, None]:
        """Yield slices of the batches of an object in a bucket."""
        import pyarrow as pa

        with path.open() as file, reading(path, "Arrow"):
            selected = [self.schema.get_field_index(name) for name in columns]
            reader = self._reader(pa.PythonFile(file, "r"), selected)
            for batch in skipping(self._batches(reader), start_row):
                yield from slices(batch, batch_rows)

    @staticmethod
    def _mapped(path: Path) -> mmap.mmap:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def _reader(self, source: Any, included: list[int] | None) -> Any:
        import pyarrow as pa

        options = pa.ipc.IpcReadOptions(included_fields=included)
        opened = pa.ipc.open_file if self._is_file else pa.ipc.open_stream
        return opened(source, options=options)

    def _batches(self, reader: Any) -> Iterator[Any]:
        if self._is_file:
            return (reader.get_batch(i) for i in range(reader.num_record_batches))
        return iter(reader)


def _footer_rows(path: Path) -> int:
    """Return the row count of an Arrow file; only headers of its batches are read."""
    import pyarrow.dataset as ds

    return int(ds.dataset(path, format="ipc").count_rows())
