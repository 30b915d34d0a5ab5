"""The number of parameters of a net, by formula and in PyTorch (dl_hw3 ex12, nn_theory ex03)."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from dlexp.config.lazy import F, nn, torch
from dlexp.config.schema import Count, name_and_arguments
from dlexp.demonstrations.sides import Demonstration, LayerSizes, Sides, Table
from dlexp.errors import UserError
from dlexp.models.layers import ACTIVATIONS
from dlexp.models.layers import layers as build
from dlexp.models.summary import summarize

if TYPE_CHECKING:
    import torch

FORMULAS = ("linear", "conv2d", "max_pool2d", "avg_pool2d", "flatten")
UNCHANGING = (*ACTIVATIONS, "activation", "dropout", "dropout2d", "softmax", "log_softmax")


def perceptron_parameters(sizes: LayerSizes = (20, 10, 10, 10, 10, 10, 1), n: Count = 64) -> Demonstration:
    """Count the parameters of a perceptron, of a dense layer and equal filters, and of a new head n → 10 for n → 2."""
    with torch.device("meta"):  # shapes without memory
        layers = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
        body, old, head = nn.Linear(512, n), nn.Linear(n, 2), nn.Linear(n, 10)
        dense, filters = nn.Linear(100, 5), nn.Conv2d(1, 5, 10)
    formula = sum(a * b + b for a, b in itertools.pairwise(sizes))
    unfrozen = _count(body, head)
    body.requires_grad_(False)
    at_first = _count(body, head)
    losses = [F.cross_entropy(torch.zeros(1, labels), torch.tensor([0])).item() for labels in (2, 10)]
    return Demonstration(
        [
            Sides(f"{' → '.join(map(str, sizes))}: Σ (nᵢ nᵢ₊₁ + nᵢ₊₁)", formula, sum(map(_count, layers))),
            Sides("dense 100 → 5 = five 10 × 10 filters", _count(dense), _count(filters)),
            Sides("head n → 2: 2 n + 2", 2 * n + 2, _count(old)),
            Sides("head n → 10: 10 n + 10, tuned at first", 10 * n + 10, at_first),
            Sides("tuned if 512 → n is unfrozen: 512 n + n more", 10 * n + 10 + 512 * n + n, unfrozen),
            Sides("cross-entropy of equal probabilities: ln(labels)", [math.log(2), math.log(10)], losses, 1e-6),
        ],
        {
            f"Parameters of 512 → n → 10, n = {n}": Table(
                ["layer", "parameters", "tuned at first", "tuned when unfrozen"],
                [
                    [f"512 → {n}", unfrozen - at_first, 0, unfrozen - at_first],
                    [f"{n} → 10, new", at_first, at_first, at_first],
                    ["together", unfrozen, at_first, unfrozen],
                ],
            )
        },
        findings=[
            f"The new head has 10 n + 10 = {at_first:,} parameters; the homework has 10 n + n = {11 * n:,}. "
            "A bias belongs to a label, not to an input.",
            "Two labels need one sigmoid with binary cross-entropy. Ten labels of which one is true need a "
            f"softmax with categorical cross-entropy, which is about ln 10 = {losses[1]:.3f} before training, and not "
            f"ln 2 = {losses[0]:.3f}. Ten labels of which several may be true need ten sigmoids (ex04_several_labels).",
        ],
    )


def layer_table(
    layers: tuple[Any, ...] = ("flatten", {"linear": 10}),
    input_shape: tuple[Count, ...] = (1, 8, 8),
    classes: Count = 10,
) -> Demonstration:
    """Count each layer's output values and parameters (weights, then with biases), by formula and in PyTorch.

    A convolution or pooling of n pixels gives ⌊(n + 2 p − k) / s⌋ + 1.
    """
    named = [{"output": {"linear": classes}}.get(layer, layer) if isinstance(layer, str) else layer for layer in layers]
    formulas: list[tuple[int, int, tuple[int, ...]]] = []
    for layer in named:
        before = formulas[-1][2] if formulas else tuple(input_shape)
        formulas.append(_by_formula(*name_and_arguments(layer, "demonstration.layers"), before))
    with torch.device("meta"):  # shapes only: an AlexNet's weights would take 240 MB and a second
        model = build(layers, input_shape=input_shape, num_outputs=classes)
        rows = summarize(model, input_shape)
    sides: list[Sides] = []
    for (weights, biases, shape), row, module in zip(formulas, rows, model, strict=True):
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
    """Return the number of weights, the number of biases and the output shape of a layer."""
    if not (name in UNCHANGING or (name in FORMULAS and _only_numbers(name, arguments))):
        raise UserError(
            f"demonstration.layers: there is no formula for {name}: {arguments}. Known are {', '.join(FORMULAS)} "
            "with whole numbers, and layers that keep the shape and have no parameters."
        )
    if name in UNCHANGING:
        return 0, 0, shape
    if name == "flatten":
        return 0, 0, (math.prod(shape),)
    if name == "linear":
        return shape[0] * arguments, arguments, (arguments,)
    given = arguments if isinstance(arguments, dict) else {"kernel_size": arguments}
    kernel, padding = given["kernel_size"], given.get("padding", 0)
    stride = given.get("stride", 1 if name == "conv2d" else kernel)
    height, width = ((n + 2 * padding - kernel) // stride + 1 for n in shape[1:])
    if name != "conv2d":
        return 0, 0, (shape[0], height, width)
    channels = given["out_channels"]
    return kernel * kernel * shape[0] * channels, channels, (channels, height, width)


def _only_numbers(name: str, arguments: Any) -> bool:
    if name == "linear":
        return isinstance(arguments, int)
    if name == "flatten" or (isinstance(arguments, int) and name != "conv2d"):
        return name != "flatten" or arguments == {}
    known = {"kernel_size", "stride", "padding"} | ({"out_channels"} if name == "conv2d" else set())
    return isinstance(arguments, dict) and arguments.keys() <= known and all(type(v) is int for v in arguments.values())


def _count(*modules: torch.nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters() if p.requires_grad)
