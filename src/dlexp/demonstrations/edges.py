"""Canny's edges and the bilateral filter on one photograph, by OpenCV, checked by their definitions (dl_hw3 ex11).

Canny (1986), "A Computational Approach to Edge Detection"; Tomasi and Manduchi (1998), "Bilateral Filtering for Gray
and Color Images".
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from dlexp.config.lazy import cv2
from dlexp.config.schema import Interval
from dlexp.demonstrations.filters import KERNELS, convolved, largest
from dlexp.demonstrations.photographs import as_grey, grey_picture, need_opencv
from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table
from dlexp.errors import UserError

Slope = Annotated[int, Interval(0, 2040)]  # |∂x| + |∂y| by Sobel kernels is at most 2 × 4 × 255
Sigma = Annotated[float, Interval(0.1, 1000)]  # pixels or grey levels
Radius = Annotated[int, Interval(1, 15)]  # pixels; less than the shortest side of a picture

SOBEL = [np.array(KERNELS[name][0], float) for name in ("right Sobel", "bottom Sobel")]
AMPLIFIED = 4  # times, what the bilateral filter takes away


def canny_and_bilateral(
    picture: str = "flower",
    low: Slope = 100,
    high: Slope = 200,
    radius: Radius = 4,
    sigma_grey: Sigma = 40.0,
    sigma_distance: Sigma = 3.0,
) -> Demonstration:
    """Find a picture's edges by Canny, and smooth it by a bilateral filter that keeps them.

    `picture` is flower, china, or a file's path. An edge pixel is steeper than `low`, |∂x| + |∂y| by Sobel kernels, and
    connected with one steeper than `high`. The bilateral filter weighs a neighbour, `radius` pixels away at most, by
    exp(−d² / 2σ²) of its distance and of its difference in grey, with σ in pixels and in levels. Raises UserError
    without OpenCV, if there is no such picture, if `low` is above `high`, or if there are no edges.
    """
    need_opencv("canny_and_bilateral")
    if low > high:
        raise UserError(f"demonstration.low={low} is above demonstration.high={high}: it must be at most that.")
    grey = grey_picture(picture)
    edges, slope = _edges(grey, low, high), _slope(grey)
    if not edges.any():
        raise UserError(
            f"demonstration.high={high}: Canny finds no edge in {picture}, whose steepest pixel has {slope.max():.0f}. "
            "Take a lower one, or another picture."
        )
    # As float32: of uint8 with a radius of 1 or 2, OpenCV 5 cuts the fractions of levels off instead of rounding them.
    smooth = cv2.bilateralFilter(grey.astype(np.float32), 2 * radius + 1, sigma_grey, sigma_distance).astype(float)
    blurred = _weighted(grey, radius, sigma_distance)
    steepest = _steepest(edges, slope)
    doubled = _edges(grey, 2 * low, 2 * high)
    table, finding = _kept({"original": grey, "bilateral": smooth, "blurred by distance alone": blurred}, edges)
    return Demonstration(
        [
            Sides("low < the least slope of an edge pixel", low, slope[edges].min(), relation="<"),
            Sides("high < the steepest pixel of each connected edge", [high] * len(steepest), steepest, relation="<"),
            Sides("number of pixels that are edges for doubled thresholds only = 0", (doubled & ~edges).sum(), 0),
            Sides(
                "largest |bilateral by formula − OpenCV's| of all pixels = 0",
                largest(_weighted(grey, radius, sigma_distance, sigma_grey) - smooth),
                0.0,
                0.01,  # of 255 levels: OpenCV looks exp up in a table
            ),
        ],
        {"Slope |∂x| + |∂y| at the original's edges and elsewhere": table},
        _panels(grey, smooth, blurred, [edges, _edges(as_grey(smooth), low, high)]),
        [
            f"Canny marks {edges.sum():,} pixels, {edges.mean():.1%} of the picture, in {len(steepest):,} connected "
            "edges.",
            finding,
        ],
    )


def _panels(grey: np.ndarray, smooth: np.ndarray, blurred: np.ndarray, edges: list[np.ndarray]) -> dict[str, Panel]:
    of_grey, of_smooth = (as_grey(255.0 * each) for each in edges)
    shown = {
        "original": (grey, "The photograph in grey levels."),
        "Canny": (of_grey, "Edges one pixel wide; a weak one stays if it leads to a strong one."),
        "bilateral": (as_grey(smooth), "Areas are smooth and edges stay: another grey weighs little."),
        "blurred by distance alone": (as_grey(blurred), "The same weights without those of grey: edges blur too."),
        "Canny of bilateral": (of_smooth, "Fine edges are gone, those between areas are left."),
        "what bilateral takes away": (
            as_grey(128 + AMPLIFIED * (grey - smooth)),
            f"Original − bilateral, {AMPLIFIED} times, on grey: grain and fine lines.",
        ),
    }
    return {title: Panel({}, image=image, sentence=sentence) for title, (image, sentence) in shown.items()}


def _kept(pictures: dict[str, np.ndarray], edges: np.ndarray) -> tuple[Table, str]:
    """Return the mean slope of each picture at the edges and elsewhere, and what two filters keep of the first's."""
    slopes = {name: _slope(picture) for name, picture in pictures.items()}
    means = {name: (float(slope[edges].mean()), float(slope[~edges].mean())) for name, slope in slopes.items()}
    (at, elsewhere), *filtered = means.values()
    smooth, blurred = (f"{each[0] / at:.0%} of the slope at the edges" for each in filtered)
    smooth_off, blurred_off = (f"{each[1] / max(elsewhere, 1e-9):.0%} elsewhere" for each in filtered)
    return (
        Table(
            ["picture", "at the edges", "elsewhere"],
            [(name, *(f"{mean:.1f}" for mean in both)) for name, both in means.items()],
        ),
        f"The bilateral filter keeps {smooth} and {smooth_off}; a blur by the same distances keeps {blurred} and "
        f"{blurred_off}.",
    )


