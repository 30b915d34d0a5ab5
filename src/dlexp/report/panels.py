"""Draw the figure of a demonstration: panels of curves, and images with a sentence to each."""

from __future__ import annotations

import io
import itertools
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlexp.config.lazy import Image, mpl_figure
from dlexp.report.axes import COLOURS, logarithmic
from dlexp.runs.directory import FIGURE, FIGURE_IMAGES, RunDirectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MANY = 10  # panels: more of them stand four in a row instead of two
LETTERS, TITLE_LETTERS = 16.0, 13.5  # of a sentence and of a title in an inch
LINE = 0.16  # inches: the height of a sentence's line

Curves = Mapping[str, Sequence[tuple[float, float]]]


def demonstration(run: RunDirectory) -> Figure:
    """Return the figure of a demonstration's run, from figure.csv, figure_images.png and result.json."""
    axes_of = run.read_json("result.json")["panels"]
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {title: {} for title in axes_of}
    for row in run.read_rows(FIGURE):
        curves[row["panel"]].setdefault(row["curve"], []).append((float(row["x"]), float(row["y"])))
    return panels(curves, axes_of, _images(run, axes_of))


def _images(run: RunDirectory, axes_of: Mapping[str, Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Return the image, uint8 (height, width[, 3]), of each panel that has one."""
    shapes = {title: panel["image"] for title, panel in axes_of.items() if panel.get("image")}
    if not shapes:
        return {}
    strip = np.asarray(Image.open(io.BytesIO(run.read_bytes(FIGURE_IMAGES))))
    rights = itertools.accumulate(width for _, width, *_ in shapes.values())
    return {
        title: strip[:height, right - width : right]
        for (title, (height, width, *_)), right in zip(shapes.items(), rights, strict=True)
    }


def panels(
    curves: Mapping[str, Curves],
    axes_of: Mapping[str, Mapping[str, Any]],
    images: Mapping[str, np.ndarray],
) -> Figure:
    """Return a panel for each title: its curves by name, over its image if it has one.

    `axes_of` gives each title's `x` and `y` labels, its logarithmic axes `log`, whether its axes are `equal`, and the
    `sentence` below its image. Two panels stand in a row, or four if there are many.
    """
    across = 4 if len(curves) > MANY else min(2, len(curves))
    down = -(-len(curves) // across)
    width = 1 + 5 * min(2, across)
    figure = mpl_figure.Figure(figsize=(width, 0.5 + 4 * down), layout="constrained")
    places = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in places[len(curves) :]:
        axes.set_axis_off()
    heights = []
    for axes, (title, lines) in zip(places, curves.items(), strict=False):
        if title in images:
            heights.append(_image(axes, images[title], lines, (title, axes_of[title]["sentence"]), width / across))
        else:
            heights.append(4.0)
            _curves(axes, title, lines, axes_of[title])
    rows = (max(heights[i : i + across]) for i in range(0, len(heights), across))
    figure.set_figheight(0.5 + sum(rows) if images else 0.5 + 4 * down)
    return figure


def _image(axes: Axes, image: np.ndarray, lines: Curves, words: tuple[str, str], width: float) -> float:
    """Draw an image with its curves, title and sentence in a panel of this width; return the panel's height, in inches.

    The curves are outlines of parts of the image, of which the sentence says what they are.
    """
    title, sentence = (
        "\n".join(textwrap.wrap(text, round((width - 0.3) * letters)))
        for text, letters in zip(words, (TITLE_LETTERS, LETTERS), strict=True)
    )
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    axes.autoscale(False)
    for points, colour in zip(lines.values(), COLOURS[1:], strict=False):
        axes.plot(*zip(*points, strict=True), color=colour, linewidth=2.2, marker="o", markersize=4, markevery=[-1])
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(sentence, fontsize=9)
    height = min(1.0, image.shape[0] / image.shape[1]) * width
    return height + 0.1 + LINE * (title.count("\n") + sentence.count("\n") + 2)


def _curves(axes: Axes, title: str, lines: Curves, chosen: Mapping[str, Any]) -> None:
    """Draw curves, each with a marker at its last point."""
    styles = itertools.cycle(itertools.product(("-", "--", ":"), COLOURS))
    for (name, points), (style, colour) in zip(lines.items(), styles, strict=False):
        x, y = zip(*points, strict=True)
        axes.plot(x, y, style, color=colour, marker="o", markevery=[len(points) - 1], label=name)
    axes.set(xlabel=chosen["x"], ylabel=chosen["y"], title=title, aspect="equal" if chosen["equal"] else "auto")
    for axis in chosen["log"]:
        logarithmic(axes, axis)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
