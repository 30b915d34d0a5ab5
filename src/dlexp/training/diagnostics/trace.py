"""trace.csv: every number of the first steps, for nets small enough to compute by hand."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dlexp.config.lazy import nn
from dlexp.config.schema import Count
from dlexp.models.summary import layers_of, tensors
from dlexp.runs.directory import TRACE
from dlexp.training.diagnostics.diagnostic import Diagnostic, Moment, Row
from dlexp.training.setup.job import Job

if TYPE_CHECKING:
    from torch import Tensor


class _Trace(Diagnostic):
    table = TRACE

    def __init__(self, steps: int):
        self._steps, self._tracing = steps, True
        self._activations: list[tuple[str, Tensor]] = []

    def columns(self, job: Job) -> Sequence[str]:
        return ["step", "what", "name", "index", "value"]

    def before_training(self, job: Job) -> Iterable[Row]:
        for name, module in layers_of(job.model):
            module.register_forward_hook(self._hook(f"{name} {type(module).__name__}".strip()))
        return [row for name, p in job.model.named_parameters() for row in _rows(0, "parameter", name, p)]

    def after_step(self, moment: Moment) -> Iterable[Row]:
        step, parameters = moment.progress.step, list(moment.job.model.named_parameters())
        self._tracing = step < self._steps
        if step > self._steps:
            return
        yield from _rows(step, "input", "", moment.inputs)
        yield from _rows(step, "target", "", moment.targets)
        seen: Counter[str] = Counter()
        for name, activation in self._activations:
            seen[name] += 1
            yield from _rows(step, "activation", name if seen[name] == 1 else f"{name} ({seen[name]})", activation)
        self._activations.clear()
        yield from _rows(step, "loss", "", moment.stepped.loss)
        for name, parameter in parameters:
            if parameter.grad is not None:
                yield from _rows(step, "gradient", name, parameter.grad)
        for name, parameter in parameters:
            yield from _rows(step, "parameter", name, parameter)

    def _hook(self, name: str) -> Callable[[nn.Module, object, Any], None]:
        def keep(module: nn.Module, inputs: object, output: Any) -> None:
            if module.training and self._tracing:  # evaluations are not traced
                self._activations += [(name, tensor.detach()) for tensor in tensors(output)]

        return keep


def trace(steps: Count = 1) -> Diagnostic:
    """Write every input, activation, gradient and parameter of the first `steps` steps, one number a row.

    The second tensor that a layer gives in a step, in a tuple or because it is called again, has ` (2)` after its name.
    """
    return _Trace(steps)


def _rows(step: int, what: str, name: str, values: Tensor) -> Iterable[Row]:
    values = values.detach().cpu()
    places = itertools.product(*map(range, values.shape))
    for place, value in zip(places, values.flatten().tolist(), strict=True):
        yield {"step": step, "what": what, "name": name, "index": " ".join(map(str, place)), "value": value}
