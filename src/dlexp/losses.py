"""Losses: functions of a batch's outputs (N, classes) and targets (N,), averaged over the batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dlexp.errors import UserError
from dlexp.registry import Registry
from dlexp.schema import Fraction

if TYPE_CHECKING:
    from torch import Tensor

LossFunction = Callable[["Tensor", "Tensor"], "Tensor"]


def _unwritten(outputs: "Tensor", targets: "Tensor") -> tuple["Tensor", "Tensor"]:
    raise UserError("Nobody has written this loss's gradient by hand: take model.backward=autograd, or another loss.")


@dataclass(frozen=True)
class Loss:
    """A loss and what outputs it is right for; `build` refuses a model that gives something else.

    `by_hand` returns the loss and its gradient with respect to the outputs, by formula, for `model.backward=manual`.
    """

    function: LossFunction
    accepts: tuple[Literal["logits", "log_probabilities"], ...]
    by_hand: Callable[["Tensor", "Tensor"], tuple["Tensor", "Tensor"]] = _unwritten


def cross_entropy(label_smoothing: Fraction = 0.0) -> Loss:
    """−log softmax(z)[t], on logits z; `label_smoothing` as in Szegedy et al. (2016)."""
    from torch.nn import functional as F

    def loss(outputs: "Tensor", targets: "Tensor") -> "Tensor":
        return F.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def by_hand(z: "Tensor", targets: "Tensor") -> tuple["Tensor", "Tensor"]:
        # E = log Σ exp(z) − Σ t z and ∂E/∂z = softmax(z) − t, t being one-hot, smoothed; then the mean over samples.
        n, classes = z.shape
        t = z.new_full((n, classes), label_smoothing / classes)
        t[range(n), targets] += 1 - label_smoothing
        shifted = z - z.amax(1, keepdim=True)
        exponentials = shifted.exp()
        sums = exponentials.sum(1, keepdim=True)
        return (sums.log()[:, 0] - (t * shifted).sum(1)).mean(), (exponentials / sums - t) / n

    return Loss(loss, ("logits",), by_hand)


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

    def by_hand(z: "Tensor", targets: "Tensor") -> tuple["Tensor", "Tensor"]:
        # With g = ∂E/∂p, the softmax passes on ∂E/∂z = p · (g − Σ g p).
        exponentials = (z - z.amax(1, keepdim=True)).exp()
        p = exponentials / exponentials.sum(1, keepdim=True)
        error = p.clone()
        error[range(len(p)), targets] -= 1
        g = 2 * error / error.numel()
        return (error * error).mean(), p * (g - (g * p).sum(1, keepdim=True))

    return Loss(loss, ("logits", "log_probabilities"), by_hand)  # the softmax of log-probabilities is p again


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
