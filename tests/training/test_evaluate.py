"""Metrics agree with scikit-learn on unbalanced classes, two classes, and with an absent class."""

import csv
import math
import warnings

import numpy as np
import pytest
import torch
from sklearn import metrics
from small_runs import train

from dlexp.cli.main import main
from dlexp.components.metrics import final
from dlexp.training.evaluation import per_class


@pytest.mark.parametrize("classes", [2, 4])
def test_metrics_agree_with_scikit_learn(classes: int) -> None:
    generator = np.random.default_rng(0)
    targets = generator.choice(
        classes, 300, p=np.array([2**-k for k in range(classes)]) / sum(2**-k for k in range(classes))
    )
    scores = generator.dirichlet(np.ones(classes), 300) + 0.3 * np.eye(classes)[targets]
    scores /= scores.sum(1, keepdims=True)
    predicted = scores.argmax(1)
    logits = torch.from_numpy(scores).log()
    mine = {name: metric(logits, torch.from_numpy(targets)) for name, metric in final("classes").items()}
    assert mine["precision"] == pytest.approx(metrics.precision_score(targets, predicted, average="macro"))
    assert mine["recall"] == pytest.approx(metrics.recall_score(targets, predicted, average="macro"))
    assert mine["f1"] == pytest.approx(metrics.f1_score(targets, predicted, average="macro"))
    assert mine["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(targets, predicted))
    assert mine["matthews_correlation"] == pytest.approx(metrics.matthews_corrcoef(targets, predicted))
    scored = scores[:, 1] if classes == 2 else scores
    assert mine["roc_auc"] == pytest.approx(metrics.roc_auc_score(targets, scored, multi_class="ovr"))
    assert mine["pr_auc"] == pytest.approx(metrics.average_precision_score(targets, scored))
    names = [f"class {k}" for k in range(classes)]
    last = per_class(logits.argmax(1), torch.from_numpy(targets), names)[names[-1]]
    assert last["support"] == (targets == classes - 1).sum()
    assert last["f1"] == pytest.approx(metrics.f1_score(targets == classes - 1, predicted == classes - 1))


def test_an_absent_class_gives_null_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs, targets = torch.eye(3)[[0, 1, 1]], torch.tensor([0, 1, 0])
        mine = {name: metric(outputs, targets) for name, metric in final("classes").items()}
        each = per_class(outputs.argmax(1), targets, ["a", "b", "c"])
    assert math.isnan(mine["roc_auc"]) and each["c"]["support"] == 0
    assert mine["balanced_accuracy"] == pytest.approx(0.75)
    assert mine["f1"] == pytest.approx(metrics.f1_score([0, 1, 0], [0, 1, 1], average="macro"))


def test_positive_class_makes_a_binary_task(capsys: pytest.CaptureFixture[str]) -> None:
    run = train("dataset=digits", "dataset.positive_class='3'")
    with (run.path / "confusion_matrix.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header[1:] == ["not 3", "3"]
    assert sum(int(n) for n in rows[1][1:]) / sum(int(n) for row in rows for n in row[1:]) == pytest.approx(
        0.1, abs=0.02
    )
    assert main(["train", "epochs=1", "dataset.positive_class=virginica"]) == 0
    assert "f1 of virginica" in capsys.readouterr().out
    assert main(["train", "dataset.positive_class=virginika"]) == 2
    assert "Did you mean virginica?" in capsys.readouterr().err
