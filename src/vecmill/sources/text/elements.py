"""JSON into rows: the objects of an array, which may stand in a document, or objects one after another."""

from __future__ import annotations

from collections.abc import Sequence

from vecmill._native import json_read
from vecmill.sources.text.columnar import written_as_rows
from vecmill.sources.text.document import Way, found_at, skip_blank
from vecmill.sources.text.json_rows import MAX_ROWS, WORDS, JsonLines, JsonObjects, RowProblem, Spans, Splitter
from vecmill.sources.text.options import TextOptions
from vecmill.sources.text.outline import Place, place_of_rows
from vecmill.sources.text.paths import KeyPath
from vecmill.sources.text.stream import NOTHING, Blocks, Bytes, TextInput


class JsonElements(JsonObjects):
    """Objects at a place in documents, or one after another."""

    def __init__(
        self,
        columns: Sequence[KeyPath],
        place: Place,
        *,
        known: Sequence[str] = (),
        strict: bool = False,
        rest: bool = False,
    ) -> None:
        super().__init__(columns, known=known, strict=strict, rest=rest)
        self._place = place
        self._way = Way(place.path or (), alone=place.alone)
        self._state: int | None = json_read.SEQUENCE if place.path is None else None

    def take(self, data: Bytes, start: int, final: bool, max_rows: int, skip: int = 0) -> tuple[Spans, int, int]:
        """See `Splitter.take`."""
        room = self._room
        while True:
            if self._state is None:
                start, problem = self._way.on(data, start, final)
                if problem is None and self._way.found and data[start] != ord("["):
                    problem = RowProblem(start, "an array of objects", found_at(data, start))
                if problem is not None or not self._way.found:
                    return room.spans(data, 0, problem), start, 0
                start, self._state = start + 1, json_read.FIRST
            n = min(max_rows, room.n_rows)
            n, start, self._state, why = json_read.split_elements(
                data, start, final, self._state, room.rows[:n], room.row_ends[:n]
            )
            problem = None
            if why == json_read.SYNTAX:
                expected = "',' or ']'" if self._state == json_read.SEPARATOR else "a JSON object"
                problem = RowProblem(start, expected, found_at(data, start))
            elif why != json_read.OK:
                problem = RowProblem(start, *WORDS[why])
            if n == 0 and problem is None and self._state == json_read.CLOSED:
                start, problem = self._end(data, start, final)
                if self._state is None:
                    continue
            spans, skipped = self._walk(data, n, problem, skip)
            return spans, start, skipped

    def _end(self, data: Bytes, position: int, final: bool) -> tuple[int, RowProblem | None]:
        """Read what stands behind the array: the rest of its document, and further documents where there may be."""
        way = self._way
        if way.found:
            way.pass_by()
        problem = None
        if not way.ended:
            position, problem = way.on(data, position, final)
        if problem is not None or not way.ended:
            return position, problem
        position = skip_blank(data, position)
        if position < len(data):
            if not self._place.repeats:
                return position, RowProblem(position, "nothing behind the rows", found_at(data, position))
            self._way, self._state = Way(self._place.path or ()), None
        return position, None


class JsonFiles:
    """Files of JSON, of the kind json or jsonl: where the rows of each are. Columns are written as rows first.

    Raises DataError for a file that does not tell.
    """

    def __init__(self, inputs: Sequence[TextInput], kind: str, options: TextOptions) -> None:
        self._inputs = inputs
        self._block_bytes = options.block_bytes
        self._places: dict[TextInput, Place] = {}
        place = None
        for source in inputs if kind == "json" else ():
            place = place_of_rows(source, options, place)
            if place.form:
                source.put_in_place(written_as_rows(source, place.path or (), place.form))
                place = Place(())
            self._places[source] = place

    def splitter(
        self,
        source: TextInput,
        columns: Sequence[KeyPath],
        *,
        known: Sequence[str] = (),
        strict: bool = False,
        rest: bool = False,
    ) -> Splitter:
        """Return the splitter of a file; see `JsonObjects`."""
        if source in self._places:
            return JsonElements(columns, self._places[source], known=known, strict=strict, rest=rest)
        return JsonLines(columns, known=known, strict=strict, rest=rest)

    def holds(self, path: KeyPath) -> bool:
        """Whether a row has something at a path."""
        return any(self._is_in(source, path) for source in self._inputs)

    def _is_in(self, source: TextInput, path: KeyPath) -> bool:
        splitter = self.splitter(source, [path])
        with Blocks(source, look=True, block_bytes=self._block_bytes) as blocks:
            tail, final = NOTHING, False
            while not final:
                data, final = blocks.next(tail)
                position = 0
                while True:
                    began = position
                    spans, position, _ = splitter.take(data, position, final, MAX_ROWS)
                    if spans.kinds.any():
                        return True
                    if position == began or spans.problem is not None:
                        break
                tail = data[position:].copy()
        return False
