"""Losses: functions of a batch's outputs (N, outputs) and its targets, averaged over the batch.

Targets are classes (N,), counted from 0, or values (N, outputs). Each loss states how it uses a class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from dlexp.config.lazy import F
from dlexp.config.registry import Registry
from dlexp.config.schema import Fraction, Interval
from dlexp.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

LossFunction = Callable[["Tensor", "Tensor"], "Tensor"]
Outputs = Literal["logits", "log_probabilities", "probabilities"]
Targets = Literal["classes", "values", "nothing"]
LOGITS: tuple[Outputs, ...] = ("logits",)
SCORES: tuple[Outputs, ...] = ("logits", "log_probabilities")  # the softmax of log-probabilities is p again
ANYTHING: tuple[Outputs, ...] = ("logits", "log_probabilities", "probabilities")


def _unwritten(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    raise UserError("This loss has no gradient written by hand: take model.backward=autograd, or another loss.")


@dataclass(frozen=True)
class Loss:
    """A loss, the outputs it accepts and the targets it takes; `build` refuses a model or a dataset that gives others.

    `by_hand` returns the loss and its gradient with respect to the outputs, by formula, for `model.backward=manual`.
    """

    function: LossFunction
    accepts: tuple[Outputs, ...] = LOGITS
    takes: tuple[Targets, ...] = ("classes",)
    one_node: bool = False  # one output for two classes
    by_hand: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = _unwritten


def cross_entropy(label_smoothing: Fraction = 0.0) -> Loss:
    """−log softmax(z)[t], on logits z; `label_smoothing` as in Szegedy et al. (2016)."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def by_hand(z: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        # E = log Σ exp(z) − Σ t z and ∂E/∂z = softmax(z) − t with the smoothed one-hot t; then the mean over samples.
        n, classes = z.shape
        t = z.new_full((n, classes), label_smoothing / classes)
        t[range(n), targets] += 1 - label_smoothing
        shifted = z - z.amax(1, keepdim=True)
        exponentials = shifted.exp()
        sums = exponentials.sum(1, keepdim=True)
        return (sums.log()[:, 0] - (t * shifted).sum(1)).mean(), (exponentials / sums - t) / n

    return Loss(loss, by_hand=by_hand)


def nll() -> Loss:
    """−z[t], on log-probabilities z."""
    return Loss(F.nll_loss, accepts=("log_probabilities",))


