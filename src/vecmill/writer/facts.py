"""Facts of a writer that a caller may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vecmill.manifest import Manifest
from vecmill.output_formats import FORMATS
from vecmill.schema.collection import CollectionSchema
from vecmill.store.sink import Sink
from vecmill.writer.options import WriterOptions
from vecmill.writer.pipeline import Pipeline
from vecmill.writer.publisher import Publisher

if TYPE_CHECKING:
    from vecmill.validate.report import ValidationReport


class WriterFacts:
    """Properties of a writer. They may be read at any time, from any thread, also in a ``call_back`` of ``commit``."""

    _schema: CollectionSchema
    _options: WriterOptions
    _sink: Sink
    _publisher: Publisher
    _pipeline: Pipeline
    _next_row: int  # number of the next row; rows are counted when they are offered
    _n_refused: int
    _validation: ValidationReport | None

    @property
    def schema(self) -> Any:
        """The schema, as vecmill's CollectionSchema."""
        return self._schema

    @property
    def uuid(self) -> str:
        """Name of the writer's folder."""
        return self._publisher.manifest.uuid

    @property
    def batch_files(self) -> list[list[str]]:
        """Published files, one list per segment: the shape that the import API takes."""
        return self._publisher.batch_files

    @property
    def manifest(self) -> Manifest:
        """Published files with rows, bytes and checksums, and the schema. Also in ``manifest.json``."""
        return self._publisher.manifest

    @property
    def validation(self) -> ValidationReport | None:
        """Report of the validation on close. None: not closed yet, or none was asked for."""
        return self._validation

    @property
    def total_row_count(self) -> int:
        """Rows taken since the start, published or not; refused rows do not count."""
        return self._next_row - self._n_refused

    @property
    def buffer_row_count(self) -> int:
        """Rows taken and not yet handed over for publishing."""
        return self._pipeline.n_rows

    @property
    def buffer_size(self) -> int:
        """Encoded bytes of the rows that ``buffer_row_count`` counts."""
        return self._pipeline.n_bytes

    @property
    def batch_rows(self) -> int | None:
        """Rows of a batch, about, that does not begin a file of its own. None: any batch continues the open file.

        Text that has left for a bucket cannot be taken back, so a batch is held back until it is whole, if it is small.
        """
        if not self._sink.hold_bytes or not FORMATS[self._options.file_type].is_text:
            return None
        return max(1, self._sink.hold_bytes // self._pipeline.row_bytes)

    @property
    def chunk_size(self) -> int:
        """Encoded bytes at which a segment is closed."""
        return self._options.segment_size
