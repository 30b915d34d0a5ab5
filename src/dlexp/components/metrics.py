"""What beside its loss tells how a model does, and what its outputs say about classes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Measure:
    """A figure of outputs and targets, summed over a batch's samples; metrics hold its mean."""

    name: str
    total: Callable[["Tensor", "Tensor"], "Tensor"]
    higher_is_better: bool = False


def predicted_classes(outputs: "Tensor") -> "Tensor":
    """Return the class (N,) that outputs (N, classes) are largest for; of one node's logits (N, 1), 1 if positive."""
    return outputs.argmax(1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0).long()


def _correct(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return (predicted_classes(outputs) == targets).sum()


def _absolute_error(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return (outputs - targets).abs().mean(1).sum()


ACCURACY = Measure("accuracy", _correct, higher_is_better=True)
ABSOLUTE_ERROR = Measure("absolute_error", _absolute_error)
