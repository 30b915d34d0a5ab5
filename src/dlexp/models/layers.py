"""Networks as lists of layers, which a user writes in YAML instead of Python.

A layer is its name (`relu`), its name with its first argument (`linear: 64`, `leaky_relu: 0.2`) or with arguments
under PyTorch's names (`conv2d: {out_channels: 32, kernel_size: 3}`). Input sizes are inferred and cannot be given.
`sum` and `concatenate` take branches, lists of layers that all see the same input: `sum: [[relu], [negate, relu]]`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from dlexp.config.lazy import nn, torch
from dlexp.config.schema import name_and_arguments
from dlexp.errors import UserError, did_you_mean
from dlexp.models.initialization import Initialization, initialize

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Layer:
    """The path of a layer's class, the argument that is inferred, and how many dimensions its input must have."""

    path: str
    infers: str | None = None
    dimensions: int | None = None


ACTIVATIONS = {
    "relu": Layer("torch.nn.ReLU"),
    "leaky_relu": Layer("torch.nn.LeakyReLU"),
    "elu": Layer("torch.nn.ELU"),
    "selu": Layer("torch.nn.SELU"),
    "gelu": Layer("torch.nn.GELU"),
    "silu": Layer("torch.nn.SiLU"),
    "softplus": Layer("torch.nn.Softplus"),
    "tanh": Layer("torch.nn.Tanh"),
    "sigmoid": Layer("torch.nn.Sigmoid"),
    "identity": Layer("torch.nn.Identity"),
    "step": Layer("dlexp.models.units.Step"),
    "is_zero": Layer("dlexp.models.units.IsZero"),
}
BRANCHING = {"sum": Layer("dlexp.models.units.Sum"), "concatenate": Layer("dlexp.models.units.Concatenate")}
LAYERS = {
    **ACTIVATIONS,
    **BRANCHING,
    "negate": Layer("dlexp.models.units.Negate"),
    "linear": Layer("torch.nn.Linear", "in_features", 2),
    "maxout": Layer("dlexp.models.units.Maxout", "in_features", 2),
    "conv1d": Layer("torch.nn.Conv1d", "in_channels", 3),
    "conv2d": Layer("torch.nn.Conv2d", "in_channels", 4),
    "separable_conv2d": Layer("dlexp.models.convolutions.SeparableConv2d", "in_channels", 4),
    "low_rank_conv2d": Layer("dlexp.models.convolutions.LowRankConv2d", "in_channels", 4),
    "max_pool1d": Layer("torch.nn.MaxPool1d", None, 3),
    "avg_pool1d": Layer("torch.nn.AvgPool1d", None, 3),
    "max_pool2d": Layer("torch.nn.MaxPool2d", None, 4),
    "avg_pool2d": Layer("torch.nn.AvgPool2d", None, 4),
    "adaptive_avg_pool2d": Layer("torch.nn.AdaptiveAvgPool2d", None, 4),
    "batch_norm1d": Layer("torch.nn.BatchNorm1d", "num_features"),
    "batch_norm2d": Layer("torch.nn.BatchNorm2d", "num_features", 4),
    "layer_norm": Layer("torch.nn.LayerNorm", "normalized_shape"),
    "dropout": Layer("torch.nn.Dropout"),
    "dropout2d": Layer("torch.nn.Dropout2d", None, 4),
    "flatten": Layer("torch.nn.Flatten"),
    "unflatten": Layer("torch.nn.Unflatten"),
    "softmax": Layer("torch.nn.Softmax"),
    "log_softmax": Layer("torch.nn.LogSoftmax"),
}
OF_MODEL = ("activation", "output")  # the model's activation; a linear layer to the model's outputs


def _is_activation(layer: Any) -> None:
    _check_name(layer, ACTIVATIONS)


def _are_layers(layers: tuple[Any, ...]) -> None:
    for layer in layers:
        _check_name(layer, (*LAYERS, *OF_MODEL))


