"""A sweep: its expansion, its jobs, and that one job's failure does not stop the others."""

import contextlib
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import assert_same_end, start, train

from dlexp.cli import sweeps as launch
from dlexp.cli.main import main
from dlexp.config.config import load_config
from dlexp.errors import UserError
from dlexp.runs.directory import find_runs
from dlexp.sweep import jobs as tasks
from dlexp.sweep.expansion import expand
from dlexp.training.build import check

EXPLODING = ["optimizer=sgd", "optimizer.lr=1e30,0.1", "model.hidden_sizes=[64,64]", "epochs=20"]


def test_a_sweep_expands_to_every_combination_with_the_last_key_fastest() -> None:
    assert expand(["epochs=2", "batch_size=8,16", "model.activation=relu,tanh"]) == [
        ["epochs=2", "batch_size=8", "model.activation=relu"],
        ["epochs=2", "batch_size=8", "model.activation=tanh"],
        ["epochs=2", "batch_size=16", "model.activation=relu"],
        ["epochs=2", "batch_size=16", "model.activation=tanh"],
    ]
    assert [job[-1] for job in expand(["seed=range(3)"])] == ["seed=0", "seed=1", "seed=2"]


def test_typed_values_replace_those_of_an_experiment_s_grid() -> None:
    experiment = "experiment=is_hw4/ex02a_batch_size"
    assert [job[-1] for job in expand([experiment])] == ["batch_size=32", "batch_size=64", "batch_size=256"]
    assert expand([experiment, "batch_size=8"]) == [[experiment, "batch_size=8"]]
    assert len(expand([experiment, "seed=1,2"])) == 6


@pytest.mark.parametrize(
    ("overrides", "jobs"),
    [
        (["seed=1,2", "seed=3"], [["seed=3"]]),
        (["seed=3", "seed=1,2"], [["seed=1"], ["seed=2"]]),
        (["seed=1,2", "seed=2,3"], [["seed=2"], ["seed=3"]]),
        (["optimizer=adam,sgd", "optimizer=adagrad"], [["optimizer=adagrad"]]),
        (["experiment=is_hw4/ex02a_batch_size", "batch_size=8,16", "batch_size=4"],
         [["experiment=is_hw4/ex02a_batch_size", "batch_size=4"]]),
    ],
)  # fmt: skip
def test_of_a_key_that_is_given_twice_the_last_value_counts(overrides: list[str], jobs: list[list[str]]) -> None:
    assert expand(overrides) == jobs


def test_one_wrong_value_refuses_the_whole_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", "epochs=1", "optimizer.lr=0.1,-1"]) == 2
    assert "optimizer.lr=-1" in capsys.readouterr().err and not Path("outputs").exists()
    with pytest.raises(UserError, match="Did you mean epochs"):
        expand(["epoch=1", "seed=1,2"])


def test_a_job_that_does_not_fit_together_refuses_the_whole_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    """The sweep builds one job of each kind before it trains any."""
    assert main(["train", "-m", "loss=cross_entropy,nll", "epochs=1", "seed=1,2"]) == 2
    assert "take loss=cross_entropy" in capsys.readouterr().err
    assert not find_runs(Path("outputs"))


SWEEP = ["train", "-m", "batch_size=32,64", "seed=range(2)", "epochs=3"]


def test_a_failed_job_is_shown_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *EXPLODING]) == 1
    output, errors = capsys.readouterr()
    assert "2 jobs: 2 to run" in output and "finished  optimizer.lr=0.1" in output
    assert "failed  optimizer.lr=1e+30: The loss became" in errors
    assert sorted(run.status()["status"] for run in find_runs(Path("outputs"))) == ["failed", "finished"]
    assert main(["train", "-m", *EXPLODING, "--dry-run"]) == 0
    assert "1 failed before, 1 done" in capsys.readouterr().out
    assert main(["train", "-m", *EXPLODING, "--retry-failed"]) == 1
    assert "1/1  failed  optimizer.lr=1e+30" in capsys.readouterr().err
    assert len(find_runs(Path("outputs"))) == 2, "it went on where it lay"


def test_fail_fast_starts_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *EXPLODING, "jobs=1", "--fail-fast"]) == 1
    assert "1 job not started" in capsys.readouterr().err
    assert [run.status()["status"] for run in find_runs(Path("outputs"))] == ["failed"]


