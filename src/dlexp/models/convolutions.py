"""Convolutions that compose a dense convolution's weight from fewer parameters, with fewer operations."""

import torch
from torch import Tensor, nn


class SeparableConv2d(nn.Sequential):
    """Depthwise k × k, then pointwise 1 × 1 (Howard et al., 2017): (N, in, H, W) → (N, out, H′, W′)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
    ):
        super().__init__(
            nn.Conv2d(in_channels, in_channels, kernel_size, stride, padding, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, out_channels, 1, bias=bias),
        )

    def dense_weight(self) -> Tensor:
        """Return the weight (out, in, k, k) of the dense convolution that this one equals."""
        depthwise, pointwise = (layer.get_parameter("weight") for layer in self)
        return torch.einsum("lij,kl->klij", depthwise[:, 0], pointwise[:, :, 0, 0])


class LowRankConv2d(nn.Sequential):
    """W[i, j, l, k] = Σᵣ a_ir b_jr c_lr d_kr with `rank` terms: (N, in, H, W) → (N, out, H′, W′).

    The order takes the fewest operations: first sum the input channels (c), then rows (a) and columns (b) of each term,
    then spread the terms over the output channels (d).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        rank: int = 1,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
    ):
        super().__init__(
            nn.Conv2d(in_channels, rank, 1, bias=False),
            nn.Conv2d(rank, rank, (kernel_size, 1), (stride, 1), (padding, 0), groups=rank, bias=False),
            nn.Conv2d(rank, rank, (1, kernel_size), (1, stride), (0, padding), groups=rank, bias=False),
            nn.Conv2d(rank, out_channels, 1, bias=bias),
        )

    def dense_weight(self) -> Tensor:
        """Return the weight (out, in, k, k) of the dense convolution that this one equals."""
        c, a, b, d = (layer.get_parameter("weight") for layer in self)
        return torch.einsum("rl,ri,rj,kr->klij", c[:, :, 0, 0], a[:, 0, :, 0], b[:, 0, 0, :], d[:, :, 0, 0])
