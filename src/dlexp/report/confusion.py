"""The picture of a confusion matrix, bounded in size and time for any number of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlexp.config.lazy import mpl_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WITH_COUNTS = 25  # the most classes whose counts can be read in the cells
LABELS = 40  # the most names along an axis
PAIRS = 15  # rows of the table of confused classes


def confusion_matrix(names: Sequence[str], counts: Sequence[Sequence[int]]) -> Figure:
    """Return the confusion matrix, shaded by the share of the row (true class).

    Up to 25 classes have their counts in the cells. More have every kth name along the axes, and beside the matrix a
    table of the classes that are most often taken for others. `counts` has true classes as rows.
    """
    matrix = np.asarray(counts, dtype=np.int64)
    readable = len(names) <= WITH_COUNTS
    names = [shown_name(name, 24) for name in names]
    size = min(3.5 + 0.55 * len(names), 12.0) + 0.07 * max(0, max(map(len, names)) - 10)
    figure = mpl_figure.Figure(figsize=(size + (1 if readable else 5), size), layout="constrained")
    axes, *beside = figure.subplots(1, 1 if readable else 2, width_ratios=[1] if readable else [3, 1], squeeze=False)[0]
    shares = matrix / np.maximum(1, matrix.sum(1, keepdims=True))
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if readable:
        for (i, j), count in np.ndenumerate(matrix):
            colour = "white" if shares[i, j] > 0.5 else "black"
            axes.text(j, i, str(count), ha="center", va="center", color=colour)
    for table in beside:
        _list_confused(table, names, matrix)
    every = -(-len(names) // LABELS)
    ticks, long = range(0, len(names), every), max(map(len, names)) > 3
    axes.set_xticks(ticks, names[::every], rotation=45 if long else 0, ha="right" if long else "center")
    axes.set_yticks(ticks, names[::every])
    accuracy = f"accuracy {np.trace(matrix) / max(1, matrix.sum()):.4g}"
    axes.set(xlabel="predicted class", ylabel="true class", title=f"Test confusion matrix: {accuracy}")
    axes.grid(visible=False)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return figure


def most_confused(matrix: np.ndarray) -> list[tuple[int, int, int]]:
    """Return the true class, the predicted class and the count of the most frequent errors, at most 15.

    `matrix` (classes, classes) has true classes as rows.
    """
    errors = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-errors, axis=None, kind="stable")[:PAIRS]
    pairs = (divmod(int(place), len(matrix)) for place in order)
    return [(i, j, int(errors[i, j])) for i, j in pairs if errors[i, j]]


def shown_name(name: str, most: int = 30) -> str:
    """Return a name that a picture can show: matplotlib leaves out labels that begin with _, and cuts off long ones."""
    text = name if len(name) <= most else f"{name[: most - most // 3]}…{name[1 - most // 3 :]}"
    return f" {text}" if text.startswith("_") else text


def _list_confused(axes: Axes, names: Sequence[str], matrix: np.ndarray) -> None:
    rows = [f"{count:>4} × {names[i].strip()} taken for {names[j].strip()}" for i, j, count in most_confused(matrix)]
    axes.set_axis_off()
    axes.text(0, 1, "\n".join(["Most confused", "", *rows]), va="top", linespacing=1.6)
