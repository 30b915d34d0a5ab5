"""The 1-D derivative [−1, 2, −1] extended to two dimensions, as 3 × 3 kernels (dl_hw3 ex11)."""

from __future__ import annotations

import math

import numpy as np

from dlexp.demonstrations.filters import LAPLACIAN, OUTLINE, convolved, largest, written
from dlexp.demonstrations.photographs import as_grey, grey_picture
from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table

DERIVATIVE = np.array([-1.0, 2.0, -1.0])
ALONG_ROWS = np.array([np.zeros(3), DERIVATIVE, np.zeros(3)])
DIAGONALS = np.diag(DERIVATIVE) + np.fliplr(np.diag(DERIVATIVE))
EXTENSIONS = {
    "along rows": (ALONG_ROWS, "[−1, 2, −1] in each row: upright lines and edges answer."),
    "along columns": (ALONG_ROWS.T, "[−1, 2, −1] in each column: level lines and edges answer."),
    "2-D: rows + columns": (ALONG_ROWS + ALONG_ROWS.T, "The sum of both: edges of every direction answer."),
    "rows + columns + diagonals": (
        ALONG_ROWS + ALONG_ROWS.T + DIAGONALS,
        "Two more directions: the kernel of outline, with a stronger answer.",
    ),
    "rows × columns": (
        np.outer(DERIVATIVE, DERIVATIVE),
        "One after the other: corners and dots answer, level and upright edges do not.",
    ),
}
SIDE = 12  # pixels of a surface: the answers count at those inside, where no border takes part


def extended_derivative(picture: str = "flower") -> Demonstration:
    """Extend the second derivative [−1, 2, −1] to 3 × 3 kernels: by sums over directions, and as a product.

    `picture` is flower, china, or a file's path. Raises UserError if there is no such picture.
    """
    grey = grey_picture(picture)
    kernels = {name: kernel for name, (kernel, _) in EXTENSIONS.items()}
    results = dict(zip(kernels, convolved(grey, list(kernels.values())), strict=True))
    rows, columns, both, four, product = results.values()
    in_turn = convolved(rows, [ALONG_ROWS.T])[0]
    means = {name: f"{np.abs(result).mean():.2f}" for name, result in results.items()}
    panels = {"original": Panel({}, image=grey, sentence="In the results grey is 0, lighter above it, darker below.")}
    panels |= {
        name: Panel({}, image=as_grey(128 + results[name]), sentence=sentence)
        for name, (_, sentence) in EXTENSIONS.items()
    }
    times = np.abs(four).sum() / max(np.abs(both).sum(), 1e-12)
    return Demonstration(
        [
            *_on_surfaces(list(kernels.values())),
            Sides("2-D kernel = − Laplacian", kernels["2-D: rows + columns"], 0 - np.array(LAPLACIAN)),
            Sides("kernel of four directions = outline", kernels["rows + columns + diagonals"], OUTLINE),
            Sides(
                "2-D kernel, turned by 90° = itself",
                np.rot90(kernels["2-D: rows + columns"]),
                kernels["2-D: rows + columns"],
            ),
            Sides("on the picture, largest |2-D − rows − columns| = 0", largest(both - rows - columns), 0.0),
            Sides("on the picture, largest |product − columns of rows| = 0", largest(product - in_turn), 0.0),
        ],
        {
            "[−1, 2, −1] as 3 × 3 kernels": Table(
                ["extension", "kernel", "mean |answer|"],
                [(name, written(kernel), means[name]) for name, kernel in kernels.items()],
            )
        },
        panels,
        [
            "The derivative in two dimensions is the sum of those along rows and columns, [0 −1 0; −1 4 −1; 0 −1 0]: "
            "the Laplacian with the other sign. It answers 0 to any even slope, and alike to an edge and to the same "
            "edge turned by 90°.",
            "With both diagonals it is [−1 −1 −1; −1 8 −1; −1 −1 −1], the kernel of outline and difference: on this "
            f"picture {times:.1f} times as strong.",
            "The product of both, [1 −2 1; −2 4 −2; 1 −2 1], is a derivative of order 4: a straight edge along a row "
            "or a column leaves it at 0.",
        ],
    )


def _on_surfaces(kernels: list[np.ndarray]) -> list[Sides]:
    """Return what each extension answers on surfaces whose derivatives are known, at every pixel inside."""
    y, x = np.mgrid[: float(SIDE), : float(SIDE)]
    known = {
        "a ramp 3 x − 2 y + 5": (3 * x - 2 * y + 5, (0, 0, 0, 0, 0)),
        "a bowl x² + y²": (x**2 + y**2, (-2, -2, -4, -12, 0)),
        "a saddle x² − y²": (x**2 - y**2, (-2, 2, 0, 0, 0)),
    }
    sides = [
        Sides(f"{name}: each kernel's answer = {', '.join(map(str, answers))}", _inside(surface, kernels), each)
        for name, (surface, answers) in known.items()
        for each in [np.broadcast_to(np.reshape(answers, (-1, 1, 1)), (len(answers), SIDE - 2, SIDE - 2))]
    ]
    fourth = _inside(x**2 * y**2, kernels[-1:])
    omega = math.pi / 5
    wave, factor = np.cos(omega * x)[None], 2 - 2 * math.cos(omega)
    return [
        *sides,
        Sides("x² y²: answer of the product = ∂⁴/∂x²∂y² = 4", fourth, np.full(fourth.shape, 4.0)),
        Sides(
            "a wave cos ωx: answer along rows = (2 − 2 cos ω) cos ωx",
            _inside(wave[0], kernels[:1]),
            factor * wave[:, 1:-1, 1:-1],
        ),
    ]


def _inside(surface: np.ndarray, kernels: list[np.ndarray]) -> np.ndarray:
    """Return the answers (kernels, height − 2, width − 2) away from the border."""
    return convolved(surface, kernels)[:, 1:-1, 1:-1]
