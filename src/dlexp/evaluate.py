"""Model + split → named metrics, confusion matrix, predictions. Imports nothing of ours."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn


@torch.inference_mode()
def predict(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    autocast: AbstractContextManager[object],
    stop: Callable[[], bool] = lambda: False,
) -> Tensor | None:
    """Return the outputs (N, classes), float32, of the model in evaluation mode; None where `stop` said so."""
    model.eval()
    outputs = []
    for inputs, _ in batches:
        if stop():
            return None
        with autocast:
            outputs.append(model(inputs))
    return (torch.cat(outputs) if len(outputs) > 1 else outputs[0]).float()


@torch.inference_mode()
def score(outputs: Tensor, targets: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> dict[str, float]:
    """Return the loss and the accuracy of outputs (N, classes) against targets (N,)."""
    correct = (outputs.argmax(1) == targets).sum()
    return {"loss": loss(outputs, targets).item(), "accuracy": correct.item() / len(targets)}


@torch.inference_mode()
def classify(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return each sample's predicted class and its softmax probability, both (N,), from logits or log-probabilities."""
    confidence, predicted = outputs.softmax(1).max(1)
    return predicted, confidence


def confusion_matrix(predicted: Tensor, targets: Tensor, num_classes: int) -> Tensor:
    """Return counts (classes, classes): rows are true classes, columns predicted ones."""
    pairs = targets.cpu() * num_classes + predicted.cpu()
    return torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)
