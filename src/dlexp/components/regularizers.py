"""Penalties on the weights (not on biases or the parameters of norms), which the training loop adds to the loss."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dlexp.config.registry import Registry
from dlexp.config.schema import NonNegative, Ratio

if TYPE_CHECKING:
    from torch import Tensor

Penalty = Callable[[Sequence["Tensor"]], "Tensor"]


def none() -> None:
    """Add no penalty, at no cost."""


def l1(strength: NonNegative = 1e-3) -> Penalty:
    """Strength · Σ |w|."""
    return elastic_net(strength, l1_ratio=1.0)


def l2(strength: NonNegative = 1e-3) -> Penalty:
    """Strength · Σ w² (no ½: for plain SGD it equals weight_decay = 2 · strength)."""
    return elastic_net(strength, l1_ratio=0.0)


def elastic_net(strength: NonNegative = 1e-3, l1_ratio: Ratio = 0.5) -> Penalty:
    """Strength · (l1_ratio · Σ |w| + (1 − l1_ratio) · Σ w²) (Zou and Hastie, 2005)."""

    def penalty(weights: Sequence["Tensor"]) -> "Tensor":
        total = weights[0].new_zeros(())
        for weight in weights:
            if l1_ratio > 0:
                total = total + l1_ratio * weight.abs().sum()
            if l1_ratio < 1:
                total = total + (1 - l1_ratio) * weight.square().sum()
        return strength * total

    return penalty


REGULARIZERS: Registry[Penalty | None] = Registry(
    "regularizer",
    {"none": none, "l1": l1, "l2": l2, "elastic_net": elastic_net},
    product=lambda: (Callable, type(None)),
    example="def mine(strength: float = 0.1):\n    return lambda weights: strength * sum(w.norm() for w in weights)",
)
