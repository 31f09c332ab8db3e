"""Parquet: pages, headers and footer."""
