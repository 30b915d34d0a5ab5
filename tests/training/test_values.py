"""Regression: values instead of classes, from the config to the run directory."""

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from small_runs import assert_same_end, resume, train

from dlexp import load_run
from dlexp.cli.main import main
from dlexp.config.config import load_config
from dlexp.data.preparation import Prepared, prepare
from dlexp.errors import UserError
from dlexp.training.build import build, check


def prepared(*overrides: str) -> Prepared:
    config = check(load_config(overrides))
    return prepare(config.dataset, Path(config.data_dir))


DIABETES = ["dataset=diabetes", "loss=mse"]
INPUT = "dataset.inputs=[[1]]"
CONSTANT = ["dataset=inline", f"dataset.inputs={[[i] for i in range(7)]}", f"dataset.targets={[0.1] * 7}"]


def test_constant_targets_have_no_r2() -> None:
    run = train(*CONSTANT, "dataset.class_names=null", "loss=mse", "epochs=0")
    assert load_run(str(run.path)).result["final"]["test"]["r2"] is None


def test_a_net_for_values_may_use_sigmoids() -> None:
    build(check(load_config([*DIABETES, "model.activation=[relu,sigmoid]"])))  # no loss applies another to values


@pytest.mark.parametrize("normalization", ["none", "standard"])
def test_metrics_of_values_agree_with_scikit_learn(normalization: str) -> None:
    """Metrics and predictions have the targets' own units; the loss has those in which the model learns."""
    chosen = [*DIABETES, f"dataset.target_normalization={normalization}"]
    run = train(*chosen, "epochs=30", "optimizer.lr=0.05")
    with (run.path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    target, guess = (np.array([float(r[name]) for r in rows]) for name in ("progression", "predicted progression"))
    result = load_run(str(run.path)).result
    final = result["final"]["test"]
    assert final["root_mean_squared_error"] == pytest.approx(root_mean_squared_error(target, guess))
    assert final["r2"] == pytest.approx(r2_score(target, guess), abs=1e-6)
    assert final["absolute_error"] == pytest.approx(mean_absolute_error(target, guess))
    deviation = 1.0 if normalization == "none" else prepared(*chosen).splits["train"].targets.std()
    assert final["loss"] == pytest.approx((root_mean_squared_error(target, guess) / deviation) ** 2)
    assert sorted(target) == sorted(prepared(*chosen).splits["test"].targets[:, 0])
    assert result["best"]["test"]["absolute_error"]["value"] <= final["absolute_error"]
    assert not (run.path / "confusion_matrix.csv").exists()


def test_a_linear_net_finds_the_least_squares_line() -> None:
    config = ["dataset=linear_map", "loss=mse", "model.hidden_sizes=[]", "batch_size=full", "precision=float64"]
    run = train(*config, "epochs=300", "optimizer.lr=0.1")
    job = build(check(load_config(config)))
    inputs, targets = next(job.batches.serve("train", 10_000))
    fitted = LinearRegression().fit(inputs.numpy(), targets.numpy())
    weight, bias = load_run(str(run.path)).load_model().state_dict().values()
    np.testing.assert_allclose(weight, fitted.coef_, atol=1e-4)
    np.testing.assert_allclose(bias, fitted.intercept_, atol=1e-4)


def test_values_survive_resume_and_early_stopping() -> None:
    config = [*DIABETES, "dataset.validation_fraction=0.2", "early_stopping.monitor=validation/absolute_error"]
    config += ["early_stopping.patience=3", "epochs=6"]
    whole, stopped = train(*config, "name=whole"), train(*config, "name=stopped", "stop_at=2")
    assert_same_end(whole, resume(stopped))
    selected = load_run(str(whole.path)).result["selected"]
    errors = [row["validation/absolute_error"] for row in whole.read_table("metrics.csv")]
    assert selected["epoch"] == int(np.argmin(errors)) + 1


def test_the_command_line_shows_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *DIABETES, "epochs=2"]) == 0
    printed = capsys.readouterr().out
    assert "absolute_error" in printed and "r2" in printed and "accuracy" not in printed
    assert main(["list", "runs"]) == 0
    assert "absolute_error" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["dataset=diabetes"],
            "is not for dataset=diabetes, whose targets are values: take loss=mse",
        ),
        (["loss=output_matching"], "whose targets are classes"),
        (["dataset.target_normalization=standard"], "is for targets that are values; here they are classes"),
        (["loss=binary_cross_entropy"], "dataset.positive_class"),
        (["dataset=diabetes", "loss=mse", "dataset.positive_class=x"], "no such class"),
        (
            ["dataset.validation_fraction=0.2", "early_stopping.monitor=validation/absolute_error"],
            "this run has validation/loss and validation/accuracy",
        ),
        (["dataset=inline", "dataset.targets=[0,1]"], "dataset.targets: there are 2 for 4 samples"),
        (["dataset=inline", "dataset.targets=[0,1,2,0]"], "dataset.targets: 2 is not in class_names"),
        (["dataset=inline", "dataset.inputs=[[1,2],[3]]"], "dataset.inputs must be numbers, in lists of equal lengths"),
        (["dataset=inline", "dataset.inputs=[1,2,3,4]"], "dataset.inputs must be a list of samples"),
        (["dataset=inline", "dataset.test_inputs=[[1]]", "dataset.test_targets=[0]"], "the shapes of those of train"),
        (["dataset=linear_map", "dataset.rank=9", "loss=mse"], "dataset.rank=9"),
        (
            ["dataset=breast_cancer", "loss=binary_cross_entropy", "model=layers", "model.layers=[{linear: 2}]"],
            "loss=binary_cross_entropy needs one",
        ),
        (
            ["dataset=breast_cancer", "loss=binary_cross_entropy", "model=layers", "model.layers=[output, sigmoid]"],
            "drop the softmax or sigmoid",
        ),
        (["experiment=dl_hw3/ex03_max_pooling", "batch_size=1"], "even batch_size"),
        (["experiment=dl_hw3/ex03_max_pooling", "dataset.validation_fraction=0.5"], "would separate the pairs"),
        (["dataset=inline", "dataset.targets=null"], "dataset.class_names=['0', '1']: give two"),
        (["dataset=inline", "dataset.class_names=[x]", "dataset.targets=[x,x,x,x]"], "two classes or more"),
        (["dataset=inline", "dataset.class_names=[0,1,1]"], "each once"),
        (["dataset=inline", "dataset.test_targets=[0]"], "dataset.test_inputs, which is null"),
        (["dataset=inline", "dataset.test_to_train_ratio=1"], "train and test have the same samples"),
        (["dataset=inline", f"dataset.inputs=[[{10**400},0]]", "dataset.targets=[0]"], "must be numbers"),
        (
            ["dataset=inline", "dataset.class_names=null", "dataset.targets=[[[1]],[[1]],[[1]],[[1]]]"],
            "for each sample",
        ),
        (["model.init={weight: {explicit: [[[a]]]}}"], "are not numbers"),
        (
            ["model.init={weight: {explicit: [[[1,2,3,4]],[[1]],[[1]],[[1]]]}}"],
            "explicit values for 4 layers; there are 2",
        ),
        (["model=layers", "model.layers=[{relu: {inplace: true}}, output]"], "The layer relu has no inplace"),
        (["model=layers", "model.layers=[{relu: 0.2}, output]"], "takes no arguments"),
        (["dataset=digits", "trace_steps=1", "batch_size=full", "model.hidden_sizes=[2]"], "trace_steps=1"),
        (["trace_steps=1", "model.hidden_sizes=[500,500]"], "trace_steps"),
        (["model.activation=[relu,tanh,relu]"], "there are 3 for 1 hidden layers"),
    ],
)
def test_options_that_do_not_fit_together_are_named(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        build(check(load_config(overrides)))
    assert message in str(error.value)


def test_logits_that_sum_to_one_by_chance_are_no_probabilities() -> None:
    inputs = ["dataset=inline", "dataset.inputs=[[0],[1]]", 'dataset.targets=["0","1"]', "model.hidden_sizes=[]"]
    run = train(*inputs, "model.init={weight:{explicit:[[[0],[0]]]},bias:{explicit:[[0.5,0.5]]}}", "epochs=1")
    assert run.read_json("result.json")["final"]["train"]["loss"] == pytest.approx(np.log(2), rel=1e-2)


def test_a_stop_on_a_metric_that_is_never_defined_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A validation split of two samples lacks a class, so the area under the curve is undefined."""
    split = ["dataset.validation_fraction=0.02", "dataset.stratified=false", "metrics=[roc_auc]"]
    stopping = ["early_stopping.monitor=validation/roc_auc", "early_stopping.patience=3"]
    assert main(["train", *split, *stopping, "epochs=9"]) == 0
    assert "validation/roc_auc was undefined in every epoch" in capsys.readouterr().out
