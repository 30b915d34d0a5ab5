"""Metrics: numbers beside the loss that measure how good a split's predictions are.

Each states which predictions it needs, and whether a higher value is better. A user adds one as a function in one of
`imports` that returns a Metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from dlexp.config.lazy import sklearn_metrics, torch
from dlexp.config.registry import Registry
from dlexp.config.schema import Count
from dlexp.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Needs = Literal["classes", "probabilities", "logits", "values", "pairs", "outputs"]
OFFERED: dict[str, tuple[Needs, ...]] = {  # the predictions that each kind of targets offers
    "classes": ("classes", "probabilities", "logits", "outputs"),
    "values": ("values", "outputs"),
    "nothing": ("pairs", "outputs"),
}
USUAL = {"classes": "accuracy", "values": "absolute_error", "nothing": "distance"}
FINAL = {  # computed once, from the final weights on the held-out splits
    "classes": ("precision", "recall", "f1", "balanced_accuracy", "matthews_correlation", "roc_auc", "pr_auc"),
    "values": ("root_mean_squared_error", "r2"),
    "nothing": (),
}


@dataclass(frozen=True)
class Metric:
    """A number computed from a split's predictions and its targets.

    `function(predictions, targets)` returns it, or None if it is undefined. `needs` chooses the predictions: predicted
    classes (N,), every class's probability or logit (N, classes), or the unchanged outputs (values, pairs, outputs). If
    `adds_up`, the function returns a sum over samples and the metric is their mean: the sums of batches give the metric
    of an epoch, and no outputs are kept for it. To rank samples, take logits: probabilities round to 0 and 1.
    """

    function: Callable[[Tensor, Tensor], Any]
    needs: Needs
    higher_is_better: bool
    adds_up: bool = False

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        """Return the metric of a whole split's outputs (N, …); NaN if it is undefined."""
        value = self.function(self.predictions(outputs), targets)
        value = float("nan") if value is None else float(value)
        return value / len(targets) if self.adds_up else value

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the predictions that the function takes, from a model's outputs (N, …)."""
        if self.needs == "classes":
            return predicted_classes(outputs)
        if self.needs == "probabilities":
            return probabilities(outputs)
        return logits(outputs) if self.needs == "logits" else outputs


def predicted_classes(outputs: Tensor) -> Tensor:
    """Return the class (N,) with the largest of outputs (N, classes); 1 if one node's logit (N, 1) is positive."""
    return outputs.argmax(1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0).long()


def probabilities(outputs: Tensor) -> Tensor:
    """Return every class's probability (N, classes).

    Apply the softmax to logits or log-probabilities. The sigmoid of one node's logits (N, 1) is the second class's.
    """
    return logits(outputs).softmax(1)


def logits(outputs: Tensor) -> Tensor:
    """Return a logit of every class (N, classes): (0, z) for one node's z, whose softmax is (1 − σ(z), σ(z))."""
    if outputs.shape[1] > 1:
        return outputs
    both = outputs.new_zeros(len(outputs), 2)
    both[:, 1] = outputs[:, 0]
    return both


def log_odds(z: Tensor) -> Tensor:
    """Return log p / (1 − p) of the softmax p of logits z (N, classes), float64: z minus log Σ exp of the others.

    It orders samples as p does, also if p rounds to 0 or 1.
    """
    shifted = z.double() - z.double().amax(1, keepdim=True)
    exponentials, ordered = shifted.exp(), shifted.sort(1).values  # sorted: the order of classes changes no bit
    total = ordered.exp().sum(1, keepdim=True)
    cancels = exponentials > total / 2  # there the difference would lose the small terms
    others = torch.where(cancels, ordered[:, :-1].logsumexp(1, keepdim=True), (total - exponentials).log())
    return shifted - others


def accuracy() -> Metric:
    """The share of samples whose class is predicted correctly."""
    return Metric(lambda classes, targets: (classes == targets).sum(), "classes", True, adds_up=True)


def precision() -> Metric:
    """The share of the samples predicted as a class that belong to it; the mean over classes, as in scikit-learn."""
    return Metric(_averaged("precision_score"), "classes", True)


def recall() -> Metric:
    """The share of a class's samples that are predicted as it; the mean over classes, as in scikit-learn."""
    return Metric(_averaged("recall_score"), "classes", True)


def f1() -> Metric:
    """The harmonic mean of a class's precision and recall; the mean over classes, as in scikit-learn."""
    return Metric(_averaged("f1_score"), "classes", True)


def balanced_accuracy() -> Metric:
    """The mean recall of the classes in the targets: scikit-learn's balanced_accuracy_score."""

    def mean_recall(classes: Tensor, targets: Tensor) -> float:
        expected = targets.cpu().numpy()
        present = sorted(set(expected.tolist()))
        return float(
            sklearn_metrics.recall_score(
                expected, classes.cpu().numpy(), labels=present, average="macro", zero_division=0.0
            )
        )

    return Metric(mean_recall, "classes", True)


def matthews_correlation() -> Metric:
    """Matthews' correlation coefficient; 0 if there is only one class, of which scikit-learn would warn."""

    def correlation(classes: Tensor, targets: Tensor) -> float:
        expected, predicted = targets.cpu().numpy(), classes.cpu().numpy()
        one = len({*expected.tolist(), *predicted.tolist()}) == 1
        return 0.0 if one else float(sklearn_metrics.matthews_corrcoef(expected, predicted))

    return Metric(correlation, "classes", True)


def roc_auc() -> Metric:
    """The area under the ROC curve: the second class's of two, else the mean over classes against the rest."""
    return Metric(_area("roc_auc_score"), "logits", True)


