"""Checkpoints: damage, full disks, killed processes and signals."""

import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from small_runs import assert_same_end, only_run, resume, start, train

from dlexp.cli.main import main
from dlexp.errors import JobError, UserError
from dlexp.training import checkpoint
from dlexp.training import evaluation as evaluate
from dlexp.training.process.signals import Interruption, StopRequest


def test_torch_load_opens_a_checkpoint() -> None:
    path = train().checkpoints()[0]
    state = torch.load(path, weights_only=True)
    assert state["format"] == 1 and set(state["model"]) == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_every_flipped_byte_and_every_truncation_is_found(tmp_path: Path) -> None:
    path = train("model.hidden_sizes=[]").checkpoints()[0]
    whole = path.read_bytes()
    for position in [*range(0, len(whole), 97), *range(len(whole) - 100, len(whole))]:
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        with pytest.raises(UserError, match="is damaged"):
            checkpoint.load(path)
    for length in [0, 1, 63, 64, 65, len(whole) // 2, len(whole) - 64, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="is damaged"):
            checkpoint.load(path)
    path.write_bytes(whole)
    checkpoint.load(path)


def test_a_damaged_checkpoint_gives_way_to_the_one_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["epochs=4", "checkpoint.every_epochs=1", "model.dropout=0.2"]
    whole = train(*overrides, "name=whole")
    run = train(*overrides, "stop_at=3", "name=stopped")
    newest, _ = run.checkpoints()
    newest.write_bytes(newest.read_bytes()[:-1])
    resume(run)
    assert f"{newest} is damaged" in capsys.readouterr().err
    assert_same_end(whole, run)


def test_without_a_whole_checkpoint_resume_refuses_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    run = train("stop_at=1")
    for path in run.checkpoints():
        path.write_bytes(b"nothing")
    metrics = (run.path / "metrics.csv").read_bytes()
    assert main(["resume", str(run.path)]) == 2
    assert "No checkpoint can be used" in capsys.readouterr().err
    assert (run.path / "metrics.csv").read_bytes() == metrics


def test_a_checkpoint_of_a_later_version_is_refused() -> None:
    run = train("stop_at=1")
    path = run.checkpoints()[0]
    checkpoint.save(run, checkpoint.load(path) | {"format": 2}, name=path.name)
    with pytest.raises(UserError, match="install a later one"):
        checkpoint.load(path)


def test_a_run_killed_before_its_first_checkpoint_starts_again() -> None:
    whole = train("name=whole")
    run = train("name=killed")
    for path in run.checkpoints():
        path.unlink()
    run.write_status("running", epoch=0)
    assert run.status()["status"] == "interrupted"
    assert_same_end(whole, resume(run))


def test_damaged_notes_of_a_run_stop_neither_the_list_nor_resume(capsys: pytest.CaptureFixture[str]) -> None:
    whole, run = train("name=whole"), train("name=stopped", "stop_at=1")
    (run.path / "status.json").write_text("{")
    (run.path / "result.json").write_text("{")
    assert main(["list", "runs"]) == 0
    output = capsys.readouterr().out
    assert "interrupted" in output and str(whole.path) in output
    assert_same_end(whole, resume(run))


def test_a_config_of_the_user_s_that_is_not_yaml_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("conf/model").mkdir(parents=True)
    Path("conf/model/bad.yaml").write_text("name: [\n")
    assert main(["train", "model=bad"]) == 2
    assert "bad.yaml" in capsys.readouterr().err


def test_a_truncated_metrics_file_is_refused() -> None:
    run = train("stop_at=1")
    os.truncate(run.path / "metrics.csv", 10)
    with pytest.raises(UserError, match=r"metrics\.csv is not as it was when the checkpoint was saved"):
        resume(run)


def test_a_directory_that_cannot_be_written_gives_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    Path("outputs").write_text("a file where a folder should be")
    assert main(["train", "epochs=1"]) == 1
    errors = capsys.readouterr().err
    assert "No run directory can be made in outputs" in errors and "Traceback" not in errors


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["optimizer.weight_decay=1e38"], "exp_avg_sq"),  # every update is 0, the loss stays as it is
        (
            ["dataset.normalization=given", "dataset.mean=0", "dataset.deviation=1e-20", "model.batch_norm=true"],
            "running_var",
        ),
    ],
)
def test_values_that_are_not_finite_are_never_saved(overrides: list[str], named: str) -> None:
    with pytest.raises(JobError, match=rf"{named} is not a finite number, after step 2"):
        train(*overrides, "checkpoint.every_epochs=1", "dataset.validation_fraction=0.2", "batch_size=64")
    assert not list(only_run().path.rglob("*.pt"))


def test_a_hostile_checkpoint_runs_no_code(tmp_path: Path) -> None:
    import hashlib
    import io
    import struct

    class Payload:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch {tmp_path}/pwned",)

    run = train("stop_at=1")
    buffer = io.BytesIO()
    torch.save({"format": 1, "model": Payload()}, buffer)
    archive = buffer.getvalue()
    digest = hashlib.sha256(archive).hexdigest().encode()
    run.checkpoints()[0].write_bytes(archive[:-2] + struct.pack("<H", 64) + digest)
    with pytest.raises(UserError, match="holds more than tensors"):
        checkpoint.latest(run)
    assert not (tmp_path / "pwned").exists()


