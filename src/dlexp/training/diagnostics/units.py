"""units.csv: the shares of dead units and saturated values of each activation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from dlexp.config.lazy import nn, torch
from dlexp.models.layers import ACTIVATIONS
from dlexp.runs.directory import UNITS
from dlexp.training.diagnostics.diagnostic import Diagnostic, Row
from dlexp.training.setup.job import Job

if TYPE_CHECKING:
    from torch import Tensor

SAMPLES = 256  # of train, on which the units are measured
FLAT = 0.05  # share of the largest slope at or below which a value is saturated: tanh beyond ±2.18, sigmoid ±4.36
KINDS = {layer.path.rpartition(".")[2] for name, layer in ACTIVATIONS.items() if name != "identity"}


class _Units(Diagnostic):
    table = UNITS

    def columns(self, job: Job) -> Sequence[str]:
        return ["epoch", "layer", "module", "units", "dead", "saturated"]

    def after_epoch(self, job: Job, epoch: int) -> Iterable[Row]:
        for layer, (name, module, x) in enumerate(_inputs_of_activations(job), 1):
            with torch.no_grad():
                values = module(x).transpose(0, 1).flatten(1)
            steepest = _slopes(module, torch.linspace(-8, 8, 1601, device=x.device)).max()
            yield {
                "epoch": epoch,
                "layer": layer,
                "module": f"{name} {type(module).__name__}",
                "units": len(values),
                "dead": (values == 0).all(1).double().mean().item(),
                "saturated": (_slopes(module, x) <= FLAT * steepest).double().mean().item(),
            }


def units() -> Diagnostic:
    """Write each activation's shares of dead units and of saturated values after each epoch, on train's first samples.

    A unit (for images, a channel) is dead if it gives 0 for every sample. A value is saturated if the slope there is
    at most 5 % of the activation's largest slope; for ReLU, if it is off.
    """
    return _Units()


def _inputs_of_activations(job: Job) -> list[tuple[str, nn.Module, Tensor]]:
    """Return each activation of the model with its name and its inputs for the first samples of train."""
    inputs, _ = next(job.batches.serve("train", SAMPLES))
    seen: list[tuple[str, nn.Module, Tensor]] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
        return lambda module, inputs, output: seen.append((name, module, inputs[0]))

    activations = [(name, module) for name, module in job.model.named_modules() if type(module).__name__ in KINDS]
    hooks = [module.register_forward_hook(note(name)) for name, module in activations]
    with torch.no_grad():
        job.model.eval()(inputs)
    for hook in hooks:
        hook.remove()
    return seen


def _slopes(activation: nn.Module, x: Tensor) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = activation(x)
        return torch.autograd.grad(y.sum(), x)[0].abs() if y.requires_grad else torch.zeros_like(x)
