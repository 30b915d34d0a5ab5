"""A stop at every step and at every epoch changes nothing; and each piece of a checkpoint's state is needed for that.

The control: of a run that was stopped in the middle of an epoch, a piece of its checkpoint is left out, or is that of
another run. Then resume has to refuse it, or has to end otherwise than the run that was never stopped.
"""

import io
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

from robustness.faults import difference
from robustness.forks import Trial, prepare
from robustness.kills import KILLED
from small_runs import assert_same_end, resume, train
from torch.optim.optimizer import register_optimizer_step_pre_hook

from dlexp.errors import UserError
from dlexp.runs.directory import RunDirectory
from dlexp.training import checkpoint

# Draws from every generator; and its best epoch is the first, so that what it was then has to be kept.
NOISY = """
import random
import numpy
from torch import nn

class Noise(nn.Module):
    def forward(self, inputs):
        return inputs + 0.1 * random.random() + 0.1 * numpy.random.rand() if self.training else inputs

def noisy(*, input_shape, num_outputs):
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), Noise(), nn.ReLU(), nn.Linear(8, num_outputs))
"""
ALL_STATE = ["imports=[noisy]", "model=custom", "model.name=noisy", "optimizer=sgd", "optimizer.momentum=0.9",
             "optimizer.lr=1e-5", "scheduler=exponential", "dataset.validation_fraction=0.2", "batch_size=16",
             "early_stopping.monitor=validation/accuracy", "log_every_n_steps=2", "epochs=4"]  # fmt: skip
PARTS = ("random", "progress", "lengths", "digests")  # pieces that consist of others
NOT_NOTICED = {  # and why
    "nothing": "it is the undisturbed state",
    "random.cuda": "this trains on the CPU",
    "progress.epoch_seconds": "tells time",
    "progress.training_seconds": "tells time",
    "progress.lr": "the next step tells its own; only an epoch whose last step is made needs it",
    "format, left out": "whoever saves adds it",
    # These two guard against changes by others; checkpoints of older versions have neither.
    "digests, left out": "",
    "digests.metrics.csv, left out": "",
    "digests.steps.csv, left out": "",
    "experiment, left out": "",
}


@contextmanager
def signal_at_step(step: int) -> Iterator[None]:
    """While entered, the step of that number, of whatever optimizer, is met by a signal."""
    steps = itertools.count(1)

    def meet(*_: object) -> None:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGTERM)

    hook = register_optimizer_step_pre_hook(meet)
    try:
        yield
    finally:
        hook.remove()


def stopped_at(step: int, overrides: list[str]) -> RunDirectory:
    """Train as far as a step."""
    with signal_at_step(step):
        run = train(*overrides)
    assert run.status()["step"] == step
    return run


def stops(what: str, overrides: list[str], every: int) -> Iterator[Trial]:
    """Stop at a step, of `every` so many one, and go on; at an epoch; and at one step after the other."""
    with tempfile.TemporaryDirectory() as place:
        whole, folder = Path(place) / "whole", Path(place) / "stopped"
        whole.mkdir()
        with chdir(whole):
            result = train(*overrides).read_json("result.json")

        def gone_on(how: str, work: Callable[[], object]) -> Trial:
            folder.mkdir()
            with chdir(folder):
                work()
            wrong = difference(whole, folder)
            shutil.rmtree(folder)
            return Trial(f"{what}, {how}", wrong)

        def one_after_the_other() -> None:
            run = stopped_at(1, overrides)
            for step in range(2, result["steps"] + 1):
                with signal_at_step(1):
                    resume(run)
                assert run.status()["step"] == step
            resume(run)

        for step in range(1, result["steps"] + 1, every):
            yield gone_on(f"stopped at step {step}", lambda at=step: resume(stopped_at(at, overrides)))
        for epoch in range(1, result["epochs"]):
            yield gone_on(f"stop_at={epoch}", lambda at=epoch: resume(train(*overrides, f"stop_at={at}")))
        yield gone_on("stopped at each step in turn", one_after_the_other)


def changed(state: dict[str, Any], other: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each piece's name, what was done to it, and the state without it or with the one of `other`."""
    for key, value in state.items():
        yield key, "left out", {name: each for name, each in state.items() if name != key}
        yield key, "another's", {**state, key: other[key]}
        for part, how, parts in changed(value, other[key]) if key in PARTS else ():
            yield f"{key}.{part}", how, {**state, key: parts}


def control(every: int) -> Iterator[Trial]:
    """Go on from checkpoints with a piece changed, of `every` so many one; the same end means that nobody noticed."""
    with tempfile.TemporaryDirectory() as place, chdir(place):
        Path("noisy.py").write_text(NOISY)
        whole, run = train(*ALL_STATE, "name=whole"), stopped_at(17, [*ALL_STATE, "name=stopped"])
        other = checkpoint.load(stopped_at(25, [*ALL_STATE, "name=other", "seed=5"]).checkpoints()[0])
        state = checkpoint.load(run.checkpoints()[0])
        other |= {"progress": vars(checkpoint.Progress()), "best_weights": None, "format": checkpoint.FORMAT + 1}
        other |= {"lengths": dict.fromkeys(state["lengths"], 10), "totals": state["totals"] * 0}
        for piece, how, mutant in [("nothing", "left out", state), *changed(state, other)][::every]:
            copy = RunDirectory(Path(shutil.copytree(run.path, Path("mutant") / "run")))
            checkpoint.save(copy, mutant, name=copy.checkpoints()[0].name)
            for older in copy.checkpoints()[1:]:
                older.unlink()
            try:
                assert_same_end(whole, resume(copy))
            except (AssertionError, UserError):
                noticed = True
            else:
                noticed = False
            shutil.rmtree("mutant")
            what = f"{piece}, {how}"
            expected = not what.startswith(tuple(NOT_NOTICED))
            yield Trial(what, "" if noticed == expected else "was noticed" if noticed else "was not noticed")


def trials(*, short: bool) -> Iterator[Trial]:
    """Every step and epoch of every kind; every piece of the state. In short some steps of one kind."""
    prepare()
    with redirect_stderr(io.StringIO()):
        for what in ("every table",) if short else KILLED:
            yield from stops(what, [*KILLED[what], "epochs=3", "checkpoint.every_epochs=1"], 4 if short else 1)
        yield from control(2 if short else 1)