def _edges(grey: np.ndarray, low: int, high: int) -> np.ndarray:
    """Return which pixels of a uint8 picture Canny takes for edges, bool (height, width)."""
    edges: np.ndarray = cv2.Canny(grey, low, high) > 0
    return edges


def _steepest(edges: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Return the largest slope in each group of edge pixels that touch, also at a corner."""
    number, labels = cv2.connectedComponents(edges.astype(np.uint8))
    steepest = np.zeros(number)
    np.maximum.at(steepest, labels.ravel(), slope.ravel())
    return steepest[1:]  # 0 labels the other pixels


def _slope(picture: np.ndarray) -> np.ndarray:
    """Return |∂x| + |∂y| by Sobel kernels, in grey levels; the outermost pixels are repeated, as in Canny."""
    slope: np.ndarray = np.abs(convolved(np.pad(picture, 1, mode="edge"), SOBEL)).sum(0)[1:-1, 1:-1]
    return slope


def _weighted(grey: np.ndarray, radius: int, sigma_distance: float, sigma_grey: float = np.inf) -> np.ndarray:
    """Return the mean of each pixel's neighbours in a disc, weighed by distance and by difference in grey."""
    height, width = grey.shape
    padded = np.pad(grey.astype(float), radius, mode="reflect")
    total, weights = np.zeros(grey.shape), np.zeros(grey.shape)
    steps = range(-radius, radius + 1)
    for squared, down, right in ((i**2 + j**2, i, j) for i in steps for j in steps):
        if squared <= radius**2:
            neighbour = padded[radius + down :, radius + right :][:height, :width]
            weight = np.exp(-squared / (2 * sigma_distance**2) - (neighbour - grey) ** 2 / (2 * sigma_grey**2))
            total += weight * neighbour
            weights += weight
    mean: np.ndarray = total / weights
    return mean
