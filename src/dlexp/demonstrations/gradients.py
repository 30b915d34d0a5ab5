"""Gradients by formula and by autograd (ml_hw4 ex02 and ex03, nn_theory ex05)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlexp.config.lazy import F, torch
from dlexp.config.schema import Count, Seed
from dlexp.demonstrations.sides import Demonstration, Sides

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
    layers = [torch.nn.Linear(4096, 2048, device="meta"), torch.nn.Linear(2048, 2, device="meta")]
    count = sum(p.numel() for layer in layers for p in layer.parameters())
    return Demonstration([Sides("parameters of 4096 → 2048 → 2", 4096 * 2048 + 2048 + 2048 * 2 + 2, count), *sides])


def shared_weight_gradients(inputs: Count = 4, hidden: Count = 5, samples: Count = 8, seed: Seed = 0) -> Demonstration:
    """Gradients of binary cross-entropy on σ(w₂ · (relu(a) + relu(−a)) + b₂) with a = W₁ x + b₁, over m samples."""
    w1, b1, w2, b2, x = _draw(seed, (hidden, inputs), (hidden,), (hidden,), (), (samples, inputs))
    t = (torch.arange(samples) % 2).double()
    a = x @ w1.T + b1
    h = a.relu() + (-a).relu()
    z = h @ w2 + b2
    found = torch.autograd.grad(F.binary_cross_entropy_with_logits(z, t), [z, w2, b2, w1, b1])
    d_z = (z.sigmoid() - t) / samples
    d_a = torch.outer(d_z, w2) * a.sign()  # relu′(a) − relu′(−a) = ±1
    formulas = {
        "∂E/∂z = (σ(z) − t) / m": d_z,
        "∂E/∂w₂ = Σ ∂E/∂z h": h.T @ d_z,
        "∂E/∂b₂ = Σ ∂E/∂z": d_z.sum(),
        "∂E/∂W₁ = Σ ∂E/∂z w₂ sign(a) xᵀ": d_a.T @ x,
        "∂E/∂b₁ = Σ ∂E/∂z w₂ sign(a)": d_a.sum(0),
    }
    return Demonstration(
        [
            _sides("relu(a) + relu(−a) = |a|", h, a.abs()),
            *(_sides(what, value, autograd) for (what, value), autograd in zip(formulas.items(), found, strict=True)),
        ]
    )


def sigmoid_deltas(seed: Seed = 0) -> Demonstration:
    """The δ of each unit of a 2-2-1 sigmoid net with E = ½ (t − y)², and its gradients, by formula and by autograd."""
    v, a, w, b, x = _draw(seed, (2, 2), (2,), (2,), (), (2,))
    t = 1.0
    net_h = v @ x + a
    h = net_h.sigmoid()
    net_y = w @ h + b
    y = net_y.sigmoid()
    found = torch.autograd.grad((t - y).square() / 2, [net_y, net_h, w, b, v, a])
    delta_y = (y - t) * y * (1 - y)
    delta_h = delta_y * w * h * (1 - h)
    formulas = {
        "δ of the output = (y − t) y (1 − y)": delta_y,
        "δ of a hidden unit = δ w h (1 − h)": delta_h,
        "∂E/∂w = δ h": delta_y * h,
        "∂E/∂b = δ": delta_y,
        "∂E/∂V = δ_h xᵀ": torch.outer(delta_h, x),
        "∂E/∂a = δ_h": delta_h,
    }
    sides = [_sides(what, value, autograd) for (what, value), autograd in zip(formulas.items(), found, strict=True)]
    return Demonstration(sides)


def _draw(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def _sides(statement: str, formula: Tensor, autograd: Tensor) -> Sides:
    return Sides(statement, formula.detach(), autograd.detach())
