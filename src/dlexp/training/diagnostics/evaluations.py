"""evaluations.csv: the metrics of the held-out splits between the ends of epochs."""

from collections.abc import Iterable, Sequence

from dlexp.config.schema import Count
from dlexp.runs.directory import EVALUATIONS
from dlexp.training.diagnostics.diagnostic import Diagnostic, Moment, Row
from dlexp.training.evaluation import evaluate_held_out
from dlexp.training.setup.job import Job


class _Evaluations(Diagnostic):
    table = EVALUATIONS

    def __init__(self, every: int):
        self._every = every

    def columns(self, job: Job) -> Sequence[str]:
        names = ("loss", *job.metrics)
        return ["step", "epoch", *(f"{split}/{name}" for split in job.batches.splits[1:] for name in names)]

    def after_step(self, moment: Moment) -> Iterable[Row]:
        if moment.progress.step % self._every:
            return
        metrics = evaluate_held_out(moment.job, lambda: False)  # without `stop`: a signal must not lose the row
        moment.job.model.train()
        yield {**moment.place, **metrics}


def evaluations(every: Count = 1) -> Diagnostic:
    """Write the loss and the metrics of every split but train after every nth step."""
    return _Evaluations(every)
