"""Initial weights by name."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import nn

Initialization = Literal["default", "uniform", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "zeros"]


def initialize(model: "nn.Module", init: Initialization) -> None:
    """Set the weights of the linear and convolutional layers of `model`, drawing from torch's global generator.

    `default` keeps PyTorch's. `uniform` is Uniform(0, 1) for weights and biases alike, as the course uses it; the
    Xavier (Glorot and Bengio, 2010) and He (He et al., 2015) ones set biases to zero, as does `zeros`.
    """
    from torch import nn

    if init == "default":
        return
    fills: dict[str, Callable[..., Any]] = {
        "uniform": nn.init.uniform_,
        "xavier_uniform": nn.init.xavier_uniform_,
        "xavier_normal": nn.init.xavier_normal_,
        "he_uniform": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
        "he_normal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
        "zeros": nn.init.zeros_,
    }
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            fills[init](module.weight)
            if module.bias is not None:
                (nn.init.uniform_ if init == "uniform" else nn.init.zeros_)(module.bias)
