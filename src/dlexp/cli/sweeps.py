"""Start the jobs of a command, and show their results."""

import os
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlexp.config.config import Config
from dlexp.config.lazy import torch
from dlexp.config.overrides import of_plugins
from dlexp.errors import JobError, UserError
from dlexp.report import figures, sweeps, text, worked
from dlexp.runs.directory import RunDirectory
from dlexp.runs.formatting import label, table
from dlexp.sweep.cost import costs
from dlexp.sweep.expansion import expand, varied
from dlexp.sweep.jobs import observed_otherwise, one_of_each_kind, refuse_misfits, tasks
from dlexp.sweep.launchers import launch, study
from dlexp.sweep.pool import supervise
from dlexp.sweep.progress import LiveTable, is_done

if TYPE_CHECKING:
    from dlexp.sweep.jobs import Task
    from dlexp.sweep.messages import Ended

MANY = 50  # each combination takes some 60 ms to compose and check
STATES = {
    "missing": "to run",
    "done": "done",
    "shorter": "to be extended",
    "interrupted": "to go on",
    "failed": "failed before",
    "running": "in another process",
}


def sweep(
    overrides: Sequence[str],
    *,
    fresh: bool = False,
    dry_run: bool = False,
    retry_failed: bool = False,
    fail_fast: bool = False,
) -> int:
    """Run the jobs of a sweep that are not done yet; show a failed one and, unless `fail_fast`, go on with the others.

    `retry_failed` runs only the failed jobs, `fresh` runs all of them again, `dry_run` runs none.
    """
    plugins = of_plugins(overrides)
    overrides = [each for each in overrides if each not in plugins]
    if any(each.startswith("hydra/sweeper") for each in plugins):
        study(overrides, plugins, figures.draw)
        return 0
    everything = tasks(_jobs_of(overrides), fresh=fresh)
    settings = dict(zip((task.key for task in everything), varied([t.overrides for t in everything]), strict=True))
    names = {key: _settings(values) for key, values in settings.items()}
    wanted = ("failed",) if retry_failed else ("missing", "shorter", "interrupted", "failed")
    todo = [task for task in everything if task.state in wanted]
    print(_counted(everything), flush=True)
    for had, count in observed_otherwise(everything).items():
        print(
            f"{count} done job{'s' * (count != 1)} {'were' if count != 1 else 'was'} run with {had}: "
            "--fresh trains them anew.",
            file=sys.stderr,
        )
    for task in everything if dry_run else ():
        print(f"  {task.state:11}  {names[task.key]}  {task.run.path if task.run else ''}".rstrip())
    if dry_run:
        return 0
    answers, signal = _run(todo, plugins, names, fresh=fresh, fail_fast=fail_fast)
    if signal:
        print("Stopped. The same command goes on.")
        return 128 + signal
    done = {task.key: task.run for task in everything if task.state == "done" and task.run}
    done |= {key: RunDirectory(Path(answer.run)) for key, answer in answers.items() if is_done(answer) and answer.run}
    _conclude_sweep([(settings[task.key], done[task.key]) for task in everything if task.key in done])
    running = sum(task.state == "running" for task in everything)
    running += sum(answer.status == "running" for answer in answers.values())
    stopped = sum(bool(answer.signal) for answer in answers.values())
    for count, what in (
        (len(todo) - len(answers), "not started, because one failed"),
        (running, "run by another process"),
        (stopped, "stopped by a signal: the same command goes on"),
    ):
        if count:
            print(f"{_jobs(count)} {what}.", file=sys.stderr)
    codes = {answer.exit_code for answer in answers.values() if answer.status == "failed"}
    return min(codes, default=JobError.exit_code if stopped else 0)


def _run(
    todo: "Sequence[Task]", plugins: Sequence[str], names: Mapping[str, str], *, fresh: bool, fail_fast: bool
) -> "tuple[dict[str, Ended], int | None]":
    """Run the tasks in processes of this machine, or by the launcher in `plugins`; show each as it ends."""
    if not plugins or not todo:
        devices = _devices(todo[0].config) if todo else []
        live = LiveTable(names, len(todo), len(devices))
        try:
            return supervise(todo, devices, live, fresh=fresh, fail_fast=fail_fast)
        finally:
            live.close()

    refuse_misfits(one_of_each_kind(todo))
    live = LiveTable(names, len(todo))
    answers = launch(todo, plugins, figures.draw, fresh=fresh)
    for task in todo:
        live.ended(0, task.key, answers[task.key])
    return answers, None