def pr_auc() -> Metric:
    """The area under the precision-recall curve, by average precision; classes are treated as in `roc_auc`."""
    return Metric(_area("average_precision_score"), "logits", True)


def top_k_accuracy(k: Count = 5) -> Metric:
    """The share of samples whose class is among the k most probable ones; of equal ones the first count."""

    def hits(z: Tensor, targets: Tensor) -> Tensor:
        own, before = z.gather(1, targets[:, None]), torch.arange(z.shape[1], device=z.device) < targets[:, None]
        return (((z > own) | ((z == own) & before)).sum(1) < k).sum()

    return Metric(hits, "logits", True, adds_up=True)


def absolute_error() -> Metric:
    """The mean over samples and values of |y − t|."""
    return Metric(lambda y, t: (y - t).abs().mean(1).sum(), "values", False, adds_up=True)


def root_mean_squared_error() -> Metric:
    """The mean over values of the root of the mean over samples of (y − t)², as in scikit-learn."""
    return Metric(lambda y, t: (y.double() - t.double()).square().mean(0).sqrt().mean(), "values", False)


def r2() -> Metric:
    """The mean over values of 1 − Σ (y − t)² / Σ (t − mean)²; undefined if a value is the same for all samples."""

    def explained(y: Tensor, t: Tensor) -> Tensor | None:
        y, t = y.double().flatten(1), t.double()
        if not bool((t.amax(0) > t.amin(0)).all()):
            return None
        return (1 - (y - t).square().sum(0) / (t - t.mean(0)).square().sum(0)).mean()

    return Metric(explained, "values", True)


def distance() -> Metric:
    """The mean over pairs of consecutive samples of ‖f(x₂) − f(x₁)‖; there are half as many pairs as samples."""
    return Metric(
        lambda y, _: 2 * (y[1::2] - y[::2]).flatten(1).square().sum(1).sqrt().sum(), "pairs", False, adds_up=True
    )


METRICS: Registry[Metric] = Registry(
    "metric",
    {
        builder.__name__: builder
        for builder in (
            accuracy,
            precision,
            recall,
            f1,
            balanced_accuracy,
            matthews_correlation,
            roc_auc,
            pr_auc,
            top_k_accuracy,
            absolute_error,
            root_mean_squared_error,
            r2,
            distance,
        )
    },
)


def build(choices: Sequence[Any] | None, kind: str, imports: Sequence[ModuleType] = ()) -> dict[str, Metric]:
    """Return the chosen metrics by their names, in their order; the usual one if `choices` is None.

    `kind` is the kind of the dataset's targets: classes, values or nothing. Raises UserError if a metric needs another
    kind, or is chosen twice.
    """
    metrics: dict[str, Metric] = {}
    for choice in (USUAL[kind],) if choices is None else choices:
        bound = METRICS.bind_choice(choice, imports)
        name, metric = bound.name, METRICS.build(bound, imports)
        if not isinstance(metric, Metric):
            raise UserError(f"metrics=[{name}]: {name}() returns no dlexp.components.metrics.Metric, but {metric!r}.")
        if metric.needs not in OFFERED[kind]:
            raise UserError(f"metrics=[{name}] needs {metric.needs}, but this dataset's targets are {kind}.")
        if name in metrics:
            raise UserError(f"metrics: {name} is chosen twice, which would give two columns of the same name.")
        metrics[name] = metric
    return metrics


def final(kind: str) -> dict[str, Metric]:
    """Return the metrics that every run computes once, from its final weights on the held-out splits."""
    return build(FINAL[kind], kind)


def of_units(metrics: Mapping[str, Metric], in_units: Callable[[Tensor], Tensor]) -> dict[str, Metric]:
    """Return the metrics of outputs and targets that `in_units` first gives back their units."""

    def converted(function: Callable[[Tensor, Tensor], Any]) -> Callable[[Tensor, Tensor], Any]:
        return lambda outputs, targets: function(in_units(outputs), in_units(targets))

    return {name: replace(metric, function=converted(metric.function)) for name, metric in metrics.items()}


def directions(metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Return, for each metric and the loss, whether `higher` or `lower` is better, as result.json states it."""
    return {
        "loss": "lower",
        **{name: "higher" if m.higher_is_better else "lower" for name, m in metrics.items()},
    }


def known_directions() -> dict[str, str]:
    """Return `directions` of all dlexp's own metrics: runs of version 0.1.0 do not record theirs."""
    return directions({name: builder() for name, builder in METRICS.builders.items()})


def _averaged(score: str) -> Callable[[Tensor, Tensor], float]:
    """Return scikit-learn's `score`, averaged over the classes in the targets or the predictions."""

    def function(classes: Tensor, targets: Tensor) -> float:
        expected, predicted = targets.cpu().numpy(), classes.cpu().numpy()
        return float(getattr(sklearn_metrics, score)(expected, predicted, average="macro", zero_division=0.0))

    return function


def _area(score: str) -> Callable[[Tensor, Tensor], float | None]:
    """Return scikit-learn's `score` of samples ranked by log-odds; None if a class has no sample."""

    def function(z: Tensor, targets: Tensor) -> float | None:
        classes, expected = z.shape[1], targets.cpu()
        if len(expected.unique()) < classes or not bool(z.isfinite().all()):
            return None
        area = getattr(sklearn_metrics, score)
        if classes == 2:
            return float(area(expected.numpy(), (z[:, 1].double() - z[:, 0].double()).cpu().numpy()))
        return float(area(expected[:, None].eq(expected.unique()).long().numpy(), log_odds(z).cpu().numpy()))

    return function
