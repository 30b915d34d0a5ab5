"""The pictures of a run and of a study: what their axes, labels and colours say."""

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.contour import ContourSet
from small_runs import train

from dlexp.compare.comparison import Comparison, Effect
from dlexp.compare.statistics import estimate
from dlexp.report import figures, iterations, paper, sweeps
from dlexp.report.collect import read
from dlexp.report.studies import Study, studies
from dlexp.runs.directory import RunDirectory

LONG = "a_class_name_of_" + "many_" * 19 + "words"


def rows(losses: list[float]) -> list[dict[str, float]]:
    return [
        {"epoch": float(i + 1), **{f"{split}/{name}": loss for split in ("train", "test") for name in ("loss", "f1")}}
        for i, loss in enumerate(losses)
    ]


@pytest.mark.parametrize("epochs", [1, 2, 3, 100])
def test_ticks_are_at_whole_epochs(epochs: int) -> None:
    axes = figures.curves(rows([1.0] * epochs)).axes[0]
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks and all(tick == round(tick) for tick in ticks)


STOPS_EARLY = ("model.activation=relu", "dataset.validation_fraction=0.2", "optimizer.lr=0.5", "epochs=40",
               "early_stopping.patience=2")  # fmt: skip


def best_and_last(run: RunDirectory) -> dict[str, float]:
    """Find them in metrics.csv, without result.json."""
    losses = [row["validation/loss"] for row in run.read_table("metrics.csv")]
    best = min(range(len(losses)), key=losses.__getitem__) + 1
    return {f"best: epoch {best}": best, f"stopped: epoch {len(losses)}": len(losses)}


def test_curves_of_early_stopping_mark_the_best_and_the_last_epoch() -> None:
    run = train(*STOPS_EARLY)
    expected = best_and_last(run)
    assert 40 > max(expected.values()) > min(expected.values())
    (study,) = studies([read(run)])
    for figure in (figures.curves(run.read_table("metrics.csv"), figures.marks(run)), paper.curves(study)):
        assert len(figure.axes) == 2
        for axes in figure.axes:
            vertical = {line.get_label(): line.get_xdata() for line in axes.lines if len({*line.get_xdata()}) == 1}
            assert vertical == {name: [epoch, epoch] for name, epoch in expected.items()}
    assert figures.marks(train("epochs=2")) == {}, "without validation no epoch is best"
    unstopped = train("epochs=2", "dataset.validation_fraction=0.2")
    assert figures.marks(unstopped).keys() == {"best", "last"}


def test_a_loss_that_falls_by_far_has_a_logarithmic_axis() -> None:
    steep = figures.curves(rows([25.0, 3.0, *np.linspace(0.5, 0.1, 100)])).axes[0]
    assert steep.get_yscale() == "log"
    steep.figure.canvas.draw()
    assert not any("$" in text.get_text() for text in steep.get_yticklabels(which="both"))
    for flat in ([1.0, 0.9, 0.8], [25.0, -0.1, 0.1, 0.1, 0.1], [0.9] + [0.05] * 9, [2.0, 0.1]):
        assert figures.curves(rows(flat)).axes[0].get_yscale() == "linear"


EVERY_STEP = ("dataset=digits", "dataset.train_size=600", "log_every_n_steps=1", "evaluate_every_n_steps=7")


def test_every_iteration_is_drawn_with_its_average_and_with_test() -> None:
    run = train(*EVERY_STEP, "batch_size=8")
    figures.draw(run)
    assert (run.path / "steps.png").exists()
    steps, evaluations, epochs = (run.read_table(f"{name}.csv") for name in ("steps", "evaluations", "metrics"))
    assert len(steps) == 150
    figure = iterations.iterations(run)
    assert figure
    for axes, name, of in zip(figure.axes, ("loss", "accuracy"), (float, lambda value: 1 - value), strict=True):
        each, average, test = axes.lines
        assert [*each.get_ydata()] == [of(row[f"train/{name}"]) for row in steps]
        last = [of(row[f"train/{name}"]) for row in steps[-3:]]
        assert average.get_xdata()[-1] == 150 and average.get_ydata()[-1] == pytest.approx(sum(last) / 3)
        known = {row["step"]: of(row[f"test/{name}"]) for row in [*evaluations, *epochs]}
        assert dict(zip(test.get_xdata(), test.get_ydata(), strict=True)) == known and len(known) == 23
    assert iterations.iterations(train("log_every_n_steps=1", "epochs=1", "batch_size=full")) is None


def test_batch_sizes_stand_side_by_side() -> None:
    runs = [({"batch_size": size, "seed": 0}, train(*EVERY_STEP, f"batch_size={size}")) for size in (8, 64)]
    figure = sweeps.iterations([*runs, ({"batch_size": 8, "seed": 1}, runs[0][1])])
    assert len(figure.axes) == 6, "loss and error of each batch size, and of both"
    assert [axes.get_title() for axes in figure.axes[:2]] == ["batch_size 8", "batch_size 64"]
    assert len({axes.get_ylim() for axes in figure.axes[:3]}) == len({axes.get_xlim() for axes in figure.axes[:2]}) == 1
    figure.canvas.draw()
    assert not any("$" in text.get_text() for axes in figure.axes for text in axes.get_xticklabels(which="both"))
    ends = [line.get_xdata()[-1] for line in figure.axes[2].lines]
    assert ends == pytest.approx([1200] * 4, rel=1e-3), "two epochs of 600 samples, whatever the batch"


