"""Convolutions as linear layers and as matrices (dl_hw3 ex06, ex15)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dlexp.config.lazy import F, torch
from dlexp.config.schema import Count, Natural, Seed
from dlexp.demonstrations.sides import Demonstration, Sides, Table
from dlexp.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


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
    channels: Count = 3,
    length: Count = 4,
    kernel_size: Count = 3,
    padding: Natural = 1,
    stride: Count = 1,
    seed: Seed = 0,
) -> Demonstration:
    """Compare the gradients of a 1-D convolution from several channels to one with its matrix, by autograd and formula.

    y = C x with C = [C₁ C₂ …], a matrix (outputs, length) for each channel, so ∂E/∂x = Cᵀ ∂E/∂y. For each channel also
    y = Σ X w, and column k of X holds the inputs that wₖ meets, so ∂E/∂w = Xᵀ ∂E/∂y.
    """
    check_kernel(kernel_size, length + 2 * padding)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, channels, length, generator=generator, dtype=torch.float64)
    w = torch.randn(1, channels, kernel_size, generator=generator, dtype=torch.float64)
    y = F.conv1d(x.requires_grad_(), w.requires_grad_(), padding=padding, stride=stride)
    d_y = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    d_x, d_w = torch.autograd.grad(y, [x, w], d_y)
    x, w, y = x.detach(), w.detach(), y.detach()
    outputs = y.shape[2]
    met = {(i, k): i * stride + k - padding for i in range(outputs) for k in range(kernel_size)}  # in yᵢ, wₖ meets xⱼ
    met = {place: j for place, j in met.items() if 0 <= j < length}
    c, met_x = (torch.zeros(outputs, channels, n, dtype=torch.float64) for n in (length, kernel_size))
    for (i, k), j in met.items():
        c[i, :, j], met_x[i, :, k] = w[0, :, k], x[0, :, j]
    matrix = c.flatten(1)
    unmet = (length + 2 * padding - kernel_size) % stride  # padded inputs at the end
    counts = {"x": length, "w": kernel_size, "y": outputs}
    names = {name: [f"{name}{n + 1}" for n in range(count)] for name, count in counts.items()}
    symbols = _matrices(names, met)
    first = [f"({', '.join(map(str, table.rows[0][1:]))})" for table in symbols.values()]
    return Demonstration(
        [
            Sides("y = C x", y.flatten(), matrix @ x.flatten()),
            Sides("∂E/∂x = Cᵀ ∂E/∂y", d_x.flatten(), matrix.T @ d_y.flatten()),
            Sides(
                "∂E/∂x = transposed convolution of ∂E/∂y",
                d_x,
                F.conv_transpose1d(d_y, w, padding=padding, stride=stride, output_padding=unmet),
            ),
            Sides(
                f"∂E/∂x = convolution of ∂E/∂y with w in reverse, {stride - 1} zeros between the values of ∂E/∂y",
                d_x,
                _spread_and_convolved(d_y, w, unmet, padding, stride),
            ),
            Sides("∂E/∂w = Xᵀ ∂E/∂y", d_w[0], torch.einsum("ick,i->ck", met_x, d_y[0, 0])),
            Sides(
                "∂E/∂w = correlation of x and ∂E/∂y",
                d_w[0],
                F.conv1d(x.transpose(0, 1), d_y, padding=padding, dilation=stride)[:, 0, :kernel_size],
            ),
        ],
        tables=symbols
        | {
            "C = [C₁ C₂ …] in numbers": Table(
                ["", *(f"{name} of {n + 1}" for n in range(channels) for name in names["x"])],
                [[name, *row] for name, row in zip(names["y"], matrix.tolist(), strict=True)],
            ),
            "Output and the gradient from above": _gradients(names["y"], y, d_y),
            "Inputs and their gradients": _gradients(names["x"], x, d_x),
            "Weights and their gradients": _gradients(names["w"], w, d_w),
        },
        findings=[
            f"C begins with the row {first[0]} and Cᵀ with the row {first[1]}: on the way back, an input"
            " collects ∂E/∂y of every output that it is part of, times the weight that it has there."
        ],
    )


def _matrices(names: Mapping[str, Sequence[str]], met: Mapping[tuple[int, int], int]) -> dict[str, Table]:
    """Return C, Cᵀ and X of one channel in symbols; `met` says which input weight k meets in output i."""
    x, w, y = (names[name] for name in "xwy")

    def table(rows: Sequence[str], columns: Sequence[str], entries: Mapping[tuple[int, int], str]) -> Table:
        body = [[entries.get((i, j), "0") for j in range(len(columns))] for i in range(len(rows))]
        return Table(["", *columns], [[row, *cells] for row, cells in zip(rows, body, strict=True)])

    return {
        "C of one channel, for y = C x": table(y, x, {(i, j): w[k] for (i, k), j in met.items()}),
        "Cᵀ of one channel, for ∂E/∂x = Cᵀ ∂E/∂y": table(x, y, {(j, i): w[k] for (i, k), j in met.items()}),
        "X of one channel, for ∂E/∂w = Xᵀ ∂E/∂y": table(y, w, {(i, k): x[j] for (i, k), j in met.items()}),
    }


def _gradients(names: Sequence[str], values: Tensor, gradients: Tensor) -> Table:
    rows = torch.cat([values[0], gradients[0]], 1).tolist()
    columns = ["channel", *names, *(f"∂E/∂{name}" for name in names)]
    return Table(columns, [[n + 1, *row] for n, row in enumerate(rows)])


def _spread_and_convolved(d_y: Tensor, w: Tensor, unmet: int, padding: int, stride: int) -> Tensor:
    width = (d_y.shape[2] - 1) * stride + 1
    spread = torch.zeros(1, 1, width + unmet, dtype=d_y.dtype)
    spread[..., :width:stride] = d_y
    reach = w.shape[2] - 1 - padding
    return F.conv1d(F.pad(spread, (reach, reach)), w.flip(2).transpose(0, 1))


def check_kernel(kernel_size: int, length: int) -> None:
    """Raise UserError if a kernel is longer than its padded input."""
    if kernel_size > length:
        raise UserError(f"demonstration.kernel_size={kernel_size} is larger than its input, {length} with padding.")
