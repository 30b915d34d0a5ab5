"""SIGKILL at random moments, from import to the last picture: what goes on ends as what was never killed.

A trial is a kill that met a process alive. Of a run, a copy of what it left goes on and is compared with an undisturbed
one, while the next kill meets the run itself, going on. (Every call to the disk, not random moments: see faults.)
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import matplotlib.backends.backend_agg
import matplotlib.figure  # noqa: F401 - so that no fork imports it
from robustness.faults import difference, go_on, next_command
from robustness.forks import Child, Trial, children, dlexp, prepare
from small_runs import IMAGES, KINDS, TABULAR

from dlexp.cli.main import main
from dlexp.components.schedulers import SCHEDULERS
from dlexp.runs.directory import find_runs

OFTEN = ["epochs=6", "checkpoint.every_epochs=1", "checkpoint.every_seconds=0.02"]
AUGMENTATION = "dataset.augmentation=[rotate90, {shift: 1}, {brightness: 0.2}, random_resized_crop, {cutout: 3}]"
STOPS_EARLY = ["early_stopping.patience=1", "early_stopping.monitor=validation/accuracy", "optimizer.lr=1e-9"]
KILLED = {
    **KINDS,
    "augmentation": [*IMAGES, AUGMENTATION],
    "by hand": ["dataset=iris", "batch_size=16", "model.backward=manual", "optimizer=sgd", "optimizer.momentum=0.9"],
    "early stopping": [*TABULAR, *STOPS_EARLY, "model.batch_norm=false"],
    "every table": ["dataset=playground", "log_units=true", "evaluate_every_n_steps=3", "trace_steps=4"],
    **{f"scheduler {name}": [*TABULAR, f"scheduler={name}"] for name in SCHEDULERS.builders},
}
SWEEP = ["train", "-m", "seed=range(3)", "batch_size=8", "epochs=60", "checkpoint.every_epochs=1", "jobs=2"]

Begin = Callable[[Path, list[str]], Child]


def fork(folder: Path, overrides: list[str]) -> Child:
    """Train, or go on with what there is, in a fork."""
    return Child(folder, lambda: go_on(overrides))


def process(folder: Path, overrides: list[str]) -> Child:
    """The same in a process of its own, which begins with its imports."""
    command = [sys.executable, "-m", "dlexp.cli"]
    return Child(folder, lambda: os.execv(command[0], [*command, *next_command(overrides)]))


def undisturbed(child: Child) -> float:
    """Return the seconds that it takes."""
    started = time.monotonic()
    code, said = child.wait()
    assert code == 0, said
    return time.monotonic() - started


def kills(what: str, overrides: list[str], number: int, begin: Begin = fork) -> Iterator[Trial]:
    """Kill whoever trains or goes on, until `number` of them were killed; a run that came to its end makes way."""
    with tempfile.TemporaryDirectory() as place:
        whole, killed, copy = (Path(place) / name for name in ("whole", "killed", "copy"))
        seconds, chance, met = undisturbed(begin(whole, overrides)), random.Random(what), 0
        while met < number:
            child, moment = begin(killed, overrides), chance.uniform(0, seconds)
            child.kill_after(moment)
            code, said = child.wait()
            if code != -signal.SIGKILL:
                if wrong := said if code else difference(whole, killed):
                    yield Trial(f"{what}, not killed", wrong)
                shutil.rmtree(killed)
                continue
            met += 1
            shutil.copytree(killed, copy)
            code, said = fork(copy, overrides).wait()
            wrong = f"did not go on: {code}: {said[-300:]}" if code else difference(whole, copy)
            yield Trial(f"{what}, kill {met}, after {moment:.2f} s", wrong)
            shutil.rmtree(copy)


def sweep_kill(whole: Path, folder: Path, moment: float, chance: random.Random | None) -> Trial | None:
    """Kill the parent of a sweep, or by `chance` one of its workers, then give the same command; None: it had ended."""
    child = Child(folder, lambda: main(SWEEP))
    workers = children(child.pid) if child.outlives(moment) else []
    if not workers:
        child.wait()
        return None
    what = f"sweep, {'a worker' if chance else 'its parent'} killed after {moment:.2f} s"
    os.kill(chance.choice(workers) if chance else child.pid, signal.SIGKILL)
    try:
        code, said = child.wait(within=60)
    except TimeoutError:
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        return Trial(what, "left a worker that did not end")
    states = {run.status()["status"] for run in find_runs(folder)}
    if not chance and not states <= {"stopped", "finished"}:
        return Trial(what, f"left {states}")
    if chance and code != 0 and (code != 1 or "killed by signal 9" not in said):
        return Trial(what, f"ended with {code}: {said[-300:]}")
    code, said = dlexp(folder, *SWEEP)
    return Trial(what, f"did not go on: {code}: {said[-300:]}" if code else difference(whole, folder))


def sweep_kills(number: int) -> Iterator[Trial]:
    """Kill the parents of `number` sweeps, and workers of as many."""
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        seconds = undisturbed(Child(whole, lambda: main(SWEEP)))
        for whose in (None, chance):
            met = 0
            while met < number:
                with tempfile.TemporaryDirectory() as folder:
                    trial = sweep_kill(whole, Path(folder), chance.uniform(0, seconds), whose)
                if trial:
                    met += 1
                    yield trial


def trials(*, short: bool) -> Iterator[Trial]:
    """Every kind of run, in forks; one in whole processes; sweeps. In short a few kinds, in forks."""
    prepare(IMAGES, TABULAR, draw=True)
    for what in ("images", "by hand", "early stopping") if short else KILLED:
        yield from kills(what, [*KILLED[what], *OFTEN], 2 if short else 13)
    if not short:
        yield from kills("process", [*KILLED["images"], *OFTEN], 15, process)
        yield from sweep_kills(8)
