"""A run that is stopped, killed or failed and then resumed ends with the bits of an uninterrupted run."""

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import KINDS, SMALL_CNN, TABULAR, assert_same_end, only_run, resume, start, timeless, train

from dlexp.cli.main import main
from dlexp.errors import UserError
from dlexp.runs.provenance import config_sha256
from dlexp.training import checkpoint

REAL = {
    "mnist": ["dataset=mnist", "dataset.train_size=600", "dataset.test_size=100", *SMALL_CNN],
    "hoda": ["dataset=hoda", "model.hidden_sizes=[15]", "model.dropout=0.2"],
    "cifar10": ["dataset=cifar10", "dataset.train_size=300", "dataset.test_size=100", *SMALL_CNN],
}


@pytest.mark.parametrize("kind", KINDS)
def test_stopping_at_any_epoch_changes_nothing(kind: str) -> None:
    whole = train(*KINDS[kind], "epochs=5", "name=whole")
    for epoch in (1, 3, 4):
        run = train(*KINDS[kind], "epochs=5", f"stop_at={epoch}", f"name=stop{epoch}")
        assert run.status()["status"] == "stopped"
        assert len(timeless(run, "metrics.csv")) == epoch + 1
        assert_same_end(whole, resume(run))


@pytest.mark.parametrize("kind", REAL)
def test_stopping_on_real_images_changes_nothing(kind: str, data_dir: Path) -> None:
    overrides = [*REAL[kind], "epochs=3", f"data_dir={data_dir}"]
    whole, run = train(*overrides, "name=whole"), train(*overrides, "stop_at=2", "name=stopped")
    assert_same_end(whole, resume(run))


