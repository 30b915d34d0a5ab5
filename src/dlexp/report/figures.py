"""Draw the pictures of one run from its files, for example learning curves and the confusion matrix."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlexp.config.lazy import Image, matplotlib, mpl_figure
from dlexp.report.axes import COLOURS, MARKERS, SPLITS, is_steep, logarithmic, mark_epochs, whole_epochs
from dlexp.report.confusion import confusion_matrix, shown_name
from dlexp.report.iterations import iterations
from dlexp.report.panels import demonstration
from dlexp.report.reliability import reliability
from dlexp.runs.directory import (
    BOUNDARY,
    CALIBRATION,
    CONFUSION,
    FIGURE,
    METRICS,
    POINTS,
    PREDICTIONS,
    STEPS,
    WRONG,
    WRONG_IMAGES,
    RunDirectory,
)
from dlexp.storage.atomic import clear_partial, write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = {"blue": 0, "red": 1, "green": 2, "pink": 3, "purple": 3, "orange": 4, "black": 6}  # a class called so has it
MOST_VALUES = 4  # of several predicted values, the first ones are drawn


def draw(run: RunDirectory, *, anew: bool = True) -> None:
    """Write a picture for each of a run's tables that has one.

    If `anew` is false, write only pictures that are missing or older than their table: a killed process may have
    finished its run but not its pictures.
    """
    clear_partial(run.path.rglob("*.part"))
    ways: dict[str, tuple[str, Callable[[RunDirectory], mpl_figure.Figure | None]]] = {
        "boundary.png": (BOUNDARY, decision_boundary),
        "figure.png": (FIGURE, demonstration),
        "curves.png": (METRICS, _curves),
        "steps.png": (STEPS, iterations),
        "confusion_matrix.png": (CONFUSION, _confusion_matrix),
        "calibration.png": (CALIBRATION, reliability),
        "predictions.png": (PREDICTIONS, _predictions),
        "wrong.png": (WRONG_IMAGES, wrong_images),
    }
    tables = {name: run.path / table for name, (table, _) in ways.items() if (run.path / table).exists()}
    wanted = [name for name, table in tables.items() if anew or _is_older(run.path / name, table)]
    if not wanted:
        return

    with matplotlib.rc_context({"text.parse_math": False}):  # a class may be called $x$
        for name in wanted:
            if (figure := ways[name][1](run)) is not None:
                save(run, name, figure)


def _curves(run: RunDirectory) -> Figure | None:
    rows = run.read_table(METRICS)
    return curves(rows, marks(run)) if rows else None  # there are no rows before the first epoch


def marks(run: RunDirectory) -> dict[str, int]:
    """Return the epochs to mark on a run's curves: the best by validation, and the last; {} without validation."""
    if not run.has_result():
        return {}
    result = run.read_json("result.json")
    best, stopped = result.get("selected"), result.get("stopped_early")
    found = {"best": best["epoch"]} if best else {}
    return found | ({"stopped" if stopped else "last": result["epochs"]} if best or stopped else {})


def _confusion_matrix(run: RunDirectory) -> Figure:
    (_, *names), cells = run.read_cells(CONFUSION)
    return confusion_matrix(names, [[int(n) for n in row[1:]] for row in cells])


def _predictions(run: RunDirectory) -> Figure | None:
    targets, guesses = value_pairs(run)
    return predicted_values(targets, guesses) if targets else None


