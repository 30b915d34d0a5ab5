"""Convolutions whose weight is a product, with fewer parameters and operations (dl_hw3 ex14)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlexp.config.lazy import F, torch
from dlexp.config.schema import Count, Seed
from dlexp.demonstrations.convolution import check_kernel
from dlexp.demonstrations.counts import counted
from dlexp.demonstrations.sides import Demonstration, Sides, Table

if TYPE_CHECKING:
    from torch import Tensor

    from dlexp.models.convolutions import LowRankConv2d, SeparableConv2d


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

    check_kernel(kernel_size, side)
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
        made, (_, used) = sum(p.numel() for p in layer.parameters()), counted(layer, images)
        sides.append(Sides(f"{name}: parameters", parameters[name], made))
        sides.append(Sides(f"{name}: operations", operations[name], used))
    rows: list[list[str | float]] = [["dense", dense, dense * out * out]]
    rows += [[name, parameters[name], operations[name]] for name in layers]
    return Demonstration(sides, {"Cost for one image": Table(["convolution", "parameters", "operations"], rows)})


def composed_gradients(
    in_channels: Count = 16, out_channels: Count = 32, kernel_size: Count = 3, side: Count = 8, seed: Seed = 0
) -> Demonstration:
    """Gradients of the factors of W, by formula and by autograd: summed from G = ∂E/∂W, and stage by stage.

    W[i,j,l,k] = a[i] b[j] c[l] d[k], or D[l,i,j] P[k,l] for depthwise and pointwise weights, with input channels l and
    output channels k. Stage by stage, the gradient passes the layers in reverse, and G is never formed.
    """
    from dlexp.models.convolutions import LowRankConv2d, SeparableConv2d

    check_kernel(kernel_size, side)
    torch.manual_seed(seed)
    x = torch.randn(in_channels, side, side, dtype=torch.float64)
    k, out = kernel_size, side - kernel_size + 1  # no padding
    d_y = torch.randn(out_channels, out, out, dtype=torch.float64)
    g_operations = out * out * in_channels * out_channels * k * k
    layers = {
        "a, b, c, d": _Factors(
            LowRankConv2d(in_channels, out_channels, k, bias=False),
            {"c": "l", "a": "i", "b": "j", "d": "k"},
            _rank_1,
            2 * out * out * (out_channels + k) + 2 * out * side * k + side * side * in_channels,
        ),
        "D, P": _Factors(
            SeparableConv2d(in_channels, out_channels, k, bias=False),
            {"D": "lij", "P": "kl"},
            _separable,
            out * out * in_channels * (2 * out_channels + k * k),
        ),
    }
    _, used = counted(torch.einsum, "khw,lhwij->klij", d_y, _patches(x, k))
    sides = [Sides("operations of G", g_operations, used)]
    for names, factors in layers.items():
        sides += _gradients(names, factors, x, d_y)
    rows: list[list[str | float]] = [["G, before anything is summed from it", g_operations]]
    rows += [[f"{names}, stage by stage", factors.operations] for names, factors in layers.items()]
    fewer = {names: f"{g_operations / factors.operations:.3g}" for names, factors in layers.items()}
    return Demonstration(
        sides,
        {"Operations of the gradients": Table(["gradient", "operations"], rows)},
        findings=[
            f"Stage by stage, the gradients of a, b, c, d take {fewer['a, b, c, d']} times fewer operations than G"
            f" alone, and those of the depthwise and pointwise weights {fewer['D, P']} times fewer."
        ],
    )


@dataclass(frozen=True)
class _Factors:
    """Layers in a row whose weights have the `indices` of W; `backward` takes the `operations` for their gradients."""

    layers: SeparableConv2d | LowRankConv2d
    indices: Mapping[str, str]
    backward: Callable[..., dict[str, Tensor]]
    operations: int


def _gradients(names: str, factors: _Factors, x: Tensor, d_y: Tensor) -> list[Sides]:
    inputs = [x]  # of each layer, and the output
    for layer in factors.layers.double():
        inputs.append(layer(inputs[-1]))
    found = torch.autograd.grad(inputs[-1], list(factors.layers.parameters()), d_y)
    inputs = [each.detach() for each in inputs]
    dense = factors.layers.dense_weight().detach().requires_grad_()
    (g,) = torch.autograd.grad(F.conv2d(x[None], dense)[0], dense, d_y)
    size, indices = dict(zip("klij", g.shape, strict=True)), factors.indices
    shapes = {name: [size[index] for index in indices[name]] for name in indices}
    parameters = zip(indices, factors.layers.parameters(), strict=True)
    weights = {name: parameter.detach().reshape(shapes[name]) for name, parameter in parameters}
    by_stage, used = counted(functools.partial(factors.backward, d_y, inputs, **weights))
    sides = []
    for name, autograd in zip(indices, found, strict=True):
        others = [other for other in indices if other != name]
        equation = ",".join(["klij", *(indices[other] for other in others)]) + "->" + indices[name]
        summed = torch.einsum(equation, g, *(weights[other] for other in others))
        left, *right = [f"{each}[{','.join(indices[each])}]" for each in (name, *others)]
        autograd = autograd.reshape(shapes[name])
        sides.append(Sides(f"∂E/∂{left} = Σ G[i,j,l,k] {' '.join(right)}", summed, autograd))
        sides.append(Sides(f"∂E/∂{left}, stage by stage", by_stage[name], autograd))
    return [*sides, Sides(f"operations of the gradients of {names}, stage by stage", factors.operations, used)]


def _patches(x: Tensor, k: int) -> Tensor:
    """Return the k × k inputs under each output: (channels, H, W) → (channels, H′, W′, k, k)."""
    return x.unfold(1, k, 1).unfold(2, k, 1)


def _rank_1(d_y: Tensor, inputs: Sequence[Tensor], *, c: Tensor, a: Tensor, b: Tensor, d: Tensor) -> dict[str, Tensor]:
    x, (u,), (v,), (z,), _ = inputs
    d_z = torch.einsum("k,khw->hw", d, d_y)
    d_v = F.conv_transpose1d(d_z[:, None], b[None, None])[:, 0]
    d_u = F.conv_transpose1d(d_v.T[:, None], a[None, None])[:, 0].T
    return {
        "d": torch.einsum("khw,hw->k", d_y, z),
        "b": torch.einsum("hw,hwj->j", d_z, v.unfold(1, len(b), 1)),
        "a": torch.einsum("hw,hwi->i", d_v, u.unfold(0, len(a), 1)),
        "c": torch.einsum("hw,lhw->l", d_u, x),
    }


def _separable(d_y: Tensor, inputs: Sequence[Tensor], **weights: Tensor) -> dict[str, Tensor]:
    x, z, _ = inputs
    d_z = torch.einsum("kl,khw->lhw", weights["P"], d_y)
    return {
        "P": torch.einsum("khw,lhw->kl", d_y, z),
        "D": torch.einsum("lhw,lhwij->lij", d_z, _patches(x, weights["D"].shape[2])),
    }