def test_the_same_command_runs_only_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(SWEEP) == 0
    first = {run.path: (run.path / "metrics.csv").read_bytes() for run in find_runs(Path("outputs"))}
    assert len(first) == 4
    assert main(SWEEP) == 0
    assert "4 jobs: 4 done." in capsys.readouterr().out
    assert main([*SWEEP[:3], "seed=range(3)", "epochs=3"]) == 0
    assert "6 jobs: 4 done, 2 to run" in capsys.readouterr().out
    shutil.move(next(iter(first)), Path("outputs") / "moved")
    shutil.rmtree(list(first)[1])
    assert main([*SWEEP[:3], "seed=range(3)", "epochs=3", "--dry-run"]) == 0
    assert "5 done, 1 to run" in capsys.readouterr().out, "what was moved is found, what was deleted is missing"
    assert all((path / "metrics.csv").read_bytes() == first[path] for path in list(first)[2:])
    study = next(iter(first)).parent
    shutil.move(study, "other_disk")
    study.symlink_to(Path("other_disk").absolute())
    assert main([*SWEEP[:3], "seed=range(3)", "epochs=3", "--dry-run"]) == 0
    assert "5 done, 1 to run" in capsys.readouterr().out, "also behind a link"


def test_more_epochs_extend_the_existing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(SWEEP) == 0
    longer = [*SWEEP[:-1], "epochs=5"]
    assert main(longer) == 0
    assert "4 jobs: 4 to be extended" in capsys.readouterr().out
    runs = find_runs(Path("outputs"))
    assert len(runs) == 4 and {run.read_json("result.json")["epochs"] for run in runs} == {5}
    whole = train("batch_size=32", "seed=1", "epochs=5", "threads=1", "output_dir=whole")
    extended = next(r for r in runs if (c := r.read_config())["batch_size"] == 32 and c["seed"] == 1)
    assert_same_end(whole, extended)
    assert main(SWEEP) == 0
    assert "4 jobs: 4 to run" in capsys.readouterr().out, "a run of five epochs is none of three"


def test_numbers_of_epochs_are_jobs_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    """A finished run is the result of its job, so another job must not extend it."""
    assert main(["train", "-m", "epochs=0,2"]) == 0
    assert main(["train", "-m", "epochs=0,2,4"]) == 0
    assert "3 jobs: 2 done, 1 to run" in capsys.readouterr().out
    assert sorted(run.read_json("result.json")["epochs"] for run in find_runs(Path("outputs"))) == [0, 2, 4]


def test_a_schedule_planned_for_fewer_epochs_is_not_extended() -> None:
    sweep = ["train", "-m", "scheduler=cosine", "seed=1,2"]
    assert main([*sweep, "epochs=2"]) == 0 and main([*sweep, "epochs=3"]) == 0
    assert sorted(run.read_json("result.json")["epochs"] for run in find_runs(Path("outputs"))) == [2, 2, 3, 3]


def test_a_run_belongs_to_one_job(capsys: pytest.CaptureFixture[str]) -> None:
    """Another job must not resume a stopped run: both would show the longer one's figures."""
    assert main(["train", "-m", "epochs=5", "stop_at=2", "seed=0,1"]) == 0
    before = {run.path: (run.path / "metrics.csv").read_bytes() for run in find_runs(Path("outputs"))}
    assert main(["train", "-m", "epochs=5", "stop_at=2,4", "seed=0,1"]) == 0
    assert "4 jobs: 2 done, 2 to run." in capsys.readouterr().out
    assert all((path / "metrics.csv").read_bytes() == content for path, content in before.items())
    assert len(find_runs(Path("outputs"))) == 4


def test_a_sweep_keeps_to_its_output_directory() -> None:
    """Notes in .jobs/ of a copied directory refer to the original's runs."""
    assert main(["train", "-m", "epochs=1", "seed=0,1", "output_dir=original"]) == 0
    shutil.copytree("original/.jobs", "copy/.jobs")
    assert main(["train", "-m", "epochs=1", "seed=0,1", "output_dir=copy"]) == 0
    assert len(find_runs(Path("copy"))) == len(find_runs(Path("original"))) == 2


