"""What each of the first steps did, number by number: for nets small enough to be worked by hand."""

import itertools
from collections.abc import Callable

from torch import Tensor, nn

from dlexp.runs.directory import TRACE
from dlexp.training.session import Session


class Trace:
    """Writes trace.csv: a row a number, with its step (0: before the first), what it is, of what, and where in it."""

    def __init__(self, session: Session):
        self._session = session
        self._activations: dict[str, Tensor] = {}
        for name, module in session.job.model.named_modules():
            if not any(module.children()):
                module.register_forward_hook(self._hook(f"{name} {type(module).__name__}".strip()))
        if session.tables[TRACE].is_new:
            for name, parameter in session.job.model.named_parameters():
                self._write("parameter", name, parameter)

    def note(self, inputs: Tensor, targets: Tensor, loss: Tensor) -> None:
        """Write the step just made, where it is one of the first `trace_steps`: gradients as the step used them."""
        session = self._session
        if session.progress.step > session.job.config.trace_steps:
            return
        self._write("input", "", inputs)
        self._write("target", "", targets)
        for name, activation in self._activations.items():
            self._write("activation", name, activation)
        self._write("loss", "", loss)
        parameters = list(session.job.model.named_parameters())
        for name, parameter in parameters:
            if parameter.grad is not None:
                self._write("gradient", name, parameter.grad)
        for name, parameter in parameters:
            self._write("parameter", name, parameter)

    def _hook(self, name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
            if module.training:  # an evaluation is no step
                self._activations[name] = output.detach()

        return keep

    def _write(self, what: str, name: str, values: Tensor) -> None:
        values = values.detach().cpu()
        places = itertools.product(*map(range, values.shape))
        for place, value in zip(places, values.flatten().tolist(), strict=True):
            row = {"step": self._session.progress.step, "what": what, "name": name}
            self._session.tables[TRACE].append({**row, "index": " ".join(map(str, place)), "value": value})
