"""Networks as lists of layers: what a user writes in YAML instead of Python.

A layer is its name (`relu`), its name with its first argument (`linear: 64`, `leaky_relu: 0.2`) or with arguments
under PyTorch's names (`conv2d: {out_channels: 32, kernel_size: 3}`). Input sizes are inferred and cannot be given.
"""

import inspect
from typing import TYPE_CHECKING, Annotated, Any

from dlexp.errors import UserError, did_you_mean
from dlexp.models.initialization import Initialization, initialize

if TYPE_CHECKING:
    from torch import Tensor, nn

# Name → the class in torch.nn and its argument that is inferred (the size of dimension 1 of what comes in).
ACTIVATIONS: dict[str, tuple[str, str | None]] = {
    "relu": ("ReLU", None),
    "leaky_relu": ("LeakyReLU", None),
    "elu": ("ELU", None),
    "selu": ("SELU", None),
    "gelu": ("GELU", None),
    "silu": ("SiLU", None),
    "softplus": ("Softplus", None),
    "tanh": ("Tanh", None),
    "sigmoid": ("Sigmoid", None),
    "identity": ("Identity", None),
}
LAYERS: dict[str, tuple[str, str | None]] = {
    **ACTIVATIONS,
    "linear": ("Linear", "in_features"),
    "conv2d": ("Conv2d", "in_channels"),
    "max_pool2d": ("MaxPool2d", None),
    "avg_pool2d": ("AvgPool2d", None),
    "adaptive_avg_pool2d": ("AdaptiveAvgPool2d", None),
    "batch_norm1d": ("BatchNorm1d", "num_features"),
    "batch_norm2d": ("BatchNorm2d", "num_features"),
    "dropout": ("Dropout", None),
    "dropout2d": ("Dropout2d", None),
    "flatten": ("Flatten", None),
    "softmax": ("Softmax", None),
    "log_softmax": ("LogSoftmax", None),
}
OF_MODEL = ("activation", "output")  # the model's activation; a linear layer to the number of classes


def _is_activation(layer: Any) -> None:
    _check_name(layer, ACTIVATIONS)


def _are_layers(layers: tuple[Any, ...]) -> None:
    for layer in layers:
        _check_name(layer, (*LAYERS, *OF_MODEL))


def _check_name(layer: Any, known: Any) -> None:
    name = next(iter(layer), None) if isinstance(layer, dict) and len(layer) == 1 else layer
    if not isinstance(name, str):
        raise ValueError(f"{layer} is not a layer; write a name, or one 'name: arguments'")
    if name not in known:
        raise ValueError(f"there is no {name}.{did_you_mean(name, known)}")


Activation = Annotated[str | dict[str, Any], _is_activation]


def layers(
    layers: Annotated[tuple[Any, ...], _are_layers],
    activation: Activation = "relu",
    init: Initialization = "default",
    *,
    input_shape: tuple[int, ...],
    num_classes: int,
) -> "nn.Module":
    """Build the layers in order; one sample of zeros goes through each to learn the sizes of the next.

    Takes (N, *input_shape). Raises UserError naming the layer that cannot take what the one before it gives.
    """
    import torch
    from torch import nn

    model = nn.Sequential()
    sample = torch.zeros(1, *input_shape)
    for i, layer in enumerate(layers):
        layer = (
            {"activation": activation, "output": {"linear": num_classes}}.get(layer, layer)
            if isinstance(layer, str)
            else layer
        )
        name, arguments = next(iter(layer.items())) if isinstance(layer, dict) else (layer, {})
        try:
            module = _layer(name, arguments, sample)
            with torch.no_grad():
                sample = module.eval()(sample)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise UserError(f"model.layers[{i}] ({name}) cannot take {_shape(sample)}: {error}") from error
        model.append(module)
    initialize(model, init)
    return model.train()


def _layer(name: str, arguments: Any, sample: "Tensor") -> "nn.Module":
    from torch import nn

    class_name, inferred = LAYERS[name]
    layer = getattr(nn, class_name)
    known = [p for p in inspect.signature(layer).parameters if p not in (inferred, "device", "dtype")]
    if not isinstance(arguments, dict):
        arguments = {known[0]: arguments}
    for argument in arguments:
        if argument not in known:
            raise UserError(f"The layer {name} has no {argument}.{did_you_mean(argument, known)}")
    if name in ("softmax", "log_softmax"):
        arguments = {"dim": 1, **arguments}
    if inferred is not None:
        if sample.dim() != {"Conv2d": 4, "BatchNorm2d": 4, "Linear": 2}.get(class_name, sample.dim()):
            hint = "put `flatten` before it" if class_name == "Linear" else "it wants images (channels, height, width)"
            raise ValueError(hint)
        arguments = {inferred: sample.shape[1], **arguments}
    return layer(**arguments)


def _shape(sample: "Tensor") -> str:
    return " × ".join(map(str, sample.shape[1:])) + (" features" if sample.dim() == 2 else "")