def value_pairs(run: RunDirectory) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return the targets and the predictions of predictions.csv for the first values, by name; {} for classes."""
    header, rows = run.read_cells(PREDICTIONS)
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    names = [name for name in header if f"predicted {name}" in columns][:MOST_VALUES]
    targets, guesses = ({name: [*map(float, columns[way + name])] for name in names} for way in ("", "predicted "))
    return targets, guesses


def predicted_values(targets: Mapping[str, Sequence[float]], guesses: Mapping[str, Sequence[float]]) -> Figure:
    """Return predicted against true values, a panel for each value; a line shows where they agree."""
    figure = mpl_figure.Figure(figsize=(4.2 * len(targets), 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(targets), squeeze=False)[0], targets, strict=True):
        axes.plot(targets[name], guesses[name], "o", color=COLOURS[0], markersize=4, alpha=0.6)
        low, high = (choose([*targets[name], *guesses[name]]) for choose in (min, max))
        axes.plot([low, high], [low, high], color="black", linewidth=1, label="predicted = true")
        axes.set(xlabel=f"true {name}", ylabel=f"predicted {name}", title="Test predictions", aspect="equal")
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def wrong_images(run: RunDirectory) -> Figure:
    """Return the images of test misclassified with most confidence, each with its class and the predicted one."""
    rows = run.read_rows(WRONG)
    images = np.split(np.asarray(Image.open(io.BytesIO(run.read_bytes(WRONG_IMAGES)))), len(rows), axis=1)
    down = -(-len(rows) // 8)
    figure = mpl_figure.Figure(figsize=(10, 0.5 + 1.7 * down), layout="constrained")
    figure.suptitle("Most confidently wrong on test")
    for axes in (panels := list(figure.subplots(down, 8, squeeze=False).flat)):
        axes.set_axis_off()
    for axes, image, row in zip(panels, images, rows, strict=False):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        target, guess = (shown_name(row[key], 14) for key in ("target", "prediction"))
        axes.set_title(f"{target}, taken\nfor {guess} ({float(row['confidence']):.2f})", fontsize=8)
    return figure


def _is_older(picture: Path, table: Path) -> bool:
    return not picture.exists() or picture.stat().st_mtime < table.stat().st_mtime


def decision_boundary(run: RunDirectory) -> Figure:
    """Return a figure of the classes that a net predicts over the plane, with the samples."""
    figure = mpl_figure.Figure(figsize=(6.5, 5), layout="constrained")
    axes = figure.subplots()
    boundary(axes, run)
    figure.legend(loc="outside right upper")
    return figure


def boundary(axes: Axes, run: RunDirectory) -> None:
    """Colour the plane by the predicted class, paler for lower confidence; points of train are hollow.

    A line is where the most probable class changes, for two classes where both have probability 0.5.
    """
    (_, _, *names), rows = run.read_cells(BOUNDARY)
    numbers = np.array(rows, float)
    side = round(len(rows) ** 0.5)
    hexadecimal = colours_of(names)
    colours = np.array([[int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)] for colour in hexadecimal])
    probabilities = numbers[:, 2:].reshape(side, side, len(names)).transpose(1, 0, 2)
    mixed = 0.5 + 0.5 * (probabilities @ colours)
    extent = (numbers[0, 0], numbers[-1, 0], numbers[0, 1], numbers[-1, 1])
    axes.imshow(mixed, origin="lower", extent=extent, aspect="auto", interpolation="bilinear")
    for k in range(1 if len(names) == 2 else len(names)):
        lead = probabilities[:, :, k] - np.delete(probabilities, k, 2).max(2)
        if lead.min() < 0 < lead.max():
            axes.contour(numbers[::side, 0], numbers[:side, 1], lead, levels=[0], colors="black", linewidths=1.4)
    axes.plot([], [], color="black", linewidth=1.4, label="boundary")
    points = run.read_rows(POINTS)
    for i, (name, colour) in enumerate(zip(names, hexadecimal, strict=True)):
        for split, face in (("train", "none"), ("test", colour)):
            chosen = [p for p in points if p["target"] == name and p["split"] == split]
            x, y = ([float(p[axis]) for p in chosen] for axis in "xy")
            style: dict[str, Any] = {
                "facecolors": face,
                "edgecolors": colour,
                "linewidths": 0.8,
                "marker": MARKERS[i % len(MARKERS)],
            }
            axes.scatter(x, y, 9, label=f"{shown_name(name)}, {split}", **style)


def colours_of(names: Sequence[str]) -> list[str]:
    """Return a colour for each class: one that is called after a colour has that, the others have those left."""
    own = {name: COLOURS[NAMED[name.lower()]] for name in names if name.lower() in NAMED}
    left = itertools.cycle([colour for colour in COLOURS if colour not in own.values()] or COLOURS)
    return [own.get(name) or next(left) for name in names]


def curves(rows: list[dict[str, float]], marked: Mapping[str, int] | None = None) -> Figure:
    """Return the loss and each metric against the epoch, every split in each panel, two panels a row.

    Each epoch of `marked` has a vertical line.
    """
    epochs = [row["epoch"] for row in rows]
    metrics = [key.removeprefix("test/") for key in rows[0] if key.startswith("test/")]
    down = -(-len(metrics) // 2)
    figure = mpl_figure.Figure(figsize=(10, 4 * down), layout="constrained")
    panels = list(figure.subplots(down, 2, squeeze=False).flat)
    for axes in panels[len(metrics) :]:
        axes.set_axis_off()
    for axes, metric in zip(panels, metrics, strict=False):
        shown = []
        for split, (colour, style) in SPLITS.items():
            if f"{split}/{metric}" in rows[0]:
                shown += (values := [row[f"{split}/{metric}"] for row in rows])
                marker = "o" if len(rows) < 3 else None
                axes.plot(
                    epochs, values, style, color=colour, marker=marker, label=f"{split} ({values[-1]:.4g} at the end)"
                )
        mark_epochs(axes, marked or {})
        axes.set(xlabel="epoch", ylabel=(label := metric.replace("_", " ")), title=label.capitalize())
        if is_steep(shown):
            logarithmic(axes)
        whole_epochs(axes, epochs)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def save(run: RunDirectory, name: str, figure: Figure) -> None:
    """Write a figure into the run's directory."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    write_atomically(run.path / name, content.getvalue())
