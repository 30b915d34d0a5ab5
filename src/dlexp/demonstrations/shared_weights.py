"""A net that compares two inputs through shared weights: its gradients by formula and by autograd (ml_hw4 ex03)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlexp.config.lazy import F, optim, torch
from dlexp.config.schema import Count, Positive, Seed
from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table

if TYPE_CHECKING:
    from torch import Tensor

NAMES = ("W₁", "b₁", "W₂", "b₂")
FORMULAS = (
    "∂J/∂W₁ = Σ δ H(z₁) x₁ᵀ − δ H(z₂) x₂ᵀ, with δ = W₂ᵀ ∂J/∂z₃",
    "∂J/∂b₁ = Σ δ (H(z₁) − H(z₂))",
    "∂J/∂W₂ = Σ ∂J/∂z₃ aᵀ",
    "∂J/∂b₂ = Σ ∂J/∂z₃",
    "∂J/∂z₃ = (ŷ − y) / m",
)


def shared_weight_gradients(
    inputs: Count = 2, hidden: Count = 6, samples: Count = 64, lr: Positive = 0.3, steps: Count = 200, seed: Seed = 0
) -> Demonstration:
    """Gradients of a net that compares x₁ with x₂, and gradient descent by their formulas.

    z₁ = W₁ x₁ + b₁, z₂ = W₁ x₂ + b₁, a = relu(z₁) − relu(z₂), z₃ = W₂ a + b₂, ŷ = σ(z₃). J is the mean binary
    cross-entropy over the samples; y is 1 if x₁ is longer than x₂.
    """
    generator = torch.Generator().manual_seed(seed)
    x1, x2 = torch.randn(2, samples, inputs, generator=generator, dtype=torch.float64)
    y = (x1.norm(dim=1) > x2.norm(dim=1)).double()
    shapes = ((hidden, inputs), (hidden,), (1, hidden), (1,))
    start = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]

    learned = [p.clone().requires_grad_() for p in start]
    z3 = _output(learned, x1, x2)
    found = torch.autograd.grad(F.binary_cross_entropy_with_logits(z3, y), [*learned, z3])
    pairs = zip(FORMULAS, _gradients(start, x1, x2, y), found, strict=True)
    sides = [Sides(what, formula, autograd) for what, formula, autograd in pairs]
    bias = start[-1].item()
    swapped = _output(start, x2, x1) - bias
    sides.append(Sides("if x₁ and x₂ change places, z₃ − b₂ changes its sign", swapped, bias - z3.detach()))

    optimizer = optim.SGD(learned, lr)
    updated, losses = start, []
    for _ in range(steps):
        *gradients, _ = _gradients(updated, x1, x2, y)
        updated = [p - lr * gradient for p, gradient in zip(updated, gradients, strict=True)]
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(_output(learned, x1, x2), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    for name, p, by_autograd in zip(NAMES, updated, learned, strict=True):
        sides.append(
            Sides(f"{name} after {steps} updates {name} ← {name} − {lr:g} ∂J/∂{name} = SGD's", p, by_autograd.detach())
        )
    after = F.binary_cross_entropy_with_logits(_output(updated, x1, x2), y).item()
    sides.append(Sides("J after these steps < J before", after, losses[0], relation="<"))
    right = [((_output(p, x1, x2) > 0) == (y == 1)).double().mean().item() for p in (start, updated)]
    return Demonstration(
        sides,
        {"Parameters": _shapes(inputs, hidden)},
        {"Loss, trained by the formulas": Panel({"J": list(enumerate([*losses, after]))}, x="step", y="J")},
        [
            "W₁ and b₁ are used twice, for x₁ and for x₂: their gradient adds both uses, the second with a minus.",
            f"{steps} steps raise the share of pairs that are compared rightly from {right[0]:.2f} to {right[1]:.2f}.",
        ],
    )


def _output(parameters: list[Tensor], x1: Tensor, x2: Tensor) -> Tensor:
    """Return z₃ (m,)."""
    w1, b1, w2, b2 = parameters
    a = (x1 @ w1.T + b1).relu() - (x2 @ w1.T + b1).relu()
    return (a @ w2.T + b2)[:, 0]


def _gradients(parameters: list[Tensor], x1: Tensor, x2: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of W₁, b₁, W₂, b₂ and z₃ by their formulas."""
    w1, b1, w2, _ = parameters
    z1, z2 = x1 @ w1.T + b1, x2 @ w1.T + b1
    d_z3 = (_output(parameters, x1, x2).sigmoid() - y) / len(y)
    delta = d_z3[:, None] * w2
    on1, on2 = delta * (z1 > 0), delta * (z2 > 0)
    a = z1.relu() - z2.relu()
    return on1.T @ x1 - on2.T @ x2, (on1 - on2).sum(0), d_z3[None] @ a, d_z3.sum()[None], d_z3


def _shapes(inputs: int, hidden: int) -> Table:
    shapes = (("h × n", hidden, inputs), ("h × 1", hidden, 1), ("1 × h", 1, hidden), ("1 × 1", 1, 1))
    table: list[list[str | float]] = [
        [name, shape, f"{rows} × {columns}", rows * columns]
        for name, (shape, rows, columns) in zip(NAMES, shapes, strict=True)
    ]
    title = f"n = {inputs} inputs, h = {hidden} units"
    return Table(["parameter", "shape", title, "values"], table)
