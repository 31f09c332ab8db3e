"""Parquet files against the rules of the server."""
