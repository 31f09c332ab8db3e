"""Sources side by side: columns of several files that belong together row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vecmill.errors import DataError
from vecmill.sources.base import Column, Source


class Joined:
    """Sources side by side: their columns belong together row by row (metadata in Parquet, vectors in NPY).

    Raises DataError when their lengths differ: here where they are known, else when one of them ends early.
    """

    def __init__(self, parts: Sequence[Source]) -> None:
        known = [part for part in parts if part.n_rows is not None]
        for part in known[1:]:
            if part.n_rows != known[0].n_rows:
                raise DataError(
                    file=part.locate(0)[0],
                    expected=f"{known[0].n_rows} rows, as in {known[0].locate(0)[0]!r}",
                    got=f"{part.n_rows}",
                )
        self._parts = tuple(parts)
        self.n_rows = known[0].n_rows if known else None

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns of all parts."""
        return tuple(column for part in self._parts for column in part.columns)

    @property
    def n_bytes(self) -> int:
        """Return the bytes of all files."""
        return sum(part.n_bytes for part in self._parts)

    def batches(
        self, names: Sequence[str] | None = None, *, batch_rows: int | None = None, start_row: int = 0
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the batches of all parts, merged; see `Source.batches`."""
        wanted = [[c.name for c in part.columns if names is None or c.name in names] for part in self._parts]
        used = [(part, mine) for part, mine in zip(self._parts, wanted, strict=True) if mine]
        streams = [part.batches(mine, batch_rows=batch_rows, start_row=start_row) for part, mine in used]
        rows = start_row
        heads: list[dict[str, Any]] = [{} for _ in streams]
        while True:
            for i, stream in enumerate(streams):
                if not heads[i]:
                    heads[i] = dict(next(stream, {}))
            if not all(heads):
                break
            # Batches of different lengths are cut to common ones. Slices of arrays are views: nothing is copied.
            n = min(_length(head) for head in heads)
            yield {name: column[:n] for head in heads for name, column in head.items()}
            rows += n
            heads = [_behind(head, n) for head in heads]
        for (part, _), head in zip(used, heads, strict=True):
            if any(heads) and not head:
                raise DataError(file=part.locate(0)[0], expected=f"more than {rows} rows, as beside it", got=f"{rows}")

    def locate(self, row: int, name: str | None = None) -> tuple[str, int]:
        """Return file and row in it, of the part that holds column ``name``."""
        for part in self._parts:
            if any(column.name == name for column in part.columns):
                return part.locate(row, name)
        return self._parts[0].locate(row)


def _length(batch: Mapping[str, Any]) -> int:
    return len(next(iter(batch.values())))


def _behind(batch: dict[str, Any], n: int) -> dict[str, Any]:
    """Return the rows of ``batch`` from ``n`` on, or nothing at all when there are none."""
    return {name: column[n:] for name, column in batch.items()} if _length(batch) > n else {}
