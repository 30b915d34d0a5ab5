"""How the axes of every picture look: colours, logarithmic scales, whole epochs, marks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from dlexp.config.lazy import mpl_ticker
from dlexp.report.confusion import shown_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind readers can tell apart; line styles tell them apart in grey.
SPLITS = {"train": ("#0072B2", "-"), "validation": ("#009E73", ":"), "test": ("#D55E00", "--")}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # also by Okabe and Ito
MARKERS = "os^vDXP"


def is_steep(values: Iterable[float]) -> bool:
    """Return whether a linear axis hides most of the values: the largest is ten times the median, as a loss's first."""
    known = sorted(value for value in values if math.isfinite(value))
    return len(known) > 2 and known[0] > 0 and known[-1] > max(1.0, 10 * known[len(known) // 2])


def logarithmic(axes: Axes, axis: str = "y") -> None:
    """Make the `x` or `y` axis logarithmic, with plain numbers: formulas as matplotlib writes them are switched off."""
    chosen = {"x": axes.xaxis, "y": axes.yaxis}[axis]
    axes.set(**{f"{axis}scale": "log"})
    chosen.set_major_formatter(mpl_ticker.FormatStrFormatter("%g"))
    chosen.set_minor_formatter(mpl_ticker.LogFormatter())


def whole_epochs(axes: Axes, epochs: Sequence[float]) -> None:
    """Put ticks at whole epochs only, also if there is only one."""
    axes.xaxis.set_major_locator(mpl_ticker.MaxNLocator(integer=True, min_n_ticks=1))
    if len(set(epochs)) == 1:
        axes.set_xlim(epochs[0] - 1, epochs[0] + 1)


def mark_epochs(axes: Axes, marked: Mapping[str, int], name: str = "", colour: str = "black") -> None:
    """Draw a vertical line at each epoch of a run called `name`: the best one dash-dotted, the last one dashed."""
    for what, epoch in marked.items():
        label = f"{shown_name(name)}, {what}: epoch {epoch}" if name else f"{what}: epoch {epoch}"
        style = "-." if what == "best" else (0, (6, 3))  # longer dashes than a curve's
        axes.axvline(epoch, color=colour, linestyle=style, linewidth=1.2, label=label)
