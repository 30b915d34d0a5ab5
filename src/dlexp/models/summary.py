"""A model's layers: the output shape and the number of parameters of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dlexp.config.lazy import nn, torch

if TYPE_CHECKING:
    from torch import Tensor


class Layer(NamedTuple):
    """One row of a summary."""

    name: str
    kind: str
    output_shape: tuple[int, ...]  # without the batch
    parameters: int


def summarize(model: nn.Module, input_shape: tuple[int, ...]) -> list[Layer]:
    """Return the model's innermost modules in the order in which they are called."""
    rows: list[Layer] = []
    hooks = []
    for name, module in model.named_modules():
        if any(module.children()):
            continue

        def note(module: nn.Module, _: object, output: Tensor, name: str = name) -> None:
            parameters = sum(p.numel() for p in module.parameters())
            rows.append(Layer(name, type(module).__name__, tuple(output.shape[1:]), parameters))

        hooks.append(module.register_forward_hook(note))
    first = next(model.parameters(), torch.zeros(()))
    with torch.no_grad():
        model.eval()(torch.zeros(1, *input_shape, dtype=first.dtype, device=first.device))
    for hook in hooks:
        hook.remove()
    return rows
