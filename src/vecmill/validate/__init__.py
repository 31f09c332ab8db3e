"""`validate`: would the server take these files, and take them for what they are? Asked before they are uploaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from vecmill.validate.report import ValidationReport

__all__ = ["validate"]


def validate(
    files: Any,
    schema: Any = None,
    *,
    target: str | None = None,
    level: Literal["headers", "sample", "full"] = "full",
    sample_rows: int = 10_000,
    max_findings: int = 20,
    sep: str | None = None,
    nullkey: str | None = None,
) -> ValidationReport:
    """Check files against the rules of the server that will import them. docs/rules.md lists the rules.

    Parameters
    ----------
    files: a path or URL (s3://, gs://, az://; credentials from the environment) of a file, of a folder, of the output
        of a writer or its ``manifest.json``; a list of such; or a list of lists, as ``bulk_import(files=...)`` takes
        it: that is one request, and is held to its limits. NPY files in one list are one column set.
    schema: whatever describes the collection; None takes for each output that of its manifest.
    target: "2.3", "2.4", "2.5", "2.6", "3.0" (the latest patch release of each) or "cloud". None: files must suit
        every one of them that reads the schema from the format; but a default that a file leaves to the server, and a
        key that is supplied for an auto-id key, need only one.
    level: "headers" reads headers, footers and first rows only; "sample" looks at ``sample_rows`` rows of every file
        (of JSON and CSV the first ones), "full" at every value.
    max_findings: how many of one rule are told of; all are counted.
    sep, nullkey: the options of the import of CSV files; None takes what the manifest says, else "," and "".

    With a manifest, files are also held against the bytes and rows that it tells, and on the level "full" against its
    checksums.

    Files are looked at on up to four cores. Memory is bounded, whatever the files say of themselves: about 100 MiB for
    each core, and more only for a row (of 64 MiB at most) or a Parquet page (256 MiB) that is large itself.

    Raises SchemaError for a schema that cannot be read, StoreError for a place that cannot, ValueError for an unknown
    target or level. What is wrong with the files is in the report.

    >>> report = validate("out/3f2a", target="2.5")  # doctest: +SKIP
    >>> report.raise_for_errors()  # doctest: +SKIP
    """
    from vecmill.validate.check import check_files

    return check_files(
        files,
        schema,
        target=target,
        level=level,
        sample_rows=sample_rows,
        max_findings=max_findings,
        sep=sep,
        nullkey=nullkey,
    )
