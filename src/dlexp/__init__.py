"""dlexp: a PyTorch experiment runner driven by config files.

import dlexp
run = dlexp.train(["dataset=iris", "model=mlp", "epochs=50"])
run.metrics, run.result, run.config, run.load_model()
"""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlexp.training.process.state import unchanged

if TYPE_CHECKING:
    from dlexp.runs.directory import RunDirectory
    from dlexp.training.run import Run

__all__ = ["load_run", "resume", "train"]


@unchanged()
def train(overrides: Sequence[str] = ()) -> "Run":
    """Do what `dlexp train` does with these overrides, and return the run.

    Raises dlexp.errors.UserError for a wrong config, JobError for a job that cannot go on. After a signal it saves the
    run and raises KeyboardInterrupt or SystemExit, as Python does.
    """
    from dlexp.config.config import load_config
    from dlexp.report.figures import draw
    from dlexp.training.build import check
    from dlexp.training.loop import work_of
    from dlexp.training.run import Run

    config = check(load_config(overrides))
    directory = work_of(config)(config)
    _pass_on_signal(directory)
    draw(directory)
    return Run(directory.path)


@unchanged()
def resume(path: str, overrides: Sequence[str] = ()) -> "Run":
    """Do what `dlexp resume` does, and return the run. Raises as `train` does."""
    from dlexp.report.figures import draw
    from dlexp.training import loop
    from dlexp.training.resume import resumed_config
    from dlexp.training.run import Run

    directory = Run(Path(path)).directory
    loop.train(resumed_config(directory, overrides), directory)
    _pass_on_signal(directory)
    draw(directory)
    return Run(directory.path)


def load_run(path: str, overrides: Sequence[str] = ()) -> "Run":
    """Return the run in a run directory. Raises dlexp.errors.UserError if there is none.

    `overrides` are those of `dlexp evaluate`: data_dir, device, imports and others that say where it is.
    """
    from dlexp.training.run import Run

    return Run(Path(path), overrides)


def _pass_on_signal(directory: "RunDirectory") -> None:
    """Raise the exception of the signal that stopped the run, so that it also ends, for example, a loop over runs."""
    number = directory.status().get("signal")
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    if number is not None:
        raise SystemExit(128 + number)
