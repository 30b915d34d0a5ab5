"""A pretrained net on a new task: how many layers to freeze trades bias against variance (nn_theory ex03)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dlexp.config.lazy import optim, torch
from dlexp.config.schema import Count, Seed
from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table

if TYPE_CHECKING:
    from torch import Generator, Tensor

Net = list[tuple["Tensor", "Tensor"]]  # a weight (sets, in, out) and a bias (sets, 1, out) for each layer
INPUTS, WIDTH, NOISE, TEST = 10, 16, 0.2, 500
COLUMNS = ("train", "test", "bias²", "variance")


def frozen_layers(
    small: Count = 20, large: Count = 600, sets: Count = 5, steps: Count = 100, seed: Seed = 0
) -> Demonstration:
    """Pretrain 10 → 16 → 16 → 16 → 8 on an old task, and give it a new head on a related one, freezing 0 to 3 layers.

    Each net is trained on several sets of the new task of the same size, all at once. Bias² is the squared error of
    their mean prediction, variance their squared distance from it, averaged over points without noise.
    """
    generator = torch.Generator().manual_seed(seed)
    old, new = _tasks(torch.Generator().manual_seed(0))  # how much two tasks share decides what is best to freeze
    x = _normal(generator, 1, large, INPUTS)
    shape = [(INPUTS, WIDTH), (WIDTH, WIDTH), (WIDTH, WIDTH), (WIDTH, 8)]
    start = [_layer(generator, *sizes, 1) for sizes in shape]
    pretrained = _train(start, 0, x, old(x) + NOISE * _normal(generator, 1, large, 8), 2 * steps)
    head = _layer(generator, WIDTH, 1, sets)
    reused = [(w.expand(sets, -1, -1), b.expand(sets, -1, -1)) for w, b in pretrained[:-1]]
    points = _normal(generator, 1, TEST, INPUTS).expand(sets, -1, -1)
    truth = new(points[0])

    errors: dict[int, list[list[float]]] = {}
    for size in (small, large):
        x = _normal(generator, sets, size, INPUTS)
        y = new(x) + NOISE * _normal(generator, sets, size, 1)
        for frozen in range(len(shape)):
            net = _train([*reused, head], frozen, x, y, steps)
            predicted = _output(net, points).double()
            mean = predicted.mean(0)
            measured = (_output(net, x) - y, predicted - truth, mean - truth, predicted - mean)
            errors.setdefault(size, []).append([value.square().mean().item() for value in measured])
    return _shown(errors, small, large)


def _shown(errors: dict[int, list[list[float]]], small: int, large: int) -> Demonstration:
    every = [row for rows in errors.values() for row in rows]
    (few_none, *_, few_all), (many_none, *_, many_all) = errors[small], errors[large]
    train, test, bias, variance = range(4)
    best = {size: min(range(4), key=lambda k: rows[k][test]) for size, rows in errors.items()}
    return Demonstration(
        [
            Sides(
                "test error = bias² + variance", [r[test] for r in every], [r[bias] + r[variance] for r in every], 1e-6
            ),
            Sides(f"{small} samples: variance, 3 frozen < none", few_all[variance], few_none[variance], relation="<"),
            Sides(f"{large} samples: bias², none frozen < 3", many_none[bias], many_all[bias], relation="<"),
            Sides(f"{small} samples: test error, 3 frozen < none", few_all[test], few_none[test], relation="<"),
            Sides(f"{large} samples: test error, none frozen < 3", many_none[test], many_all[test], relation="<"),
            Sides(
                "train error of both, none frozen < 3",
                [few_none[train], many_none[train]],
                [few_all[train], many_all[train]],
                relation="<",
            ),
        ],
        {
            "Squared errors on the new task": Table(
                ["samples", "frozen layers", *COLUMNS],
                [[size, frozen, *row] for size, rows in errors.items() for frozen, row in enumerate(rows)],
            )
        },
        {
            f"{size} samples": Panel(
                {name: [(k, row[i]) for k, row in enumerate(rows)] for i, name in enumerate(COLUMNS)},
                x="frozen layers of 3 hidden ones",
                y="squared error",
            )
            for size, rows in errors.items()
        },
        [
            f"With {small} samples, freezing all hidden layers takes the variance from {few_none[variance]:.3f} to "
            f"{few_all[variance]:.3f}, and the test error from {few_none[test]:.3f} to {few_all[test]:.3f}. "
            f"It is least with {best[small]} frozen.",
            f"With {large} samples it takes bias² from {many_none[bias]:.3f} to {many_all[bias]:.3f}, and the test "
            f"error from {many_none[test]:.3f} to {many_all[test]:.3f}. It is least with {best[large]} frozen.",
            f"The train error rises from {few_none[train]:.3f} to {few_all[train]:.3f}, and from "
            f"{many_none[train]:.3f} to {many_all[train]:.3f}: fewer free parameters fit less.",
        ],
    )


def _tasks(generator: Generator) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Return the old task (…, 10) → (…, 8) and the new one (…, 10) → (…, 1), whose second layer is another."""
    first = 1.5 * _normal(generator, INPUTS, 8) / INPUTS**0.5
    second, change, of_old, of_new = (_normal(generator, 8, size) / 8**0.5 for size in (8, 8, 8, 1))
    return (
        lambda x: ((x @ first).tanh() @ (1.5 * second)).tanh() @ of_old,
        lambda x: ((x @ first).tanh() @ (1.5 * (second + 0.6 * change))).tanh() @ of_new,
    )


def _normal(generator: Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator)


def _layer(generator: Generator, inputs: int, outputs: int, sets: int) -> tuple[Tensor, Tensor]:
    return _normal(generator, sets, inputs, outputs) / inputs**0.5, torch.zeros(sets, 1, outputs)


def _output(net: Net, x: Tensor) -> Tensor:
    """Return the outputs (sets, n, out), with tanh after each layer but the last."""
    for weight, bias in net[:-1]:
        x = torch.baddbmm(bias, x, weight).tanh()
    return torch.baddbmm(net[-1][1], x, net[-1][0])


def _train(net: Net, frozen: int, x: Tensor, y: Tensor, steps: int) -> Net:
    """Train copies of all layers but the first `frozen` ones with Adam at 0.01, on whole sets."""
    tuned = [(w.clone().requires_grad_(), b.clone().requires_grad_()) for w, b in net[frozen:]]
    optimizer = optim.Adam([p for layer in tuned for p in layer], 0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        (_output([*net[:frozen], *tuned], x) - y).square().mean((1, 2)).sum().backward()
        optimizer.step()
    return [*net[:frozen], *((w.detach(), b.detach()) for w, b in tuned)]
