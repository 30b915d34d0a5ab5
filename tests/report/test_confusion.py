"""Confusion matrices of any number of classes, and results that a constant guess beats."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_runs import train

from dlexp.cli.main import main
from dlexp.report.confusion import LABELS, PAIRS, confusion_matrix, most_confused
from dlexp.report.text import below_constant


def test_the_most_confused_classes_are_counted_by_hand() -> None:
    matrix = np.array([[9, 2, 0], [1, 5, 4], [0, 0, 3]])
    assert most_confused(matrix) == [(1, 2, 4), (0, 1, 2), (1, 0, 1)]
    assert most_confused(np.diag([1, 2])) == []


@pytest.mark.parametrize("classes", [2, 25, 26, 1000])
def test_the_picture_is_bounded(classes: int) -> None:
    matrix = np.eye(classes, dtype=int)
    matrix[0, 1] = 7
    figure = confusion_matrix([f"name {i}" for i in range(classes)], matrix.tolist())
    axes = figure.axes[0]
    written = [text.get_text() for each in figure.axes for text in each.texts]
    ticks = len(axes.get_xticks()), len(axes.get_yticks())
    assert max(figure.get_size_inches()) < 20
    if classes <= 25:
        assert sorted(map(int, written)) == sorted(matrix.ravel().tolist()) and ticks == (classes, classes)
    else:
        (table,) = written
        assert "7 × name 0 taken for name 1" in table and len(table.splitlines()) <= PAIRS + 2
        assert max(ticks) <= LABELS


def test_the_page_lists_confused_classes_instead_of_a_large_matrix() -> None:
    noise = ["dataset=noise", "dataset.shape=[1,2,2]", "dataset.samples=200", "dataset.test_to_train_ratio=1"]
    train(*noise, "dataset.classes=41", "dataset.stratified=false", "name=many")
    train(*noise, "dataset.classes=3", "name=few")
    assert main(["report", "outputs"]) == 0
    page = Path("outputs/report/index.html").read_text()
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    many, few = (next(s for s in data["studies"] if s["name"] == name)["runs"][0] for name in ("many", "few"))
    assert "confusion" not in many and 0 < len(many["confused"]) <= PAIRS
    assert len(few["confusion"]["counts"]) == 3 and "confused" not in few


@pytest.mark.parametrize(
    ("recalls", "support", "r2", "said"),
    [
        ([0.5, 0.5, 0.5], [8, 8, 9], None, ""),
        ([0.0, 0.0, 0.5], [8, 8, 10], None, "the model is right for 5 of 26 test samples, always c would be for 10"),
        ([0.0, 0.0, 1.0], [8, 8, 10], None, ""),
        ([], [], -0.1, "R² is -0.1"),
        ([], [], 0.0, ""),
    ],
)
def test_a_result_that_a_constant_guess_beats_is_said(
    recalls: list[float], support: list[int], r2: float | None, said: str
) -> None:
    scores = zip("abc", recalls, support, strict=False)
    classes = {name: {"recall": recall, "support": float(count)} for name, recall, count in scores}
    content = {"final": {"test": {} if r2 is None else {"r2": r2}}, "test_classes": {"per_class": classes}}
    message = below_constant(content)
    assert (said in message) if said else message == ""


@pytest.mark.parametrize(
    ("overrides", "metric", "least"), [([], "accuracy", 0.93), (["dataset=diabetes", "loss=mse"], "r2", 0.4)]
)
def test_the_defaults_reach_what_is_known(overrides: list[str], metric: str, least: float) -> None:
    reached = []
    for seed in range(3):
        run = train(*overrides, "epochs=100", f"seed={seed}")
        reached.append(run.read_json("result.json")["final"]["test"][metric])
    assert np.mean(reached) >= least
