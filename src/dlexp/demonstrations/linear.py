"""Linear networks: the narrowest layer limits their rank, and depth adds nothing (dl_hw3 ex02, nn_theory ex05)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from dlexp.config.lazy import nn, torch
from dlexp.config.schema import Count, Seed
from dlexp.demonstrations.sides import Demonstration, LayerSizes, Sides

if TYPE_CHECKING:
    from torch import Tensor, nn


def linear_rank(hidden_sizes: tuple[Count, ...] = (4, 16), samples: Count = 200, seed: Seed = 0) -> Demonstration:
    """Train linear nets 5 → 5 and 5 → h → 5 on the same data of rank 5, and compare each with the best map of its rank.

    The best map of rank r is least squares, projected on the first r directions of its fitted values (reduced-rank
    regression: Izenman, 1975).
    """
    generator = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(2, samples, 5, generator=generator, dtype=torch.float64)
    y = x @ torch.randn(5, 5, generator=generator, dtype=torch.float64) + 0.1 * noise
    fitted = x @ torch.linalg.lstsq(x, y).solution
    directions = torch.linalg.svd(fitted, full_matrices=False).Vh
    sides = []
    for hidden in (None, *hidden_sizes):
        torch.manual_seed(seed)
        sizes = [5, 5] if hidden is None else [5, hidden, 5]
        net = nn.Sequential(*(nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(sizes))).double()
        reached, rank = _train(net, x, y), min(sizes)
        best = (fitted @ directions[:rank].T @ directions[:rank] - y).square().mean()
        with torch.no_grad():
            product = net(torch.eye(5, dtype=torch.float64))
        name, its_rank = " → ".join(map(str, sizes)), torch.linalg.matrix_rank(product, rtol=1e-6)
        sides.append(Sides(f"{name}: final loss = least of any map of rank {rank}", reached, best, 1e-6))
        sides.append(Sides(f"{name}: rank of the product of the weights", its_rank, rank))
    return Demonstration(sides)


def _train(net: nn.Module, x: Tensor, y: Tensor) -> float:
    optimizer = torch.optim.LBFGS(
        net.parameters(), max_iter=2000, tolerance_change=1e-16, tolerance_grad=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> float:
        optimizer.zero_grad()
        value = (net(x) - y).square().mean()
        value.backward()
        return value.item()

    optimizer.step(loss)
    return loss()


def deep_linear(sizes: LayerSizes = (6, 8, 7, 3), seed: Seed = 0) -> Demonstration:
    """Compare a deep net without activations with one layer that has the product of its weights."""
    torch.manual_seed(seed)
    layers = [nn.Linear(a, b).double() for a, b in itertools.pairwise(sizes)]
    x = torch.randn(4, sizes[0], dtype=torch.float64)
    weight, bias = torch.eye(sizes[0], dtype=torch.float64), torch.zeros(sizes[0], dtype=torch.float64)
    with torch.no_grad():
        deep = nn.Sequential(*layers)(x)
        for layer in layers:
            weight, bias = layer.weight @ weight, layer.weight @ bias + layer.bias
    return Demonstration([Sides(f"{' → '.join(map(str, sizes))} = one layer", deep, x @ weight.T + bias)])
