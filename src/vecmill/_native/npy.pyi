from typing import Any, SupportsIndex

from numpy.typing import NDArray
from typing_extensions import Buffer

def npy_header(descr: str, shape: tuple[SupportsIndex, ...], reserve: int = 21) -> bytes: ...

# NumPy declares arrays as Buffer only from Python 3.12 on.
def patch_row_count(header: Buffer | NDArray[Any], n_rows: SupportsIndex) -> None: ...
