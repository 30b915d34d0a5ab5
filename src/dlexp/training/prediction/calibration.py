"""Whether confidences are probabilities: the calibration error, and the temperature that lessens it.

C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger (2017): On calibration of modern neural networks. ICML.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dlexp.components.metrics import logits, predicted_classes, probabilities
from dlexp.config.lazy import torch
from dlexp.training.prediction.rejection import rejection

if TYPE_CHECKING:
    from torch import Tensor

BINS = 15
LARGEST = 100.0  # temperatures are sought from a hundredth to a hundred
STEPS = 100  # at most, of Newton's method; it takes five to ten
COLUMNS = ("split", "probabilities", "low", "high", "samples", "confidence", "accuracy")  # of calibration.csv


class Bin(NamedTuple):
    """The samples with a confidence above `low` and at most `high`: their number, mean confidence and accuracy."""

    low: float
    high: float
    samples: int
    confidence: float
    accuracy: float


def bins(confidence: np.ndarray, right: np.ndarray) -> list[Bin]:
    """Return those of 15 bins of equal width that have samples; `right` (N,) says which predictions are."""
    edges = np.linspace(0, 1, BINS + 1)
    place = np.searchsorted(edges[1:-1], confidence)
    counts = np.bincount(place, minlength=BINS)
    sums, hits = (np.bincount(place, weights, BINS) for weights in (confidence, right))
    return [
        Bin(
            float(edges[i]), float(edges[i + 1]), int(counts[i]), float(sums[i] / counts[i]), float(hits[i] / counts[i])
        )
        for i in np.flatnonzero(counts).tolist()
    ]


def expected_error(found: list[Bin]) -> float:
    """Return the mean over samples of |accuracy − mean confidence| of a sample's bin."""
    total = sum(each.samples for each in found)
    return sum(each.samples * abs(each.accuracy - each.confidence) for each in found) / total


def scaled(outputs: Tensor, temperature: float) -> Tensor:
    """Return every class's probability (N, classes), float64, after its log-odds are divided by the temperature."""
    return (logits(outputs).double() / temperature).softmax(1)


def fitted_temperature(z: np.ndarray, targets: np.ndarray) -> float | None:
    """Return the temperature T that minimizes the log loss of softmax(z / T), for logits (N, classes) and classes (N,).

    The loss is convex in 1 / T. None if it falls up to the ends of the range, 0.01 and 100, as it does towards 0 if
    every prediction is right.
    """
    shifted = z - z.max(1, keepdims=True)
    own = shifted[np.arange(len(z)), targets]
    low, high, inverse = 1 / LARGEST, LARGEST, 1.0
    for _ in range(STEPS):
        shares = np.exp(inverse * shifted)
        shares /= shares.sum(1, keepdims=True)
        mean = (shares * shifted).sum(1)
        slope, curvature = (mean - own).mean(), ((shares * shifted**2).sum(1) - mean**2).mean()
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        step = inverse - slope / curvature if curvature > 0 else high
        before, inverse = inverse, float(step if low < step < high else np.sqrt(low * high))
        if abs(inverse - before) <= 1e-12 * before:
            break
    return float(1 / inverse) if 1.001 / LARGEST < inverse < LARGEST / 1.001 else None


def confidence_facts(
    outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], precision: float | None
) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """Return result.json's `calibration`, and with a `precision` its `rejection`; and the rows of calibration.csv.

    `outputs` (logits) and `targets` are those of test, and of validation if there is one, on which the temperature is
    fitted.
    """
    temperature = None
    if "validation" in outputs:
        z = logits(outputs["validation"]).double().cpu().numpy()
        temperature = fitted_temperature(z, targets["validation"].cpu().numpy())
    facts: dict[str, Any] = {"temperature": temperature}
    rows: list[tuple[Any, ...]] = []
    as_given: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    with torch.inference_mode():
        for split, whole in outputs.items():
            right = (predicted_classes(whole) == targets[split]).cpu().numpy()
            as_given[split] = probabilities(whole).amax(1).double().cpu().numpy(), right
            of_split = bins(*as_given[split])
            facts[split] = {"error": expected_error(of_split)}
            rows += [(split, "as given", *each) for each in of_split]
            if temperature is not None:
                of_split = bins(scaled(whole, temperature).amax(1).cpu().numpy(), right)
                facts[split]["calibrated_error"] = expected_error(of_split)
                rows += [(split, "calibrated", *each) for each in of_split]
    if precision is None:
        return {"calibration": facts}, rows
    return {"calibration": facts, "rejection": rejection(as_given, precision)}, rows
