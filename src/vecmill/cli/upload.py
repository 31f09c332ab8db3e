"""``vecmill upload``: what is on disk into a bucket."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from vecmill.cli.bar import byte_bar
from vecmill.cli.errors import exit_codes
from vecmill.cli.flags import with_groups
from vecmill.cli.options import ReportFlags, size_text


@with_groups
def upload_command(
    src: Annotated[
        str,
        typer.Argument(metavar="SRC", help="Folder that vecmill has written; or any folder of import files, or one."),
    ],
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///folder. Credentials, region "
            "and endpoint come from the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, "
            "AWS_ENDPOINT_URL; GOOGLE_APPLICATION_CREDENTIALS; AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY.",
        ),
    ],
    output: ReportFlags,
) -> None:
    """Upload what was written to disk. What is there already, with the same size and checksum, is not sent again.

    \b
    Examples:
      vecmill upload out/0f6f7a3e-... s3://bucket/exports
      vecmill upload out/0f6f7a3e-... az://container --json
    """
    with exit_codes(as_json=output.as_json, debug=output.debug):
        from vecmill.output.upload import upload

        with byte_bar("upload", shown=not output.quiet) as progress:
            try:
                report = upload(src, url, progress=progress)
            except ValueError as error:
                raise typer.BadParameter(str(error), param_hint="URL") from None
        if output.as_json:
            print(json.dumps(report.to_dict(), ensure_ascii=False))
        elif not output.quiet:
            speed = f"{report.seconds:.2f} s ({report.bytes_sent / 1e6 / report.seconds:,.0f} MB/s)"
            print(f"{report.n_sent} files sent, {size_text(report.bytes_sent)}, {speed}")
            print(f"{report.n_skipped} were there already\n{report.url}")
