"""A sweep's results: a table and pictures of several runs that differ in a few keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlexp.compare.groups import record
from dlexp.compare.studies import by_data
from dlexp.config.lazy import mpl_figure, mpl_ticker
from dlexp.errors import UserError
from dlexp.report.axes import COLOURS, MARKERS, logarithmic
from dlexp.report.confusion import shown_name
from dlexp.report.figures import boundary, save
from dlexp.report.iterations import side_by_side
from dlexp.report.text import passed, reported
from dlexp.report.worked import first_gradients
from dlexp.runs.directory import BOUNDARY, GRADIENTS, STEPS, RunDirectory
from dlexp.runs.formatting import label, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Varied = Mapping[str, Any]  # the keys in which the runs of a sweep differ, with one run's values


def results(runs: Sequence[tuple[Varied, RunDirectory]]) -> str:
    """Return a line for each run: its varied keys, its final metrics on train and test, and what training cost.

    Before it, a line for each traced run: the norm of each parameter's gradient in the first step.

    A figure that a run's `reference` reports stands beside the measured one; those of traces are left to single runs.
    The epoch that first reached a milestone has a column. Sentences below the table name the best setting, one for
    each set of data.
    """
    if not runs:
        return ""
    finals = [run.read_json("result.json") for _, run in runs]
    names = list(dict.fromkeys(name for result in finals for name in result["final"]["train"]))
    reports = [{key: value for key, value, _ in reported(run) if not key.startswith("trace/")} for _, run in runs]
    columns = [f"{split}/{name}" for name in names for split in ("train", "test")]
    columns = list(dict.fromkeys([*columns, *(key for report in reports for key in report)]))
    header = [key.removeprefix("model.") for key in runs[0][0]]
    for key in columns:
        header += [key.replace("/", " "), *["reported"] * any(key in report for report in reports)]
    milestones = [dict(passed(run)) for _, run in runs]
    reached = list(dict.fromkeys(what for each in milestones for what in each))
    header += [f"first epoch of {what}" for what in reached]
    rows = []
    for (varied, run), result, report, first in zip(runs, finals, reports, milestones, strict=True):
        figures = run.figures()
        cells: list[object] = [*map(label, varied.values())]
        for key in columns:
            cells += [figures.get(key, ""), *[report.get(key, "")] * any(key in each for each in reports)]
        cells += [first.get(what) or "none" for what in reached]
        speed, memory = result["samples_per_second"] or 0, result["peak_memory_bytes"] / 2**20
        rows.append([*cells, f"{result['training_seconds']:.1f} s", round(speed), f"{memory:.0f} MiB"])
    shown = table([*header, "time", "samples/s", "memory"], rows)
    parts = (first_gradients(runs), shown, *_best([run for _, run in runs]))
    return "\n\n".join(part for part in parts if part)


def _best(runs: Sequence[RunDirectory]) -> list[str]:
    try:
        found = by_data(map(record, runs))
    except UserError as error:  # for example losses of several units, and no metric that all runs have
        return [f"No best setting: {error}"]
    sentences = (
        f"{data}: {each.best.sentence}" if data else each.best.sentence for data, each in found.items() if each.best
    )
    return ["\n".join(sentences)] if found else []


def draw(runs: Sequence[tuple[Varied, RunDirectory]]) -> list[Path]:
    """Write each picture for which runs have a table, beside the newest run; return the paths."""
    written = []
    newest = max((run.path for _, run in runs), key=lambda path: path.name)
    for name, picture in ((GRADIENTS, gradients), (BOUNDARY, boundaries), (STEPS, iterations)):
        drawable = [(varied, run) for varied, run in runs if (run.path / name).exists()]
        if drawable:
            path = newest.with_name(f"sweep_{newest.name}_{Path(name).stem}.png")
            save(RunDirectory(newest.parent), path.name, picture(drawable))
            written.append(path)
    return written


def iterations(runs: Sequence[tuple[Varied, RunDirectory]]) -> Figure:
    """Return loss and error of every iteration, a column for each setting: of several seeds the first run."""
    first: dict[str, RunDirectory] = {}
    for varied, run in runs:
        first.setdefault(", ".join(f"{key} {label(value)}" for key, value in varied.items() if key != "seed"), run)
    return side_by_side(first)


def gradients(runs: Sequence[tuple[Varied, RunDirectory]]) -> Figure:
    """Return the norms of each layer's weight gradient after the last epoch, against the layer's number.

    Each combination of the varied keys but the last has a column of panels, L1 above L2; the last key gives the lines.
    """
    panels: dict[str, list[tuple[str, list[dict[str, str]]]]] = {}
    for varied, run in runs:
        *outer, last = [*varied.values()] or [""]
        rows = run.read_rows(GRADIENTS)
        at_last = [row for row in rows if row["epoch"] == rows[-1]["epoch"]]
        panels.setdefault(", ".join(map(label, outer)), []).append((label(last), at_last))
    figure = mpl_figure.Figure(figsize=(max(6.0, 3.0 * len(panels)), 6), layout="constrained")
    grid = figure.subplots(2, len(panels), sharey="row", squeeze=False)
    for column, (title, lines) in enumerate(panels.items()):
        for axes, norm in zip(grid[:, column], ("l1", "l2"), strict=True):
            for i, (name, rows) in enumerate(lines):
                layers, norms = [int(row["layer"]) for row in rows], [float(row[norm]) for row in rows]
                style: dict[str, Any] = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
                axes.plot(layers, [value or None for value in norms], label=shown_name(name), markersize=4, **style)
                if zeros := norms.count(0.0):  # a logarithmic axis cannot show them
                    text = f"{name}: 0 in {zeros} of {len(norms)}"
                    axes.text(0.97, 0.03 + 0.08 * i, text, transform=axes.transAxes, ha="right", color=style["color"])
            logarithmic(axes)
            axes.set(title=title if norm == "l1" else "")
            axes.xaxis.set_major_locator(mpl_ticker.MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
        grid[1, column].set_xlabel("layer")
    grid[0, 0].set_ylabel("L1 norm of the gradient")
    grid[1, 0].set_ylabel("L2 norm of the gradient")
    if any(varied for varied, _ in runs):
        grid[0, 0].legend()
    return figure


def boundaries(runs: Sequence[tuple[Varied, RunDirectory]]) -> Figure:
    """Return each run's decision boundary: a row for each combination of the varied keys but the last, and a legend."""
    rows: dict[str, dict[str, RunDirectory]] = {}
    for varied, run in runs:
        *outer, last = [*varied.values()] or [""]
        rows.setdefault(", ".join(map(label, outer)), {})[label(last)] = run
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    figure = mpl_figure.Figure(figsize=(2.6 * len(columns) + 0.6, 2.6 * len(rows) + 0.4), layout="constrained")
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for line, (title, row) in zip(grid, rows.items(), strict=True):
        for axes, name in zip(line, columns, strict=True):
            axes.set(xticks=[], yticks=[])
            if name in row:
                boundary(axes, row[name])
                figures = row[name].figures()
                metric = next((key for key in figures if key.startswith("test/") and key != "test/loss"), "test/loss")
                shown = f"{metric.partition('/')[2].replace('_', ' ')} {figures[metric]:.2f}"
                axes.set_title(f"{name}: {shown}" if any(varied for varied, _ in runs) else shown, fontsize=10)
        line[0].set_ylabel(title)
    drawn = {text: handle for axes in grid.flat for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(drawn.values(), drawn, loc="outside lower center", ncols=2 if len(columns) < 3 else 4)
    return figure
