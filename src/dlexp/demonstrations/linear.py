"""Linear networks: the narrowest layer limits their rank, and depth adds nothing (dl_hw3 ex02, nn_theory ex05)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from dlexp.config.lazy import nn, torch
from dlexp.config.schema import Count, Interval, Seed
from dlexp.demonstrations.minimization import minimize
from dlexp.demonstrations.sides import Demonstration, LayerSizes, Panel, Sides, Table

if TYPE_CHECKING:
    from torch import Tensor, nn


Part = Annotated[float, Interval(0.001, 1)]  # of the usual initial weights: much smaller ones do not learn in time


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


def few_samples(
    samples: tuple[Count, ...] = (2, 3, 6, 12), small: Part = 0.03, repeats: Count = 10, seed: Seed = 0
) -> Demonstration:
    """Train linear nets 5 → 5, 5 → 4 → 5 and 5 → 16 → 5 on few samples of maps of rank 5, and test what they learn.

    Initial weights are PyTorch's, and `small` times these. Fewer samples than inputs leave a part of the map open:
    gradients do not change what the first layer does with inputs outside of the samples' span. The test error is the
    mean over inputs from a standard normal distribution, with the same noise, by formula.
    """
    generator = torch.Generator().manual_seed(seed)
    settings = [(scale, count) for scale in (1.0, small) for count in samples]
    truth = torch.randn(repeats, 5, 5, generator=generator, dtype=torch.float64)
    x, noise = torch.randn(2, repeats, max(samples), 5, generator=generator, dtype=torch.float64)
    y = x @ truth + 0.1 * noise
    # All settings train at once, as batches of matrices: a row that a setting leaves out is 0, and adds no gradient.
    kept = torch.stack([(torch.arange(max(samples)) < count) / count**0.5 for _, count in settings]).double()
    x, y = ((kept[:, None, :, None] * each).flatten(0, 1) for each in (x, y))
    train, test, ranks = {}, {}, {}
    for sizes in ([5, 5], [5, 4, 5], [5, 16, 5]):
        name = " → ".join(map(str, sizes))
        weights = [
            (torch.rand(repeats, a, b, generator=generator).double() * 2 - 1) / a**0.5
            for a, b in itertools.pairwise(sizes)
        ]
        weights = [torch.cat([scale * w for scale, _ in settings]).requires_grad_() for w in weights]
        start, learned = _product(weights).detach(), _learn(weights, x, y)
        off = learned - truth.repeat(len(settings), 1, 1)
        train[name] = ((x @ learned - y).square().sum((1, 2)) / 5).view(len(settings), repeats)
        test[name] = (off.square().sum((1, 2)) / 5 + 0.01).view(len(settings), repeats)
        ranks[name] = torch.linalg.matrix_rank(learned, rtol=0.05).view(len(settings), repeats).double().mean(1)
        if len(sizes) == 2:
            nearest = start + torch.linalg.pinv(x) @ (y - x @ start)
            closed = Sides("5 → 5 learns W₀ + X⁺ (Y − X W₀), the map nearest to its first one", learned, nearest, 1e-3)
    few = [i for i, (_, count) in enumerate(settings) if count < 5]
    small_few = [i for i in few if i >= len(samples)]
    enough = [i for i in range(len(samples)) if i not in few]
    least = torch.stack([train[name][few] for name in train])
    sides = [closed]
    if few:
        statement = "fewer samples than inputs: every net's error on train < 0.001"
        sides.append(Sides(statement, least, torch.full_like(least, 1e-3), relation="<"))
        first, third = (test[name][small_few].mean(1) for name in ("5 → 5", "5 → 16 → 5"))
        sides.append(
            Sides(f"they, with {small:g} of the weights: test errors of 5 → 5 and 5 → 16 → 5", first, third, 0.1)
        )
    if enough:
        first, third = (test[name][enough].mean(1) for name in ("5 → 5", "5 → 16 → 5"))
        sides.append(Sides("as many samples or more: test errors of 5 → 5 and 5 → 16 → 5", first, third, 0.05))
    worse = [int(n) for n in (test["5 → 16 → 5"] > 1.01 * test["5 → 5"]).sum(1)]
    labels: list[list[str | float]] = [[f"{scale:g}", count] for scale, count in settings]

    def table(values: Mapping[str, Tensor]) -> list[list[str | float]]:
        return [[*label, *(float(f"{value[i]:.3g}") for value in values.values())] for i, label in enumerate(labels)]

    errors = {f"{split} {name}": e[name].mean(1) for split, e in (("train", train), ("test", test)) for name in train}
    return Demonstration(
        sides,
        {
            f"Mean errors of {repeats} maps; initial weights are those of PyTorch times the first column": Table(
                ["times", "samples", *errors], table(errors)
            ),
            "Singular values above 5 % of the largest, and how often 5 → 16 → 5 is 1 % worse on test": Table(
                ["times", "samples", *ranks, f"worse, of {repeats}"],
                [[*row, n] for row, n in zip(table(ranks), worse, strict=True)],
            ),
        },
        {
            f"Test error, initial weights times {scale:g}": Panel(
                {
                    n: [(c, float(e[k * len(samples) + i].mean())) for i, c in enumerate(samples)]
                    for n, e in test.items()
                },
                x="samples",
                y="mean squared error",
                log="xy",
            )
            for k, scale in enumerate((1.0, small))
        },
        [
            f"With {settings[i][1]} samples, 5 → 16 → 5 is worse on test than 5 → 5 in {worse[i]} of {repeats} cases"
            f" with PyTorch's initial weights, and in {worse[i + len(samples)]} with {small:g} of them."
            for i in few
            if i < len(samples)
        ],
    )


def _product(weights: Sequence[Tensor]) -> Tensor:
    return functools.reduce(torch.matmul, weights)


def _learn(weights: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Train each net of a batch, from its `weights`, and return the maps that they learn, (nets, 5, 5)."""
    minimize(
        weights,
        lambda: (x @ _product(weights) - y).square().sum(),
        max_iter=300,
        tolerance_change=0,
        tolerance_grad=1e-6,
        history_size=20,
    )
    return _product(weights).detach()


def _train(net: nn.Module, x: Tensor, y: Tensor) -> float:
    return minimize(
        net.parameters(),
        lambda: (net(x) - y).square().mean(),
        max_iter=2000,
        tolerance_change=1e-16,
        tolerance_grad=1e-12,
    )


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
