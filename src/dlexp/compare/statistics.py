"""Means, paired differences and their intervals, for a handful of seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dlexp.config.lazy import scipy_stats

CONFIDENCE = 0.95
POWER = 0.8  # with which `pairs_needed` detects a difference
FEWEST_TO_RESAMPLE = 10  # with fewer, its coverage is too low: 0.79 with three, 0.90 with five on a test set of 25
RESAMPLES = 4000


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard deviation and 95 % confidence interval; both are None for a single value."""

    count: int
    mean: float
    deviation: float | None
    low: float | None
    high: float | None


def estimate(values: Sequence[float]) -> Estimate:
    """Return mean, deviation (n − 1) and Student's interval of independent values."""
    x = _rounded(values, float(np.abs(values).max()))
    if len(x) < 2:
        return Estimate(len(x), float(x.mean()), None, None, None)
    low, high = _students_interval(x)
    return Estimate(len(x), float(x.mean()), _deviation(x), low, high)


def paired_interval(differences: Sequence[float]) -> tuple[float, float]:
    """Return a 95 % interval of the mean of at least two paired differences.

    Ten or more use the studentized bootstrap (Efron and Tibshirani, 1993, chapter 12), with a fixed seed; fewer use
    Student's t.
    """
    x = np.asarray(differences, float)
    n, deviation = len(x), _deviation(x)
    if n < FEWEST_TO_RESAMPLE or deviation == 0:
        return _students_interval(x)
    samples = x[np.random.default_rng(0).integers(0, n, (RESAMPLES, n))]
    errors = samples.std(1, ddof=1) / math.sqrt(n)
    spread = errors > 1e-9 * deviation  # a resample of one value n times has no t
    t = (samples.mean(1)[spread] - x.mean()) / errors[spread]
    low, high = np.quantile(t, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    error = deviation / math.sqrt(n)
    return float(x.mean() - high * error), float(x.mean() - low * error)


def paired_p_value(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of Student's paired test that the mean difference is 0.

    If all n differences are equal, as on small test sets, it is (1/4)ⁿ⁻¹: if no value but 0 has a probability above a
    quarter, they are equal by chance at most that often. Student's p-value would be 0 from two seeds on.
    """
    x = np.asarray(differences, float)
    if _deviation(x) == 0:
        return 1.0 if x.mean() == 0 else 0.25 ** (len(x) - 1)
    return float(scipy_stats.ttest_1samp(x, 0.0).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number, so that all claims hold together (Holm, 1979)."""
    order = np.argsort(p_values)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def pairs_needed(differences: Sequence[float], tests: int = 1) -> int | None:
    """Return how many pairs detect a mean difference of this size in four of five studies.

    It uses the noncentral t, at 5 % divided by the number of `tests`. Return None if it takes more than 1000 pairs, or
    the mean difference is 0.
    """
    x = np.asarray(differences, float)
    deviation = _deviation(x)
    if x.mean() == 0:
        return None
    if deviation == 0:
        return 2
    effect, alpha = abs(x.mean()) / deviation, 0.05 / tests
    for n in [*range(2, 100), *range(100, 1001, 10)]:
        threshold = scipy_stats.t.ppf(1 - alpha / 2, n - 1)
        if scipy_stats.nct.sf(threshold, n - 1, effect * math.sqrt(n)) >= POWER:
            return n
    return None


def paired_differences(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Return each of one minus its pair in other; figures that differ only by the order of their sums are equal."""
    return list(_rounded(np.subtract(one, other), float(np.abs([one, other]).max())))


def _rounded(values: npt.ArrayLike, largest: float) -> np.ndarray:
    """Round to twelve digits of the largest figure, beyond which the order of sums decides."""
    decimals = 12 - math.floor(math.log10(largest)) if largest else 0
    return np.asarray(values, float).round(min(decimals, 300))


def _deviation(x: np.ndarray) -> float:
    return float(x.std(ddof=1)) if np.ptp(x) else 0.0  # the mean of equal figures may be off by a bit


def _students_interval(x: np.ndarray) -> tuple[float, float]:
    half = scipy_stats.t.ppf((1 + CONFIDENCE) / 2, len(x) - 1) * _deviation(x) / math.sqrt(len(x))
    return float(x.mean() - half), float(x.mean() + half)
