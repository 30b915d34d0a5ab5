"""The results of a sweep: a table, gradient norms over depth, decision boundaries."""

import csv
from pathlib import Path

import pytest
import torch
from small_runs import train

from dlexp import load_run
from dlexp.cli.main import main
from dlexp.report import sweeps, text
from dlexp.runs.directory import find_runs


def pictures(kind: str) -> list[Path]:
    return list(Path("outputs").rglob(f"sweep_*_{kind}.png"))


def test_a_sweep_ends_with_a_table_and_its_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["train", "-m", "dataset=breast_cancer", "epochs=1", "log_gradients=true", "name=depth"]
    assert main([*sweep, "model.hidden_sizes=[5],[5,5,5]", "model.activation=relu,sigmoid"]) == 0
    *_, table, best = capsys.readouterr().out.split("\n\n")
    header, *rows = table.splitlines()[:5]
    assert header.split()[:2] == ["hidden_sizes", "activation"]
    assert [row.split(" 0.")[0].rstrip() for row in rows] == [
        f"{sizes:12}  {activation}" for sizes in ("5", "3 × 5") for activation in ("relu", "sigmoid")
    ]
    accuracies = sorted(run.read_json("result.json")["final"]["test"]["accuracy"] for run in find_runs(Path("outputs")))
    assert sorted(float(row.split()[-6]) for row in rows) == pytest.approx(accuracies, abs=1e-4)
    assert len(pictures("gradients")) == 1 and not pictures("boundary")
    sentence, path = best.splitlines()
    assert path == str(pictures("gradients")[0])
    assert sentence.startswith("Best: ") and f", test accuracy {accuracies[-1]:.4f}; next " in sentence


def test_runs_with_other_metrics_have_columns_of_their_own() -> None:
    runs = [({"dataset": "iris"}, train("epochs=1")), ({"dataset": "diabetes"}, train("dataset=diabetes", "loss=mse"))]
    header, *rows = sweeps.results(runs).splitlines()
    assert "test accuracy" in header and "test absolute_error" in header and len(rows) == 2


def test_a_reported_figure_stands_beside_the_measured_one(capsys: pytest.CaptureFixture[str]) -> None:
    reference = "reference=[{optimizer: adam, test/accuracy: 0.75, test/f1: 0.5}, {optimizer: nadam, test/accuracy: 1}]"
    assert main(["train", "-m", "epochs=1", "optimizer=adam,sgd", reference]) == 0
    header, *rows = [line for line in capsys.readouterr().out.splitlines() if "  " in line][-3:]
    assert "test accuracy  reported" in header and "test f1  reported  time" in header
    (adam,) = [run for run in find_runs(Path("outputs")) if run.keys()["optimizer"] == "adam"]
    final = adam.read_json("result.json")["final"]["test"]
    words = rows[0].split()
    assert words[-9:-7] == [f"{final['accuracy']:.4f}", "0.7500"] and words[-7:-5] == [f"{final['f1']:.4f}", "0.5000"]
    assert "0.7500" not in rows[1]


def test_the_first_epoch_of_a_milestone_has_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    milestones = "milestones={train/loss: 0.9, test/accuracy: 2}"
    assert main(["train", "-m", "epochs=8", "optimizer=adam,sgd", "optimizer.lr=0.01", "jobs=1", milestones]) == 0
    header, *rows = [line for line in capsys.readouterr().out.splitlines() if "  " in line][-3:]
    assert "first epoch of train loss ≤ 0.9  first epoch of test accuracy ≥ 2  time" in header
    for row, run in zip(rows, find_runs(Path("outputs")), strict=True):
        losses = [line["train/loss"] for line in run.read_table("metrics.csv")]
        first = next((str(i + 1) for i, loss in enumerate(losses) if loss <= 0.9), "none")
        result = run.read_json("result.json")
        speed = f"{125 * 8 / result['training_seconds']:,.0f}"
        memory = f"{result['peak_memory_bytes'] / 2**20:.0f}"
        *_, epoch, never, _, _, shown_speed, shown_memory, _ = row.split()
        assert (epoch, never, shown_speed, shown_memory) == (first, "none", speed, memory)
        assert f"train loss ≤ 0.9 first in epoch {first}." in text.result(run) or first == "none"
        assert "test accuracy ≥ 2 in no epoch." in text.result(run)
    assert rows[0].split()[-7] != "none"
    for wrong, message in (("test/acuracy: 1", "Did you mean test/accuracy?"), ("test/loss: x", "a number to reach")):
        assert main(["train", f"milestones={{{wrong}}}"]) == 2
        assert message in capsys.readouterr().err


