"""How many examples the tests of hypothesis try: as many as each says, or all of them as many as VECMILL_EXAMPLES says.

Few are for builds whose kernels are slow (the sanitizers), many for a night.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

GIVEN = os.environ.get("VECMILL_EXAMPLES")


def examples(n: int = 100, **more: Any) -> settings:
    """Return the settings of a test that tries ``n`` examples.

    How long an example takes says more about what else the machine does: pytest's timeout is for what hangs.
    """
    return settings(max_examples=int(GIVEN or n), deadline=None, **more)
