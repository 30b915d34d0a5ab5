"""Model + split → named metrics, confusion matrix, predictions."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from dlexp.components.metrics import Measure, predicted_classes


@torch.inference_mode()
def predict(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    autocast: AbstractContextManager[object],
    stop: Callable[[], bool] = lambda: False,
) -> Tensor | None:
    """Return the outputs (N, …) of the model in evaluation mode, never in bfloat16; None where `stop` said so."""
    model.eval()
    outputs = []
    for inputs, _ in batches:
        if stop():
            return None
        with autocast:
            outputs.append(model(inputs))
    whole = torch.cat(outputs) if len(outputs) > 1 else outputs[0]
    return whole.float() if whole.dtype is torch.bfloat16 else whole


@torch.inference_mode()
def score(
    outputs: Tensor, targets: Tensor, loss: Callable[[Tensor, Tensor], Tensor], measure: Measure
) -> dict[str, float]:
    """Return the loss and the measure (accuracy, say) of all outputs against their targets."""
    return {"loss": loss(outputs, targets).item(), measure.name: measure.total(outputs, targets).item() / len(targets)}


@torch.inference_mode()
def classify(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return each sample's predicted class (N,) and every class's probability (N, classes).

    Of logits or log-probabilities by the softmax; of one node's logits (N, 1) by the sigmoid, that of the second class.
    """
    two_nodes = torch.cat([torch.zeros_like(outputs), outputs], 1) if outputs.shape[1] == 1 else outputs
    return predicted_classes(outputs), two_nodes.softmax(1)  # the softmax of (0, z) is (1 − σ(z), σ(z))


def confusion_matrix(predicted: Tensor, targets: Tensor, num_classes: int) -> Tensor:
    """Return counts (classes, classes): rows are true classes, columns predicted ones."""
    pairs = targets.cpu() * num_classes + predicted.cpu()
    return torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)


def class_metrics(probabilities: Tensor, targets: Tensor, class_names: Sequence[str]) -> dict[str, Any]:
    """Return what accuracy hides where classes are unbalanced, as scikit-learn defines it.

    Takes probabilities (N, classes) and targets (N,). Precision, recall and F1 of each class and their mean; balanced
    accuracy; Matthews' correlation coefficient; area under the ROC and the precision-recall curve, of the second class
    where there are two, else the mean of each class against the rest. None where a class that it needs is absent.
    """
    from sklearn import metrics  # 0.8 s, but for a run that has split its data it is imported already

    expected, scores = targets.cpu().numpy(), probabilities.double().cpu().numpy()
    predicted, labels = scores.argmax(1), range(len(class_names))
    each = metrics.precision_recall_fscore_support(expected, predicted, labels=labels, zero_division=0.0)
    names = ("precision", "recall", "f1", "support")
    per_class = {
        name: {key: float(value) for key, value in zip(names, values, strict=True)}
        for name, values in zip(class_names, zip(*each, strict=True), strict=True)
    }
    present = all(values["support"] > 0 for values in per_class.values())
    binary = len(class_names) == 2
    one_hot = torch.nn.functional.one_hot(targets.cpu(), len(class_names)).numpy()
    against = (expected, scores[:, 1]) if binary else (one_hot, scores)
    return {
        **{name: sum(values[name] for values in per_class.values()) / len(per_class) for name in names[:3]},
        # The mean recall of the classes that are there: scikit-learn's balanced_accuracy_score.
        "balanced_accuracy": sum(v["recall"] for v in per_class.values())
        / sum(v["support"] > 0 for v in per_class.values()),
        # 0 where there is one class only, which scikit-learn would warn of.
        "matthews_correlation": float(metrics.matthews_corrcoef(expected, predicted))
        if len({*expected.tolist(), *predicted.tolist()}) > 1
        else 0.0,
        "roc_auc": float(metrics.roc_auc_score(*against)) if present else None,
        "pr_auc": float(metrics.average_precision_score(*against)) if present else None,
        "per_class": per_class,
    }


@torch.inference_mode()
def value_metrics(outputs: Tensor, targets: Tensor) -> dict[str, float | None]:
    """Return the errors of outputs (N, values) against targets, as scikit-learn defines them; R² is None for constants.

    R² is the mean over the values of 1 − Σ (y − t)² / Σ (t − mean)².
    """
    outputs, targets = outputs.double(), targets.double()
    errors, spread = outputs - targets, (targets - targets.mean(0)).square().sum(0)
    varies = bool((targets.amax(0) > targets.amin(0)).all())
    r2 = (1 - errors.square().sum(0) / spread).mean().item() if varies else None
    return {
        "mean_absolute_error": errors.abs().mean().item(),
        "root_mean_squared_error": errors.square().mean().sqrt().item(),
        "r2": r2,
    }
