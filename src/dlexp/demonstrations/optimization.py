"""What curvature, momentum and a step size for each weight do for gradient descent (dl_hw3 ex01)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np

from dlexp.config.lazy import optim, torch
from dlexp.config.schema import Count, Interval, Seed
from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table

if TYPE_CHECKING:
    from torch import Tensor, optim

MNIST_MLP = 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10  # parameters of nn_hw2 ex06
RATES = [10 ** (k / 2) for k in range(-6, 3)]
LEAST = 1e-8  # of an error: RMSprop reaches exactly 0, which a logarithmic axis cannot show
_OPTIMIZERS: dict[str, Callable[[list[dict[str, object]]], optim.Optimizer]] = {
    "SGD": lambda groups: optim.SGD(groups),
    "momentum": lambda groups: optim.SGD(groups, momentum=0.9),
    "RMSprop": lambda groups: optim.RMSprop(groups),
    "Adam": lambda groups: optim.Adam(groups),
}


def newton(
    conditions: tuple[Annotated[float, Interval(1, 1e5)], ...] = (1, 10, 100, 1000, 10000),
    error: Annotated[float, Interval(1e-6, 0.5)] = 1e-3,
) -> Demonstration:
    """Count steps of Newton's method and of gradient descent on quadratics of condition κ.

    f = ½ (x − x*)ᵀ H (x − x*) in two dimensions; H has eigenvalues 1 and κ, turned against the axes. Descent ends when
    the distance to x* is ε = `error` of the first one. Its rate is 1/κ, or 2/(1 + κ), the best constant one.
    """
    sides, rows = [], []
    q = np.array([[math.cos(0.5), -math.sin(0.5)], [math.sin(0.5), math.cos(0.5)]])
    start = q @ np.ones(2)  # x − x*, of equal length along both eigenvectors
    for condition in conditions:
        h, name = q @ np.diag([1.0, condition]) @ q.T, f"κ = {condition:g}"
        after = start - np.linalg.solve(h, h @ start)
        steps = [_steps(h, start, rate, error) for rate in (1 / condition, 2 / (1 + condition))]
        shrinks = (error * math.sqrt(2), 1 - 1 / condition), (error, (condition - 1) / (condition + 1))
        exact = [math.ceil(math.log(goal) / math.log(shrink)) if shrink else 1 for goal, shrink in shrinks]
        near = condition * math.log(1 / error)
        sides += [
            Sides(f"{name}: x − x* after one step of Newton's method = 0", after, np.zeros(2)),
            Sides(
                f"{name}: steps of descent with rate 1/κ and 2/(1 + κ) = those that (1 − rate · λ)ᵗ needs", steps, exact
            ),
            Sides(f"{name}: steps of descent with rate 1/κ are near κ ln(1/ε)", steps[0], near, relation="≈"),
        ]
        rows.append((condition, 1, *steps, near))
    columns = ("Newton's method", "descent, rate 1/κ", "descent, rate 2/(1 + κ)", "κ ln(1/ε)")
    curves = {name: [(row[0], row[i]) for row in rows] for i, name in enumerate(columns, 1)}
    last = rows[-1]
    return Demonstration(
        sides,
        {
            f"Steps until the distance is {error:g} of the first": Table(
                ["κ", *columns], [(f"{row[0]:g}", *row[1:]) for row in rows]
            )
        },
        {"Steps on a quadratic": Panel(curves, "condition κ", "steps", log="xy")},
        [
            f"Newton's method ends in one step at every κ. Descent needs {last[2]:,} at κ = {last[0]:g}, which is"
            f" {last[2] / last[4]:.2f} κ ln(1/ε), and {last[3]:,} with the best constant rate."
        ],
    )


def _steps(h: np.ndarray, start: np.ndarray, rate: float, error: float) -> int:
    (a, b), (_, c) = h.tolist()  # plain numbers: for two of them, an array is ten times as slow
    (u, v), steps = start.tolist(), 0
    goal = error**2 * (u * u + v * v)
    while u * u + v * v > goal:
        u, v, steps = u - rate * (a * u + b * v), v - rate * (b * u + c * v), steps + 1
    return steps


def hessian_cost(widths: tuple[Count, ...] = (3, 6, 9, 12), seed: Seed = 0) -> Demonstration:
    """Measure the bytes of the Hessians of nets n → n → 1, and count the multiplications of a Newton step with each.

    tanh units, mean squared error on 50 samples, double precision. The step comes from Gaussian elimination, after a
    multiple of 1 is added to the Hessian so that no rows need to be swapped.
    """
    sides, rows = [], []
    for width in widths:
        torch.manual_seed(seed)
        x, y = torch.randn(50, width, dtype=torch.float64), torch.randn(50, dtype=torch.float64)
        weights = torch.randn(n := width * width + width, dtype=torch.float64) / width**0.5

        def error(w: Tensor, x: Tensor = x, y: Tensor = y, width: int = width) -> Tensor:
            hidden = (x @ w[width:].view(width, width)).tanh()
            return (hidden @ w[:width] - y).square().mean()

        hessian = torch.autograd.functional.hessian(error, weights).numpy()
        gradient = torch.autograd.functional.jacobian(error, weights).numpy()
        negative = int((np.linalg.eigvalsh(hessian) < 0).sum())
        damped = hessian + np.abs(hessian).sum(1).max() * 2 * np.eye(n)
        step, used = _eliminate(damped, gradient)
        sides += [
            Sides(
                f"{n} parameters: Newton's step by elimination and by NumPy", step, np.linalg.solve(damped, gradient)
            ),
            Sides(f"{n} parameters: bytes of the Hessian = 8 n²", hessian.nbytes, 8 * n * n),
            Sides(f"{n} parameters: multiplications of the step = n³/3 + n² − n/3", used, (n**3 + 3 * n * n - n) // 3),
        ]
        rows.append([f"{width} → {width} → 1", n, gradient.nbytes, hessian.nbytes, used, negative])
    curves = {name: [(row[1], row[i]) for row in rows] for i, name in ((3, "bytes of H"), (4, "multiplications"))}
    n = MNIST_MLP
    rows.append(["784 → 256 → 128 → 10, by formula", n, 8 * n, 8 * n * n, (n**3 + 3 * n * n - n) // 3, "–"])
    return Demonstration(
        sides,
        {
            "A Hessian H and a step of Newton's method": Table(
                ["net", "parameters n", "bytes of ∇f", "bytes of H", "multiplications", "negative eigenvalues of H"],
                rows,
            )
        },
        {"What a step of Newton's method costs": Panel(curves, "parameters", "bytes, multiplications", log="xy")},
        [
            f"The Hessian of an MLP for MNIST with {n:,} parameters takes {8 * n * n / 1e9:,.0f} GB, and a step with it"
            f" {n**3 / 3:.1e} multiplications; the gradient takes {8 * n / 1e6:.1f} MB. Nets are trained without it.",
            f"{rows[-2][5]} of {rows[-2][1]} eigenvalues of the largest Hessian here are negative: along these"
            " directions Newton's method climbs, towards a saddle point.",
        ],
    )


def _eliminate(matrix: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, int]:
    """Solve a linear system by Gaussian elimination; return the solution, and its multiplications and divisions."""
    rows, used, n = np.column_stack([matrix, right]), 0, len(right)
    for k in range(n):
        factors = rows[k + 1 :, k] / rows[k, k]
        products = np.outer(factors, rows[k, k + 1 :])
        rows[k + 1 :, k + 1 :] -= products
        used += factors.size + products.size
    solution = np.zeros(n)
    for k in reversed(range(n)):
        solution[k] = (rows[k, n] - rows[k, k + 1 : n] @ solution[k + 1 :]) / rows[k, k]
        used += n - k
    return solution, used


def optimizers(
    steps: Count = 100, condition: Annotated[float, Interval(1, 1e6)] = 1e4, seed: Seed = 0
) -> Demonstration:
    """Compare SGD, momentum, RMSprop and Adam on quadratics of condition κ and on rare inputs, from 0 to a random w*.

    Of the quadratics ½ (w − w*)ᵀ H (w − w*), one has its eigenvalues along the weights, and one is turned. Rare inputs:
    batches of 16 samples for a linear model with squared error; the first of 20 inputs is −1 or 1 in every sample, the
    last one in one of 300, and otherwise 0. The error is ‖w − w*‖² / ‖w*‖². Each optimizer has that rate of RATES which
    leaves the least error, as a mean over the last tenth of the steps.
    """
    generator = torch.Generator().manual_seed(seed)
    values = torch.logspace(-0.5, 0.5, 10, base=condition, dtype=torch.float64)
    q = torch.linalg.qr(torch.randn(10, 10, generator=generator, dtype=torch.float64))[0]
    optimum = torch.randn(10, generator=generator, dtype=torch.float64)
    share = torch.logspace(0, -2.5, 20, dtype=torch.float64)  # of samples in which an input is not 0
    inputs = torch.randn(2 * steps, 16, 20, generator=generator, dtype=torch.float64).sign()
    inputs *= torch.rand(inputs.shape, generator=generator, dtype=torch.float64) < share
    problems: dict[str, tuple[Sequence[Tensor], Tensor]] = {
        "scales along the weights": ([values.diag()] * steps, optimum),
        "scales turned": ([q @ values.diag() @ q.T] * steps, optimum),
        "rare inputs": (
            [*(inputs.transpose(1, 2) @ inputs / 16)],
            torch.randn(20, generator=generator, dtype=torch.float64),
        ),
    }
    sides: list[Sides] = []
    rows: list[list[str | float]] = []
    panels, left = {}, {}
    label = f"‖w − w*‖² / ‖w*‖², {LEAST:g} or more"
    for problem, (hessians, optimum) in problems.items():
        curves = {}
        for name, make in _OPTIMIZERS.items():
            path = _descend(make, hessians, optimum)
            errors = (path - optimum).square().sum(2) / optimum.square().sum()
            errors = errors.clamp(min=LEAST).nan_to_num(math.inf)
            last = errors[-(len(errors) // 10) :].mean(0)
            best = int(last.argmin())
            left[problem, name] = float(last[best])
            rows.append([problem, name, RATES[best], left[problem, name]])
            curves[f"{name}, rate {RATES[best]:.2g}"] = list(enumerate(errors[:, best].tolist()))
            if hessians[0].count_nonzero() == len(optimum):  # diagonal
                sides += _known_steps(name, path, hessians[0].diagonal(), optimum)
        panels[problem.capitalize()] = Panel(curves, "step", label, log="y")
    scaled, turned, rare = problems
    adaptive = ("RMSprop", "Adam")
    for problem, others in ((scaled, ("SGD", "momentum")), (rare, ("SGD",))):
        most, least = [left[problem, name] for name in adaptive], min(left[problem, name] for name in others)
        statement = f"{problem}: error of RMSprop and of Adam < that of {' and of '.join(others)}"
        sides.append(Sides(statement, most, [least] * 2, relation="<"))
    return Demonstration(
        sides,
        {"The best rate of each, and the error that it leaves": Table(["problem", "optimizer", "rate", label], rows)},
        panels,
        [
            f"With {scaled}, {_listed(left, scaled)}: RMSprop and Adam divide by the size of each weight's gradients.",
            f"With {turned}, {_listed(left, turned)}: no weight has a scale of its own, so that a step size for each"
            " weight cannot make the scales equal.",
            f"With {rare}, {_listed(left, rare)}: the gradients of a rare input's weight are mostly 0, and RMSprop and"
            " Adam make the others larger.",
        ],
    )


def _descend(make: Callable[..., optim.Optimizer], hessians: Sequence[Tensor], optimum: Tensor) -> Tensor:
    """Return the weights before each step and at the end, (steps + 1, rates, weights): a group learns at each rate."""
    groups = [torch.zeros(len(optimum), dtype=torch.float64, requires_grad=True) for _ in RATES]
    optimizer = make([{"params": [w], "lr": rate} for w, rate in zip(groups, RATES, strict=True)])
    path = [torch.stack(groups).detach()]
    for h in hessians:
        for w, gradient in zip(groups, (path[-1] - optimum) @ h, strict=True):
            w.grad = gradient
        optimizer.step()
        path.append(torch.stack(groups).detach())
    return torch.stack(path)


def _known_steps(name: str, path: Tensor, values: Tensor, optimum: Tensor) -> list[Sides]:
    """Compare what is known of an optimizer on ½ Σ λ (w − w*)², for every rate and each weight."""
    rates, g = torch.tensor(RATES, dtype=torch.float64)[:, None], values * optimum.abs()
    match name:
        case "SGD":
            small = rates[:, 0] * values.max() < 1  # the other rates diverge
            exact = (1 - rates * values) ** (len(path) - 1) * -optimum
            return [Sides("SGD: w − w* = −(1 − rate · λ)ᵗ w*", (path[-1] - optimum)[small], exact[small])]
        case "RMSprop":
            return [
                Sides(
                    "RMSprop: first step = rate · g / (√0.01 g + ε), nearly 10 rates",
                    path[1].abs(),
                    rates * g / (0.1 * g + 1e-8),
                )
            ]
        case "Adam":
            return [
                Sides("Adam: first step = rate · g / (g + ε), nearly the rate", path[1].abs(), rates * g / (g + 1e-8))
            ]
    return []


def _listed(left: dict[tuple[str, str], float], problem: str) -> str:
    return ", ".join(f"{name} leaves {error:.1e}" for (of, name), error in left.items() if of == problem)