def test_a_decision_boundary_agrees_with_the_net() -> None:
    run = train(
        "dataset=playground", "dataset.pattern=xor", "dataset.normalization=standard", "loss=binary_cross_entropy",
        "model.activation=tanh", "epochs=30", "optimizer.lr=0.03",
    )  # fmt: skip
    with (run.path / "boundary.csv").open() as file:
        grid = list(csv.DictReader(file))
    assert len(grid) == 101**2
    middle = {(float(row["x"]) > 0, float(row["y"]) > 0): float(row["blue"]) for row in grid if far_from_axes(row)}
    assert middle[True, True] > 0.5 > middle[True, False] and middle[False, False] > 0.5 > middle[False, True]
    with (run.path / "points.csv").open() as file:
        points = list(csv.DictReader(file))
    assert {row["split"] for row in points} == {"train", "test"} and len(points) == 400
    blue = [(float(row["x"]) > 0) == (float(row["y"]) > 0) for row in points if row["target"] == "blue"]
    assert sum(blue) / len(blue) > 0.9, "points are in the features' own units, not in the model's"
    model = load_run(str(run.path)).load_model()
    assert torch.is_tensor(model(torch.zeros(1, 2)))


def far_from_axes(row: dict[str, str]) -> bool:
    return 2 < abs(float(row["x"])) < 4 and 2 < abs(float(row["y"])) < 4


def test_boundaries_are_drawn_for_one_run_and_for_a_sweep() -> None:
    assert main(["train", "-m", "experiment=nn_hw2/ex03_playground", "epochs=1", "dataset.pattern=circle,spiral",
                 "model.activation=tanh,relu"]) == 0  # fmt: skip
    assert len(pictures("boundary")) == 1
    assert len(list(Path("outputs").rglob("boundary.png"))) == 4


def test_more_features_have_no_boundary() -> None:
    assert not (train("dataset=iris", "epochs=1").path / "boundary.csv").exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([5, 5, 5], "3 × 5"),
        ([-0.5, 0.5], "[-0.5, 0.5]"),
        ([50, 30], "50-30"),
        ([], "none"),
        ({"leaky_relu": 0.2}, "leaky_relu 0.2"),
        (0.1, "0.1"),
        (["flatten", *[{"linear": 8}, "relu"] * 3, "output"], "[flatten, 3 × (linear 8, relu), output]"),
        ([*["a", "b"] * 2, "c", *["a", "b"] * 2, "a"], "[2 × (a, b), c, 2 × (a, b), a]"),
        ([0.5, 0.5, 0.5, 0.5, 0.1], "[0.5, 0.5, 0.5, 0.5, 0.1]"),
    ],
)
def test_labels_of_values_are_short(value: object, text: str) -> None:
    assert sweeps.label(value) == text


def test_a_layer_without_gradient_is_counted_in_the_picture() -> None:
    """A logarithmic axis has no 0, so the picture names the number of layers that it leaves out."""
    dead = train(
        "model.hidden_sizes=[5,5]", "model.init={weight: zeros, bias: zeros}", "log_gradients=true", "epochs=1"
    )
    figure = sweeps.gradients([({"model.activation": "relu"}, dead)])
    assert any(text.get_text() == "relu: 0 in 3 of 3" for axes in figure.axes for text in axes.texts)
