"""The jobs of a sweep, and which of them are done: a job is its config, its data and the code that trains it.

Run directories are the registry: every run under `output_dir` counts, even if it was moved there.
"""

import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dlexp.config.code import code_sha256
from dlexp.config.composition import Choices
from dlexp.config.config import Config, load_config
from dlexp.config.keys import role
from dlexp.config.registry import import_modules
from dlexp.data import preparation as data
from dlexp.errors import UserError
from dlexp.runs.directory import RunDirectory, find_runs, strict
from dlexp.runs.formatting import label
from dlexp.runs.provenance import NUMERICS_VERSION, config_sha256
from dlexp.sweep.messages import Train
from dlexp.training.build import build, check

State = Literal["missing", "done", "shorter", "interrupted", "failed", "running"]


@dataclass(frozen=True)
class Task:
    """One job of a sweep: its overrides, its config and hash, and its state and run so far."""

    overrides: tuple[str, ...]  # as they were typed
    config: Config  # checked
    job: str  # hash of config, data and code, independent of epochs
    state: State = "missing"
    run: RunDirectory | None = None

    @property
    def key(self) -> str:
        """The task's unique key: the job, its name, its epochs and its `stop_at`."""
        name = hashlib.sha256(self.config.name.encode()).hexdigest()[:8]
        return f"{self.job}_{name}_{self.config.epochs}_{self.config.stop_at or 0}"

    @property
    def kind(self) -> str:
        """A key that jobs share if they differ only in seed, name or reference."""
        return repr(replace(self.config, seed=0, name="", reference=()))

    @property
    def log(self) -> Path:
        """The file that holds the job's own output while a worker trains it."""
        return Path(self.config.output_dir) / ".jobs" / f"{self.key}.log"

    def order(self, *, fresh: bool = False, device: str | None = None) -> Train:
        """Return the message that tells a worker to train it."""
        run = str(self.run.path) if self.run else None
        return Train(self.config.to_mapping(), self.job, ("dlexp", "train", *self.overrides), run, fresh, device)


def tasks(jobs: Sequence[Sequence[str]], *, fresh: bool = False) -> list[Task]:
    """Check the jobs of these overrides and find each one's run; equal jobs become one task.

    All are checked before any runs; `fresh` ignores existing runs. Raises UserError for a wrong key or value, JobError
    if the data cannot be fetched.
    """
    found: dict[str, Task] = {}
    hashes: dict[object, str] = {}
    choices: Choices = {}
    for job in jobs:
        config, overrides = check(load_config(job, choices=choices)), tuple(job)
        if config.threads == "auto":  # the bits must not depend on how many jobs run side by side
            config, overrides = replace(config, threads=1), (*overrides, "threads=1")
        task = Task(overrides, config, job_key(config, hashes))
        found.setdefault(task.key, task)
    if fresh:
        return list(found.values())
    output_dirs = {Path(task.config.output_dir) for task in found.values()}
    their_own = {Path(task.config.output_dir) / task.config.name for task in found.values()}
    there: dict[tuple[str, str], list[RunDirectory]] = {}
    for run in find_runs(*output_dirs):
        try:
            there.setdefault(job_and_name(run), []).append(run)
        except UserError as error:  # damaged runs of other names do not matter here
            if run.path.parent in their_own:
                print(f"Warning: the job of this run is unknown, so no job resumes it: {error}", file=sys.stderr)
    looked: dict[str, Task] = {}
    taken: set[Path] = set()
    # A run belongs to one task: first to a task that it completes, then to the shortest one that it can become.
    for states in (("done", "running"), ("interrupted", "shorter", "failed")):
        for task in sorted(found.values(), key=lambda task: task.config.stop_at or task.config.epochs):
            free = [run for run in there.get((task.job, task.config.name), ()) if run.path not in taken]
            if task.key not in looked and (one := look(task, free)).state in states and one.run:
                looked[task.key] = one
                taken.add(one.run.path)
    return [looked.get(key, task) for key, task in found.items()]


def observed_otherwise(everything: Iterable[Task]) -> Counter[str]:
    """Count the done tasks whose runs lack observations that the config asks for, by their own `key=value`."""
    lacking: Counter[str] = Counter()
    for task in everything:
        if task.state == "done" and task.run:
            kept = task.run.read_config()
            asked = {key: value for key, value in task.config.to_mapping().items() if role(key) == "observation"}
            lacking.update(
                f"{key}={'null' if kept[key] is None else label(kept[key])}"
                for key, value in asked.items()
                if value and key != "checkpoint" and strict(value) != kept.get(key, strict(value))
            )
    return lacking


def one_of_each_kind(todo: Iterable[Task]) -> list[Config]:
    """Return the config of one task of each kind."""
    return [task.config for task in {task.kind: task for task in todo}.values()]


def refuse_misfits(configs: Iterable[Config]) -> None:
    """Build the jobs of checked configs without training them; raise UserError for the first misfit."""
    for config in configs:
        if not config.is_demonstration:
            build(config)


def look(task: Task, runs: Sequence[RunDirectory]) -> Task:
    """Return the task with the furthest of `runs`, which all belong to its job, and the resulting state."""
    order: tuple[State, ...] = ("failed", "shorter", "interrupted", "running", "done")
    states = [(order.index(state), run.status().get("step", 0), run) for run in runs if (state := _state(task, run))]
    if not states:
        return replace(task, state="missing", run=None)
    rank, _, run = max(states, key=lambda each: each[:2])
    return replace(task, state=order[rank], run=run)


def job_key(config: Config, hashes: dict[object, str]) -> str:
    """Return the hash that identifies a checked config's job; `hashes` caches the hashes of code and data."""
    imports = import_modules(config.imports)
    if config.imports not in hashes:
        hashes[config.imports] = code_sha256(imports)
    data_sha256 = ""
    if not config.is_demonstration:
        name = repr((config.dataset, config.data_dir))
        if name not in hashes:
            hashes[name] = data.sha256_of(config.dataset, Path(config.data_dir), imports)
        data_sha256 = hashes[name]
    return _key(config_sha256(config.to_mapping()), data_sha256, NUMERICS_VERSION, hashes[config.imports])


def job_and_name(run: RunDirectory) -> tuple[str, str]:
    """Return the key of a run's job and the run's name. Raises UserError if its config or provenance is damaged."""
    notes, name = run.read_json("environment.json"), str(run.read_config().get("name"))
    return _key(*(str(notes.get(key, "")) for key in ("config_sha256", "data_sha256", "numerics", "code_sha256"))), name


def _key(config: str, data_hash: str, numerics: object, code: str) -> str:
    return hashlib.sha256(f"{config} {data_hash} {numerics} {code}".encode()).hexdigest()[:32]


def _state(task: Task, run: RunDirectory) -> State | None:
    """Return the state of a task of the same job with this run; None if the run is longer than the task."""
    status, epochs = run.status(), run.read_config().get("epochs")
    wanted = min(task.config.epochs, task.config.stop_at or task.config.epochs)
    if run.is_locked():
        return "running"
    if status["status"] == "failed":
        return "failed"
    if status["status"] == "finished" and epochs == task.config.epochs:
        return "done" if run.has_result() else "interrupted"
    if status["status"] == "stopped" and task.config.stop_at and status["epoch"] == wanted:
        return "done" if run.has_result() else "interrupted"
    if status["epoch"] > wanted or not isinstance(epochs, int) or epochs > task.config.epochs:
        return None
    return "shorter" if status["status"] == "finished" else "interrupted"
