"""What a job prints itself is kept in its run, and is no message of the worker's."""

from pathlib import Path

import pytest

from dlexp.cli.main import main
from dlexp.runs.directory import find_runs

TALKATIVE = """
import os, signal
from dlexp.models.mlp import mlp
print("imported")
def talks(kill: bool = False, wrong: bool = False, *, input_shape, num_outputs):
    print("epoch 1/3  as a user's model may say")
    os.system("echo a child process")
    os.write(2, b"and a C library\\n")
    if kill: os.kill(os.getpid(), signal.SIGKILL)
    if wrong: raise ValueError("no")
    return mlp(input_shape=input_shape, num_outputs=num_outputs)
"""
SWEEP = ["train", "-m", "imports=[talkative]", "model=custom", "model.name=talks", "epochs=1", "jobs=1"]


@pytest.fixture(autouse=True)
def talkative() -> None:
    Path("talkative.py").write_text(TALKATIVE)


def test_what_a_model_prints_is_in_its_run_s_log(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*SWEEP, "seed=1,2"]) == 0
    out, errors = capfd.readouterr()
    assert out.count("finished  seed=") == 2 and "C library" not in out + errors
    for run in find_runs(Path("outputs")):
        said = (run.path / "output.log").read_text()
        assert said.endswith("epoch 1/3  as a user's model may say\na child process\nand a C library\n")
    assert not list(Path("outputs/.jobs").glob("*.log"))
    assert main([*SWEEP, "seed=1,2"]) == 0 and main(["report", "outputs"]) == 0
    assert "2 jobs: 2 done." in capfd.readouterr().out


def test_a_silent_job_leaves_no_log() -> None:
    assert main(["train", "-m", "seed=1,2", "epochs=1", "jobs=1"]) == 0
    assert not list(Path("outputs").rglob("*.log"))


@pytest.mark.parametrize("option", ["+model.kill=true", "+model.wrong=true"])
def test_a_job_that_came_to_no_run_tells_where_its_words_are(option: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*SWEEP, option, "seed=1"]) == 1
    (log,) = Path("outputs/.jobs").glob("*.log")
    assert f"What it printed is in {log}." in capfd.readouterr().err
    assert "C library" in log.read_text()


def test_warnings_of_dlexp_s_own_reach_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*SWEEP, "seed=1", "epochs=3", "stop_at=1"]) == 0
    (run,) = find_runs(Path("outputs"))
    notes = run.read_json("environment.json")
    run.write_json("environment.json", {**notes, "torch": "0.1"})
    status = run.status()
    run.write_json("status.json", {**status, "status": "running"})
    capfd.readouterr()
    assert main([*SWEEP, "seed=1", "epochs=3"]) == 0
    assert "Resumable, not bit-exact: torch was 0.1" in capfd.readouterr().out
    assert (run.path / "output.log").read_text().count("C library") == 2
