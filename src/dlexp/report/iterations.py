"""Draw loss and error of every iteration, of one run and of the runs of a sweep side by side."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dlexp.config.lazy import mpl_figure, mpl_ticker, pandas
from dlexp.report.axes import COLOURS, SPLITS, is_steep, logarithmic
from dlexp.report.confusion import shown_name
from dlexp.runs.directory import EVALUATIONS, METRICS, STEPS, RunDirectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_RUNS = 7  # side by side
STRETCHES = 1000  # of a line with more iterations than a picture shows, each drawn by its extremes
AVERAGED = 50  # the moving average is over this part of the iterations


@dataclass(frozen=True)
class Iterations:
    """A measure of a run: on train at logged iterations, and on test wherever it was evaluated."""

    name: str
    steps: np.ndarray
    train: np.ndarray
    test_steps: np.ndarray
    test: np.ndarray
    samples_per_step: float

    @property
    def window(self) -> int:
        """The number of logged iterations that the moving average takes together."""
        return max(1, len(self.train) // AVERAGED)

    def average(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the moving average of train, each mean at the last iteration of its window."""
        return self.steps[self.window - 1 :], np.convolve(self.train, np.full(self.window, 1 / self.window), "valid")


def measures(run: RunDirectory) -> list[Iterations]:
    """Return the loss and the first metric of a run's steps, accuracy as error (1 − accuracy); [] for under two steps.

    The test split has those of evaluations.csv and of each epoch's end.
    """
    tables = {name: _table(run, name) for name in (STEPS, EVALUATIONS, METRICS)}
    steps, epochs = tables[STEPS], tables[METRICS]
    if len(steps) < 2 or epochs.empty:
        return []
    first = epochs.iloc[0]
    samples = first["seconds"] * first["samples_per_second"] / first["step"]
    names = [
        name.partition("/")[2] for name in map(str, steps) if name.startswith("train/") and name != "train/penalty"
    ]
    found = []
    for name in names[:2]:
        column = f"test/{name}"
        held_out = pandas.concat([t[["step", column]] for t in (tables[EVALUATIONS], epochs) if column in t])
        held_out = held_out.drop_duplicates("step").sort_values("step")
        train, test = steps[f"train/{name}"].to_numpy(float), held_out[column].to_numpy(float)
        if name == "accuracy":
            name, train, test = "error", 1 - train, 1 - test
        found.append(Iterations(name, steps["step"].to_numpy(), train, held_out["step"].to_numpy(), test, samples))
    return found


def iterations(run: RunDirectory) -> Figure | None:
    """Return loss and error of a run against the iteration; None if steps.csv has fewer than two rows."""
    found = measures(run)
    if not found:
        return None
    figure = mpl_figure.Figure(figsize=(10, 4), layout="constrained")
    for axes, measure in zip(figure.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        _draw(axes, measure)
        axes.set(xlabel="iteration", ylabel=measure.name, title=measure.name.capitalize())
        axes.legend()
    return figure


def side_by_side(runs: Mapping[str, RunDirectory]) -> Figure:
    """Return a column for each named run on common axes, loss above error, and one of all against the samples seen.

    At most seven runs are drawn.
    """
    found = {name: each for name, run in runs.items() if (each := measures(run))}
    found = dict([*found.items()][:MOST_RUNS])
    rows, last = max(map(len, found.values()), default=0), len(found)
    figure = mpl_figure.Figure(figsize=(3.0 * last + 4.5, 3.2 * rows or 1), layout="constrained")
    if not found:
        return figure
    grid = figure.subplots(rows, last + 1, sharey="row", squeeze=False, width_ratios=[1.0] * last + [1.5])
    most, fewest = (choose(each[0].steps[-1] for each in found.values()) for choose in (max, min))
    for i, (name, each) in enumerate(found.items()):
        for row, measure in zip(grid, each, strict=False):
            _draw(row[i], measure)
            row[i].set(xlabel="iteration", title=shown_name(name), xlim=(1, most))
            row[i].set_xscale("log" if most > 4 * fewest else "linear")
            row[i].xaxis.set_major_formatter(mpl_ticker.FormatStrFormatter("%g"))  # formulas are switched off
            style = {"color": COLOURS[i % len(COLOURS)], "linewidth": 1.4}
            steps, average = measure.average()
            row[last].plot(steps * measure.samples_per_step, average, label=shown_name(name), **style)
            seen = measure.test_steps * measure.samples_per_step
            row[last].plot(seen, measure.test, "--", marker=".", markersize=4, **style)
            row[last].set(xlabel="samples seen", title="averages of train solid, test dashed")
            row[0].set_ylabel(measure.name)
    for row in grid:
        row[last].grid(alpha=0.3)
    grid[0, last].legend()
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower left", ncols=3)
    return figure


def _draw(axes: Axes, measure: Iterations) -> None:
    """Draw train thin, its moving average thick, and test with markers."""
    (train, _), (test, _) = SPLITS["train"], SPLITS["test"]
    axes.plot(
        *_extremes(measure.steps, measure.train), color=train, linewidth=0.5, alpha=0.35, label="train, each iteration"
    )
    if measure.window > 1:
        axes.plot(*measure.average(), color=train, linewidth=1.6, label=f"train, average over 1/{AVERAGED} of the run")
    axes.plot(measure.test_steps, measure.test, "--", color=test, marker="o", markersize=3, label="test")
    if measure.name == "loss" and is_steep(measure.train):
        logarithmic(axes)
    axes.grid(alpha=0.3)


def _extremes(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a long line as the lowest and the highest value of each stretch, so that its noise stays to be seen."""
    if len(x) <= 2 * STRETCHES:
        return x, y
    length = len(x) // STRETCHES
    starts = np.arange(0, length * STRETCHES, length)
    both = np.stack([np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)], 1)
    return np.repeat(x[starts], 2), both.ravel()


def _table(run: RunDirectory, name: str) -> pandas.DataFrame:
    if not (run.path / name).exists():
        return pandas.DataFrame()
    return pandas.read_csv(io.BytesIO(run.read_bytes(name)))
