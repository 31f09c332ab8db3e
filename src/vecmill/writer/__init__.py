"""Rows and batches to published segments."""
