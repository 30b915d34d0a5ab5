"""Model + split → named metrics, confusion matrix, predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from dlexp.components.metrics import Metric, predicted_classes, probabilities
from dlexp.config.lazy import nn, sklearn_metrics, torch
from dlexp.training.setup.job import Job
from dlexp.training.setup.step import at_least_float32

if TYPE_CHECKING:
    from torch import Tensor


def predict(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    autocast: AbstractContextManager[object],
    stop: Callable[[], bool] = lambda: False,
) -> Tensor | None:
    """Return the outputs (N, …) of the model in evaluation mode, never in bfloat16; None if `stop` returns True."""
    model.eval()
    outputs = []
    for inputs, _ in batches:
        if stop():
            return None
        with torch.inference_mode(), autocast:
            outputs.append(at_least_float32(model(inputs)))
    return torch.cat(outputs) if len(outputs) > 1 else outputs[0]


def score(
    outputs: Tensor, targets: Tensor, loss: Callable[[Tensor, Tensor], Tensor], metrics: Mapping[str, Metric]
) -> dict[str, float]:
    """Return the loss and the metrics of a split's outputs (N, …) against its targets."""
    with torch.inference_mode():
        values = {name: each(outputs, targets) for name, each in metrics.items()}
        return {"loss": loss(outputs, targets).item(), **values}


def evaluate_held_out(job: Job, stop: Callable[[], bool]) -> dict[str, float]:
    """Return loss and metrics of validation and test, as `split/name`; {} if `stop` returns True meanwhile."""
    metrics: dict[str, float] = {}
    for split in job.batches.splits[1:]:
        outputs = predict(job.model, job.evaluation_batches(split), job.autocast(), stop)
        if outputs is None:
            return {}
        scores = score(outputs, job.batches.targets(split), job.loss.function, job.metrics)
        metrics |= {f"{split}/{name}": value for name, value in scores.items()}
    return metrics


def evaluate_splits(
    job: Job, stop: Callable[[], bool] = lambda: False
) -> tuple[dict[str, dict[str, float]], dict[str, Tensor]]:
    """Return the current model's metrics and outputs on each split; only on the first ones if `stop` returns True.

    The held-out splits also have the metrics of every final evaluation (`Job.final_metrics`).
    """
    metrics, outputs = {}, {}
    for split in job.batches.splits:
        whole = predict(job.model, job.evaluation_batches(split), job.autocast(), stop)
        if whole is None:
            break
        wanted = dict(job.metrics) if split == "train" else {**job.metrics, **job.final_metrics}
        outputs[split] = whole
        metrics[split] = score(whole, job.batches.targets(split), job.loss.function, wanted)
    return metrics, outputs


def gives_probabilities(model: nn.Module) -> bool:
    """Whether the model ends in a softmax or a sigmoid, so that its outputs are no logits."""
    return isinstance(model, nn.Sequential) and isinstance(model[-1], nn.Softmax | nn.Sigmoid)


def as_logits(model: nn.Module, outputs: Tensor) -> Tensor:
    """Return logits (N, classes), or one node's (N, 1): the logarithms of outputs that are probabilities already."""
    with torch.inference_mode():
        return outputs.clamp_min(torch.finfo(outputs.dtype).tiny).log() if gives_probabilities(model) else outputs


def classify(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return each sample's predicted class (N,) and every class's probability (N, classes), from `as_logits`."""
    with torch.inference_mode():
        return predicted_classes(outputs), probabilities(outputs)


def confusion_matrix(predicted: Tensor, targets: Tensor, num_classes: int) -> Tensor:
    """Return counts (classes, classes): rows are true classes, columns predicted ones."""
    pairs = targets.cpu() * num_classes + predicted.cpu()
    return torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)


def per_class(predicted: Tensor, targets: Tensor, class_names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return each class's precision, recall, F1 and support, as scikit-learn defines them; 0 for 0 / 0."""
    labels, names = range(len(class_names)), ("precision", "recall", "f1", "support")
    expected, guesses = targets.cpu().numpy(), predicted.cpu().numpy()
    columns = sklearn_metrics.precision_recall_fscore_support(expected, guesses, labels=labels, zero_division=0.0)
    return {
        name: {key: float(value) for key, value in zip(names, values, strict=True)}
        for name, values in zip(class_names, zip(*columns, strict=True), strict=True)
    }
