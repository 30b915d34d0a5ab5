"""Every key has one role, and sweep, resume, compare and provenance agree about it."""

from pathlib import Path

import pytest
from small_runs import resume, train

from dlexp.cli.main import main
from dlexp.compare.groups import Record, confounders
from dlexp.config.composition import compose
from dlexp.config.keys import KEYS, role
from dlexp.config.registry import import_modules
from dlexp.errors import UserError
from dlexp.runs.directory import RunDirectory, flat
from dlexp.runs.provenance import config_hashes, config_sha256
from dlexp.sweep.expansion import expand
from dlexp.training.resume import resumed_config

COMPOSED = compose([])  # 60 ms, which each of 70 keys would take again
ALL = flat(COMPOSED)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run of a few files, for what `resume` refuses before it looks at any more."""
    found = RunDirectory(tmp_path / "run")
    found.path.mkdir()
    found.write_config(COMPOSED)
    return found


@pytest.mark.parametrize("key", ALL)
def test_sweep_resume_compare_and_provenance_agree_about_every_key(key: str, run: RunDirectory) -> None:
    assert key.split(".")[0] in [each for keys in KEYS.values() for each in keys], "declare its role in config/keys.py"
    kind = role(key)
    makes_a_job = kind in ("identity", "resumable") or key in ("name", "imports")
    assert is_refused(f"{key}=1,2", expand, "does not make another job") is not makes_a_job
    may_change = not is_refused(f"{key}={value(key)}", lambda given: resumed_config(run, given), "same experiment")
    assert may_change is (kind != "identity")
    assert bool(differences(key)) is ((kind == "identity" and key != "seed") or key == "epochs")
    top, changed = key.split(".")[0], dict(COMPOSED)
    changed[top] = {**changed[top], key.split(".")[1]: "other"} if "." in key else "other"
    assert (config_sha256(changed) != config_sha256(COMPOSED)) is (kind == "identity")


def is_refused(override: str, ask: object, words: str) -> bool:
    try:
        ask([override])  # type: ignore[operator]
    except UserError as error:
        return words in str(error)
    return False


def value(key: str) -> str:
    found = ALL[key]
    return "null" if found is None else "[]" if isinstance(found, list) else str(found).lower()


def differences(key: str) -> list[str]:
    """What `compare` calls uncontrolled between two groups that differ in a factor and in `key`."""
    keys = [{"factor": choice, **ALL, key: choice} for choice in ("one", "other")]
    return confounders([Record(str(each), each, dict.fromkeys(PROVENANCE), {}, {}) for each in keys], ["factor"])


PROVENANCE = ("data_sha256", "split_sha256", "numerics", "code_sha256", "torch", "numpy", "processor", "device_name",
          "threads", "initial_weights_sha256")  # fmt: skip


def test_a_key_that_nobody_declared_may_decide_the_bits() -> None:
    assert role("warmth") == role("warmth.level") == "identity"


def test_a_run_may_go_on_with_other_tables_and_come_back_to_them() -> None:
    whole = train("epochs=6", "log_units=true", "name=whole")
    run = train("epochs=6", "log_gradients=true", "stop_at=2", "name=changing")
    first = (run.path / "gradients.csv").read_bytes()
    resume(run, "log_gradients=false", "log_units=true", "stop_at=4")
    assert (run.path / "gradients.csv").read_bytes() == first
    resume(run, "log_gradients=true", "log_units=true")
    rows = run.read_rows("units.csv")
    assert {row["epoch"] for row in rows} == {"3", "4", "5", "6"}
    assert rows == [row for row in whole.read_rows("units.csv") if row["epoch"] > "2"]
    assert (run.path / "gradients.csv").read_bytes().startswith(first)
    assert {row["epoch"] for row in run.read_rows("gradients.csv")} == {"1", "2", "5", "6"}
    for one, other in zip(whole.read_table("metrics.csv"), run.read_table("metrics.csv"), strict=True):
        assert one["train/loss"] == other["train/loss"]


def test_a_sweep_says_that_finished_jobs_were_observed_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", "seed=1,2", "epochs=1", "jobs=1"]) == 0
    capsys.readouterr()
    assert main(["train", "-m", "seed=1,2", "epochs=1", "log_gradients=true"]) == 0
    out, errors = capsys.readouterr()
    assert "2 jobs: 2 done." in out
    assert errors == "2 done jobs were run with log_gradients=false: --fresh trains them anew.\n"
    assert main(["train", "-m", "seed=1,2", "epochs=1"]) == 0
    assert "done jobs were run" not in capsys.readouterr().err


def test_a_run_of_dlexp_0_1_0_keeps_what_its_hash_counts() -> None:
    whole = train("epochs=4", "name=whole")
    run = train("epochs=4", "stop_at=2", "name=old")
    digest = config_hashes(run.read_config())[1]
    run.write_json("environment.json", {**run.read_json("environment.json"), "config_sha256": digest})
    with pytest.raises(UserError, match=r"begun by dlexp 0\.1\.0"):
        resume(run, "log_units=true")
    resume(run)
    assert run.read_table("metrics.csv")[-1]["train/loss"] == whole.read_table("metrics.csv")[-1]["train/loss"]


def test_imports_may_be_renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path.cwd())
    for name in ("nets_before", "nets_after"):
        Path(f"{name}.py").write_text("from dlexp.models.mlp import mlp as mine\n")
        import_modules([name])
    run = train("imports=[nets_before]", "model=custom", "model.name=mine", "epochs=2", "stop_at=1")
    assert resume(run, "imports=[nets_after]").status()["status"] == "finished"