def binary_cross_entropy() -> Loss:
    """−t log σ(z) − (1 − t) log(1 − σ(z)), on the one logit z of two classes; t is 1 for the second class."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs[:, 0], targets.to(outputs.dtype))

    def by_hand(z: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        # E = log(1 + exp z) − t z and ∂E/∂z = σ(z) − t; computing E as max(z, 0) + log(1 + exp −|z|) cannot overflow.
        t = targets.to(z.dtype)[:, None]
        sigmoid = 1 / (1 + (-z).exp())
        return (z.clamp(min=0) + (1 + (-z.abs()).exp()).log() - t * z).mean(), (sigmoid - t) / len(z)

    return Loss(loss, one_node=True, by_hand=by_hand)


def mse() -> Loss:
    """Mean over outputs of (y − t)²; if targets are classes, y = softmax(z) and t is one-hot."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        if targets.is_floating_point():
            return F.mse_loss(outputs, targets)
        probabilities = outputs.softmax(1)
        return F.mse_loss(probabilities, _one_hot(targets, probabilities))

    def by_hand(z: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if targets.is_floating_point():
            error = z - targets
            return (error * error).mean(), 2 * error / error.numel()
        # With g = ∂E/∂p, the gradient of the softmax's input is ∂E/∂z = p · (g − Σ g p).
        exponentials = (z - z.amax(1, keepdim=True)).exp()
        p = exponentials / exponentials.sum(1, keepdim=True)
        error = p - _one_hot(targets, p)
        g = 2 * error / error.numel()
        return (error * error).mean(), p * (g - (g * p).sum(1, keepdim=True))

    return Loss(loss, accepts=SCORES, takes=("classes", "values"), by_hand=by_hand)


def half_squared_error() -> Loss:
    """½ Σ (y − t)² over the unchanged outputs y; if targets are classes, t is one-hot."""

    def target(outputs: Tensor, targets: Tensor) -> Tensor:
        return targets if targets.is_floating_point() else _one_hot(targets, outputs)

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - target(outputs, targets)).square().sum(1).mean() / 2

    def by_hand(y: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        error = y - target(y, targets)
        return (error * error).sum(1).mean() / 2, error / len(y)

    return Loss(loss, accepts=ANYTHING, takes=("classes", "values"), by_hand=by_hand)


def categorical_hinge() -> Loss:
    """max(0, 1 + max over wrong classes of p − p[t]), with p = softmax(z): Keras' and the course's hinge."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        probabilities = outputs.softmax(1)
        right = _one_hot(targets, outputs).bool()
        largest_wrong = probabilities.masked_fill(right, 0.0).amax(1)
        return (1 + largest_wrong - probabilities[right]).relu().mean()

    return Loss(loss, accepts=SCORES)


def multi_margin(p: Literal[1, 2] = 1, margin: float = 1.0) -> Loss:
    """Σ over wrong classes of max(0, margin − z[t] + z)ᵖ, divided by the number of classes; takes the class itself."""
    return Loss(lambda outputs, targets: F.multi_margin_loss(outputs, targets, p, margin), accepts=SCORES)


def multilabel_margin() -> Loss:
    """Σ over wrong classes of max(0, 1 − z[t] + z), divided by the number of classes: `multi_margin` by default.

    PyTorch's function takes the list of true classes, which −1 ends: (t, −1, …).
    """

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        on = targets.new_full(outputs.shape, -1)
        on[:, 0] = targets
        return F.multilabel_margin_loss(outputs, on)

    return Loss(loss, accepts=SCORES)


def multilabel_soft_margin() -> Loss:
    """Mean over classes of the binary cross-entropy of σ(z) against the one-hot t."""
    return Loss(lambda z, targets: F.multilabel_soft_margin_loss(z, _one_hot(targets, z)), accepts=SCORES)


def poisson_nll() -> Loss:
    """Mean over classes of exp(z) − t z: z is the logarithm of the expected count of a class, t is one-hot."""
    return Loss(lambda z, targets: F.poisson_nll_loss(z, _one_hot(targets, z)), accepts=SCORES)


def gaussian_nll(variance: Annotated[float, Interval(1e-6)] = 1.0) -> Loss:
    """Mean over classes of ½ (log variance + (p − t)² / variance): p = softmax(z) is the mean, t is one-hot.

    `variance` is fixed; the model does not predict it.
    """

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        p = outputs.softmax(1)
        return F.gaussian_nll_loss(p, _one_hot(targets, p), variance)

    return Loss(loss, accepts=SCORES)


def output_matching() -> Loss:
    """Mean of ‖f(x₂) − f(x₁)‖² over pairs of consecutive samples: a batch (2 k, …) holds k pairs and no targets."""

    def differences(outputs: Tensor) -> Tensor:
        assert len(outputs) % 2 == 0, "`fit` checks this"
        return (outputs[1::2] - outputs[::2]).flatten(1)

    return Loss(
        lambda outputs, targets: differences(outputs).square().sum(1).mean(),
        accepts=ANYTHING,
        takes=("nothing",),
    )


def _one_hot(targets: Tensor, like: Tensor) -> Tensor:
    return F.one_hot(targets, like.shape[1]).to(like.dtype)


LOSSES: Registry[Loss] = Registry(
    "loss",
    {
        "cross_entropy": cross_entropy,
        "nll": nll,
        "binary_cross_entropy": binary_cross_entropy,
        "mse": mse,
        "half_squared_error": half_squared_error,
        "categorical_hinge": categorical_hinge,
        "multi_margin": multi_margin,
        "multilabel_margin": multilabel_margin,
        "multilabel_soft_margin": multilabel_soft_margin,
        "poisson_nll": poisson_nll,
        "gaussian_nll": gaussian_nll,
        "output_matching": output_matching,
    },
    product=lambda: Loss,
    example="from dlexp.components.losses import Loss\nreturn Loss(function)",
)
