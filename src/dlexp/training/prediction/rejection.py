"""When a prediction is none: the confidence below which a run says "not found", chosen on validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def lowest_threshold(confidence: np.ndarray, right: np.ndarray, precision: float) -> float | None:
    """Return the lowest of the confidences (N,) so that those not below it are right with `precision`; None if none is.

    `right` (N,) says which predictions are.
    """
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence, hits = confidence[order], np.cumsum(right[order])
    last = np.flatnonzero(np.append(sorted_confidence[1:] != sorted_confidence[:-1], True))  # equal ones go together
    reached = last[hits[last] / (last + 1) >= precision]
    return float(sorted_confidence[reached[-1]]) if len(reached) else None


def accepted(confidence: np.ndarray, right: np.ndarray, threshold: float) -> dict[str, float | None]:
    """Return the share of samples whose confidence is not below the threshold, and the share of right ones in these."""
    kept = right[confidence >= threshold]
    return {"coverage": len(kept) / len(right), "precision": float(kept.mean()) if len(kept) else None}


def rejection(splits: Mapping[str, tuple[np.ndarray, np.ndarray]], precision: float) -> dict[str, Any]:
    """Return result.json's part: the threshold chosen on validation, null if none reaches `precision`, and its effect.

    `splits` has the confidences (N,) of validation and test, and which predictions are right.
    """
    threshold = lowest_threshold(*splits["validation"], precision)
    facts: dict[str, Any] = {"wanted_precision": precision, "threshold": threshold}
    if threshold is None:
        return facts
    return facts | {name: accepted(*splits[name], threshold) for name in ("validation", "test")}
