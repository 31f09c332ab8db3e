"""The release, in one place: the package's metadata, ``vecmill --version`` and ``created_by`` of Parquet files."""

__version__ = "0.1.0"
