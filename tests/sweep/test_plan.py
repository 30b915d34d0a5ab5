"""`dlexp plan` estimates a sweep's jobs, memory and time before it runs."""

from pathlib import Path

import pytest

from dlexp.cli.main import main
from dlexp.sweep import cost as plan
from dlexp.sweep.expansion import expand
from dlexp.sweep.jobs import tasks


def test_a_plan_counts_and_measures_jobs_and_writes_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-m", "batch_size=16,full", "seed=range(3)", "epochs=5", "jobs=2", "--fresh"]) == 0
    output = capsys.readouterr().out
    assert "6 jobs: 6 to run." in output and "batch_size=full" in output and "131" in output
    assert "with 2 side by side" in output and not Path("outputs").exists()


def test_finished_jobs_are_not_planned(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", "seed=1,2", "epochs=1"]) == 0
    capsys.readouterr()
    assert main(["plan", "seed=1,2,3", "epochs=1"]) == 0
    assert "3 jobs: 2 done, 1 to run." in capsys.readouterr().out
    assert main(["plan", "seed=1,2", "epochs=1"]) == 0
    assert capsys.readouterr().out == "2 jobs: 2 done.\n"


def test_seeds_cost_the_same_and_longer_jobs_cost_more() -> None:
    costs = plan.costs(tasks(expand(["seed=1,2", "epochs=10,1000"])))
    short, *_, long = sorted(costs.values(), key=lambda cost: cost.seconds)
    assert len({cost.seconds for cost in costs.values()}) == 2 and long.seconds > 10 * short.seconds
    assert short.parameters == 131 and short.memory > 2**20


def test_a_wrong_value_is_named_before_anything_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "batch_size=16,-1"]) == 2
    assert "batch_size=-1" in capsys.readouterr().err