def test_damaged_runs_stop_no_sweep_and_are_run_again(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["train", "-m", "epochs=1", "seed=range(4)"]
    assert main(sweep) == 0
    without, empty, cut, odd = (run.path for run in find_runs(Path("outputs")))
    (without / "environment.json").unlink()
    (empty / "config.yaml").write_text("")
    (cut / "result.json").write_text('{"status": "fini')
    (odd / "status.json").write_text("{}")
    capsys.readouterr()
    assert main(sweep) == 0
    out, errors = capsys.readouterr()
    assert "4 jobs: 2 to run, 2 to go on." in out
    warnings = [line for line in errors.splitlines() if line.startswith("Warning: the job of this run is unknown")]
    assert f"{without} has no environment.json." in warnings[0] and str(empty) in warnings[1] and len(warnings) == 2
    assert main(sweep) == 0
    assert "4 jobs: 4 done." in capsys.readouterr().out


def test_a_job_stopped_by_a_signal_is_not_done(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "-m", "seed=1,2", "epochs=6000", "batch_size=16", "jobs=1"]
    process = start(*command)
    wait_for(lambda: any(run.is_locked() for run in find_runs(Path("outputs"))))
    (run,) = find_runs(Path("outputs"))
    os.kill(int((run.path / "lock").read_text()), signal.SIGTERM)
    output, errors = process.communicate()
    assert process.returncode == 1 and "1 job stopped by a signal: the same command goes on." in errors
    assert "2/2  finished" in output


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["device=cuda,cpu"], "does not make another job"),
        (["output_dir=a,b"], "does not make another job"),
        (["log_units=true,false"], "does not make another job"),
        (["optimizer=glob(*)"], "glob is not supported"),
        (["model.hidden_sizes=[16],choice([8],[9])"], "model.hidden_sizes"),
    ],
)
def test_an_invalid_sweep_is_refused(overrides: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", "epochs=1", *overrides, "--dry-run"]) == 2
    assert message in capsys.readouterr().err


def test_experiments_are_swept_with_their_own_grids() -> None:
    both = expand(["experiment=dl_hw3/ex09_depth,dl_hw3/ex07_iris", "epochs=1"])
    assert len(both) == 11 and both[-1] == ["experiment=dl_hw3/ex07_iris", "epochs=1"]


def test_a_job_that_diverges_in_its_last_step_has_failed(capsys: pytest.CaptureFixture[str]) -> None:
    diverging = ["optimizer=sgd", "optimizer.lr=1e37", "batch_size=full", "epochs=1"]
    assert main(["train", *diverging]) == 1
    assert "which is not finite" in capsys.readouterr().err


def test_fresh_runs_every_job_again_and_duplicates_run_once() -> None:
    assert main(["train", "-m", "seed=1,1", "epochs=1"]) == 0
    assert len(find_runs(Path("outputs"))) == 1
    assert main(["train", "-m", "seed=1,1", "epochs=1", "--fresh"]) == 0
    assert len(find_runs(Path("outputs"))) == 2


def test_another_name_is_another_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", "seed=1,2", "epochs=1", "name=one"]) == 0
    assert main(["train", "-m", "seed=1,2", "epochs=1", "name=other", "--dry-run"]) == 0
    assert "2 jobs: 2 to run." in capsys.readouterr().out


def test_another_config_data_or_code_is_another_job(monkeypatch: pytest.MonkeyPatch) -> None:
    config = check(load_config(["threads=1"]))
    key = tasks.job_key(config, {})
    assert key == tasks.job_key(check(load_config(["threads=2", "epochs=7", "name=other", "jobs=3"])), {})
    assert key != tasks.job_key(check(load_config(["seed=1"])), {})
    assert key != tasks.job_key(check(load_config(["dataset.split_seed=1"])), {})
    monkeypatch.setattr(tasks, "code_sha256", lambda imports: "edited")
    assert key != tasks.job_key(config, {})
    monkeypatch.undo()
    monkeypatch.setattr(tasks, "NUMERICS_VERSION", 0)
    assert key != tasks.job_key(config, {})
    monkeypatch.undo()
    monkeypatch.setattr(tasks.data, "sha256_of", lambda *_: "other data")
    assert key != tasks.job_key(config, {})


def test_parallel_and_serial_sweeps_give_the_same_bits() -> None:
    config = ["train", "-m", "dataset=digits", "seed=range(3)", "model.dropout=0.2", "epochs=2"]
    assert main([*config, "jobs=1", "output_dir=serial"]) == 0
    assert main([*config, "jobs=2", "output_dir=parallel"]) == 0
    serial, parallel = ({r.read_config()["seed"]: r for r in find_runs(Path(d))} for d in ("serial", "parallel"))
    assert serial.keys() == parallel.keys() == {0, 1, 2}
    for seed in serial:
        assert_same_end(serial[seed], parallel[seed])


def test_a_killed_worker_fails_one_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dying.py").write_text(
        "import os, signal\nfrom dlexp.models.mlp import mlp\n"
        "def dies(when: int = 0, *, input_shape, num_outputs):\n"
        "    if when == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return mlp(input_shape=input_shape, num_outputs=num_outputs)\n"
    )
    sweep = ["imports=[dying]", "model=custom", "model.name=dies", "+model.when=0,1,2", "epochs=1", "jobs=1"]
    assert main(["train", "-m", *sweep]) == 1
    output, errors = capsys.readouterr()
    assert "killed by signal 9" in errors and output.count("finished") == 2


