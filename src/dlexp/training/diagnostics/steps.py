"""steps.csv: the metrics of each nth step's batch."""

from collections.abc import Iterable, Sequence

from dlexp.config.schema import Count
from dlexp.runs.directory import STEPS
from dlexp.training.diagnostics.diagnostic import Diagnostic, Moment, Row
from dlexp.training.setup.job import Job


class _Steps(Diagnostic):
    table = STEPS

    def __init__(self, every: int):
        self._every = every

    def columns(self, job: Job) -> Sequence[str]:
        metrics = [f"train/{name}" for name in job.metrics]
        return ["step", "epoch", "train/loss", *metrics, *["train/penalty"] * (job.penalty is not None), "lr"]

    def after_step(self, moment: Moment) -> Iterable[Row]:
        progress = moment.progress
        if progress.step % self._every:
            return
        metrics = moment.totals.of_step(progress.position - 1, moment.stepped.outputs, moment.targets)
        yield {**moment.place, **metrics, "lr": progress.lr}


def steps(every: Count = 1) -> Diagnostic:
    """Write the loss, the metrics and the learning rate of every nth step; reading them synchronizes the device."""
    return _Steps(every)
