"""What the condition of a loss's Hessian costs gradient descent, and not Newton's method (nn_hw2 ex02)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlexp.config.lazy import F, sklearn_datasets, torch
from dlexp.config.schema import Positive
from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table
from dlexp.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

MOST_STEPS = 50_000


def hessian_condition(near: Positive = 1e-3) -> Demonstration:
    """Train a sigmoid unit on the sepals of 100 irises, raw, centred and standardized, by two methods.

    Both start at 0 and arrive if the loss is within `near` of its least value. Gradient descent has the learning rate
    1 / L, with L = λ_max(AᵀA) / 4 n, which no eigenvalue of the Hessian AᵀDA / n exceeds. Raises UserError if it needs
    more than 50,000 steps.
    """
    x, y = sklearn_datasets.load_iris(return_X_y=True)
    x, y = x[y > 0, :2], y[y > 0] - 1.0
    centred = x - x.mean(0)
    inputs = {"raw, in cm": x, "centred": centred, "standardized": centred / x.std(0)}
    rows: list[list[str | float]] = []
    curves, by_newton = {}, []
    for name, features in inputs.items():
        a = np.column_stack([features, np.ones(len(y))])  # the last weight is the bias
        newton, hessian = _newton(a, y)
        best = newton[-1]
        descent = _descent(a, y, best + near)
        arrived = int(np.argmax(newton < best + near))
        rows.append([name, float(np.linalg.cond(hessian)), len(descent) - 1, arrived])
        shown = np.unique(np.geomspace(1, len(descent) - 1, 100).astype(int))
        curves[f"gradient descent, {name}"] = [(i, descent[i] - best) for i in shown]
        by_newton.append(newton)
    curves["Newton, from any of them"] = [(i, newton[i] - best) for i in range(1, arrived + 2)]

    w = np.array([0.5, -1.0, 0.2])
    autograd = torch.autograd.functional.hessian(
        lambda w: _cross_entropy(torch.from_numpy(a) @ w, y), torch.from_numpy(w)
    )
    eigenvalues = _eigenvalues_of_a_net(centred / x.std(0), y)
    negative = int((eigenvalues < 0).sum())
    return Demonstration(
        [
            Sides("Hessian AᵀDA / n = autograd's", _hessian(a, w), autograd),
            Sides("losses of Newton's steps on raw features = on standardized ones", by_newton[0], by_newton[2], 1e-8),
            Sides("steps of gradient descent: standardized < raw", rows[2][2], rows[0][2], relation="<"),
            Sides("with a hidden layer the least eigenvalue of the Hessian < 0", eigenvalues.min(), 0.0, relation="<"),
        ],
        {
            f"Steps until the loss is within {near:g} of its least": Table(
                ["features", "condition of the Hessian", "gradient descent", "Newton"], rows
            )
        },
        {"Loss above its least": Panel(curves, x="step", y="loss − least loss", log="xy")},
        [
            f"Standardized features have a condition of {rows[2][1]:.1f} instead of {rows[0][1]:,.0f}, and gradient "
            f"descent takes {rows[2][2]:,} steps instead of {rows[0][2]:,}: the largest eigenvalue bounds its learning "
            "rate, which is too low for the smallest one.",
            f"Newton's method needs {rows[0][3]} steps on all of them: H⁻¹ undoes any linear change of the features.",
            f"With a hidden layer of 3 tanh units {negative} of the {len(eigenvalues)} eigenvalues are negative at a "
            "random start: there −H⁻¹∇J may point upwards.",
        ],
    )


def _loss(a: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    """Return the mean cross-entropy of σ(A w)."""
    z = a @ w
    return float((np.logaddexp(0, z) - y * z).mean())


def _gradient(a: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return Aᵀ(σ(A w) − y) / n."""
    gradient: np.ndarray = (1 / (1 + np.exp(-a @ w)) - y) @ a / len(y)
    return gradient


def _hessian(a: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return AᵀDA / n with D = σ(A w) (1 − σ(A w)) on its diagonal."""
    p = 1 / (1 + np.exp(-a @ w))
    hessian: np.ndarray = (a.T * p * (1 - p)) @ a / len(a)
    return hessian


def _newton(a: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the losses before each of 10 steps w ← w − H⁻¹∇J, and H after them."""
    w, losses = np.zeros(a.shape[1]), []
    for _ in range(10):
        losses.append(_loss(a, y, w))
        w = w - np.linalg.solve(_hessian(a, w), _gradient(a, y, w))
    return np.array(losses), _hessian(a, w)


def _descent(a: np.ndarray, y: np.ndarray, enough: float) -> list[float]:
    """Return the losses of gradient descent, of which the last is the first one below `enough`."""
    w, losses = np.zeros(a.shape[1]), []
    rate = 4 * len(y) / np.linalg.eigvalsh(a.T @ a)[-1]
    for _ in range(MOST_STEPS):
        losses.append(_loss(a, y, w))
        if losses[-1] < enough:
            return losses
        w = w - rate * _gradient(a, y, w)
    raise UserError("demonstration.near is too small: gradient descent does not come so near in 50,000 steps.")


def _eigenvalues_of_a_net(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return those of the Hessian of a net 2 → 3 (tanh) → 1 (sigmoid) at a random start."""
    inputs = torch.from_numpy(x)

    def loss(w: Tensor) -> Tensor:
        hidden = (inputs @ w[:6].view(2, 3) + w[6:9]).tanh()
        return _cross_entropy(hidden @ w[9:12] + w[12], y)

    start = torch.randn(13, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    eigenvalues: np.ndarray = torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, start)).numpy()
    return eigenvalues


def _cross_entropy(z: Tensor, y: np.ndarray) -> Tensor:
    return F.binary_cross_entropy_with_logits(z, torch.from_numpy(y))
