"""Time each small kernel (bits, half, crc64) against its best rival, in one process, in interleaved rounds.

Every case is timed twice: on a large input (memory speed) and on a small one that stays in the L2 cache, as stages of
the writer do. Outputs are allocated and touched before the clock. "equal" tells whether both gave the same answer, bit
for bit; the exit code is 1 if any did not. A rival that checks nothing is marked; the kernels always check.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
from vecmill._native import bits, crc64, half


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    n_bytes: int  # of input, for GB/s; 0 where bytes mean nothing
    ours: Callable[[], Any]
    rival_name: str
    rival: Callable[[], Any]
    equal: Callable[[], bool]  # asked after both have run


@dataclass(frozen=True, slots=True)
class Line:
    case: str
    input_bytes: int
    rival: str
    ours_s: float
    rival_s: float
    ratio: float
    ratio_low: float
    ratio_high: float
    equal: bool


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.tobytes() == b.tobytes()


def bits_cases(n_bytes: int) -> Iterator[Case]:
    matrix = np.random.default_rng(0).integers(0, 2, (n_bytes // 1024, 1024), dtype=np.uint8)
    out = np.zeros((len(matrix), 128), np.uint8)

    def equal() -> bool:
        return same(out, np.packbits(matrix, axis=1))

    def ours() -> None:
        assert bits.pack_bits_into(matrix, out) == -1

    def checked() -> np.ndarray:
        assert matrix.max() <= 1
        return np.packbits(matrix, axis=1)

    yield Case("pack_bits", matrix.nbytes, ours, "np.packbits (no check)", lambda: np.packbits(matrix, axis=1), equal)
    yield Case("pack_bits", matrix.nbytes, ours, "max + np.packbits", checked, equal)


def conversion_cases(n_bytes: int) -> Iterator[Case]:
    targets = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16), "float32": np.dtype("f4")}
    for source, target in [
        ("float32", "float16"),
        ("float32", "bfloat16"),
        ("float64", "float16"),
        ("float64", "bfloat16"),
        ("float64", "float32"),
    ]:
        # float32 values even in float64, where ml_dtypes would round twice and differ
        src = np.random.default_rng(0).standard_normal(n_bytes // np.dtype(source).itemsize, np.float32).astype(source)
        dtype = targets[target]
        out = np.zeros(src.size, np.uint16 if dtype.itemsize == 2 else dtype)
        rival_out = np.zeros(src.size, dtype)
        kernel = getattr(half, f"{source}_to_{target}_into")

        def ours(kernel=kernel, src=src, out=out) -> None:
            assert kernel(src, out) == -1

        def copyto(src=src, rival_out=rival_out) -> None:
            np.copyto(rival_out, src, casting="unsafe")

        def checked(src=src, rival_out=rival_out) -> None:
            np.copyto(rival_out, src, casting="unsafe")
            assert np.isfinite(rival_out).all()

        def equal(src=src, out=out, dtype=dtype) -> bool:
            return same(out, src.astype(dtype))

        name = f"{source} -> {target}"
        yield Case(name, src.nbytes, ours, "astype (no check)", lambda src=src, dtype=dtype: src.astype(dtype), equal)
        yield Case(name, src.nbytes, ours, "np.copyto (no check)", copyto, equal)
        yield Case(name, src.nbytes, ours, "np.copyto + isfinite", checked, equal)


def finite_cases(n_bytes: int) -> Iterator[Case]:
    for name, dtype in [
        ("float16", np.dtype(np.float16)),
        ("bfloat16", np.dtype(ml_dtypes.bfloat16)),
        ("float32", np.dtype(np.float32)),
        ("float64", np.dtype(np.float64)),
    ]:
        values = np.random.default_rng(0).standard_normal(n_bytes // dtype.itemsize, np.float32).astype(dtype)
        held = values.view(np.uint16) if dtype.itemsize == 2 else values
        kernel = getattr(half, f"{name}_finite")

        def rival(values=values) -> bool:
            return bool(np.isfinite(values).all())

        def equal(kernel=kernel, held=held, rival=rival) -> bool:
            return (kernel(held) == -1) == rival()

        yield Case(
            f"{name} finite", held.nbytes, lambda kernel=kernel, held=held: kernel(held), "isfinite.all", rival, equal
        )


def crc_cases(n_bytes: int) -> Iterator[Case]:
    data = np.random.default_rng(0).bytes(n_bytes)

    def ours() -> int:
        return crc64.crc64nvme(data)

    # Known answers of the NVM Command Set specification; zlib computes another, shorter polynomial.
    known = crc64.crc64nvme(b"123456789") == 0xAE8B14860A799888 and crc64.crc64nvme(bytes(4096)) == 0x6482D367EB22B64E
    yield Case("crc64nvme", n_bytes, ours, "zlib.crc32 (32 bits)", lambda: zlib.crc32(data), lambda: known)
    try:
        from awscrt.checksums import crc64nvme as rival  # pip install awscrt, the library of the AWS SDKs
    except ImportError:
        return
    yield Case("crc64nvme", n_bytes, ours, "awscrt", lambda: rival(data), lambda: ours() == rival(data))


def per_call_s(call: Callable[[], Any], n_calls: int) -> float:
    start = time.perf_counter()
    for _ in range(n_calls):
        call()
    return (time.perf_counter() - start) / n_calls


def measure(case: Case, rounds: int) -> Line:
    per_call_s(case.ours, 1)
    per_call_s(case.rival, 1)
    n_calls = max(1, int(0.002 / per_call_s(case.ours, 1)))  # a round lasts at least 2 ms: far above the clock's grain
    samples = []
    for number in range(rounds):
        if number % 2:
            ours_s = per_call_s(case.ours, n_calls)
            rival_s = per_call_s(case.rival, n_calls)
        else:
            rival_s = per_call_s(case.rival, n_calls)
            ours_s = per_call_s(case.ours, n_calls)
        samples.append((ours_s, rival_s))
    ours_s = statistics.median(ours for ours, _ in samples)
    rival_s = statistics.median(rival for _, rival in samples)
    ratios = [rival / ours for ours, rival in samples]
    return Line(
        case.name,
        case.n_bytes,
        case.rival_name,
        ours_s,
        rival_s,
        rival_s / ours_s,
        min(ratios),
        max(ratios),
        case.equal(),
    )


def show(line: Line) -> str:
    size = f"{line.input_bytes / 2**20:g} MiB" if line.input_bytes else ""
    speed = f"{line.input_bytes / line.ours_s / 1e9:.1f} GB/s" if line.input_bytes else f"{line.ours_s * 1e6:.2f} us"
    return (
        f"{line.case:20} {size:>10} {speed:>11}  {line.ratio:5.2f} x {line.rival:23}"
        f" [{line.ratio_low:.2f} .. {line.ratio_high:.2f}]  {'equal' if line.equal else 'WRONG'}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME", help="cases whose names begin so")
    parser.add_argument("--rounds", type=int, default=9, help="default 9; at least 7 for a figure worth telling")
    parser.add_argument("--large-mib", type=int, default=256, help="size of the large input, default 256")
    parser.add_argument("--small-kib", type=int, default=256, help="size of the small input, default 256")
    parser.add_argument("--quick", action="store_true", help="3 rounds of 16 MiB: a smoke test, never a figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every line and the machine there")
    options = parser.parse_args()
    rounds, large = (3, 16 << 20) if options.quick else (options.rounds, options.large_mib << 20)

    lines = []
    for make in (bits_cases, conversion_cases, finite_cases, crc_cases):
        for n_bytes in (large, options.small_kib << 10) if make.__name__ != "<lambda>" else (0,):
            for case in make(n_bytes):
                if case.name.startswith(tuple(options.only)):
                    lines.append(measure(case, rounds))
                    print(show(lines[-1]), flush=True)
    if options.json:
        machine = {"machine": platform.platform(), "python": platform.python_version(), "numpy": np.__version__}
        report = {**machine, "ml_dtypes": ml_dtypes.__version__, "rounds": rounds, "lines": [asdict(x) for x in lines]}
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0 if all(line.equal for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
