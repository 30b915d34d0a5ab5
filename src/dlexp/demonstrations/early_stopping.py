"""Early stopping as weight decay (dl_hw3 ex13; Goodfellow, Bengio and Courville, 2016, section 7.8)."""

from __future__ import annotations

import numpy as np

from dlexp.config.lazy import scipy_optimize
from dlexp.config.schema import Count, Positive
from dlexp.demonstrations.sides import Demonstration, Panel, Sides
from dlexp.errors import UserError


def early_stopping_is_l2(
    eigenvalues: tuple[Positive, Positive] = (1.0, 0.1),
    optimum: tuple[float, float] = (0.5, 2.0),
    angle: float = 0.5,
    learning_rate: Positive = 0.05,
    steps: Count = 30,
) -> Demonstration:
    """Compare τ steps of gradient descent from 0 on ½ (w − w*)ᵀ H (w − w*) with weight decay ½ α ‖w‖².

    H has the given eigenvalues λ, and eigenvectors at `angle` radians. Raises UserError if descent would not converge.
    """
    values = np.array(eigenvalues)
    if learning_rate * values.max() >= 1:
        raise UserError(f"demonstration.learning_rate={learning_rate} is too large for eigenvalue {values.max():g}.")
    q = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    h, best = q @ np.diag(values) @ q.T, np.array(optimum)

    path = [np.zeros(2)]
    for _ in range(steps):
        path.append(path[-1] - learning_rate * h @ (path[-1] - best))
    stopped = path[-1]

    def decayed(alpha: float) -> np.ndarray:
        return np.linalg.solve(h + alpha * np.eye(2), h @ best)

    left = (1 - learning_rate * values) ** steps  # the share of w* that is still missing along each eigenvector
    alphas = values * left / (1 - left)
    alpha = 1 / (steps * learning_rate)
    fitted = float(
        scipy_optimize.minimize_scalar(lambda a: np.linalg.norm(decayed(a) - stopped), (alpha / 10, alpha)).x
    )
    strengths = fitted * np.logspace(4, 0, 60)
    return Demonstration(
        [
            Sides("w after τ steps = Q (1 − (1 − ε Λ)^τ) Qᵀ w*", stopped, q @ ((1 - left) * (q.T @ best))),
            Sides("(1 − ε λ)^τ = α / (λ + α), with an α for each λ", left, alphas / (values + alphas)),
            Sides(
                "w after τ steps = weight decay with these α",
                stopped,
                q @ (values / (values + alphas) * (q.T @ best)),
            ),
            Sides(f"these α are near 1 / (τ ε) = {alpha:.3g}", alphas, np.full(2, alpha), relation="≈"),
            Sides("w after τ steps is near weight decay 1 / (τ ε)", stopped, decayed(alpha), relation="≈"),
            Sides("the one α that comes nearest is near 1 / (τ ε)", fitted, alpha, relation="≈"),
            Sides("w after τ steps is near weight decay with it", stopped, decayed(fitted), relation="≈"),
        ],
        panels={
            "Weights on the way": Panel(
                {
                    "gradient descent, a point a step": np.array(path),
                    "weight decay, down to the nearest α": np.array([decayed(strength) for strength in strengths]),
                    "w*": best[None],
                },
                x="w₁",
                y="w₂",
                equal=True,
            )
        },
    )
