"""The multilayer perceptron."""

from typing import TYPE_CHECKING, Any, Literal

from dlexp.config.schema import Count, Fraction
from dlexp.errors import UserError
from dlexp.models.initialization import Initialization
from dlexp.models.layers import Activation, layers

if TYPE_CHECKING:
    from torch import nn


def mlp(
    hidden_sizes: tuple[Count, ...] = (16,),
    activation: Activation | tuple[Activation, ...] = "relu",
    batch_norm: bool = False,
    dropout: Fraction = 0.0,
    init: Initialization = "default",
    backward: Literal["autograd", "manual"] = "autograd",
    *,
    input_shape: tuple[int, ...],
    num_outputs: int,
) -> "nn.Module":
    """Linear → [batch norm] → activation → [dropout] for each hidden size, then a linear layer to the outputs.

    The model flattens (N, *input_shape) and gives (N, num_outputs). Without hidden sizes it is softmax regression. A
    list of activations has one for each hidden size, and may have one more for the outputs. With `backward=manual` the
    gradients come from formulas (see `by_hand`), without autograd. Raises UserError for a list of another length.
    """
    each = activation if isinstance(activation, tuple) else (activation,) * len(hidden_sizes)
    if len(each) - len(hidden_sizes) not in (0, 1):
        raise UserError(
            f"model.activation: there are {len(each)} for {len(hidden_sizes)} hidden layers. Give one for each, and "
            "one more if the outputs need one."
        )
    hidden: list[Any] = []
    for size, own in zip(hidden_sizes, each, strict=False):
        block = ["batch_norm1d"] * batch_norm + [own] + [{"dropout": dropout}] * (dropout > 0)
        hidden += [{"linear": size}, *block]
    flatten = ["flatten"] if len(input_shape) > 1 else []
    everything = (*flatten, *hidden, "output", *each[len(hidden_sizes) :])
    model = layers(everything, init=init, input_shape=input_shape, num_outputs=num_outputs)
    if backward == "autograd":
        return model
    from dlexp.models.by_hand import ByHand

    return ByHand(model)
