"""Make ``tests/data/torch/*.pt`` with torch itself, which the tests do not install.

They were written by torch 2.13.0: ``python tests/data/make_torch.py``.
"""

from pathlib import Path

import torch

OUT = Path(__file__).with_name("torch")


def numbers(dtype: torch.dtype = torch.float32, dim: int = 4) -> torch.Tensor:
    return (torch.arange(5 * dim).reshape(5, dim) / 8).to(dtype)


def main() -> None:
    OUT.mkdir(exist_ok=True)
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.int64, torch.uint8):
        torch.save(numbers(dtype), OUT / f"{str(dtype).removeprefix('torch.')}.pt")
    wide = numbers(dim=8)
    torch.save(
        {
            "ids": torch.arange(5), "embeddings": numbers(), "texts": [f"text {i}" for i in range(5)],
            "scores": [i / 4 for i in range(5)], "flags": torch.tensor([True, False, True, True, False]),
            "rows": wide[:, 2:6], "epoch": 3, "config": {"model": "m", "dim": 4},
        },
        OUT / "named.pt",
    )  # fmt: skip
    torch.save({"model": {"weight": numbers(), "bias": torch.zeros(5)}}, OUT / "nested.pt")
    torch.save([numbers(), numbers(torch.float16)], OUT / "list.pt")
    torch.save(torch.nn.Parameter(numbers()), OUT / "parameter.pt")
    torch.save(numbers().T, OUT / "transposed.pt")
    torch.save(torch.nn.Embedding(5, 4).state_dict(), OUT / "state_dict.pt")
    torch.save(torch.nn.Linear(2, 2), OUT / "module.pt")
    torch.save(numbers(), OUT / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(torch.zeros(0, 4), OUT / "empty.pt")
    torch.save({"label": torch.tensor([3]).expand(5), "vector": numbers()}, OUT / "expanded.pt")
    torch.save({"title": ["a", None, "c", "d", "e"], "vector": numbers()}, OUT / "mixed.pt")
    torch.save({"ids": [1, 2, 3, 4, 1 << 63], "vector": numbers()}, OUT / "wide.pt")
    torch.save(numbers().to_sparse(), OUT / "sparse.pt")


if __name__ == "__main__":
    main()
