"""Initial weights by name: `he_normal`, `{uniform: [-1, 1]}`, or `{weight: …, bias: …}` with one of these for each.

A name alone sets the weights, and biases are zero; but `uniform` alone sets both, as the course uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from dlexp.config import schema
from dlexp.config.lazy import init, nn, torch
from dlexp.config.registry import Registry
from dlexp.config.schema import NonNegative
from dlexp.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

Numbers = list[Any]  # nested lists of numbers


def default(*, tensor: Tensor) -> None:
    """Keep the values that PyTorch's layer drew."""


def uniform(low: float = 0.0, high: float = 1.0, *, tensor: Tensor) -> None:
    """Draw from Uniform(low, high)."""
    tensor.uniform_(low, high)


def normal(mean: float = 0.0, std: NonNegative = 0.01, *, tensor: Tensor) -> None:
    """Draw from Normal(mean, std²)."""
    tensor.normal_(mean, std)


def constant(value: float = 0.0, *, tensor: Tensor) -> None:
    """Set every element to `value`."""
    tensor.fill_(value)


def zeros(*, tensor: Tensor) -> None:
    """Set every element to zero."""
    tensor.zero_()


def xavier_uniform(*, tensor: Tensor) -> None:
    """Uniform with the deviation √(2 / (fan in + fan out)) (Glorot and Bengio, 2010)."""
    init.xavier_uniform_(tensor)


def xavier_normal(*, tensor: Tensor) -> None:
    """Normal with the deviation √(2 / (fan in + fan out)) (Glorot and Bengio, 2010)."""
    init.xavier_normal_(tensor)


def he_uniform(*, tensor: Tensor) -> None:
    """Uniform with the deviation √(2 / fan in), for ReLU (He et al., 2015)."""
    init.kaiming_uniform_(tensor, nonlinearity="relu")


def he_normal(*, tensor: Tensor) -> None:
    """Normal with the deviation √(2 / fan in), for ReLU (He et al., 2015)."""
    init.kaiming_normal_(tensor, nonlinearity="relu")


def explicit(values: Numbers, *, tensor: Tensor, layer: int) -> None:
    """Set the tensor to `values[layer]`; layers count from the input, weight rows are output units.

    Raises UserError if the layer has no values, or they have another shape.
    """
    if layer >= len(values):
        raise UserError(f"model.init has explicit values for {len(values)} layers, but there are more.")
    try:
        given = tensor.new_tensor(values[layer])
    except (ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"model.init: the explicit values of layer {layer} are not numbers: {error}") from None
    if not bool(given.isfinite().all()):
        raise UserError(f"model.init: the explicit values of layer {layer} are not all finite numbers.")
    if given.shape != tensor.shape:
        raise UserError(
            f"model.init: the explicit values of layer {layer} have shape {tuple(given.shape)}, the layer has "
            f"{tuple(tensor.shape)}."
        )
    tensor.copy_(given)


_NEED_TWO_DIMENSIONS = {f.__name__: f for f in (xavier_uniform, xavier_normal, he_uniform, he_normal)}
FOR_BIAS: Registry[None] = Registry(
    "model.init", {f.__name__: f for f in (default, uniform, normal, constant, zeros, explicit)}
)
FOR_WEIGHT: Registry[None] = Registry("model.init", {**FOR_BIAS.builders, **_NEED_TWO_DIMENSIONS})


def _known(init: Any) -> None:
    for registry, choice in zip((FOR_WEIGHT, FOR_BIAS), _weight_and_bias(init), strict=True):
        registry.bind_choice(choice)


Initialization = Annotated[str | dict[str, Any], _known]


def initialize(model: nn.Module, init: Initialization) -> None:
    """Set the weights and biases of the linear and convolutional layers of `model`.

    Draws from torch's global generator, layer after layer, the weight before the bias.
    """
    weight, bias = _weight_and_bias(init)
    for_weight, for_bias = FOR_WEIGHT.bind_choice(weight), FOR_BIAS.bind_choice(bias)
    with torch.no_grad():
        layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d)]
        for bound in (for_weight, for_bias):
            if bound.name == "explicit" and (given := len(bound.options["values"])) > len(layers):
                raise UserError(f"model.init has explicit values for {given} layers; there are {len(layers)}.")
        for number, layer in enumerate(layers):
            FOR_WEIGHT.build(for_weight, tensor=layer.weight, layer=number)
            if layer.bias is not None:
                FOR_BIAS.build(for_bias, tensor=layer.bias, layer=number)


def _weight_and_bias(init: Any) -> tuple[Any, Any]:
    if isinstance(init, dict) and init.keys() <= {"weight", "bias"}:
        return init.get("weight", "default"), init.get("bias", "default")
    name, _ = schema.name_and_arguments(init, "model.init")
    return init, init if name in ("default", "uniform") else "zeros"
