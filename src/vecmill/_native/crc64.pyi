from typing import Any

from numpy.typing import NDArray
from typing_extensions import Buffer

# NumPy declares arrays as Buffer only from Python 3.12 on.
def crc64nvme(data: Buffer | NDArray[Any], crc: int = 0) -> int:
    """Return the CRC-64/NVME of the bytes of ``data`` behind bytes whose CRC is ``crc``."""

def crc64nvme_combine(crc_a: int, crc_b: int, len_b: int) -> int:
    """Return the CRC of ``a + b`` from the CRC of each and the bytes of ``b``."""
