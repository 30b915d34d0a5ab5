"""Convolutions as linear layers, as transposes and as products (dl_hw3 ex06, ex14, ex15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlexp.config.lazy import F, torch
from dlexp.config.schema import Count, Natural, Seed
from dlexp.demonstrations.sides import Demonstration, Sides
from dlexp.errors import UserError

if TYPE_CHECKING:
    import torch


def pointwise_convolution(
    in_channels: Count = 3, out_channels: Count = 5, side: Count = 6, seed: Seed = 0
) -> Demonstration:
    """Compare a 1 × 1 convolution with the same linear layer at every pixel."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(2, in_channels, side, side, generator=generator, dtype=torch.float64)
    weight = torch.randn(out_channels, in_channels, generator=generator, dtype=torch.float64)
    bias = torch.randn(out_channels, generator=generator, dtype=torch.float64)
    convolved = F.conv2d(images, weight[:, :, None, None], bias)
    pixels = F.linear(images.permute(0, 2, 3, 1), weight, bias).permute(0, 3, 1, 2)
    return Demonstration(
        [
            Sides("1 × 1 convolution = linear layer at every pixel", convolved, pixels),
            Sides("parameters", in_channels * out_channels + out_channels, weight.numel() + bias.numel()),
        ]
    )


def transposed_convolution(
    length: Count = 8, kernel_size: Count = 3, padding: Natural = 1, seed: Seed = 0
) -> Demonstration:
    """Compare ∂E/∂x of a padded 1-D convolution, by autograd, with the transposed convolution of ∂E/∂y."""
    _check_kernel(kernel_size, length + 2 * padding)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, 1, length, generator=generator, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(1, 1, kernel_size, generator=generator, dtype=torch.float64)
    y = F.conv1d(x, kernel, padding=padding)
    upstream = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(y, x, upstream)
    # The convolution as a matrix: row i holds the kernel from column i − padding on.
    matrix = torch.zeros(y.shape[2], length, dtype=torch.float64)
    for row in range(y.shape[2]):
        for k in range(kernel_size):
            if 0 <= row + k - padding < length:
                matrix[row, row + k - padding] = kernel[0, 0, k]
    return Demonstration(
        [
            Sides("y = C x", y.detach()[0, 0], matrix @ x.detach()[0, 0]),
            Sides(
                "∂E/∂x = transposed convolution of ∂E/∂y",
                gradient,
                F.conv_transpose1d(upstream, kernel, padding=padding),
            ),
            Sides("∂E/∂x = Cᵀ ∂E/∂y", gradient[0, 0], matrix.T @ upstream[0, 0]),
        ]
    )


def composed_convolution(
    in_channels: Count = 16,
    out_channels: Count = 32,
    kernel_size: Count = 3,
    rank: Count = 4,
    side: Count = 8,
    seed: Seed = 0,
) -> Demonstration:
    """Compare separable and low-rank convolutions with the dense one whose weight they compose.

    An operation is a multiplication with an addition; a formula and PyTorch's counter count them for one image.
    """
    from dlexp.models.convolutions import LowRankConv2d, SeparableConv2d

    _check_kernel(kernel_size, side)
    torch.manual_seed(seed)
    images = torch.randn(1, in_channels, side, side, dtype=torch.float64)
    k, out = kernel_size, side - kernel_size + 1  # no padding
    dense = in_channels * out_channels * k * k
    layers: dict[str, SeparableConv2d | LowRankConv2d] = {
        "separable": SeparableConv2d(in_channels, out_channels, k, bias=False)
    }
    layers |= {f"rank {r}": LowRankConv2d(in_channels, out_channels, k, rank=r, bias=False) for r in (1, rank)}
    parameters = {"separable": in_channels * (k * k + out_channels)}
    parameters |= {f"rank {r}": r * (in_channels + 2 * k + out_channels) for r in (1, rank)}
    operations = {"separable": out * out * in_channels * (k * k + out_channels)}
    by_rank = side * side * in_channels + side * out * k + out * out * (k + out_channels)
    operations |= {f"rank {r}": r * by_rank for r in (1, rank)}
    sides = []
    for name, layer in layers.items():
        layer.double()
        with torch.no_grad():
            composed = F.conv2d(images, layer.dense_weight())
            sides.append(Sides(f"{name} = dense with the composed weight", layer(images), composed))
        made, counted = sum(p.numel() for p in layer.parameters()), _operations(layer, images)
        sides.append(Sides(f"{name}: parameters (dense: {dense:,})", parameters[name], made))
        sides.append(Sides(f"{name}: operations (dense: {dense * out * out:,})", operations[name], counted))
    return Demonstration(sides)


def _check_kernel(kernel_size: int, length: int) -> None:
    if kernel_size > length:
        raise UserError(f"demonstration.kernel_size={kernel_size} is larger than its input, {length} with padding.")


def _operations(layer: torch.nn.Module, images: torch.Tensor) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        layer(images)
    return counter.get_total_flops() // 2  # it counts multiplications and additions separately
