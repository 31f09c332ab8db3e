"""Where numbers become infinite, when a server narrows them."""

from __future__ import annotations

from collections.abc import Mapping

FLOAT32_LIMIT = 3.4028235677973366e38
"""What is as large or larger becomes infinite as float32; a little less is rounded to the largest one."""

NARROWED: Mapping[str, tuple[str, float]] = {
    "float_vector": ("float32", FLOAT32_LIMIT),
    # Servers of 3.0 take floats for these too.
    "float16_vector": ("float16", 65520.0),
    "bfloat16_vector": ("bfloat16", 255.5 * 2.0**120),
}
"""By kind of vector: what its values become, and from where on that is infinite."""
