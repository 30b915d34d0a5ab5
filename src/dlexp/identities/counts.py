"""How many parameters a net has, by formula and as PyTorch made it (dl_hw3 ex12, nn_theory ex03)."""

import itertools
import math
from typing import TYPE_CHECKING, Any

from dlexp.identities.sides import Demonstration, Sides
from dlexp.schema import Count, name_and_arguments

if TYPE_CHECKING:
    import torch


def perceptron_parameters(sizes: tuple[Count, ...] = (20, 10, 10, 10, 10, 10, 1)) -> Demonstration:
    """A multilayer perceptron; a dense layer against filters as large as the image; a new head on frozen layers."""
    from torch import nn

    layers = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    frozen = nn.Linear(512, 64).requires_grad_(False)
    formula = sum(a * b + b for a, b in itertools.pairwise(sizes))
    return Demonstration(
        [
            Sides(f"{' → '.join(map(str, sizes))}: Σ (nᵢ nᵢ₊₁ + nᵢ₊₁)", formula, sum(map(_count, layers))),
            Sides("dense 100 → 5 = five 10 × 10 filters", _count(nn.Linear(100, 5)), _count(nn.Conv2d(1, 5, 10))),
            Sides("frozen layers leave n · 10 + 10 of a head n → 10", 64 * 10 + 10, _count(frozen, nn.Linear(64, 10))),
        ]
    )


def layer_table(
    layers: tuple[Any, ...] = ("flatten", {"linear": 10}),
    input_shape: tuple[Count, ...] = (1, 8, 8),
    classes: Count = 10,
) -> Demonstration:
    """Output values and parameters (weights, then with biases) of every layer, by formula and as PyTorch has them.

    A convolution or pooling of n pixels gives ⌊(n + 2 p − k) / s⌋ + 1.
    """
    import torch

    from dlexp.models.layers import layers as build
    from dlexp.summary import summarize

    with torch.device("meta"):  # shapes only: an AlexNet's weights would take 240 MB and a second
        model = build(layers, input_shape=input_shape, num_outputs=classes)
        rows = summarize(model, input_shape)
    sides: list[Sides] = []
    shape = tuple(input_shape)
    for layer, row, module in zip(layers, rows, model, strict=True):
        layer = {"output": {"linear": classes}}.get(layer, layer) if isinstance(layer, str) else layer
        name, arguments = name_and_arguments(layer, "identity.layers")
        weights, biases, shape = _by_formula(name, arguments, shape)
        sides.append(Sides(f"{row.name} {row.kind}: output {' × '.join(map(str, shape))}", shape, row.output_shape))
        if weights:
            of_weight = module.get_parameter("weight").numel()
            sides.append(
                Sides(
                    f"{row.name} {row.kind}: parameters, without and with biases",
                    (weights, weights + biases),
                    (of_weight, row.parameters),
                )
            )
    total = sum(p.numel() for p in model.parameters())
    formula = sum(int(pair.numbers()[0][1]) for pair in sides if "parameters" in pair.statement)
    return Demonstration([*sides, Sides("all parameters", formula, total)])


def _by_formula(name: str, arguments: Any, shape: tuple[int, ...]) -> tuple[int, int, tuple[int, ...]]:
    """Weights, biases and output shape of a layer."""
    if name == "linear":
        return shape[0] * arguments, arguments, (arguments,)
    if name == "flatten":
        return 0, 0, (math.prod(shape),)
    if name not in ("conv2d", "max_pool2d", "avg_pool2d"):
        return 0, 0, shape
    given = arguments if isinstance(arguments, dict) else {"kernel_size": arguments}
    kernel, padding = given["kernel_size"], given.get("padding", 0)
    stride = given.get("stride", 1 if name == "conv2d" else kernel)
    height, width = ((n + 2 * padding - kernel) // stride + 1 for n in shape[1:])
    if name != "conv2d":
        return 0, 0, (shape[0], height, width)
    channels = given["out_channels"]
    return kernel * kernel * shape[0] * channels, channels, (channels, height, width)


def _count(*modules: "torch.nn.Module") -> int:
    return sum(p.numel() for module in modules for p in module.parameters() if p.requires_grad)