def test_a_saved_run_whose_checkpoints_are_gone_is_not_started_again(capsys: pytest.CaptureFixture[str]) -> None:
    run = train("stop_at=1")
    metrics = (run.path / "metrics.csv").read_bytes()
    shutil.rmtree(run.path / "checkpoints")
    assert main(["resume", str(run.path)]) == 2
    assert "its checkpoints are gone" in capsys.readouterr().err
    assert (run.path / "metrics.csv").read_bytes() == metrics


def test_an_edited_config_is_another_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    run = train("stop_at=1", "batch_size=64")
    config = run.path / "config.yaml"
    config.write_text(config.read_text().replace("batch_size: 64", "batch_size: 32"))
    assert main(["resume", str(run.path)]) == 2
    assert "config.yaml was edited" in capsys.readouterr().err


def test_evaluate_says_when_the_newest_checkpoint_is_damaged(capsys: pytest.CaptureFixture[str]) -> None:
    run = train("epochs=3", "checkpoint.every_epochs=1")
    run.checkpoints()[0].write_bytes(b"x")
    assert main(["evaluate", str(run.path)]) == 0
    assert "is damaged" in capsys.readouterr().err


def test_a_closed_pipe_of_the_display_does_not_end_the_job() -> None:
    process = start("train", "epochs=2000", "batch_size=full")
    assert process.stdout is not None and process.stderr is not None
    process.stderr.readline()
    process.stderr.close()
    output = process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=60) == 0 and "2000 steps" in output
    assert only_run().status()["status"] == "finished"


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_ends_a_calling_python_program_too(
    number: int, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    import dlexp

    steps = iter(range(100))
    adam_step = torch.optim.Adam.step

    def step(self: torch.optim.Adam, *arguments: object) -> object:
        if next(steps) == 3:
            os.kill(os.getpid(), number)
        return adam_step(self, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    with pytest.raises(error):
        dlexp.train(["epochs=20"])
    assert only_run().status()["status"] == "stopped"


def test_a_signal_while_results_are_evaluated_or_written_ends_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train("epochs=2", "name=whole")
    for function in ("score", "classify"):  # before it is asked for, and after the last time
        with monkeypatch.context() as patch:
            real = getattr(evaluate, function)
            calls = iter(range(100))

            def signalled(*arguments: object, real=real, calls=calls, last=2 if function == "score" else 0) -> object:
                if next(calls) == last:  # test in each of two epochs, then both for the results
                    os.kill(os.getpid(), signal.SIGTERM)
                return real(*arguments)

            patch.setattr(evaluate, function, signalled)
            assert main(["train", "epochs=2", f"name={function}"]) == 128 + signal.SIGTERM
        run = only_run(Path("outputs") / function)
        assert run.status()["status"] == "stopped" and run.has_result() == (function == "classify")
        assert main(["resume", str(run.path)]) == 0
        assert_same_end(whole, run)


def test_an_unhandled_signal_is_passed_on() -> None:
    with pytest.raises(KeyboardInterrupt), Interruption() as outer:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert outer.signal is None
        raise AssertionError("it was swallowed")
    assert outer.signal == stop.signal == signal.SIGTERM
    with Interruption() as outer:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop()
        assert outer.signal is None


def test_an_older_checkpoint_under_a_newer_name_is_not_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    run = train("epochs=3", "checkpoint.every_epochs=1")
    newest, before = run.checkpoints()
    before.rename(newest)
    assert main(["evaluate", str(run.path)]) == 2
    assert "holds step" in capsys.readouterr().err


def test_a_killed_run_whose_checkpoints_are_gone_is_not_started_again() -> None:
    run = train("stop_at=1")
    run.write_status("running", epoch=1, step=2)
    shutil.rmtree(run.path / "checkpoints")
    with pytest.raises(UserError, match="its checkpoints are gone"):
        resume(run)


def test_an_edited_result_is_shown_as_damaged(capsys: pytest.CaptureFixture[str]) -> None:
    run = train()
    result = run.path / "result.json"
    result.write_text(result.read_text().replace('"epochs": 2', '"epochs": 3'))
    with pytest.raises(UserError, match=r"result\.json was edited, or is damaged"):
        run.read_json("result.json")
    assert main(["list", "runs"]) == 0
    assert "damaged" in capsys.readouterr().out


def test_a_table_shorter_than_an_older_version_s_checkpoint_says_is_refused() -> None:
    run = train("stop_at=1")
    (path,) = run.checkpoints()
    state = checkpoint.load(path)
    del state["digests"], state["experiment"]
    checkpoint.save(run, state, name=path.name)
    os.truncate(run.path / "metrics.csv", 10)
    with pytest.raises(UserError, match=r"metrics\.csv is not as it was"):
        resume(run)
