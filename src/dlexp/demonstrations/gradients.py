"""Gradients by formula and by autograd (ml_hw4 ex02, nn_theory ex05)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlexp.config.lazy import nn, torch
from dlexp.config.schema import Count, Seed
from dlexp.demonstrations.sides import Demonstration, Sides, Table

if TYPE_CHECKING:
    from torch import Tensor


def squared_error_gradients(inputs: Count = 6, hidden: Count = 4, outputs: Count = 2, seed: Seed = 0) -> Demonstration:
    """Gradients of E = ½ ‖y − z‖² with z = W h, h = relu(g), g = V x; and the number of weights of 4096 → 2048 → 2."""
    v, w, x, y = _draw(seed, (hidden, inputs), (outputs, hidden), (inputs,), (outputs,))
    g = v @ x
    h = g.relu()
    z = w @ h
    found = torch.autograd.grad((y - z).square().sum() / 2, [z, w, h, g, v, x])
    d_z = z - y
    d_h = w.T @ d_z
    d_g = d_h * (g > 0)
    formulas = {
        "∂E/∂z = z − y": d_z,
        "∂E/∂W = (z − y) hᵀ": torch.outer(d_z, h),
        "∂E/∂h = Wᵀ (z − y)": d_h,
        "∂E/∂g = ∂E/∂h · 1[g > 0]": d_g,
        "∂E/∂V = ∂E/∂g xᵀ": torch.outer(d_g, x),
        "∂E/∂x = Vᵀ ∂E/∂g": v.T @ d_g,
    }
    sides = [_sides(what, value, autograd) for (what, value), autograd in zip(formulas.items(), found, strict=True)]
    counts: list[list[str | float]] = [[f"{n} → {m}", n * m, m, n * m + m] for n, m in ((4096, 2048), (2048, 2))]
    layers = [nn.Linear(4096, 2048, device="meta"), nn.Linear(2048, 2, device="meta")]
    count = sum(p.numel() for layer in layers for p in layer.parameters())
    return Demonstration(
        [Sides("parameters of 4096 → 2048 → 2", 4096 * 2048 + 2048 + 2048 * 2 + 2, count), *sides],
        {"Parameters of 4096 → 2048 → 2": Table(["layer", "weights", "biases", "together"], counts)},
    )


def sigmoid_deltas(seed: Seed = 0) -> Demonstration:
    """δ = ∂F/∂z of each unit of a net 2 → 2 → 2 (sigmoid) → 1 (linear), whose output is F, and ∂F/∂W¹.

    There is no loss: F = ω³ a² + b³ itself is differentiated.
    """
    w1, b1, w2, b2, w3, b3, x = _draw(seed, (2, 2), (2,), (2, 2), (2,), (2,), (), (2,))
    z1 = w1 @ x + b1
    a1 = z1.sigmoid()
    z2 = w2 @ a1 + b2
    a2 = z2.sigmoid()
    found = torch.autograd.grad(w3 @ a2 + b3, [z2, z1, w1])
    delta2 = w3 * a2 * (1 - a2)
    delta1 = w2.T @ delta2 * a1 * (1 - a1)
    formulas = {
        "δ²ᵢ = ω³ᵢ a²ᵢ (1 − a²ᵢ)": delta2,
        "δ¹ⱼ = Σᵢ δ²ᵢ ω²ᵢⱼ a¹ⱼ (1 − a¹ⱼ)": delta1,
        "∂F/∂ω¹ⱼₖ = δ¹ⱼ xₖ": torch.outer(delta1, x),
    }
    units = [
        [f"layer {layer}, unit {i + 1}", *(values[i].item() for values in (z, a, delta))]
        for layer, (z, a, delta) in enumerate([(z1, a1, delta1), (z2, a2, delta2)], 1)
        for i in range(2)
    ]
    right, with_weight = ((delta1[0] * factor).item() for factor in (x[0], w1[0, 0]))
    return Demonstration(
        [_sides(what, value, autograd) for (what, value), autograd in zip(formulas.items(), found, strict=True)],
        {"Units": Table(["unit", "z", "a", "δ = ∂F/∂z"], units)},
        findings=[
            f"∂F/∂ω¹₁₁ = δ¹₁ x₁ = {right:.4g}: autograd gives {found[2][0, 0].item():.4g}. "
            f"The homework ends its formula with ω¹₁₁ instead of the input x₁, which gives {with_weight:.4g}."
        ],
    )


def _draw(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def _sides(statement: str, formula: Tensor, autograd: Tensor) -> Sides:
    return Sides(statement, formula.detach(), autograd.detach())
