import numpy as np
from numpy.typing import NDArray

def vector_levels(n_rows: int, dim: int, validity: NDArray[np.uint8] | None) -> bytes: ...
