"""Modules that PyTorch lacks: maxout, the step functions of hand-made networks, and branches."""

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
    """1 if the input is at least 0, else 0; its gradient is 0."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply it to each element."""
        return (inputs >= 0).to(inputs.dtype)  # torch.heaviside would only fail later, in backward


class IsZero(nn.Module):
    """1 if the input is 0, else 0; its gradient is 0."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply it to each element."""
        return (inputs == 0).to(inputs.dtype)


class Negate(nn.Module):
    """−x."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply it to each element."""
        return -inputs


class Sum(nn.ModuleList):
    """Gives every branch the same input, and adds their outputs, which have equal shapes."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the sum over the branches."""
        return torch.stack([branch(inputs) for branch in self]).sum(0)


class Concatenate(nn.ModuleList):
    """Gives every branch the same input, and concatenates their outputs: (N, features₁ + features₂ + …, …)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the branches' outputs along dimension 1."""
        return torch.cat([branch(inputs) for branch in self], 1)
