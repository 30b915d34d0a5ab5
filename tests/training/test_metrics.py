"""A metric of `metrics` is a column of every split, and other keys may name it."""

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from small_runs import assert_same_end, resume, train

from dlexp.cli.main import main
from dlexp.components.metrics import METRICS, build
from dlexp.errors import UserError

MINE = """
from dlexp.components.metrics import Metric


def errors() -> Metric:
    \"\"\"The number of samples whose class is not predicted.\"\"\"
    return Metric(lambda classes, targets: (classes != targets).sum(), needs="classes", higher_is_better=False)


def nothing() -> None:
    \"\"\"No metric at all.\"\"\"
"""


@pytest.fixture
def own_module(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("counting.py").write_text(MINE)
    monkeypatch.syspath_prepend(Path.cwd())


def test_each_split_has_a_column_of_each_metric() -> None:
    run = train("metrics=[accuracy,f1,{top_k_accuracy: 2}]", "dataset.validation_fraction=0.2", "epochs=3")
    rows = run.read_table("metrics.csv")
    for split in ("train", "validation", "test"):
        assert {f"{split}/{name}" for name in ("loss", "accuracy", "f1", "top_k_accuracy")} <= rows[0].keys()
    final = run.read_json("result.json")["final"]
    assert final["test"]["f1"] == rows[-1]["test/f1"] and final["test"]["top_k_accuracy"] >= final["test"]["accuracy"]
    predictions = run.read_rows("predictions.csv")
    targets, guesses = ([row[key] for row in predictions] for key in ("target", "prediction"))
    assert final["test"]["f1"] == pytest.approx(f1_score(targets, guesses, average="macro"))


def test_the_train_column_uses_the_outputs_of_the_steps() -> None:
    """With one step an epoch, the first row is the F1 of the initial net."""
    run = train("metrics=[f1]", "batch_size=full", "epochs=1", "model.init=he_normal")
    untrained = train("metrics=[f1]", "batch_size=full", "epochs=0", "model.init=he_normal")
    assert run.read_table("metrics.csv")[0]["train/f1"] == untrained.read_json("result.json")["final"]["train"]["f1"]


@pytest.mark.parametrize("step", [3, 7])
def test_an_epoch_that_is_interrupted_keeps_its_outputs(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = ["metrics=[f1,roc_auc]", "batch_size=32", "epochs=3", "optimizer=sgd"]  # four steps an epoch
    whole = train(*overrides, "name=whole")
    calls, take_step = iter(range(1, 100)), torch.optim.SGD.step

    def step_and_signal(self: torch.optim.SGD, *arguments: Any) -> Any:
        if next(calls) == step:
            signal.raise_signal(signal.SIGTERM)
        return take_step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", step_and_signal)
        stopped = train(*overrides, "name=stopped")
    assert stopped.status()["step"] == step
    assert_same_end(whole, resume(stopped))


def test_a_user_s_own_metric_stops_early_steers_the_schedule_and_is_compared(
    own_module: None, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = [
        *("imports=[counting]", "metrics=[accuracy,errors]", "dataset.validation_fraction=0.2", "epochs=40"),
        *("early_stopping.monitor=validation/errors", "early_stopping.patience=2"),
        *("scheduler=reduce_on_plateau", "scheduler.monitor=validation/errors", "scheduler.patience=0"),
    ]
    assert main(["train", "-m", *overrides, "seed=0,1", "optimizer.lr=0.01,0.000001", "jobs=1", "name=study"]) == 0
    results = [json.loads(path.read_text()) for path in Path("outputs/study").rglob("result.json")]
    assert all(result["directions"]["errors"] == "lower" for result in results)
    assert all(result["selected"]["by"] == "validation/errors" for result in results)
    assert any(result["stopped_early"] for result in results)
    capsys.readouterr()
    assert main(["compare", "outputs/study", "--by", "optimizer.lr", "--metric", "test/errors"]) == 0
    means = [float(line.split()[2]) for line in capsys.readouterr().out.splitlines()[1:3]]
    assert means == sorted(means), "fewer errors are better"


@pytest.mark.parametrize("metric", ["test/f1", "test/roc_auc", "test/matthews_correlation"])
def test_final_metrics_are_compared(metric: str, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        for lr in ("0.05", "0.000001"):
            train(f"seed={seed}", f"optimizer.lr={lr}", "epochs=20")
    assert main(["compare", "outputs", "--by", "optimizer.lr", "--metric", metric]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("0.05 ")


def test_a_comparison_uses_the_study_s_own_metric(capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        for lr in ("1", "0.00001"):
            train("dataset=diabetes", "loss=mse", f"seed={seed}", f"optimizer.lr={lr}", "epochs=20")
    assert main(["compare", "outputs", "--by", "optimizer.lr"]) == 0
    told = capsys.readouterr().out
    assert "test/absolute_error, best first" in told and told.splitlines()[1].startswith("1.0 ")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["metrics=[acuracy]"], "there is no such metric. Did you mean accuracy"),
        (["metrics=[r2]"], "metrics=[r2] needs values, but this dataset's targets are classes"),
        (["metrics=[f1,f1]"], "f1 is chosen twice"),
        (["imports=[counting]", "metrics=[nothing]"], "nothing() returns no dlexp.components.metrics.Metric"),
        (["early_stopping.monitor=validation/f1", "dataset.validation_fraction=0.2"], "metrics=[…] adds more"),
        (
            ["scheduler=reduce_on_plateau", "scheduler.monitor=test/f2"],
            "scheduler.monitor=test/f2: this run has",
        ),
    ],
)
def test_an_impossible_metric_is_refused(overrides: list[str], message: str, own_module: None) -> None:
    with pytest.raises(UserError) as refused:
        train(*overrides)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "name", [name for name in METRICS.builders if name not in ("distance", "absolute_error", "top_k_accuracy")]
)
def test_perfect_predictions_have_the_best_value(name: str) -> None:
    kind = "values" if METRICS.builders[name]().needs == "values" else "classes"
    (metric,) = build([name], kind).values()
    targets = torch.arange(12) % 3
    outputs = 10 * torch.eye(3)[targets] if kind == "classes" else torch.arange(12.0)[:, None]
    perfect = metric(outputs, targets if kind == "classes" else outputs)
    worse = metric(outputs.flip(0), targets if kind == "classes" else outputs)
    assert perfect == pytest.approx(1.0 if metric.higher_is_better else 0.0)
    assert np.sign(perfect - worse) == (1 if metric.higher_is_better else -1)
