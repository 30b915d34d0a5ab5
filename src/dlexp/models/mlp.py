"""The multilayer perceptron."""

from typing import TYPE_CHECKING, Any, Literal

from dlexp.models.initialization import Initialization
from dlexp.models.layers import Activation, layers
from dlexp.schema import Count, Fraction

if TYPE_CHECKING:
    from torch import nn


def mlp(
    hidden_sizes: tuple[Count, ...] = (),
    activation: Activation = "relu",
    batch_norm: bool = False,
    dropout: Fraction = 0.0,
    init: Initialization = "default",
    backward: Literal["autograd", "manual"] = "autograd",
    *,
    input_shape: tuple[int, ...],
    num_classes: int,
) -> "nn.Module":
    """Linear → [batch norm] → activation → [dropout] for each hidden size, then a linear layer to the logits.

    Takes (N, *input_shape), flattened; gives (N, num_classes). Without hidden sizes it is softmax regression. With
    `backward=manual` its gradients come from formulas (see `by_hand`), without autograd.
    """
    block: list[Any] = ["batch_norm1d"] * batch_norm + ["activation"] + [{"dropout": dropout}] * (dropout > 0)
    hidden = [layer for size in hidden_sizes for layer in ({"linear": size}, *block)]
    flatten = ["flatten"] if len(input_shape) > 1 else []
    model = layers((*flatten, *hidden, "output"), activation, init, input_shape=input_shape, num_classes=num_classes)
    if backward == "autograd":
        return model
    from dlexp.models.by_hand import ByHand

    return ByHand(model)
