"""What an EfficientNet (Tan and Le, 2019: table 1, equation 3) is, counted in torchvision's nets (is_hw4 ex03)."""

from __future__ import annotations

from typing import Any

from dlexp.config.lazy import nn, torch, torchvision_models
from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table

# Width and depth of B1 to B7 as multiples of B0's: the paper's published code, efficientnet_builder.py.
MULTIPLES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8), (1.6, 2.2), (1.8, 2.6), (2.0, 3.1))


def efficientnet() -> Demonstration:
    """Count the parameters of B0 to B7, list B0's stages, and take one inverted residual block apart."""
    names = [f"efficientnet_b{i}" for i in range(len(MULTIPLES))]
    published = [torchvision_models.get_model_weights(name).DEFAULT for name in names]
    with torch.device("meta"):  # shapes without memory
        nets = [torchvision_models.get_model(name, weights=None) for name in names]
    counted = [_parameters(net) for net in nets]
    sizes = [weights.transforms().crop_size[0] for weights in published]
    accuracy = [weights.meta["_metrics"]["ImageNet-1K"]["acc@1"] for weights in published]
    operations = [weights.meta["_ops"] for weights in published]
    blocks = [sum(len(stage) for stage in net.features[1:-1]) for net in nets]
    block = nets[0].features[2][1].block  # the first one whose input is added to its output
    rows = zip(names, MULTIPLES, sizes, blocks, counted, operations, accuracy, strict=True)
    return Demonstration(
        [
            Sides("parameters, counted = published", counted, [w.meta["num_params"] for w in published]),
            Sides(
                "an inverted residual block is the sum of its parts", _parameters(block), sum(_parts(block).values())
            ),
        ],
        {
            "One coefficient scales width, depth and resolution": Table(
                ["net", "width ×", "depth ×", "image", "blocks", "parameters", "10⁹ multiplications", "top 1, %"],
                [[name, *map("{:g}".format, multiples), *rest] for name, multiples, *rest in rows],
            ),
            "Stages of B0": Table(["stage", "operator", "image", "channels", "blocks", "parameters"], _stages(nets[0])),
            "An inverted residual block of B0, 24 → 24 channels": Table(
                ["part", "parameters"], [list(part) for part in _parts(block).items()]
            ),
        },
        {
            "Accuracy against parameters": Panel(
                {"B0 to B7, from left to right": [(n / 1e6, top) for n, top in zip(counted, accuracy, strict=True)]},
                "parameters, millions",
                "top 1 on ImageNet, %",
                "x",
            )
        },
        findings=[
            "B1 to B7 are B0 with more channels, more blocks and larger images at once: depth 1.2^φ, width 1.1^φ, "
            "resolution 1.15^φ, so that the cost doubles with each φ.",
            "A block widens its input (1 × 1), looks at neighbours channel by channel (depthwise), weighs the channels "
            "(squeeze and excitation) and narrows them again (1 × 1); its input is added if the shapes agree.",
            f"From B0 to B4, {counted[4] / counted[0]:.1f} times the parameters buy {accuracy[4] - accuracy[0]:.1f} "
            f"points; from B4 to B7, {counted[7] / counted[4]:.1f} times buy {accuracy[7] - accuracy[4]:.1f}.",
        ],
    )


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _parts(block: nn.Sequential) -> dict[str, int]:
    """Return the parameters of a block's parts, which are expansion, depthwise convolution, excitation, projection."""
    names = ("expansion, 1 × 1", "depthwise convolution", "squeeze and excitation", "projection, 1 × 1")
    return {name: _parameters(part) for name, part in zip(names, block, strict=True)}


def _stages(net: Any) -> list[list[str | float]]:
    """Return B0's rows of the paper's table 1: operator, size of the image, channels, blocks; and parameters."""
    rows: list[list[str | float]] = []
    images = torch.zeros(1, 3, 224, 224, device="meta")
    for number, stage in enumerate(net.eval().features, 1):
        first = stage[0]
        if isinstance(first, nn.Conv2d):
            operator, blocks = f"convolution {first.kernel_size[0]} × {first.kernel_size[0]}", 1
        else:
            depthwise = next(m for m in first.modules() if isinstance(m, nn.Conv2d) and m.groups == m.in_channels)
            widened = depthwise.in_channels // images.shape[1]
            operator = f"inverted residual {widened}, {depthwise.kernel_size[0]} × {depthwise.kernel_size[0]}"
            blocks = len(stage)
        size = f"{images.shape[-1]} × {images.shape[-1]}"
        images = stage(images)
        rows.append([str(number), operator, size, images.shape[1], blocks, _parameters(stage)])
    rows.append(["", "mean over the image, linear", "7 × 7", 1000, 1, _parameters(net.classifier)])
    return rows