def test_a_long_noisy_line_keeps_its_extremes() -> None:
    run = train("epochs=25", "batch_size=1", "log_every_n_steps=1")
    values = [row["train/loss"] for row in run.read_table("steps.csv")]
    figure = iterations.iterations(run)
    assert figure and len(values) == 3125
    drawn = figure.axes[0].lines[0].get_ydata()
    assert len(drawn) < 2500 and (min(drawn), max(drawn)) == (min(values), max(values))


def test_a_class_called_after_a_colour_has_it_and_no_two_share_one() -> None:
    blue, orange = "#0072B2", "#E69F00"  # by Okabe and Ito
    assert figures.colours_of(["orange", "blue"]) == [orange, blue]
    assert figures.colours_of(["a", "b"])[:1] == [blue]
    seven = figures.colours_of(["a", "b", "Blue", "c", "d", "e", "orange"])
    assert len(set(seven)) == 7 and (seven[2], seven[6]) == (blue, orange)
    assert len(figures.colours_of([str(i) for i in range(20)])) == 20


def of_classes(names: list[str]) -> RunDirectory:
    """Write the tables of a run whose plane is of the first class on the left, of the second on the right."""
    run = RunDirectory.create(Path("outputs"), "plane")
    grid = [[x, y, *(float(name == names[x > 0]) for name in names)] for x, y in itertools.product((-1, 1), (-1, 1))]
    run.write_table("boundary.csv", ["x", "y", *names], grid)
    run.write_table("points.csv", ["split", "x", "y", "target"], [["test", i, 0, name] for i, name in enumerate(names)])
    run.write_json("result.json", {"final": {"test": {"loss": 1.0, "f1": 0.931}}})
    return run


def test_a_plane_has_its_classes_colours_and_a_legend_of_all() -> None:
    run = of_classes(["orange", "blue", "_background", LONG])
    figure = figures.decision_boundary(run)
    (axes,), (legend,) = figure.axes, figure.legends
    pixels = axes.images[0].get_array()
    (red, _, blue), (other_red, _, other_blue) = pixels[0, 0], pixels[0, -1]
    assert red > blue and other_blue > other_red, "orange on the left, blue on the right"
    texts = [text.get_text().strip() for text in legend.get_texts()]
    assert {"orange, test", "blue, train", "_background, test"} <= {*texts} and len(texts) == 9
    lines = [each for each in axes.collections if isinstance(each, ContourSet)]
    places = np.concatenate([path.vertices for line in lines for path in line.get_paths()])
    assert texts.pop(0) == "boundary" and abs(places[:, 0]).max() < 1e-9, "the line is halfway between the classes"
    assert {-1.0, 1.0} <= {*places[:, 1]}, "from the bottom to the top"
    assert max(map(len, texts)) < 45 and texts[-1].startswith("a_class_name_of") and texts[-1].endswith("words, test")
    points = dict(zip(texts, [each for each in axes.collections if each not in lines], strict=True))
    assert to_hex(points["orange, test"].get_facecolor()[0]) == "#e69f00"


def test_a_single_plane_in_the_report_has_a_title_and_a_legend() -> None:
    run = of_classes(["orange", "blue"])
    figure = sweeps.boundaries([({}, run)])
    assert figure.axes[0].get_title() == "f1 0.93" and len(figure.legends[0].get_texts()) == 5
    assert sweeps.boundaries([({"seed": 1}, run)]).axes[0].get_title() == "1: f1 0.93"


def test_runs_decide_the_axis_of_a_factor_and_no_mean_is_cut_off() -> None:
    """The interval of two seeds is thirteen times as wide as they are apart: it ends in arrows."""
    values = {"relu": [0.8, 0.9], "tanh": [0.7, 0.7]}
    estimates = {name: estimate(each) for name, each in values.items()}
    metric = "test/accuracy"
    runs = [
        {"keys": {"x": name}, "figures": {metric: value}} for name, each in values.items() for value in each
    ]  # fmt: skip
    comparisons = {metric: Comparison([Effect("x", metric, estimates, [], [], [])])}
    study = Study("s", runs, *[["x"]] * 4, [metric], comparisons, {}, {})
    (axes,) = paper.factors(study).axes
    low, high = axes.get_ylim()
    assert 0.6 < low < 0.7 and 0.9 < high < 1 and axes.get_xlim() == (-0.6, 1.6)
    arrows = {(line.get_marker(), float(line.get_ydata()[0])) for line in axes.lines if line.get_marker() in "^v"}
    assert arrows == {("^", high), ("v", low)}


def test_values_are_drawn_against_the_true_ones() -> None:
    run = train("dataset=diabetes", "loss=mse", "epochs=1")
    table = list(csv.DictReader((run.path / "predictions.csv").read_text().splitlines()))
    figures.draw(run)
    assert (run.path / "predictions.png").exists()
    (axes,) = figures.predicted_values(*figures.value_pairs(run)).axes
    dots, line = axes.lines
    assert [*dots.get_xdata()] == [float(row["progression"]) for row in table]
    assert [*dots.get_ydata()] == [float(row["predicted progression"]) for row in table]
    assert [*line.get_xdata()] == [*line.get_ydata()] and axes.get_aspect() == 1


def test_wrong_images_have_their_classes() -> None:
    run = train("dataset=digits", "epochs=1", "dataset.train_size=100")
    figures.draw(run)
    assert not (run.path / "predictions.png").exists(), "classes are in the confusion matrix"
    wrong = run.read_rows("wrong.csv")
    figure = figures.wrong_images(run)
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == len(wrong) == 16 and (run.path / "wrong.png").exists()
    for axes, row in zip(shown, wrong, strict=True):
        title = f"{row['target']}, taken\nfor {row['prediction']} ({float(row['confidence']):.2f})"
        assert axes.get_title() == title and np.shape(axes.images[0].get_array()) == (8, 8)
