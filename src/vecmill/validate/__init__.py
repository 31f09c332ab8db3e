"""`validate`: checks files against the rules of the server before they are uploaded."""

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
    files: a path or URL (s3://, gs://, az://; credentials from the environment) of a file, a folder, the output of a
        writer or its ``manifest.json``; a list of these; or a list of lists, as ``bulk_import(files=...)`` takes it. A
        list of lists is one request, and its limits are checked too. NPY files in one list are one column set.
    schema: a schema of any kind that vecmill reads. None: the schema in the manifest of each output.
    target: release line of the server ("2.5", its latest patch release) or "cloud", see docs/formats.md. None: files
        must suit all release lines that read the schema from the format; default values that a file leaves to the
        server, and supplied auto-id keys, need one such line only.
    level: "headers" reads headers, footers and first rows; "sample" checks ``sample_rows`` rows of each file (the first
        ones of JSON and CSV); "full" checks every value.
    sample_rows: rows of each file on the level "sample".
    max_findings: most findings of a rule in the report; all are counted.
    sep, nullkey: import options of CSV files. None: those of the manifest, otherwise "," and "".

    If there is a manifest, sizes and rows of files are compared with it, and checksums too on the level "full".

    Up to four cores check files at the same time. Each takes about 100 MiB of memory, and more only for large rows (up
    to 64 MiB) and large Parquet pages (up to 256 MiB), whatever the files claim.

    Raises SchemaError for a schema that cannot be read, StoreError for files that cannot be reached, ValueError for an
    unknown target or level. Findings about files are in the report.

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