def test_a_terminal_shows_the_finished_and_the_running_jobs() -> None:
    master, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (30, 140))
    command = [sys.executable, "-m", "dlexp.cli", "train", "-m", "seed=1,2", "epochs=400", "jobs=1"]
    with subprocess.Popen(command, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # which is how a terminal says that nobody writes any more
            while chunk := os.read(master, 65536):
                shown += chunk
    os.close(master)
    assert process.returncode == 0
    assert b"1 of 2 done, 1 running, about 00:" in shown and b"2 of 2 done, 0 running" in shown
    assert b"  seed=2  epoch 200/400  train loss" in shown and b"1/2  finished  seed=1  test accuracy" in shown


def test_each_gpu_has_jobs_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, three, cpu = (load_config(overrides) for overrides in ([], ["jobs=3"], ["device=cpu", "jobs=2"]))
    monkeypatch.setattr(launch.Path, "exists", lambda path: str(path) == "/dev/nvidia0")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert launch._devices(usual) == ["cuda:0", "cuda:1"]
    assert launch._devices(three) == ["cuda:0", "cuda:1", "cuda:0"]
    assert launch._devices(cpu) == [None, None]


def test_two_simultaneous_sweeps_train_each_job_once() -> None:
    command = ["train", "-m", "seed=range(4)", "epochs=40", "batch_size=8", "jobs=2"]
    both = [start(*command), start(*command)]
    assert [process.wait() for process in both] == [0, 0]
    for process in both:
        process.communicate()
    runs = find_runs(Path("outputs"))
    assert sorted(run.read_config()["seed"] for run in runs) == [0, 1, 2, 3]
    assert {run.status()["status"] for run in runs} == {"finished"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_every_job_and_the_same_command_resumes_them(number: int) -> None:
    command = ["train", "-m", "seed=range(3)", "epochs=3000", "batch_size=16", "jobs=2"]
    process = start(*command)
    wait_for(lambda: any(run.status().get("epoch", 0) or run.is_locked() for run in find_runs(Path("outputs"))))
    process.send_signal(number)
    output, _ = process.communicate()
    assert process.returncode == 128 + number and "The same command goes on" in output
    runs = find_runs(Path("outputs"))
    assert runs and not any(run.is_locked() for run in runs), "no orphans"
    assert {run.status()["status"] for run in runs} <= {"stopped", "interrupted"}
    assert main([*command[:3], "epochs=3000", "batch_size=16", "--dry-run"]) == 0


@pytest.mark.slow
def test_sigkills_of_a_sweep_leave_every_job_done_once_with_the_same_bits() -> None:
    command = ["train", "-m", "seed=range(6)", "epochs=60", "batch_size=16", "checkpoint.every_epochs=5", "jobs=2"]
    chance = random.Random(0)
    for _ in range(3):
        process = start(*command)
        time.sleep(chance.uniform(4, 9))
        process.kill()
        process.communicate()
        wait_for(lambda: not any(run.is_locked() for run in find_runs(Path("outputs"))))
    assert main(command) == 0
    runs = find_runs(Path("outputs"))
    assert sorted(run.read_config()["seed"] for run in runs) == list(range(6))
    for run in runs:
        assert run.status()["status"] == "finished"
        seed = run.read_config()["seed"]
        whole = train(f"seed={seed}", "epochs=60", "batch_size=16", "threads=1", "checkpoint.every_epochs=5",
                      "output_dir=whole")  # fmt: skip
        assert_same_end(whole, run)


def test_flags_of_a_sweep_need_multirun(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--dry-run"]) == 2
    assert "--dry-run needs a sweep" in capsys.readouterr().err


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_reported_figures_stand_beside_measured_ones(capsys: pytest.CaptureFixture[str]) -> None:
    rows = "reference=[{optimizer: adam, test/accuracy: 0.5, parameters: 131}, {optimizer: sgd, test/loss: 9}]"
    assert main(["train", "epochs=1", rows]) == 0
    output = capsys.readouterr().out
    assert "reported" in output and "9.0000" not in output
    assert ["parameters", "131", "131"] in [line.split() for line in output.splitlines()]
