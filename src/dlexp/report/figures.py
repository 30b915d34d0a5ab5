"""Draw the pictures of one run from its files, for example learning curves and the confusion matrix."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlexp.config.lazy import matplotlib, mpl_figure, mpl_ticker
from dlexp.runs.directory import BOUNDARY, CONFUSION, METRICS, POINTS, TRAJECTORIES, RunDirectory
from dlexp.storage.atomic import clear_partial, write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers can tell apart; line styles tell them apart in grey.
SPLITS = {"train": ("#0072B2", "-"), "validation": ("#009E73", ":"), "test": ("#D55E00", "--")}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # also by Okabe and Ito
MARKERS = "os^vDXP"


def draw(run: RunDirectory, *, anew: bool = True) -> None:
    """Write a picture for each of a run's tables that has one.

    If `anew` is false, write only pictures that are missing or older than their table: a killed process may have
    finished its run but not its pictures.
    """
    clear_partial(run.path.rglob("*.part"))
    ways: dict[str, tuple[str, Callable[[RunDirectory], mpl_figure.Figure | None]]] = {
        "boundary.png": (BOUNDARY, decision_boundary),
        "trajectories.png": (TRAJECTORIES, lambda run: trajectories(_read_trajectories(run))),
        "curves.png": (METRICS, _curves),
        "confusion_matrix.png": (CONFUSION, _confusion_matrix),
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
    return curves(rows) if rows else None  # there are no rows before the first epoch


def _confusion_matrix(run: RunDirectory) -> Figure:
    (_, *names), cells = run.read_cells(CONFUSION)
    return confusion_matrix(names, [[int(n) for n in row[1:]] for row in cells])


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
    """Colour the plane by the predicted class, paler for lower confidence; points of train are hollow."""
    import numpy as np

    (_, _, *names), rows = run.read_cells(BOUNDARY)
    numbers = np.array(rows, float)
    side = round(len(rows) ** 0.5)
    colours = np.array(
        [[int(COLOURS[i % len(COLOURS)][k : k + 2], 16) / 255 for k in (1, 3, 5)] for i in range(len(names))]
    )
    probabilities = numbers[:, 2:].reshape(side, side, len(names)).transpose(1, 0, 2)
    mixed = 0.5 + 0.5 * (probabilities @ colours)
    extent = (numbers[0, 0], numbers[-1, 0], numbers[0, 1], numbers[-1, 1])
    axes.imshow(mixed, origin="lower", extent=extent, aspect="auto", interpolation="bilinear")
    points = run.read_rows(POINTS)
    for i, name in enumerate(names):
        colour = COLOURS[i % len(COLOURS)]
        for split, face in (("train", "none"), ("test", colour)):
            chosen = [p for p in points if p["target"] == name and p["split"] == split]
            x, y = ([float(p[axis]) for p in chosen] for axis in "xy")
            style: dict[str, Any] = {
                "facecolors": face,
                "edgecolors": colour,
                "linewidths": 0.8,
                "marker": MARKERS[i % len(MARKERS)],
            }
            axes.scatter(x, y, 9, label=f"{name}, {split}", **style)


def trajectories(curves: dict[str, list[tuple[float, float]]]) -> Figure:
    """Return paths in the plane, with a marker at each last point; a path of one point is only a marker."""
    figure = mpl_figure.Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    for (name, points), (colour, style) in zip(curves.items(), SPLITS.values(), strict=False):
        x, y = zip(*points, strict=True)
        axes.plot(x, y, style, color=colour, marker="o", markevery=[len(points) - 1], label=name)
    axes.set(aspect="equal", xlabel="w₁", ylabel="w₂")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def curves(rows: list[dict[str, float]]) -> Figure:
    """Return the loss and each metric against the epoch, every split in each panel, two panels a row."""
    epochs = [row["epoch"] for row in rows]
    metrics = [key.removeprefix("test/") for key in rows[0] if key.startswith("test/")]
    down = -(-len(metrics) // 2)
    figure = mpl_figure.Figure(figsize=(10, 4 * down), layout="constrained")
    panels = list(figure.subplots(down, 2, squeeze=False).flat)
    for axes in panels[len(metrics) :]:
        axes.set_axis_off()
    for axes, metric in zip(panels, metrics, strict=False):
        for split, (colour, style) in SPLITS.items():
            if f"{split}/{metric}" in rows[0]:
                values = [row[f"{split}/{metric}"] for row in rows]
                marker = "o" if len(rows) < 3 else None
                axes.plot(epochs, values, style, color=colour, marker=marker, label=f"{split} ({values[-1]:.4g})")
        axes.set(xlabel="epoch", ylabel=(label := metric.replace("_", " ")), title=label.capitalize())
        axes.xaxis.set_major_locator(mpl_ticker.MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(title="at the last epoch")
    return figure


def confusion_matrix(names: list[str], counts: list[list[int]]) -> Figure:
    """Return the confusion matrix with its counts, shaded by the share of the row (true class)."""
    size = max(3.5, 1.6 + 0.55 * len(names))
    figure = mpl_figure.Figure(figsize=(size + 1, size), layout="constrained")
    axes = figure.subplots()
    shares = [[n / max(1, sum(row)) for n in row] for row in counts]
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            axes.text(j, i, str(count), ha="center", va="center", color="white" if shares[i][j] > 0.5 else "black")
    long = max(map(len, names)) > 3
    axes.set_xticks(range(len(names)), names, rotation=45 if long else 0, ha="right" if long else "center")
    axes.set_yticks(range(len(names)), names)
    correct, total = sum(row[i] for i, row in enumerate(counts)), sum(map(sum, counts))
    accuracy = f"accuracy {correct / max(1, total):.4g}"
    axes.set(xlabel="predicted class", ylabel="true class", title=f"Test confusion matrix: {accuracy}")
    axes.grid(visible=False)
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    return figure


def _read_trajectories(run: RunDirectory) -> dict[str, list[tuple[float, float]]]:
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in run.read_rows(TRAJECTORIES):
        curves.setdefault(row["curve"], []).append((float(row["x"]), float(row["y"])))
    return curves


def save(run: RunDirectory, name: str, figure: Figure) -> None:
    """Write a figure into the run's directory."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    write_atomically(run.path / name, content.getvalue())