@pytest.mark.parametrize("step", range(1, 13))
def test_a_signal_at_any_step_stops_the_run_and_changes_nothing(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = [*KINDS["images"], "epochs=2", "log_every_n_steps=2"]  # five steps an epoch
    whole = train(*overrides, "name=whole")
    with monkeypatch.context() as patch:
        signal_at_step(step, patch)
        run = train(*overrides, "name=stopped")
    if step <= 10:
        assert run.status() | {"status": "stopped", "signal": signal.SIGTERM, "step": step} == run.status()
        resume(run)
    assert_same_end(whole, run)


def signal_at_step(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(1, 1000))
    take_step = torch.optim.SGD.step

    def step_and_signal(self: torch.optim.SGD, *arguments: Any) -> Any:
        if next(calls) == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return take_step(self, *arguments)

    monkeypatch.setattr(torch.optim.SGD, "step", step_and_signal)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_command_saves_the_run_and_prints_how_to_resume(number: signal.Signals, code: int) -> None:
    process = start("train", *TABULAR, "epochs=100000")
    wait_for_epochs(process, 3)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    run = only_run()
    assert process.returncode == code
    assert f"dlexp resume {run.path}" in output
    assert run.status()["status"] == "stopped"
    done = run.status()["epoch"]
    whole = train(*TABULAR, f"epochs={done + 5}", "name=whole")
    assert_same_end(whole, resume(run, f"epochs={done + 5}"))


@pytest.mark.slow
def test_a_kill_at_random_moments_loses_only_what_came_after_the_last_checkpoint() -> None:
    overrides = [*KINDS["images"], "epochs=60", "checkpoint.every_seconds=0.02", "name=killed"]
    moments = random.Random(0)
    process = start("train", *overrides)
    for _ in range(4):
        wait_for_epochs(process, 1)
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        process.communicate()
        run = only_run(Path("outputs/killed"))
        if run.status()["status"] == "finished":
            break
        assert run.status()["status"] == "interrupted"
        process = start("resume", run.path)
    process.communicate(timeout=120)
    assert process.returncode in (0, -9)
    whole = train(*overrides[:-1], "name=whole")
    assert_same_end(whole, only_run(Path("outputs/killed")))
    assert not list(only_run(Path("outputs/killed")).path.rglob("*.part"))


def wait_for_epochs(process: Any, number: int) -> None:
    """Wait until the only run of the working directory has rows on disk, or its process has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        tables = list(Path("outputs").rglob("metrics.csv"))
        if tables and tables[0].read_text().count("\n") > number and (tables[0].parent / "status.json").exists():
            return
        time.sleep(0.01)
    assert process.poll() is not None, "no epoch came to an end in a minute"


def test_a_finished_run_is_extended_if_the_schedule_allows_it() -> None:
    whole = train(*TABULAR, "scheduler=step", "scheduler.step_size=2", "epochs=6", "name=whole")
    run = train(*TABULAR, "scheduler=step", "scheduler.step_size=2", "epochs=3", "name=short")
    assert_same_end(whole, resume(run, "epochs=6"))


@pytest.mark.parametrize("scheduler", ["cosine", "one_cycle"])
def test_a_schedule_over_all_epochs_is_not_extended(scheduler: str) -> None:
    run = train(f"scheduler={scheduler}")
    before = (run.path / "config.yaml").read_text()
    with pytest.raises(UserError, match="over all epochs"):
        resume(run, "epochs=6")
    assert (run.path / "config.yaml").read_text() == before


def test_a_resumed_run_stays_the_same_experiment() -> None:
    run = train("stop_at=1")
    with pytest.raises(UserError, match=r"optimizer\.lr=1.*same experiment"):
        resume(run, "optimizer.lr=1")
    resume(run)
    with pytest.raises(UserError, match="has done 2 epochs already"):
        resume(run, "epochs=1")


def test_resuming_with_other_threads_warns_that_it_is_not_bit_exact(capsys: pytest.CaptureFixture[str]) -> None:
    run = train("stop_at=1", "threads=2")
    resume(run, "threads=1")
    assert "not bit-exact: threads was 2, is 1" in capsys.readouterr().err


def test_a_second_process_is_told_who_holds_the_run() -> None:
    run = train("stop_at=1")
    with run.locked():
        process = start("resume", run.path)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"in use by process {os.getpid()}" in errors
    assert run.status()["status"] == "stopped"


def test_a_run_of_an_older_version_resumes_without_the_newer_keys() -> None:
    whole, old = train("epochs=4", "name=whole"), train("epochs=4", "stop_at=2", "name=old")
    config = old.read_config()
    for key in ("shuffle", "trace_steps", "evaluate_every_n_steps", "log_units", "demonstration"):
        del config[key]
    old.write_config(config)
    digest = config_sha256(config)
    old.write_json("environment.json", {**old.read_json("environment.json"), "config_sha256": digest})
    for path in old.checkpoints():
        checkpoint.save(old, checkpoint.load(path) | {"experiment": digest}, name=path.name)
    stopped = resume(old, "stop_at=3")
    assert "shuffle" not in stopped.read_config(), "its config stays its own"
    assert_same_end(whole, resume(stopped))


def test_resume_draws_the_missing_pictures_of_a_finished_run() -> None:
    assert main(["train", "-m", "epochs=2", "seed=0,1", "jobs=1"]) == 0
    drawn = sorted(Path("outputs").rglob("*.png"))
    one, other, _, stale, _, fresh = drawn
    one.unlink()
    os.utime(stale, (0, 0))  # as of a run that was extended since
    moment = fresh.stat().st_mtime_ns
    assert main(["train", "-m", "epochs=2", "seed=0,1"]) == 0
    assert sorted(Path("outputs").rglob("*.png")) == drawn and stale.stat().st_mtime > 0
    other.unlink()
    assert main(["resume", str(other.parent)]) == 0
    assert other.exists() and fresh.stat().st_mtime_ns == moment


def test_a_user_s_own_model_and_optimizer_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is a partial, not a module's function, and Adafactor's state differs in shape from the weights."""
    Path("factoring.py").write_text(
        "import functools\nfrom torch import nn, optim\n\n"
        "def net(width, *, input_shape, num_outputs):\n"
        "    return nn.Sequential(nn.Linear(4, width), nn.Linear(width, num_outputs))\n\n"
        "wide = functools.partial(net, 8)\n\n"
        "def factored(*, parameters):\n    return optim.Adafactor(parameters)\n"
    )
    Path("conf/optimizer").mkdir(parents=True)
    Path("conf/optimizer/factored.yaml").write_text("name: factored\n")
    monkeypatch.syspath_prepend(Path.cwd())
    overrides = ["imports=[factoring]", "model=custom", "model.name=wide", "optimizer=factored", "epochs=4"]
    whole, run = train(*overrides, "name=whole"), train(*overrides, "stop_at=2", "name=stopped")
    assert_same_end(whole, resume(run))
