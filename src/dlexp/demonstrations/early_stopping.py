"""Early stopping as weight decay (dl_hw3 ex13; Goodfellow, Bengio and Courville, 2016, section 7.8)."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from dlexp.config.lazy import scipy_optimize
from dlexp.config.schema import Count, Interval, Positive
from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table
from dlexp.errors import UserError

RATIOS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10)  # of λ and 1 / (τ ε)


def early_stopping_is_l2(
    eigenvalues: tuple[Positive, Positive] = (1.0, 0.1),
    optimum: tuple[float, float] = (0.5, 2.0),
    angle: float = 0.5,
    learning_rate: Positive = 0.05,
    steps: Count = 30,
    shrink: Annotated[float, Interval(1e-4, 1)] = 0.05,
) -> Demonstration:
    """Compare τ steps of gradient descent from 0 on ½ (w − w*)ᵀ H (w − w*) with weight decay ½ α ‖w‖².

    H has the given eigenvalues λ, and eigenvectors at `angle` radians. The table and the figure show how near α is to
    1 / (τ ε) if λ is small against it, as with `shrink` times these eigenvalues, and otherwise. Raises UserError if
    descent would not converge.
    """
    values = np.array(eigenvalues)
    if learning_rate * values.max() >= 1:
        raise UserError(f"demonstration.learning_rate={learning_rate} is too large for eigenvalue {values.max():g}.")
    q = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    h, best = q @ np.diag(values) @ q.T, np.array(optimum)

    stopped = _descend(h, best, learning_rate, steps)[-1]

    def decayed(alpha: float) -> np.ndarray:
        return np.linalg.solve(h + alpha * np.eye(2), h @ best)

    left = (1 - learning_rate * values) ** steps  # the share of w* that is still missing along each eigenvector
    alphas = values * left / (1 - left)
    alpha = 1 / (steps * learning_rate)
    fitted = float(
        scipy_optimize.minimize_scalar(lambda a: np.linalg.norm(decayed(a) - stopped), (alpha / 10, alpha)).x
    )
    ratios = np.array([ratio for ratio in RATIOS if ratio < steps])  # λ τ ε; descent needs λ ε < 1
    several = ratios * alpha
    reached = _descend(np.diag(several), np.ones(len(several)), learning_rate, steps)[-1]
    exact = several * (1 - reached) / reached
    formula = several / ((1 - learning_rate * several) ** -steps - 1)
    rows = [*zip(several, ratios, exact, [alpha] * len(ratios), 1 - exact / alpha, strict=True)]
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
            Sides("α of descent along one eigenvector, λ (w* − w) / w = λ / ((1 − ε λ)^−τ − 1)", exact, formula),
            Sides("1 − α τ ε is at most λ τ ε", 1 - exact / alpha, ratios + 1e-12, relation="<"),
        ],
        tables={
            f"α after {steps} steps": Table(["λ", "λ τ ε", "α", "1 / (τ ε)", "relative difference"], rows),
        },
        panels={
            f"λ = {_both(values * shrink)}, 1 / (τ ε) = {alpha:.3g}": _paths(h * shrink, best, learning_rate, steps),
            f"λ = {_both(values)}, 1 / (τ ε) = {alpha:.3g}": _paths(h, best, learning_rate, steps),
            "α of an eigenvalue λ": Panel(
                {"α": np.column_stack([ratios, exact]), "1 / (τ ε)": [(ratio, alpha) for ratio in ratios]},
                x="λ τ ε",
                y="α",
                log="x",
            ),
        },
        findings=[
            f"If λ is {ratios[0]:g} of 1 / (τ ε), then α differs from 1 / (τ ε) by {rows[0][4]:.1%}. If λ is"
            f" {ratios[-1]:g} times 1 / (τ ε), then α is {rows[-1][2] / alpha:.1e} of it: descent is at w*, and nothing"
            " decays."
        ],
    )


def _both(values: np.ndarray) -> str:
    return " and ".join(f"{value:.3g}" for value in values)


def _descend(h: np.ndarray, best: np.ndarray, learning_rate: float, steps: int) -> np.ndarray:
    """Return the weights from 0 on, (steps + 1, weights)."""
    path = [np.zeros(len(best))]
    for _ in range(steps):
        path.append(path[-1] - learning_rate * h @ (path[-1] - best))
    return np.array(path)


def _paths(h: np.ndarray, best: np.ndarray, learning_rate: float, steps: int) -> Panel:
    """Show descent from 0, and weight decay down to α = 1 / (τ ε), at whose end descent should be."""
    strengths = np.logspace(4, 0, 60) / (steps * learning_rate)
    decayed = np.array([np.linalg.solve(h + strength * np.eye(2), h @ best) for strength in strengths])
    curves = {
        f"gradient descent, {steps} steps": _descend(h, best, learning_rate, steps),
        "weight decay, down to α = 1 / (τ ε)": decayed,
    }
    return Panel(curves, x="w₁", y="w₂", equal=True)
