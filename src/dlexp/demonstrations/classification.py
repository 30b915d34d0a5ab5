"""What a measure of a classifier sees: the true class, all classes, several labels, right or wrong (nn_theory ex04)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from dlexp.components.losses import categorical_hinge
from dlexp.config.lazy import F, torch
from dlexp.config.schema import Count, Seed
from dlexp.demonstrations.minimization import minimize
from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table
from dlexp.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

CLASSES = ("dog", "cat", "iguana", "mouse")


def four_classes() -> Demonstration:
    """Compare a right prediction a with a wrong one b by the losses, the margin and the error; the truth is iguana.

    b has more probability on iguana than a, but still more on mouse.
    """
    truth = CLASSES.index("iguana")
    predictions = {"a": [0.25, 0.25, 0.3, 0.2], "b": [0.0, 0.0, 0.4, 0.6]}
    p = torch.tensor([*predictions.values()], dtype=torch.float64)
    target = torch.full((len(p),), truth)
    true = p[:, truth]
    wrong = p[:, [i for i in range(len(CLASSES)) if i != truth]]
    categorical = -true.log()
    with_zeros = categorical - (1 - wrong).log().sum(1)
    margin = true - wrong.amax(1)
    hinge = (1 - margin).relu()
    error = (p.argmax(1) != target).double()

    logits = p.log()  # softmax(ln p) = p
    by_pytorch = F.nll_loss(logits, target, reduction="none")
    binary = F.binary_cross_entropy(p, F.one_hot(target, 4).double(), reduction="none").sum(1)
    of_dlexp = torch.stack([categorical_hinge().function(z[None], target[:1]) for z in logits])
    measures = {
        "−ln p(iguana), categorical cross-entropy": categorical,
        "with −Σ ln(1 − p) of the other classes": with_zeros,
        "the largest other p − p(iguana), minus the margin": -margin,
        "1 − margin, the categorical hinge": hinge,
        "error: the largest p is another class": error,
    }
    return Demonstration(
        [
            Sides("−ln p(iguana) = PyTorch's NLL", categorical, by_pytorch),
            Sides("with −Σ ln(1 − p) = the sum of PyTorch's binary cross-entropies", with_zeros, binary),
            Sides("max(0, 1 − margin) = dlexp's categorical hinge", hinge, of_dlexp),
            Sides("categorical cross-entropy prefers b", categorical[1], categorical[0], relation="<"),
            Sides("with the other classes' terms it still prefers b", with_zeros[1], with_zeros[0], relation="<"),
            Sides("the hinge prefers a", hinge[0], hinge[1], relation="<"),
            Sides("the error prefers a", error[0], error[1], relation="<"),
        ],
        {
            "Predictions": Table(
                ["", *CLASSES, "says"],
                [[name, *values, CLASSES[values.index(max(values))]] for name, values in predictions.items()],
            ),
            "Measures of them, the lower the better": Table(
                ["measure", "a", "b", "prefers"],
                [[name, *values.tolist(), "ab"[int(values.argmin())]] for name, values in measures.items()],
            ),
        },
        findings=[
            f"Cross-entropy looks at the true class alone. There b has {true[1]:g} and a {true[0]:g}, so it prefers b, "
            "although b says mouse.",
            "The homework proposes the terms of the other classes as a cure. They add "
            f"{with_zeros[0] - categorical[0]:.2f} to a and {with_zeros[1] - categorical[1]:.2f} to b, so b is still "
            f"preferred: {with_zeros[1]:.2f} against {with_zeros[0]:.2f}.",
            f"The margin, {margin[0]:+.2f} for a and {margin[1]:+.2f} for b, is negative if the prediction is wrong. "
            "The hinge, which is 1 minus it, can be trained; the error cannot (ex04_accuracy).",
        ],
    )


def accuracy_slope(samples: Count = 20, seed: Seed = 0) -> Demonstration:
    """Accuracy and cross-entropy of σ(w₁ x₁ + w₂ x₂) as functions of w₁, and their slopes; w₂ is 1.

    A sample changes its predicted class only where w₁ x₁ + w₂ x₂ = 0, so accuracy is constant between these places.
    """
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(samples) % 2
    x = torch.randn(samples, 2, generator=generator, dtype=torch.float64) + 0.7 * (2 * y[:, None] - 1)

    def logits(w1: Tensor) -> Tensor:
        return torch.outer(w1, x[:, 0]) + x[:, 1]

    def accuracy(w1: Tensor) -> Tensor:
        return ((logits(w1) > 0) == (y == 1)).double().mean(1)

    def cross_entropy(w1: Tensor) -> Tensor:
        z = logits(w1)
        return F.binary_cross_entropy_with_logits(z, y.double().expand_as(z), reduction="none").mean(1)

    jumps = (-x[:, 1] / x[:, 0]).sort().values
    edges = torch.cat([jumps[:1] - 1, jumps, jumps[-1:] + 1])
    between = ((edges[1:] + edges[:-1]) / 2).requires_grad_()
    (slope,) = torch.autograd.grad(cross_entropy(between).sum(), between)
    w1, h = between.detach(), 1e-5
    differences = {f: (f(w1 + h) - f(w1 - h)) / (2 * h) for f in (accuracy, cross_entropy)}
    left, right = (accuracy(edges[:-1] + share * edges.diff()) for share in (0.01, 0.99))
    grid = torch.linspace(-3, 3, 601, dtype=torch.float64)
    return Demonstration(
        [
            Sides("accuracy at the left of each piece = at its right", left, right),
            Sides("slope of accuracy inside the pieces = 0", differences[accuracy], torch.zeros_like(w1)),
            Sides("slope of cross-entropy there = autograd's", differences[cross_entropy], slope, 1e-7),
            Sides("0 < |slope of cross-entropy|", torch.zeros_like(slope), slope.abs(), relation="<"),
        ],
        panels={
            "Two measures of the same predictions": Panel(
                {
                    "1 − accuracy": torch.stack([grid, 1 - accuracy(grid)], 1),
                    "cross-entropy": torch.stack([grid, cross_entropy(grid)], 1),
                },
                x="w₁",
                y="",
            )
        },
        findings=[
            f"Accuracy is constant on {len(w1)} pieces, and jumps where one of the {samples} samples changes its "
            "predicted class. Its gradient is 0 on every piece: gradient descent never moves.",
            f"The slope of cross-entropy, from {slope.min():.2g} to {slope.max():.2g}, is 0 on no piece.",
        ],
    )


def several_labels(classes: Count = 6, labels_on: Count = 3) -> Demonstration:
    """The least categorical and per-class binary cross-entropy that are possible if several labels are on.

    Σ −log softmax(z)ₖ over the k labels that are on is least if they share the probability: k log k, never 0.
    The least of each binary one is 0.
    """
    if labels_on > classes:
        raise UserError(f"demonstration.labels_on={labels_on} is more than demonstration.classes={classes}.")
    k = labels_on
    labels = (torch.arange(classes) < k).double()

    def least(loss: Callable[[Tensor], Tensor]) -> tuple[float, Tensor]:
        z = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
        return minimize([z], lambda: loss(z), max_iter=200, tolerance_grad=1e-6), z.detach()

    categorical, z_categorical = least(lambda z: -(labels * z.log_softmax(0)).sum())
    binary, z_binary = least(lambda z: F.binary_cross_entropy_with_logits(z, labels, reduction="sum"))
    return Demonstration(
        [
            Sides(
                f"least categorical cross-entropy with {k} labels on = {k} log {k}", categorical, k * math.log(k), 1e-3
            ),
            Sides(
                "its probabilities of these labels: 1 / k", z_categorical.softmax(0)[:k], torch.full((k,), 1 / k), 1e-3
            ),
            Sides("least binary cross-entropies = 0", binary, 0.0, 1e-3),
            Sides("their probabilities: 1 if a label is on, else 0", z_binary.sigmoid(), labels, 1e-3),
        ],
        findings=[
            f"The probabilities of a softmax add to 1, which {k} labels have to share: each gets "
            f"{z_categorical.softmax(0)[0]:.3f}, and the loss stays at {categorical:.2f}. With a sigmoid a class, "
            f"every label that is on gets {z_binary.sigmoid()[0]:.3f}, and the loss falls to {binary:.1g}."
        ],
    )
