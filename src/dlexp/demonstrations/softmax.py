"""Softmax, sigmoid and their losses (ml_hw4 ex04, nn_theory ex02 and ex04)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from dlexp.config.lazy import F, torch
from dlexp.config.schema import Count, Positive, Seed
from dlexp.demonstrations.sides import Demonstration, Sides
from dlexp.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


def sigmoid_is_softmax(inputs: Count = 3, samples: Count = 5, seed: Seed = 0) -> Demonstration:
    """Compare two softmax units (w₁, b₁), (w₂, b₂) with one sigmoid unit with w₂ − w₁ and b₂ − b₁."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, inputs, generator=generator, dtype=torch.float64)
    w, b = (torch.randn(2, n, generator=generator, dtype=torch.float64) for n in (inputs, 1))
    softmax = (x @ w.T + b[:, 0]).softmax(1)[:, 1]
    sigmoid = (x @ (w[1] - w[0]) + b[1] - b[0]).sigmoid()
    return Demonstration([Sides("softmax₂(W x + b) = σ((w₂ − w₁) x + b₂ − b₁)", softmax, sigmoid)])


def log_sum_exp(classes: Count = 5, largest: Positive = 1e4, seed: Seed = 0) -> Demonstration:
    """Cross-entropy as LSE(z) − z_t, the gradient of LSE, and LSE shifted by its maximum if exp(z) is infinite."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(classes, generator=generator, dtype=torch.float64).requires_grad_()
    target = torch.tensor(classes // 2)
    naive = z.exp().sum().log()
    (gradient,) = torch.autograd.grad(naive, z)
    far = largest * torch.linspace(-1, 1, classes, dtype=torch.float64)
    shift = far.max()
    return Demonstration(
        [
            Sides(
                "cross-entropy = LSE(z) − z_t",
                F.cross_entropy(z, target).detach(),
                (naive - z[target]).detach(),
            ),
            Sides("∂LSE/∂z = softmax(z)", gradient, z.detach().softmax(0)),
            Sides("LSE(z) = α + LSE(z − α)", naive.detach(), (7 + (z - 7).exp().sum().log()).detach()),
            Sides(
                f"|z| up to {largest:g}: max z + LSE(z − max z) is finite (plain: {far.exp().sum().log():g})",
                shift + (far - shift).exp().sum().log(),
                torch.logsumexp(far, 0),
            ),
        ]
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
        optimizer = torch.optim.LBFGS([z], max_iter=200, tolerance_grad=1e-6, line_search_fn="strong_wolfe")

        def value() -> Tensor:
            optimizer.zero_grad()
            result = loss(z)
            result.backward()
            return result

        optimizer.step(value)
        return loss(z).item(), z.detach()

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
            Sides("their probabilities: 1 where a label is on", z_binary.sigmoid(), labels, 1e-3),
        ]
    )
