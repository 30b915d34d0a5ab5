"""Draw a study's pictures for a paper or a homework, from the same facts as the page."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlexp.config.lazy import matplotlib, mpl_figure
from dlexp.report import sweeps
from dlexp.report.axes import COLOURS, MARKERS, is_steep, logarithmic, mark_epochs, whole_epochs
from dlexp.report.collect import Facts, read_columns
from dlexp.report.confusion import confusion_matrix, shown_name
from dlexp.report.studies import Study, best_first, by_strength, measured, settings
from dlexp.runs.directory import BOUNDARY, METRICS, RunDirectory
from dlexp.runs.formatting import decimals_of, number
from dlexp.storage.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 6.3  # inches: the text width of an A4 page with usual margins
STYLE: Any = {"font.size": 9, "axes.titlesize": 9, "legend.fontsize": 8, "lines.linewidth": 1.4, "axes.grid": True}
STYLE |= {"grid.alpha": 0.3, "text.parse_math": False}  # a class may be called $x$
MOST_BOUNDARIES = 24


def figures(study: Study) -> dict[str, Callable[[], Figure]]:
    """Return the figures for which the study has data: name → function that draws it."""
    ways: dict[str, Callable[[], mpl_figure.Figure]] = {}
    if any(len(run["curves"].get("epoch", ())) > 1 for run in study.runs):
        ways["curves"] = lambda: curves(study)
    if study.factors and study.metrics:
        ways["factors"] = lambda: factors(study)
    if len(study.factors) > 1 and study.metrics:
        ways["heat_map"] = lambda: heat_map(study)
    if best := next((run for run in best_first(study) if "confusion" in run), None):
        ways["confusion_matrix"] = lambda: confusion(study, best)
    if stepped := [run for run in study.runs if run.get("steps")]:
        ways["steps"] = lambda: sweeps.iterations(_of_one_seed(study, stepped))
    if layered := [run for run in study.runs if run.get("gradients")]:
        ways["gradients"] = lambda: sweeps.gradients(_of_one_seed(study, layered))
    if seen := [run for run in study.runs if run["record"] and (Path(run["path"]) / BOUNDARY).is_file()]:
        ways["boundary"] = lambda: sweeps.boundaries(_of_one_seed(study, seen)[:MOST_BOUNDARIES])
    return ways


def draw(way: Callable[[], Figure], stem: Path) -> None:
    """Draw a figure, and write it as PNG and SVG; letters in the SVG are outlines, so that all viewers agree."""
    with matplotlib.rc_context(STYLE):
        figure = way()
        for ending in ("png", "svg"):
            content = io.BytesIO()
            metadata: Any = {"Date": None} if ending == "svg" else None  # the same figure gives the same file
            figure.savefig(content, format=ending, dpi=200, metadata=metadata)
            write_atomically(stem.with_name(f"{stem.name}.{ending}"), content.getvalue(), durable=False)


def confusion(study: Study, run: Facts) -> Figure:
    """Return a run's confusion matrix under the study's name and the run's settings."""
    figure = confusion_matrix(run["confusion"]["names"], run["confusion"]["counts"])
    figure.suptitle(f"{study.name} {', '.join(settings(run, study.varied).values())}".strip(), fontsize=9)
    return figure