def _check_name(layer: Any, known: Any) -> None:
    name, _ = name_and_arguments(layer, "model.layers")
    if name in OF_MODEL and isinstance(layer, dict):
        raise ValueError(f"{name} takes no arguments; write another layer instead")
    if name not in known:
        raise ValueError(f"there is no {name}.{did_you_mean(name, known)}")
    if name in BRANCHING:
        branches = layer[name] if isinstance(layer, dict) else None
        if not isinstance(branches, list) or not branches or not all(isinstance(branch, list) for branch in branches):
            raise ValueError(f"{name} takes branches, each a list of layers: [[relu], [negate, relu]]")
        for branch in branches:
            _are_layers(tuple(branch))


Activation = Annotated[str | dict[str, Any], _is_activation]


def layers(
    layers: Annotated[tuple[Any, ...], _are_layers],
    activation: Activation = "relu",
    init: Initialization = "default",
    *,
    input_shape: tuple[int, ...],
    num_outputs: int,
) -> nn.Sequential:
    """Build the layers in order; each gets its input size from a sample of zeros that the layers before it transform.

    The model takes (N, *input_shape). Raises UserError naming a layer that cannot take the output of the one before.
    """
    own = {"activation": activation, "output": {"linear": num_outputs}}
    model, _ = _stack(layers, torch.zeros(1, *input_shape), own, "model.layers")
    initialize(model, init)
    return model.train()


def _stack(layers: Sequence[Any], sample: Tensor, own: Mapping[str, Any], where: str) -> tuple[nn.Sequential, Tensor]:
    """Build the layers; return them with the last one's output for the sample."""
    model = nn.Sequential()
    for i, layer in enumerate(layers):
        name, arguments = name_and_arguments(own.get(layer, layer) if isinstance(layer, str) else layer, where)
        try:
            if name in BRANCHING:
                inside = f"{where}[{i}].{name}"
                module = _class(name)(_stack(b, sample, own, f"{inside}[{j}]")[0] for j, b in enumerate(arguments))
            else:
                module = _layer(name, arguments, sample)
            with torch.no_grad():
                sample = module.eval()(sample)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise UserError(f"{where}[{i}] ({name}) cannot take {_shape(sample)}: {error}") from error
        model.append(module)
    return model, sample


def _layer(name: str, arguments: Any, sample: Tensor) -> nn.Module:
    layer, build = LAYERS[name], _class(name)
    # An in-place layer would change what others still need: the stored samples, a trace, its own derivative.
    given = (layer.infers, "device", "dtype", "inplace", "args", "kwargs")
    known = [p for p in inspect.signature(build).parameters if p not in given]
    if not isinstance(arguments, dict):
        if not known:
            raise UserError(f"The layer {name} takes no arguments, but {arguments} is given.")
        arguments = {known[0]: arguments}
    for argument in arguments:
        if argument not in known:
            raise UserError(f"The layer {name} has no {argument}.{did_you_mean(argument, known)}")
    if name in ("softmax", "log_softmax"):
        arguments = {"dim": 1, **arguments}
    if layer.dimensions is not None and sample.dim() != layer.dimensions:
        hints = {2: "put `flatten` before it", 4: "it needs images (channels, height, width)"}
        raise ValueError(hints.get(layer.dimensions, "it needs (channels, length)"))
    if layer.infers == "normalized_shape":
        arguments = {layer.infers: sample.shape[1:], **arguments}
    elif layer.infers is not None:
        arguments = {layer.infers: sample.shape[1], **arguments}
    product: nn.Module = build(**arguments)
    return product


def _class(name: str) -> Any:
    module, _, class_name = LAYERS[name].path.rpartition(".")
    return getattr(importlib.import_module(module), class_name)


def _shape(sample: Tensor) -> str:
    return " × ".join(map(str, sample.shape[1:])) + (" features" if sample.dim() == 2 else "")
