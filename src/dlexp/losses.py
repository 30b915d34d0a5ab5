"""Losses: functions of a batch's outputs (N, classes) and targets (N,), averaged over the batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dlexp.registry import Registry
from dlexp.schema import Fraction

if TYPE_CHECKING:
    from torch import Tensor

LossFunction = Callable[["Tensor", "Tensor"], "Tensor"]


@dataclass(frozen=True)
class Loss:
    """A loss and what outputs it is right for; `build` refuses a model that gives something else."""

    function: LossFunction
    accepts: tuple[Literal["logits", "log_probabilities"], ...]


def cross_entropy(label_smoothing: Fraction = 0.0) -> Loss:
    """−log softmax(z)[t], on logits z; `label_smoothing` as in Szegedy et al. (2016)."""
    from torch.nn import functional as F

    return Loss(
        lambda outputs, targets: F.cross_entropy(outputs, targets, label_smoothing=label_smoothing), ("logits",)
    )


def nll() -> Loss:
    """−z[t], on log-probabilities z."""
    from torch.nn import functional as F

    return Loss(F.nll_loss, ("log_probabilities",))


def mse() -> Loss:
    """Mean over classes of (p − one-hot(t))², with p = softmax(z): the course's mean squared error."""
    from torch.nn import functional as F

    def loss(outputs: "Tensor", targets: "Tensor") -> "Tensor":
        probabilities = outputs.softmax(1)
        return F.mse_loss(probabilities, F.one_hot(targets, outputs.shape[1]).to(probabilities.dtype))

    return Loss(loss, ("logits", "log_probabilities"))  # the softmax of log-probabilities is the probabilities


def categorical_hinge() -> Loss:
    """max(0, 1 + max over wrong classes of p − p[t]), with p = softmax(z): Keras' and the course's hinge."""
    from torch.nn import functional as F

    def loss(outputs: "Tensor", targets: "Tensor") -> "Tensor":
        probabilities = outputs.softmax(1)
        right = F.one_hot(targets, outputs.shape[1]).bool()
        largest_wrong = probabilities.masked_fill(right, 0.0).amax(1)
        return (1 + largest_wrong - probabilities[right]).relu().mean()

    return Loss(loss, ("logits", "log_probabilities"))  # the softmax of log-probabilities is the probabilities


LOSSES: Registry[Loss] = Registry(
    "loss", {"cross_entropy": cross_entropy, "nll": nll, "mse": mse, "categorical_hinge": categorical_hinge}
)