def plan(overrides: Sequence[str]) -> int:
    """Print how many jobs there are, and the cost of each and of all, estimated from a few measured batches."""
    everything = tasks(_jobs_of(overrides))
    todo = [task for task in everything if task.state not in ("done", "running")]
    trained = [task for task in todo if not task.config.is_demonstration]
    print(_counted(everything), flush=True)
    if not trained:
        return 0
    found = costs(trained)
    rows: dict[str, list[Any]] = {}
    for task, values in zip(todo, varied([task.overrides for task in todo]), strict=True):
        if task.key in found:
            name = _settings({key: value for key, value in values.items() if key != "seed"}) or "as it is"
            cost = found[task.key]
            shown = [cost.parameters or "?", f"{cost.memory / 2**20:.0f} MiB" if cost.memory else "?"]
            row = rows.setdefault(name, [name, 0, *shown, _duration(cost.seconds)])
            row[1] += 1
    print(table(["", "jobs", "parameters", "memory", "time each"], rows.values()))
    side_by_side = len(_devices(everything[0].config))
    total = sum(cost.seconds for cost in found.values())
    print(f"\n{_duration(total)} in all, about {_duration(total / side_by_side)} with {side_by_side} side by side.")
    return 0


def _jobs_of(overrides: Sequence[str]) -> list[list[str]]:
    jobs = expand(overrides)
    if len(jobs) >= MANY:
        print(f"Checking {len(jobs)} combinations before any job runs.", file=sys.stderr, flush=True)
    return jobs


def _counted(everything: "Sequence[Task]") -> str:
    counts = Counter(task.state for task in everything)
    return f"{_jobs(len(everything))}: {', '.join(f'{n} {STATES[state]}' for state, n in counts.items())}."


def _jobs(count: int) -> str:
    return f"{count} job{'s' * (count != 1)}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _devices(config: Config) -> list[str | None]:
    """Return the devices of jobs that run side by side: one on each GPU, or as many on the CPU as its cores allow."""
    gpus = 0
    if config.device in ("auto", "cuda") and Path("/dev/nvidia0").exists():
        gpus = torch.cuda.device_count()
    cores = len(os.sched_getaffinity(0)) // (config.threads if isinstance(config.threads, int) else 1)
    jobs = config.jobs if config.jobs != "auto" else gpus or max(1, min(cores, 8))
    return [f"cuda:{i % gpus}" if gpus else None for i in range(jobs)]


def _settings(varied: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={label(value)}" for key, value in varied.items())


def _conclude_sweep(runs: Sequence[tuple[Mapping[str, Any], RunDirectory]]) -> None:
    """Print the results of single runs and a table of all; draw the pictures of each run and of the sweep."""
    whole = [(setting, run) for setting, run in runs if run.has_result()]
    if len(whole) < len(runs):
        print(f"{_jobs(len(runs) - len(whole))} left no whole result.json.", file=sys.stderr)
    for setting, run in whole:
        try:
            figures.draw(run, anew=False)
        except UserError as error:  # a table of it was edited; its figures are still in result.json
            print(f"No pictures of {run.path}: {error}", file=sys.stderr)
        if run.demonstration:
            print("\n" + text.demonstration(run))
        elif len(runs) == 1 or worked.is_worked_example(run):
            print(f"\n{_settings(setting)}\n{text.result(run)}")
    trained = [(setting, run) for setting, run in whole if not run.demonstration]
    if len(trained) > 1:
        print("\n" + sweeps.results(trained))
        for path in sweeps.draw(trained):
            print(path)


def conclude(run: RunDirectory) -> int:
    """Draw and print a run's results; after a signal only print how to resume it."""
    status, again = run.status(), f"dlexp resume {shlex.quote(str(run.path))}"
    if signal := status.get("signal"):
        print(f"Stopped after epoch {status['epoch']}, step {status['step']}. Go on with: {again}")
        return 128 + int(signal)
    figures.draw(run)
    print(text.demonstration(run) if run.demonstration else text.result(run))
    if status["status"] == "stopped":
        print(f"Stopped at epoch {status['epoch']}. Go on with: {again}")
    return 0
