"""Long jobs and long sweeps leave memory, open files and the number of checkpoints as they were."""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from robustness.forks import Child, Trial, prepare

from dlexp.cli.main import main
from dlexp.training.checkpoint import KEPT

ALLOWED = 4 * 2**20  # bytes that memory may change by from the second quarter to the last: 84 a step of 50,000
PAGE = os.sysconf("SC_PAGE_SIZE")
TABULAR = ["dataset=breast_cancer", "dataset.validation_fraction=0.1", "dataset.train_size=500", "model.dropout=0.2"]
EVERYTHING = [
    *("log_every_n_steps=10", "evaluate_every_n_steps=50", "log_gradients=true", "log_units=true", "regularizer=l2"),
    *("checkpoint.every_seconds=0.5", "scheduler=exponential", "scheduler.gamma=0.9999", "model.batch_norm=true"),
]
LONG, SHORT = 100_000, 2_000  # steps
JOBS = {  # the steps of an epoch, and what else is said
    "many steps an epoch": (90, [*TABULAR, "batch_size=5", "checkpoint.every_epochs=20"]),
    "one step an epoch": (1, [*TABULAR, "batch_size=full", "early_stopping.patience=1000000", "optimizer=sgd"]),
    "everything logged": (90, [*TABULAR, "batch_size=5", *EVERYTHING]),
}
SWEPT = 120  # jobs


class Sample(NamedTuple):
    """What there is of a process and its run at one moment."""

    progress: int  # bytes of metrics.csv, runs of a sweep
    memory: int
    files: int
    checkpoints: int


def sample(pid: int, folder: Path) -> Sample:
    """Look at a process, whose run or runs are in a folder."""
    memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    tables = [*folder.rglob("metrics.csv")]
    progress = tables[0].stat().st_size if len(tables) == 1 else len(tables)
    return Sample(progress, memory, len([*Path(f"/proc/{pid}/fd").iterdir()]), len([*folder.rglob("step_*.pt")]))


def followed(folder: Path, arguments: list[str], *, worker: bool) -> list[Sample]:
    """Run a command in a fork; return samples of it, or of its one worker, from before it came to its end."""
    child = Child(folder, lambda: main(arguments))
    samples = []
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.02)
        children = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just come to its end
            if not worker or children:
                samples.append(sample(int(children[0]) if worker else child.pid, folder))
    code, said = child.wait()
    assert code == 0, said[-300:]
    return [each for each in samples if 0 < each.progress < samples[-1].progress]


def trials(*, short: bool) -> Iterator[Trial]:
    """Three jobs of 100,000 steps each, and a worker that does one job after another."""
    prepare(*([*overrides, "epochs=1"] for _, overrides in JOBS.values()))
    steps = SHORT if short else LONG
    with tempfile.TemporaryDirectory() as place:
        for what, (steps_per_epoch, overrides) in JOBS.items():
            arguments = ["train", *overrides, f"epochs={steps // steps_per_epoch}"]
            samples = followed(Path(place) / what, arguments, worker=False)
            most = max(each.checkpoints for each in samples)
            yield from changes(f"{steps:,} steps, {what}", samples)
            wrong = "" if most <= KEPT + 1 else f"there were {most}"  # the oldest goes when the newest is there
            yield Trial(f"{steps:,} steps, {what}: checkpoints", wrong)
        if not short:
            arguments = ["train", "-m", f"seed=range({SWEPT})", "epochs=1", "jobs=1"]
            yield from changes(f"a worker of {SWEPT} jobs", followed(Path(place) / "sweep", arguments, worker=True))


def changes(what: str, samples: list[Sample]) -> Iterator[Trial]:
    """Compare the second quarter of the samples with the last."""
    quarter = len(samples) // 4
    assert quarter > 5, f"{what}: {len(samples)} samples"
    for name, allowed in (("memory", ALLOWED), ("files", 0)):
        early, late = (
            statistics.median(getattr(each, name) for each in part)
            for part in (samples[quarter : 2 * quarter], samples[-quarter:])
        )
        grown = late - early
        yield Trial(f"{what}: {name}", f"{early:,} became {late:,}" if grown > allowed else "")
