"""The outputs of a model's layers, by the names that traces use: `0 Linear`, `1 Tanh`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from dlexp.config.lazy import nn, torch
from dlexp.models.summary import layers_of, tensors

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.hooks import RemovableHandle


def watch(model: nn.Module, seen: Callable[[str, Tensor], None]) -> list[RemovableHandle]:
    """Call `seen` with a layer's name and each tensor that it gives, from now on; return the hooks, to be removed."""

    def hook(name: str) -> Callable[[nn.Module, object, Any], None]:
        def note(module: nn.Module, inputs: object, output: Any) -> None:
            for tensor in tensors(output):
                seen(name, tensor)

        return note

    return [module.register_forward_hook(hook(shown_name(name, module))) for name, module in layers_of(model)]


def shown_name(name: str, module: nn.Module) -> str:
    """Return a layer's name with that of its class: `0 Linear`."""
    return f"{name} {type(module).__name__}".strip()


def unused(name: str, taken: Iterable[str]) -> str:
    """Return the name; or if it is taken, because a layer gives a second tensor, the name with ` (2)` after it."""
    number = 1 + sum(each == name or each.startswith(f"{name} (") for each in taken)
    return name if number == 1 else f"{name} ({number})"


def activations(model: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    """Return the output (N, …) of each layer for inputs (N, …), in evaluation mode, in the order of the calls."""
    found: dict[str, Tensor] = {}
    hooks = watch(model, lambda name, output: found.update({unused(name, found): output}))
    with torch.no_grad():
        model.eval()(inputs)
    for hook in hooks:
        hook.remove()
    return found
