"""Hydra's launchers and sweepers run the same jobs into the same run directories."""

from pathlib import Path

import pytest
from small_runs import assert_same_end, train

from dlexp.cli.main import main
from dlexp.runs.directory import find_runs
from dlexp.sweep.launchers import EXTRAS


def test_joblib_runs_the_jobs_and_the_same_command_finds_them_done(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["train", "-m", "seed=1,2", "epochs=2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    assert main(sweep) == 0
    assert "2/2  finished  seed=2" in capsys.readouterr().out
    runs = {run.read_config()["seed"]: run for run in find_runs(Path("outputs"))}
    assert_same_end(train("seed=1", "threads=1", "output_dir=alone"), runs[1])
    assert main(sweep[:-2]) == 0
    assert "2 jobs: 2 done." in capsys.readouterr().out


def test_a_plugin_that_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(EXTRAS, "nevergrad", "optuna")
    command = ["train", "-m", "hydra/sweeper=nevergrad", "seed=1,2", "dataset.validation_fraction=0.2"]
    assert main(command) == 2
    assert "hydra/sweeper=nevergrad is not installed: pip install 'dlexp[optuna]'" in capsys.readouterr().err


@pytest.mark.slow
def test_submitit_runs_the_jobs() -> None:
    assert main(["train", "-m", "seed=1,2", "epochs=1", "hydra/launcher=submitit_local"]) == 0
    assert [run.status()["status"] for run in find_runs(Path("outputs"))] == ["finished"] * 2


@pytest.mark.filterwarnings("ignore")  # optuna 2.10's own, of its SQLAlchemy
def test_an_optuna_study_is_stored_and_continued(capsys: pytest.CaptureFixture[str]) -> None:
    study = ["train", "-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1"]
    study += ["optimizer.lr=interval(0.001,0.1)", "epochs=2", "dataset.validation_fraction=0.2"]
    assert main(study) == 0
    assert "Best of 2 trials: optimizer.lr=" in capsys.readouterr().out
    assert main(study) == 0
    output = capsys.readouterr().out
    assert "Best of 4 trials" in output and len(find_runs(Path("outputs"))) == 4
    losses = [run.read_json("result.json")["selected"]["validation/loss"] for run in find_runs(Path("outputs"))]
    assert f"validation/loss {min(losses):.4g}." in output


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["hydra/sweeper=optuna", "optimizer.lr=interval(0.001,0.1)"], "chooses by the validation split"),
        (
            ["hydra/sweeper=optuna", "loss=mse,cross_entropy", "dataset.validation_fraction=0.2"],
            "each has its own unit",
        ),
        (["hydra/launcher=jobli", "seed=1,2"], "Hydra's plugin cannot be used"),
        (["hydra/launcher=joblib", "hydra.launcher._target_=os.system", "seed=1,2"], "cannot name code to run"),
        (["hydra/sweeper=optuna", "hydra.sweeper.custom_search_space=os.system"], "cannot name code to run"),
        (["hydra.callbacks.x._target_=os.system", "seed=1,2"], "settings of Hydra itself"),
    ],
)
def test_an_impossible_plugin_is_named(overrides: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *overrides]) == 2
    assert message in capsys.readouterr().err and not find_runs(Path("outputs"))
