"""trace.csv: every number of the first steps, for nets small enough to compute by hand."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from dlexp.config.lazy import nn, torch
from dlexp.config.schema import Count
from dlexp.models.activations import unused, watch
from dlexp.runs.directory import TRACE
from dlexp.training.diagnostics.diagnostic import Diagnostic, Moment, Row
from dlexp.training.setup.job import Job

if TYPE_CHECKING:
    from torch import Tensor


class _Trace(Diagnostic):
    table = TRACE

    def __init__(self, steps: int):
        self._steps, self._tracing = steps, True
        self._activations: dict[str, Tensor] = {}
        self._gradients: dict[str, Tensor] = {}  # by the activations
        self._before: dict[str, Tensor] = {}  # the parameters before the step

    def columns(self, job: Job) -> Sequence[str]:
        return ["step", "what", "name", "index", "value"]

    def before_training(self, job: Job) -> Iterable[Row]:
        def seen(layer: str, output: Tensor) -> None:
            if not (job.model.training and self._tracing):  # evaluations are not traced
                return
            name = unused(layer, self._activations)
            self._activations[name] = output.detach()
            if output.requires_grad:
                output.register_hook(lambda gradient: self._gradients.update({name: gradient}))

        watch(job.model, seen)
        self._before = _copies(job.model)
        return [row for name, p in job.model.named_parameters() for row in _rows(0, "parameter", name, p)]

    def after_step(self, moment: Moment) -> Iterable[Row]:
        step, model = moment.progress.step, moment.job.model
        self._tracing = False  # also for the pass of `_by_autograd`
        if step > self._steps:
            return
        yield from _rows(step, "input", "", moment.inputs)
        yield from _rows(step, "target", "", moment.targets)
        for name, activation in self._activations.items():
            yield from _rows(step, "activation", name, activation)
        yield from _rows(step, "loss", "", moment.stepped.loss)
        if by_hand := not moment.stepped.objective.requires_grad:
            self._gradients = dict(model.gradients)  # type: ignore[arg-type]
        for name in reversed(self._activations):
            if name in self._gradients:
                yield from _rows(step, "gradient", name, self._gradients[name])
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                yield from _rows(step, "gradient", name, parameter.grad)
        if by_hand:
            for name, gradient in self._by_autograd(moment):
                yield from _rows(step, "autograd", name, gradient)
        for name, parameter in model.named_parameters():
            yield from _rows(step, "parameter", name, parameter)
        self._activations.clear()
        self._gradients.clear()
        self._before, self._tracing = _copies(model), step < self._steps

    def _by_autograd(self, moment: Moment) -> Iterator[tuple[str, Tensor]]:
        """Yield the gradient of each parameter in the step just made, by autograd."""
        outputs = torch.func.functional_call(moment.job.model, self._before, (moment.inputs,))
        loss = moment.job.loss.function(outputs, moment.targets)
        yield from zip(self._before, torch.autograd.grad(loss, [*self._before.values()]), strict=True)


def trace(steps: Count = 1) -> Diagnostic:
    """Write every input, activation, gradient and parameter of the first `steps` steps, one number a row.

    A `gradient` is that of the loss by a parameter or by a layer's output. If the backward pass is by hand, `autograd`
    has each parameter's gradient by autograd.
    The second tensor that a layer gives in a step, in a tuple or because it is called again, has ` (2)` after its name.
    """
    return _Trace(steps)


def _copies(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone().requires_grad_() for name, parameter in model.named_parameters()}


def _rows(step: int, what: str, name: str, values: Tensor) -> Iterable[Row]:
    values = values.detach().cpu()
    places = itertools.product(*map(range, values.shape))
    for place, value in zip(places, values.flatten().tolist(), strict=True):
        yield {"step": step, "what": what, "name": name, "index": " ".join(map(str, place)), "value": value}
