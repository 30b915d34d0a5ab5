"""A sweep: what it expands to, and that one job's failure does not stop the others."""

from pathlib import Path

import pytest

from dlexp import cli
from dlexp.errors import UserError
from dlexp.rundir import find_runs
from dlexp.sweep import expand


def test_every_combination_the_last_key_fastest() -> None:
    assert expand(["epochs=2", "batch_size=8,16", "model.activation=relu,tanh"]) == [
        ["epochs=2", "batch_size=8", "model.activation=relu"],
        ["epochs=2", "batch_size=8", "model.activation=tanh"],
        ["epochs=2", "batch_size=16", "model.activation=relu"],
        ["epochs=2", "batch_size=16", "model.activation=tanh"],
    ]
    assert [job[-1] for job in expand(["seed=range(3)"])] == ["seed=0", "seed=1", "seed=2"]


def test_an_experiment_s_grid_and_what_is_typed_over_it() -> None:
    experiment = "experiment=is_hw4/ex02a_batch_size"
    assert [job[-1] for job in expand([experiment])] == ["batch_size=32", "batch_size=64", "batch_size=256"]
    assert expand([experiment, "batch_size=8"]) == [[experiment, "batch_size=8"]]
    assert len(expand([experiment, "seed=1,2"])) == 6


def test_one_wrong_value_refuses_the_whole_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "-m", "epochs=1", "optimizer.lr=0.1,-1"]) == 2
    assert "optimizer.lr=-1" in capsys.readouterr().err and not Path("outputs").exists()
    with pytest.raises(UserError, match="Did you mean epochs"):
        expand(["epoch=1", "seed=1,2"])


def test_a_job_that_does_not_fit_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "-m", "loss=nll,cross_entropy", "epochs=1"]) == 1
    assert "take loss=cross_entropy" in capsys.readouterr().err
    assert [run.status()["status"] for run in find_runs(Path("outputs"))] == ["finished"]


def test_a_failed_job_is_shown_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    exploding = ["optimizer=sgd", "optimizer.lr=1e30,0.1", "model.hidden_sizes=[64,64]", "epochs=20"]
    assert cli.main(["train", "-m", *exploding]) == 1
    output, errors = capsys.readouterr()
    assert "1/2" in output and "2/2" in output and "not a finite number" in errors
    assert [run.status()["status"] for run in find_runs(Path("outputs"))].count("finished") == 1


def test_reported_figures_stand_beside_measured_ones(capsys: pytest.CaptureFixture[str]) -> None:
    rows = "reference=[{optimizer: adam, test/accuracy: 0.5, parameters: 131}, {optimizer: sgd, test/loss: 9}]"
    assert cli.main(["train", "epochs=1", rows]) == 0
    output = capsys.readouterr().out
    assert "reported" in output and "131.0000" in output and "9.0000" not in output
