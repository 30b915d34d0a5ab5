"""Resuming a run: which settings may change, and which must not."""

import shlex
from collections.abc import Sequence
from typing import Any

from dlexp.config.code import code_sha256
from dlexp.config.config import Config, load_config
from dlexp.config.keys import KEYS, may_change
from dlexp.config.registry import import_modules
from dlexp.errors import FixedLengthError, UserError
from dlexp.runs.directory import RunDirectory
from dlexp.runs.provenance import config_hashes, environment
from dlexp.training.build import check
from dlexp.training.setup.job import Job


def resumed_config(run: RunDirectory, overrides: Sequence[str]) -> Config:
    """Return the run's own config, without its `stop_at`, changed by `overrides`.

    Raises UserError for a key that would make it another experiment, or for an end before the epochs already done.
    """
    for override in overrides:
        if not may_change(override.split("=")[0]):
            free = ", ".join(key for role, keys in KEYS.items() if role != "identity" for key in keys)
            raise UserError(
                f"{override}: a resumed run stays the same experiment; only {free} may change. "
                f"For another one: {shlex.join(['dlexp', 'train', '--config', f'{run.path}/config.yaml', override])}"
            )
    if not any(override.startswith("stop_at=") for override in overrides):
        overrides = [*overrides, "stop_at=null"]
    run.read_config()  # raises if it is not as it was written
    config = check(load_config(overrides, file=run.path / "config.yaml"), kept=True)
    refuse_other_code(run, config, overrides)
    if config.is_demonstration:
        raise UserError(f"{run.path} demonstrated something, and trained nothing: there is nothing to resume.")
    done = run.status().get("epoch", 0)
    for key in ("epochs", "stop_at"):
        value = getattr(config, key)
        if value is not None and value < done:
            raise UserError(f"{key}={value}: {run.path} has done {done} epochs already.")
    return config


def refuse_other_code(run: RunDirectory, config: Config, overrides: Sequence[str]) -> None:
    """Raise UserError if the code of `imports` has changed since the run began, unless `imports` is in `overrides`."""
    if not config.imports or any(override.startswith("imports=") for override in overrides):
        return
    then = run.read_json("environment.json")
    # dlexp 0.1.0, which had no numerics version, hashed its own files.
    if "numerics" in then and then.get("code_sha256") != code_sha256(import_modules(config.imports)):
        imports = f"imports=[{','.join(config.imports)}]"
        raise UserError(
            f"{run.path} was trained with other code than {imports} has now (code_sha256 differs). "
            f"Restore that code; or, if the change does not matter here, add {shlex.quote(imports)} to the command."
        )


def kept_config(config: Config, run: RunDirectory) -> dict[str, Any]:
    """Return config.yaml of a resumed run: it keeps its own identity keys, even if this version of dlexp has more.

    So its hash stays equal to the one in environment.json.
    """
    return run.read_config() | {key: value for key, value in config.to_mapping().items() if may_change(key)}


def check_provenance(job: Job, run: RunDirectory) -> list[str]:
    """Return the differences (versions, device, threads) that keep a resumed run from being bit-exact, for warnings.

    Raises UserError if the data differ, or if the schedule does not let the number of epochs change.
    """
    then, here = run.read_json("environment.json"), environment(job.config, job.device, job.hashes)
    for key in ("data_sha256", "split_sha256"):
        if then.get(key) != here[key]:
            raise UserError(f"{run.path} was trained on other data than those in data_dir now ({key} differs).")
    if then.get("config_sha256") not in config_hashes(run.read_config()):
        raise UserError(f"{run.path}/config.yaml was edited: a run stays the same experiment. Start a new one from it.")
    if then.get("config_sha256") not in config_hashes(kept_config(job.config, run)):
        raise UserError(
            f"{run.path} was begun by dlexp 0.1.0, whose hash of a run includes its observation keys and its imports: "
            "resume it without changing them, or start a new run."
        )
    before = run.read_config().get("epochs")
    if job.config.epochs != before and job.schedule.fixed_length:
        raise FixedLengthError(
            f"epochs={job.config.epochs}: the run was planned for {before}, and {job.schedule.fixed_length}, so "
            "every learning rate so far would have been different."
        )
    watched = ["torch", "numpy", "processor", "device", "device_name", "threads"]
    if "numerics" in then:  # dlexp 0.1.0 hashed its own files instead
        watched += ["numerics", "code_sha256"]
    return [f"{key} was {then.get(key)}, is {here[key]}" for key in watched if then.get(key) != here[key]]
