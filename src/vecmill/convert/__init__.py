"""`convert`: whatever holds embeddings in, files that Milvus imports out, in one call."""

from __future__ import annotations

from vecmill.convert.forecast import Forecast, forecast
from vecmill.convert.job import SEGMENT_BYTES, Plan, Settings, convert, prepare, run
from vecmill.convert.report import Report

__all__ = ["SEGMENT_BYTES", "Forecast", "Plan", "Report", "Settings", "convert", "forecast", "prepare", "run"]
