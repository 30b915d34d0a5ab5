"""Maxout: the difference of two units fits a function the better, the more pieces they have (dl_hw3 ex08)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np

from dlexp.config.lazy import torch
from dlexp.config.schema import Interval
from dlexp.demonstrations.minimization import minimize
from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table
from dlexp.models.layers import layers

if TYPE_CHECKING:
    from torch import Tensor, nn

POINTS = 250  # at which the error is measured
STEPS = 40  # of L-BFGS


def maxout_fits(doublings: Annotated[int, Interval(2, 6)] = 4) -> Demonstration:
    """Fit the sine over a period by differences of two maxout units of k = 2, 4, …, 2^doublings pieces.

    A line that bends is a difference of two convex lines: the first unit has the bends up, the second the bends down
    (Goodfellow et al., 2013, "Maxout Networks", proposition 4.1). A unit of k pieces bends k − 1 times, so that the
    difference can pass through 2 k points of the sine. Training starts there.
    """
    pieces = [2**i for i in range(1, doublings + 1)]
    x = torch.linspace(0, 2 * torch.pi, POINTS, dtype=torch.float64)[:, None]
    sine = x.sin()[:, 0]
    sides, curves, errors = [], {"sin x": _curve(x, sine)}, []
    for k in pieces:
        (maxout,) = layers(({"maxout": {"out_features": 2, "pieces": k}},), input_shape=(1,), num_outputs=1).double()
        knots = np.linspace(0, 2 * np.pi, 2 * k)
        _pass_through(maxout, knots, np.sin(knots))
        built, line = _difference(maxout, x).detach(), np.interp(x[:, 0], knots, np.sin(knots))
        sides.append(Sides(f"{k} pieces: difference of the units = line through {2 * k} points", built, line))
        _train(maxout, x, sine)
        trained, product = _difference(maxout, x).detach(), maxout(x).detach().prod(1)
        errors.append([float((y - sine).square().mean().sqrt()) for y in (built, trained, product)])
        curves[f"{k} pieces"] = _curve(x, trained)
    built, trained, product = np.array(errors).T
    sides += [
        Sides("error after training < error as built", trained, built, relation="<"),
        Sides("error with twice the pieces < half", trained[1:], trained[:-1] / 2, relation="<"),
    ]
    return Demonstration(
        sides,
        {
            "Root mean square error of the fit of sin x over a period": Table(
                ("pieces k", "straight segments", "as built", "trained", "units multiplied"),
                [(k, 2 * k - 1, *each) for k, each in zip(pieces, errors, strict=True)],
            )
        },
        {
            "Difference of two maxout units, trained": Panel(curves, "x", "y"),
            "Root mean square error": Panel(
                {"as built": [*zip(pieces, built, strict=True)], "trained": [*zip(pieces, trained, strict=True)]},
                "pieces of a unit",
                "error",
                log="xy",
            ),
        },
        [
            f"From {pieces[0]} to {pieces[-1]} pieces the error falls from {trained[0]:.2g} to {trained[-1]:.2g}: to "
            f"double the pieces divides it by about {(trained[0] / trained[-1]) ** (1 / (doublings - 1)):.1f}.",
            "One unit alone is convex and cannot follow a curve that bends both ways: the second has to be subtracted. "
            f"The same units multiplied miss by {product.min():.2g} to {product.max():.2g}.",
        ],
    )


def _pass_through(maxout: nn.Module, x: np.ndarray, y: np.ndarray) -> None:
    """Give the units the lines whose difference passes through the points; each unit has as many lines as it bends."""
    slopes = np.diff(y) / np.diff(x)
    bends = np.diff(slopes)
    weights, biases = [], []
    for sign, slope, height in ((1, slopes[0], y[0] - slopes[0] * x[0]), (-1, 0.0, 0.0)):
        own = sign * bends > 0
        steps, places = sign * bends[own], x[1:-1][own]
        weights += [slope, *(slope + np.cumsum(steps))]
        biases += [height, *(height - np.cumsum(steps * places))]  # each line meets the one before where they bend
    maxout.load_state_dict({"linear.weight": torch.tensor(weights)[:, None], "linear.bias": torch.tensor(biases)})


def _train(maxout: nn.Module, x: Tensor, target: Tensor) -> None:
    minimize(maxout.parameters(), lambda: (_difference(maxout, x) - target).square().mean(), max_iter=STEPS)


def _difference(maxout: nn.Module, x: Tensor) -> Tensor:
    first, second = maxout(x).unbind(1)
    return first - second


def _curve(x: Tensor, y: Tensor) -> Tensor:
    return torch.stack([x[:, 0], y], 1)
