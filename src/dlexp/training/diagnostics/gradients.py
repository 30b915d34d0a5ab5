"""gradients.csv: the norms of each layer's weight gradient."""

from collections.abc import Iterable, Sequence

from dlexp.models.weights import weights_of
from dlexp.runs.directory import GRADIENTS
from dlexp.training.diagnostics.diagnostic import Diagnostic, Moment, Row
from dlexp.training.setup.job import Job


class _Gradients(Diagnostic):
    table = GRADIENTS

    def columns(self, job: Job) -> Sequence[str]:
        return ["epoch", "layer", "parameter", "l1", "l2"]

    def after_step(self, moment: Moment) -> Iterable[Row]:
        if moment.progress.position < moment.job.steps_per_epoch:
            return
        gradients = [(name, weight.grad) for name, weight in weights_of(moment.job.model).items()]
        for layer, (name, gradient) in enumerate(((n, g.double()) for n, g in gradients if g is not None), 1):
            norms = {"l1": gradient.abs().sum().item(), "l2": gradient.square().sum().sqrt().item()}
            yield {"epoch": moment.progress.epoch + 1, "layer": layer, "parameter": name, **norms}


def gradients() -> Diagnostic:
    """Write Σ|g| and √Σg² of each layer's weight gradient in the last step of each epoch."""
    return _Gradients()
