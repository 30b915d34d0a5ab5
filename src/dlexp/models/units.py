"""Units that PyTorch has not: maxout, and the two step functions of hand-made networks."""

import torch
from torch import Tensor, nn


class Maxout(nn.Module):
    """The largest of `pieces` linear functions (Goodfellow et al., 2013): (N, in) → (N, out)."""

    def __init__(self, in_features: int, out_features: int, pieces: int = 2):
        super().__init__()
        self.linear = nn.Linear(in_features, out_features * pieces)
        self.pieces = pieces

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the maximum over the pieces."""
        return self.linear(inputs).unflatten(1, (-1, self.pieces)).amax(2)


class Step(nn.Module):
    """1 where the input is at least 0, and 0 elsewhere; its gradient is 0."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply it to each element."""
        return torch.heaviside(inputs, inputs.new_ones(()))


class IsZero(nn.Module):
    """1 where the input is 0, and 0 elsewhere; its gradient is 0."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply it to each element."""
        return (inputs == 0).to(inputs.dtype)
