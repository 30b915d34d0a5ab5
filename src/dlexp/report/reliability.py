"""The reliability diagram: how often predictions are right, against how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlexp.config.lazy import mpl_figure
from dlexp.report.axes import COLOURS
from dlexp.runs.directory import CALIBRATION, RunDirectory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPLIT, KINDS = "test", ("as given", "calibrated")
LEAST_AREA, LARGEST_AREA = 8, 300  # of a marker, in square points


def reliability(run: RunDirectory) -> Figure | None:
    """Return the accuracy of each bin of test's confidences, as given and with the temperature.

    On the diagonal, a confidence is a probability. The area of a marker is the bin's share of the samples.
    """
    curves, errors = reliability_facts(run)
    if not curves:
        return None
    figure = mpl_figure.Figure(figsize=(5, 4.5))
    axes = figure.subplots()
    figure.subplots_adjust(0.13, 0.12, 0.97, 0.92)  # laying out by constraints would draw everything twice
    axes.plot([0, 1], [0, 1], color="black", linewidth=1)
    for (kind, rows), colour in zip(curves.items(), COLOURS, strict=False):
        samples, confidence, accuracy = ([row[i] for row in rows] for i in (2, 3, 4))
        label = f"{kind}: error {errors[kind]:.4f}"
        axes.plot(confidence, accuracy, "-", color=colour, linewidth=1, label=label, clip_on=False)
        areas = [max(LEAST_AREA, LARGEST_AREA * count / sum(samples)) for count in samples]
        axes.scatter(confidence, accuracy, areas, color=colour, alpha=0.7, clip_on=False, zorder=3)
    axes.set(xlabel="confidence", ylabel="accuracy", title="Test calibration", xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return figure


def reliability_facts(run: RunDirectory) -> tuple[dict[str, list[list[float]]], dict[str, float]]:
    """Return test's bins (low, high, samples, confidence, accuracy) and its error, by kind of probabilities."""
    curves: dict[str, list[list[float]]] = {}
    for row in run.read_rows(CALIBRATION):
        if row["split"] == SPLIT and row["probabilities"] in KINDS:
            cells = [float(row[key]) for key in ("low", "high", "samples", "confidence", "accuracy")]
            curves.setdefault(row["probabilities"], []).append(cells)
    return curves, {kind: _error(rows) for kind, rows in curves.items()}


def _error(rows: Sequence[Sequence[float]]) -> float:
    """Return the mean over samples of |accuracy − confidence| of a sample's bin."""
    total = sum(samples for _, _, samples, _, _ in rows)
    return sum(samples * abs(accuracy - confidence) for _, _, samples, confidence, accuracy in rows) / total
