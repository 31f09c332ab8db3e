"""Options of a writer: each with its meaning, unit and default, declared once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast

from vecmill.output_formats import BulkFileType, parse_file_type
from vecmill.schema.servers import check_target_name

if TYPE_CHECKING:
    from vecmill.formats.base import Format
    from vecmill.schema.collection import CollectionSchema
    from vecmill.store.transfer import Transfer
    from vecmill.validate.context import Level

MB = 1024 * 1024

# Default size of a segment. The writers have pymilvus' defaults, so that code written for it makes the same files.
LOCAL_SEGMENT_BYTES = 128 * MB
REMOTE_SEGMENT_BYTES = 1024 * MB
# `convert` and tasks have no such model: large enough that the server has few files to open, small enough to retry.
SEGMENT_BYTES = 512 * MB


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterOptions:
    """Options of a writer, made once where a caller hands them in, and passed on whole.

    Attributes
    ----------
    file_type: PARQUET, NUMPY, JSON, JSONL or CSV, also as a string or number.
    segment_size: encoded bytes (not those in memory) at which a segment is closed and the next one begins. pymilvus'
        name for it is ``chunk_size``.
    config: options of the file format, see docs/formats.md, Options.
    target: release line of the server ("2.5", "cloud") whose rules the files must meet, see docs/formats.md.
        None: those of every line that knows the types in the schema.
    validate: "headers", "sample" or "full": on close, check the published files as `vecmill.validate` does. None: do
        not.
    resume: continue the output of a writer that ended early, in its folder.
    transfer: how objects are sent to a bucket. None: as `Transfer` has it. Without effect on a disk.
    cores: most CPU cores that encode a large batch, at most 4. None: as many as the machine has.

    Raises ValueError if ``segment_size`` is not positive, or ``target`` or ``validate`` has no such value.
    """

    file_type: BulkFileType = BulkFileType.PARQUET
    segment_size: int = SEGMENT_BYTES
    config: Mapping[str, Any] = field(default_factory=dict)
    target: str | None = None
    validate: Level | None = None
    resume: bool = False
    transfer: Transfer | None = None
    cores: int | None = None

    def __post_init__(self) -> None:
        if self.segment_size < 1:
            raise ValueError(f"segment_size (chunk_size) must be positive, got {self.segment_size}")
        check_target_name(self.target)
        if self.validate is not None:
            from vecmill.validate.check import check_options

            check_options(self.target, self.validate)

    @classmethod
    def of(cls, **given: Unpack[WriterKeywords]) -> WriterOptions:
        """Return the options that a caller has given. None, as a value, stands for the default.

        Raises as the class does, SchemaError for an unknown file type, TypeError for an unknown option.
        """
        options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        options["file_type"] = parse_file_type(given.get("file_type", BulkFileType.PARQUET))
        options["config"] = dict(given.get("config") or {})
        return cls(**options)

    def keywords(self) -> WriterKeywords:
        """Return the options as keywords for a function that takes them so."""
        return cast("WriterKeywords", {one.name: getattr(self, one.name) for one in fields(self)})

    def open_format(self, schema: CollectionSchema) -> Format:
        """Return the format of the files. Raises SchemaError if it or the target cannot carry the schema."""
        from vecmill.formats import open_format
        from vecmill.schema.carriage import check_target

        check_target(schema, self.file_type, self.target)
        return open_format(self.file_type, schema, self.config)


class KeywordOptions(TypedDict, total=False):
    """Those of `WriterOptions` that pymilvus' writers do not take by place."""

    segment_size: int | None
    target: str | None
    validate: Level | None
    resume: bool
    transfer: Transfer | None
    cores: int | None


class WriterKeywords(KeywordOptions, total=False):
    """All of `WriterOptions`, as a caller gives them."""

    file_type: BulkFileType | str | int
    config: Mapping[str, Any] | None
