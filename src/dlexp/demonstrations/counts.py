"""What nets and their gradients cost, by formula and in PyTorch (dl_hw3 ex01 and ex12, nn_theory ex03)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dlexp.config.lazy import F, nn, torch
from dlexp.config.schema import Count, Seed, name_and_arguments
from dlexp.demonstrations.sides import Demonstration, LayerSizes, Panel, Sides, Table
from dlexp.errors import UserError
from dlexp.models.layers import ACTIVATIONS
from dlexp.models.layers import layers as build
from dlexp.models.summary import summarize

if TYPE_CHECKING:
    import torch
    from torch import Tensor

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


def counted(function: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    """Return what `function(*arguments)` returns, and the multiplications of its matrix products and convolutions.

    PyTorch counts them. Its counter takes the gradient of a grouped convolution for one without groups (PyTorch 2.12).
    """
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        result = function(*arguments)
    return result, int(counter.get_total_flops()) // 2  # it counts multiplications and additions separately


def backpropagation_cost(
    widths: tuple[Count, ...] = (2, 4, 8, 16, 32), hidden_layers: Count = 2, seed: Seed = 0
) -> Demonstration:
    """Count the multiplications of a backward pass, and of a forward-mode pass for each weight, for nets n → … → n → 1.

    tanh units, E = ½ y², one sample. Multiplications by the slope of an activation, one a unit, are left out.
    """
    sides, rows = [], []
    for width in widths:
        torch.manual_seed(seed)
        sizes = [width] * (hidden_layers + 1) + [1]
        weights = [torch.randn(b, a, dtype=torch.float64) / a**0.5 for a, b in itertools.pairwise(sizes)]
        inputs = [torch.randn(1, width, dtype=torch.float64)]  # of each layer, and the output
        for weight in weights:
            z = inputs[-1] @ weight.requires_grad_().T
            inputs.append(z.tanh() if weight is not weights[-1] else z)
        error = inputs[-1].square().sum() / 2
        autograd, backward = counted(torch.autograd.grad, error, weights)
        weights, inputs = ([each.detach() for each in values] for values in (weights, inputs))
        by_weight, forward = counted(_forward_mode, weights, inputs)
        autograd, by_weight = (torch.cat([each.flatten() for each in found]) for found in (autograd, by_weight))
        products = [weight.numel() for weight in weights]
        count = sum(products)
        by_formula = 2 * count - products[0], sum(n * sum(products[i + 1 :]) for i, n in enumerate(products))
        sides += [
            Sides(f"width {width}: gradients by forward mode and by backpropagation", by_weight, autograd),
            Sides(f"width {width}: backpropagation, 2 N − N₁ multiplications", by_formula[0], backward),
            Sides(f"width {width}: forward mode, Σ Nᵢ (Nᵢ₊₁ + Nᵢ₊₂ + …) multiplications", by_formula[1], forward),
        ]
        rows.append([width, count, backward, forward, forward / backward])
    points = {name: [(row[1], row[i]) for row in rows] for i, name in ((2, "backpropagation"), (3, "forward mode"))}
    used = [
        [f"{i + 1}", size, size * (sizes[i + 2] if i < hidden_layers else 0), products[i], sum(products[:i])]
        for i, size in enumerate(sizes[1:])
    ]
    return Demonstration(
        sides,
        {
            "Multiplications for the gradient of N weights, N₁ of them in the first layer": Table(
                ["width", "N", "backpropagation", "forward mode, a pass a weight", "times as many"], rows
            ),
            f"What is used again at width {width}": Table(
                ["layer", "its δ", "multiplications for them", "weights of the layer", "weights below"], used
            ),
        },
        {"Multiplications for all gradients": Panel(points, "weights", "multiplications", log="xy")},
        [
            f"At width {width}, forward mode takes {rows[-1][4]:.0f} times the multiplications of backpropagation. The"
            f" latter takes {rows[-1][2] / rows[-1][1]:.2f} for each weight, and less than 2 at every width.",
            "Backpropagation computes each δ once: every weight's gradient is a δ of its layer times an input, and the"
            " δ of the layer below are sums of them. A forward-mode pass computes everything above its weight anew.",
        ],
    )


def _forward_mode(weights: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return ∂E/∂w for each layer's weights: a row for each weight carries ∂z/∂w upwards, all rows at once."""
    gradients = []
    for i, weight in enumerate(weights):
        outputs = len(weight)
        rows = (torch.eye(outputs)[:, None] * inputs[i][0, :, None]).reshape(
            -1, outputs
        )  # ∂z/∂w: an input, at its unit
        for h, above in zip(inputs[i + 1 :], weights[i + 1 :], strict=False):
            rows = (rows * (1 - h.square())) @ above.T
        gradients.append(rows * inputs[-1])
    return gradients
