"""A model's layers: the output shape and the number of parameters of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from dlexp.config.lazy import nn, torch

if TYPE_CHECKING:
    from torch import Tensor


class Layer(NamedTuple):
    """One row of a summary."""

    name: str
    kind: str
    output_shape: tuple[int, ...]  # without the batch; of the first tensor, if there are several
    parameters: int  # those that no earlier row has counted


def summarize(model: nn.Module, input_shape: tuple[int, ...]) -> list[Layer]:
    """Return the model's layers in the order in which they are called; their parameters add up to the model's.

    A layer is an innermost module that is called, or a module with parameters of its own. Modules with parameters that
    are not called (MultiheadAttention reads those of its children) come last, and have no output shape.
    """
    called: list[tuple[str, nn.Module, tuple[int, ...]]] = []

    def note(name: str) -> Callable[[nn.Module, object, Any], None]:
        def hook(module: nn.Module, _: object, output: Any) -> None:
            called.append((name, module, tuple(next(tensors(output), torch.zeros(1)).shape[1:])))

        return hook

    hooks = [module.register_forward_hook(note(name)) for name, module in layers_of(model)]
    run_on_zeros(model, input_shape)
    for hook in hooks:
        hook.remove()
    silent = [(name, m, ()) for name, m in layers_of(model) if all(m is not other for _, other, _ in called)]
    counted: set[int] = set()
    rows = []
    for number, (name, module, shape) in enumerate([*called, *silent]):
        new = {id(p): p.numel() for p in module.parameters(recurse=False) if id(p) not in counted}
        counted |= new.keys()
        if new or number < len(called):
            rows.append(Layer(name, type(module).__name__, shape, sum(new.values())))
    return rows


def layers_of(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules, with their names, that have no children or have parameters of their own."""
    for name, module in model.named_modules():
        if not any(module.children()) or any(True for _ in module.parameters(recurse=False)):
            yield name, module


def tensors(output: Any) -> Iterator[Tensor]:
    """Yield the tensors in a module's output, which may be nested in tuples, lists and mappings."""
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, Mapping | list | tuple):
        for each in output.values() if isinstance(output, Mapping) else output:
            yield from tensors(each)


def run_on_zeros(model: nn.Module, input_shape: tuple[int, ...]) -> None:
    """Call the model once, in evaluation mode, with a sample of zeros; this gives lazy layers their sizes."""
    first = next(model.parameters(), torch.zeros(()))
    dtype = first.dtype if first.dtype in (torch.float32, torch.float64) else torch.float32
    with torch.no_grad():
        model.eval()(torch.zeros(1, *input_shape, dtype=dtype, device=first.device))
