"""Softmax: as a sigmoid, as the gradient of log-sum-exp, in floating point (nn_theory ex02 and ex04, ml_hw4 ex04)."""

from __future__ import annotations

import math
import sys
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

from dlexp.config.lazy import F, torch
from dlexp.config.schema import Count, Positive, Seed
from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table

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
    """Cross-entropy as LSE(z) − z_t, its gradient, and LSE shifted by its maximum if exp(z) is infinite or 0."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(classes, generator=generator, dtype=torch.float64).requires_grad_()
    target = torch.tensor(classes // 2)
    plain = _plain(z)
    (gradient,) = torch.autograd.grad(plain, z, retain_graph=True)
    (of_loss,) = torch.autograd.grad(plain - z[target], z)
    far = torch.linspace(-1, 1, classes, dtype=torch.float64)
    sizes = [sign * size for sign in (1, -1) for size in (1.0, 100.0, largest)]
    shifted = [_shifted(size + far) for size in sizes]
    above, below = math.log(sys.float_info.max), math.log(math.ulp(0.0)) - math.log(2)
    return Demonstration(
        [
            Sides(
                "cross-entropy = LSE(z) − z_t",
                F.cross_entropy(z, target).detach(),
                (plain - z[target]).detach(),
            ),
            Sides("∂LSE/∂z = softmax(z)", gradient, z.detach().softmax(0)),
            Sides(
                "∂(cross-entropy)/∂z = softmax(z) − one-hot(t)",
                of_loss,
                z.detach().softmax(0) - F.one_hot(target, classes),
            ),
            Sides("LSE(z) = α + LSE(z − α)", plain.detach(), (7 + (z - 7).exp().sum().log()).detach()),
            Sides(
                f"|z| up to {largest:g}: max z + LSE(z − max z) = PyTorch's logsumexp",
                shifted,
                [torch.logsumexp(size + far, 0).item() for size in sizes],
            ),
        ],
        {
            "LSE of z between s − 1 and s + 1": Table(
                ["s", "log Σ exp z", "max z + log Σ exp(z − max z)"],
                [
                    [f"{size:g}", f"{_plain(size + far):.6g}", f"{s:.6g}"]
                    for size, s in zip(sizes, shifted, strict=True)
                ],
            )
        },
        {
            "LSE of z between s − 1 and s + 1": Panel(
                {
                    "max z + log Σ exp(z − max z)": [(s, _shifted(s + far)) for s in range(-1000, 1001, 20)],
                    "log Σ exp z, if it is finite": [
                        (s, value) for s in range(-1000, 1001, 20) if math.isfinite(value := _plain(s + far))
                    ],
                },
                x="s",
                y="LSE",
            )
        },
        findings=[
            f"In float64 exp(z) is infinite if z is above {above:.4g} and 0 if z is below {below:.4g}; then "
            "log Σ exp z is infinite too. Shifted by max z, the largest exponential is exp(0) = 1."
        ],
    )


def _plain(z: Tensor) -> Tensor:
    return z.exp().sum().log()


def _shifted(z: Tensor) -> float:
    return (z.max() + _plain(z - z.max())).item()


def softmax_limits() -> Demonstration:
    """Find the least difference d of two logits for which softmax(d, 0), as computed, holds a 1 and holds a 0.

    In exact arithmetic softmax(d, 0) = (1 / (1 + e⁻ᵈ), e⁻ᵈ / (1 + e⁻ᵈ)) never does; `decimal` gives it to 50 digits.
    """
    sides, rows = [], []
    for name, digits, least in (("float32", 24, -149), ("float64", 53, -1074)):
        for place, value, power in ((0, 1, digits), (1, 0, 1 - least)):
            d, theory = _least_difference(getattr(torch, name), place, value), power * math.log(2)
            exact, log_softmax = _exact(d.item()), F.log_softmax(torch.stack([d, 0 * d]), 0)[1].item()
            rows.append([f"{name}: {value}", d.item(), f"{power} ln 2 = {theory:.6g}", f"{exact:.3g}", log_softmax])
            # A processor may take numbers below the least normal one for 0, which comes sooner than theory has it.
            sides.append(
                Sides(f"{name}: {value} from d = {power} ln 2 on", d, theory, 1e-4, "=" if value else "≈"),
            )
            sides.append(
                Sides(f"{name}: log_softmax₂ there = ln {exact:.3g}, the exact one", log_softmax, exact.ln(), 1e-4)
            )
    columns = [
        "computed softmax holds",
        "from d = z₁ − z₂",
        "in theory",
        "exact softmax₂",
        "log_softmax₂",
    ]
    return Demonstration(
        sides,
        {"Where a computed softmax is 1 or 0": Table(columns, rows)},
        findings=[
            "An exact softmax is never 0 or 1. A computed one is 1 as soon as 1 + e⁻ᵈ rounds to 1, and 0 as soon as "
            "e⁻ᵈ rounds to 0. In float32 this takes logits that differ by "
            f"{rows[0][1]:.4g} and {rows[1][1]:.4g}, in float64 by {rows[2][1]:.4g} and {rows[3][1]:.4g}.",
            "If softmax₂ is 0, −ln softmax₂ is infinite, but −log_softmax₂ is d, as it should be. This is why a "
            "cross-entropy is computed from logits.",
        ],
    )


def _least_difference(kind: torch.dtype, place: int, value: int) -> Tensor:
    """Bisect the d from which on softmax(d, 0)[place] is `value`."""
    low, high = torch.tensor(0, dtype=kind), torch.tensor(2000, dtype=kind)
    while low < (middle := (low + high) / 2) < high:
        if torch.stack([middle, 0 * middle]).softmax(0)[place] == value:
            high = middle
        else:
            low = middle
    return high


def _exact(d: float) -> Decimal:
    """Return e⁻ᵈ / (1 + e⁻ᵈ) to 50 digits."""
    with localcontext(prec=50):
        small = Decimal(-d).exp()
        return small / (1 + small)
