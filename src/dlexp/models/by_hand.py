"""A network whose backward pass is written out, without autograd.

For a layer y = f(x) and g = ∂E/∂y, where E is the mean over the batch's samples, the chain rule gives

    linear, y = x Wᵀ + b    ∂E/∂W = gᵀ x    ∂E/∂b = Σ g    ∂E/∂x = g W
    activation, y = σ(x)    ∂E/∂x = g · σ′(x)

(Rumelhart, Hinton and Williams, 1986).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from dlexp.errors import UserError
from dlexp.models.activations import shown_name

# σ′ from the input x and the output y = σ(x).
DERIVATIVES: dict[type[nn.Module], Callable[[Any, Tensor, Tensor], Tensor]] = {
    nn.Identity: lambda module, x, y: torch.ones_like(x),
    nn.ReLU: lambda module, x, y: (x > 0).to(x.dtype),
    nn.LeakyReLU: lambda module, x, y: torch.where(x > 0, 1.0, x.new_tensor(module.negative_slope)),
    nn.Tanh: lambda module, x, y: 1 - y * y,
    nn.Sigmoid: lambda module, x, y: y * (1 - y),
    # PyTorch's softplus is x itself, with slope 1, if β x is above its threshold.
    nn.Softplus: lambda module, x, y: (module.beta * x).sigmoid().masked_fill(module.beta * x > module.threshold, 1.0),
}


class ByHand(nn.Sequential):
    """Linear layers and activations that keep their inputs, and compute their gradients from the last to the first."""

    def __init__(self, model: nn.Sequential):
        super().__init__(*model)
        for module in self:
            if type(module) not in (nn.Flatten, nn.Linear, *DERIVATIVES):
                raise UserError(
                    f"model.backward=manual has no derivative of {type(module).__name__}: take relu, leaky_relu, "
                    "tanh, sigmoid, softplus or identity, or model.backward=autograd."
                )
        self._values: list[Tensor] = []
        self.gradients: dict[str, Tensor] = {}  # by each layer's output, for traces

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs, keeping each layer's input for `backward`."""
        self._values = [inputs]
        for module in self:
            self._values.append(module(self._values[-1]))
        return self._values[-1]

    def backward(self, gradient: Tensor) -> None:
        """Set every parameter's `grad`, and `gradients`, from that of the loss by the last outputs (N, classes)."""
        layers = list(zip(self.named_children(), self._values, self._values[1:], strict=False))
        for (name, module), x, y in reversed(layers):
            self.gradients[shown_name(name, module)] = gradient
            if isinstance(module, nn.Flatten):
                gradient = gradient.view_as(x)
            elif isinstance(module, nn.Linear):
                module.weight.grad = gradient.T @ x
                if module.bias is not None:
                    module.bias.grad = gradient.sum(0)
                gradient = gradient @ module.weight
            else:
                gradient = gradient * DERIVATIVES[type(module)](module, x, y)
