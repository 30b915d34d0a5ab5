"""Nine kernels on a photograph, as one convolution (dl_hw3 ex11).

As a convolutional layer does, they multiply without turning the kernel around, which is a cross correlation.
"""

from __future__ import annotations

import numpy as np

from dlexp.config.lazy import F, cv2, torch
from dlexp.demonstrations.photographs import as_grey, grey_picture, need_opencv
from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table

Kernel = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]

AVERAGE = "weighted average"
OUTLINE: Kernel = ((-1, -1, -1), (-1, 8, -1), (-1, -1, -1))
LAPLACIAN: Kernel = ((0, 1, 0), (1, -4, 1), (0, 1, 0))
KERNELS: dict[str, tuple[Kernel, str]] = {
    "sharpen": (
        ((0, -1, 0), (-1, 5, -1), (0, -1, 0)),
        "A pixel moves away from its four neighbours: fine lines and grain stand out.",
    ),
    "Laplacian": (LAPLACIAN, "A thin line on the dark side of each edge; level areas and even slopes are 0."),
    "emboss": (
        ((-2, -1, 0), (-1, 1, 1), (0, 1, 2)),
        "A relief: lighter if the grey rises to the lower right, darker if it falls.",
    ),
    "outline": (OUTLINE, "A line on the bright side of each edge, in all directions; all else is 0."),
    "difference": (OUTLINE, "The kernel of outline under another name, so the same picture."),
    "top Sobel": (
        ((1, 2, 1), (0, 0, 0), (-1, -2, -1)),
        "Edges that are bright above and dark below; upright edges vanish.",
    ),
    "bottom Sobel": (
        ((-1, -2, -1), (0, 0, 0), (1, 2, 1)),
        "The negative of top Sobel: edges that are dark above and bright below.",
    ),
    "right Sobel": (
        ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)),
        "Edges that are dark on the left and bright on the right; level edges vanish.",
    ),
    AVERAGE: (
        ((1, 1, 1), (1, 8, 1), (1, 1, 1)),
        "Half a pixel and half the mean of its eight neighbours: softer, with less grain.",
    ),
}
LEVEL = 100.0  # the grey of a picture without edges


def image_filters(picture: str = "flower") -> Demonstration:
    """Filter a picture by the nine kernels with `F.conv2d`, and compare with OpenCV's `filter2D`.

    `picture` is flower, china, or a file's path. The weights of the average sum to 16, by which it is divided. At the
    border both mirror the picture at its outermost pixels. Raises UserError without OpenCV, or if there is no picture.
    """
    need_opencv("image_filters")
    grey = grey_picture(picture)
    kernels = {
        name: np.array(rows, float) / (np.sum(rows) if name == AVERAGE else 1) for name, (rows, _) in KERNELS.items()
    }
    ours = dict(zip(kernels, convolved(grey, list(kernels.values())), strict=True))
    theirs = {
        name: cv2.filter2D(grey.astype(float), -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        for name, kernel in kernels.items()
    }
    corners = np.ix_((0, -1), (0, -1))
    level = convolved(np.full((8, 8), LEVEL), list(kernels.values()))[:, 0, 0]
    undivided = float((16 * ours[AVERAGE] > 255).mean())
    rows = [
        (
            name,
            written(KERNELS[name][0], name == AVERAGE),
            round(kernels[name].sum()),
            *_cut_off(ours[name]),
            KERNELS[name][1],
        )
        for name in KERNELS
    ]
    panels = {"original": Panel({}, image=grey, sentence="The photograph in grey levels from 0 to 255.")}
    panels |= {name: Panel({}, image=as_grey(ours[name]), sentence=KERNELS[name][1]) for name in KERNELS}
    return Demonstration(
        [
            Sides(
                "largest |conv2d − filter2D| of all pixels, for each kernel = 0",
                [largest(ours[name] - theirs[name]) for name in KERNELS],
                [0.0] * len(KERNELS),
            ),
            Sides(
                "the four corner pixels of each result, conv2d = filter2D",
                [each[corners] for each in ours.values()],
                [each[corners] for each in theirs.values()],
            ),
            Sides("largest |bottom Sobel + top Sobel| = 0", largest(ours["bottom Sobel"] + ours["top Sobel"]), 0.0),
            Sides("largest |outline − difference| = 0", largest(ours["outline"] - ours["difference"]), 0.0),
            Sides(
                f"on a picture that is {LEVEL:g} everywhere: result = {LEVEL:g} Σ weights",
                level,
                [LEVEL * kernel.sum() for kernel in kernels.values()],
            ),
        ],
        {
            "The nine results": Table(
                ["result", "kernel", "sum", "below 0", "above 255", "what to see"],
                rows,
            )
        },
        panels,
        [
            "All nine are one convolution with nine output channels, whose weights are written instead of learned.",
            "Outline and difference are one kernel. A kernel that sums to 1 keeps the brightness of level areas, one "
            "that sums to 0 makes them black.",
            "A picture holds levels from 0 to 255: what lies beyond is cut off. So top Sobel shows half of the edges "
            "that lie level, and bottom Sobel the other half.",
            f"The weights of the average sum to 16. Not divided by it, {undivided:.0%} of the pixels are above 255.",
        ],
    )


def convolved(picture: np.ndarray, kernels: list[np.ndarray]) -> np.ndarray:
    """Return a picture (height, width) by each kernel, float64 (kernels, height, width), with one `F.conv2d`.

    Beyond its border the picture goes on as if mirrored at its outermost pixels: … 2 1 | 0 1 2 …
    """
    inputs = F.pad(torch.tensor(picture, dtype=torch.float64)[None, None], (1, 1, 1, 1), mode="reflect")
    weights = torch.from_numpy(np.stack(kernels))[:, None]
    results: np.ndarray = F.conv2d(inputs, weights)[0].numpy()
    return results


def largest(differences: np.ndarray) -> float:
    """Return the largest absolute value."""
    return float(np.abs(differences).max())


def _cut_off(result: np.ndarray) -> tuple[str, str]:
    """Return the shares of a result's pixels below 0 and above 255."""
    return f"{(result < 0).mean():.1%}", f"{(result > 255).mean():.1%}"


def written(rows: Kernel | np.ndarray, divided: bool = False) -> str:
    """Return a kernel as the course writes it: [0 −1 0; −1 5 −1; 0 −1 0], or the sum of its weights below it."""
    text = "; ".join(" ".join(f"{int(weight)}".replace("-", "−") for weight in row) for row in rows)
    return f"[{text}]" + (f" / {np.sum(rows)}" if divided else "")