def curves(study: Study) -> Figure:
    """Draw loss and metrics against the epoch, a line for each setting of the factor with the largest effect.

    A line is the mean over the runs of its setting; losses of several units have lines of their own. The means are of
    whole tables: the facts' curves are thinned, each on a grid of its own. If a setting has one run, vertical lines
    mark its best and last epoch.
    """
    factor = next(iter(by_strength(study)), "")
    columns = [key for run in study.runs for key in run["curves"] if key.startswith("test/")]
    metrics = [name.removeprefix("test/") for name in dict.fromkeys(columns)]
    whole = {
        run["path"]: run["curves"] and read_columns(RunDirectory(Path(run["path"])), METRICS) for run in study.runs
    }
    figure = mpl_figure.Figure(figsize=(WIDTH, 2.9), layout="constrained")
    for axes, metric in zip(figure.subplots(1, max(1, len(metrics)), squeeze=False)[0], metrics, strict=True):
        keys = dict.fromkeys([*([factor] if factor else []), *study.units(f"test/{metric}")])
        groups = grouped(study.runs, [*keys])
        shown: list[float] = []
        ends: list[float] = []
        for i, (name, runs) in enumerate(groups.items()):
            for split, style in (("test", "-"), ("train", ":")):
                epochs, mean, low, high = band([whole.get(run["path"], {}) for run in runs], f"{split}/{metric}")
                shown, ends = shown + mean, ends + epochs
                look = {"color": COLOURS[i % len(COLOURS)], "markevery": max(1, len(epochs) // 6), "markersize": 4}
                marker = MARKERS[i % len(MARKERS)] if split == "test" else None
                axes.plot(
                    epochs, mean, style, label=shown_name(name) if split == "test" else None, marker=marker, **look
                )
                if split == "test" and len(runs) > 1:
                    axes.fill_between(epochs, low, high, color=look["color"], alpha=0.15, linewidth=0)
            if len(runs) == 1:
                mark_epochs(axes, runs[0].get("marks", {}), name, COLOURS[i % len(COLOURS)] if name else "black")
        axes.set(xlabel="epoch", ylabel=metric.replace("_", " "))
        if is_steep(shown):
            logarithmic(axes)
        whole_epochs(axes, ends)
        if axes.get_legend_handles_labels()[1] and (axes is figure.axes[0] or len(keys) > 1):
            axes.legend(title=", ".join(keys))
    figure.suptitle(f"{study.name}: test solid, train dotted", fontsize=9)
    return figure


def factors(study: Study) -> Figure:
    """Return each run's figure by each factor's setting, with the mean over seeds and its 95 % interval.

    The runs decide the axis: an interval that leaves it, as of two seeds, ends in an arrow.
    """
    metric = study.metrics[0]
    figure = mpl_figure.Figure(figsize=(WIDTH, 2.7), layout="constrained")
    panels = figure.subplots(1, len(study.factors), sharey=True, squeeze=False)[0]
    low, high = limits([run["figures"][metric] for run in measured(study)])
    panels[0].set_ylim(low, high)
    for axes, factor in zip(panels, study.factors, strict=True):
        groups = grouped(measured(study), [factor])
        estimates = study.estimates(metric, factor)
        for i, (name, runs) in enumerate(groups.items()):
            values = [run["figures"][metric] for run in runs]
            places = [i + (k / max(1, len(values) - 1) - 0.5) * 0.5 for k in range(len(values))]
            axes.plot(places, values, "o", color=COLOURS[5], markersize=3, alpha=0.7)
            if name in estimates:
                each = estimates[name]
                error = None if each.low is None else [[each.mean - each.low], [(each.high or 0) - each.mean]]
                axes.errorbar(
                    i, each.mean, error, fmt="_", color="black", markersize=14, capsize=3, markeredgewidth=1.8
                )
                for end, marker, beyond in ((low, "v", each.low), (high, "^", each.high)):
                    if beyond is not None and not low <= beyond <= high:
                        axes.plot(i, end, marker, color="black", markersize=6, clip_on=False)
        names = [shown_name(name) for name in groups]
        turned = sum(map(len, names)) > 28 / len(study.factors)
        axes.set_xticks(range(len(names)), names, rotation=30 if turned else 0, ha="right" if turned else "center")
        axes.set(title=factor, xlim=(-0.6, len(groups) - 0.4))
        axes.grid(visible=False, axis="x")
    panels[0].set_ylabel(metric.replace("/", " ").replace("_", " "))
    return figure


def limits(values: Sequence[float]) -> tuple[float, float]:
    """Return an axis that shows all values, with a quarter of their range on either side."""
    low, high = min(values), max(values)
    beyond = (high - low) / 4 or abs(high) / 20 or 1.0
    return low - beyond, high + beyond


def heat_map(study: Study) -> Figure:
    """Return the mean over runs for each pair of settings of the first two factors."""
    metric, (down, across) = study.metrics[0], by_strength(study)[:2]
    runs = measured(study)
    by_row, columns = grouped(runs, [down]), list(grouped(runs, [across]))
    cells = {row: grouped(same, [across]) for row, same in by_row.items()}
    values = [
        [_mean([run["figures"][metric] for run in cells[row].get(column, ())]) for column in columns] for row in by_row
    ]
    figure = mpl_figure.Figure(
        figsize=(min(WIDTH, 2.2 + 0.8 * len(columns)), 1.2 + 0.36 * len(by_row)), layout="constrained"
    )
    axes = figure.subplots()
    shown = [[float("nan") if value is None else value for value in line] for line in values]
    image = axes.imshow(shown, cmap="cividis" if study.higher_is_better else "cividis_r", aspect="auto")
    low, high = image.get_clim()
    decimals = max(3, decimals_of([value for line in values for value in line if value is not None]) - 1)
    for i, line in enumerate(values):
        for j, value in enumerate(line):
            light = value is not None and ((value - low) / max(1e-12, high - low) > 0.5) == study.higher_is_better
            text = "–" if value is None else number(value, decimals)
            axes.text(j, i, text, ha="center", va="center", color="black" if light else "white", fontsize=8)
    axes.grid(visible=False)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(by_row)), by_row)
    axes.set(xlabel=across, ylabel=down)
    figure.colorbar(image, label=metric.replace("/", " ").replace("_", " "))
    return figure


def grouped(runs: Iterable[Facts], keys: Sequence[str]) -> dict[str, list[Facts]]:
    """Return runs by their values of some keys; numbers are sorted, other values keep their order."""
    groups: dict[str, list[Facts]] = {}
    for run in runs:
        groups.setdefault(", ".join(settings(run, [key]).get(key, "–") for key in keys), []).append(run)
    try:
        return dict(sorted(groups.items(), key=lambda group: float(group[0])))
    except ValueError:  # words
        return groups


def band(curves: Sequence[Mapping[str, Sequence[float | None]]], column: str) -> tuple[list[Any], ...]:
    """Return epochs, and the mean, minimum and maximum over the curves that have each epoch."""
    by_epoch: dict[float, list[float]] = {}
    for curve in curves:
        for epoch, value in zip(curve.get("epoch", ()), curve.get(column, ()), strict=False):
            if epoch is not None and value is not None:
                by_epoch.setdefault(epoch, []).append(value)
    points = [(epoch, sum(v) / len(v), min(v), max(v)) for epoch, v in sorted(by_epoch.items())]
    return tuple(map(list, zip(*points, strict=True))) if points else ([], [], [], [])


def _of_one_seed(study: Study, runs: Sequence[Facts]) -> list[tuple[dict[str, Any], RunDirectory]]:
    """Return one run of each setting, with its varied keys except the seed; the key with most values comes last."""
    known = {key: {settings(run, [key]).get(key) for run in runs} for key in study.varied if key != "seed"}
    keys = sorted(known, key=lambda key: len(known[key]))
    first = {tuple(settings(run, keys).items()): run for run in reversed(runs)}
    ordered = [run for run in runs if first.get(tuple(settings(run, keys).items())) is run]
    return [({key: run["keys"].get(key) for key in keys}, RunDirectory(Path(run["path"]))) for run in ordered]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
