"""Intervals, p-values and powers against scipy, a published table, and simulation."""

import numpy as np
import pytest
import scipy.stats

from dlexp.compare.statistics import paired_differences, paired_interval, pairs_needed


def sample(mean: float, count: int = 10) -> np.ndarray:
    """Values with exactly this mean and a deviation (n − 1) of 1."""
    values = np.random.default_rng(0).normal(size=count)
    return (values - values.mean()) / values.std(ddof=1) + mean


@pytest.mark.parametrize(("effect", "pairs"), [(0.2, 200), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_the_pairs_needed_are_those_of_the_table(effect: float, pairs: int) -> None:
    """Two-sided paired t, 5 %, power 0.8 (G*Power 3.1: 199, 34, 15, 10; above 100 in steps of ten)."""
    assert pairs_needed(sample(effect).tolist()) == pairs
    assert pairs_needed((-7 * sample(effect)).tolist()) == pairs


@pytest.mark.parametrize("effect", [1.5, 2.5])
def test_so_many_pairs_and_no_fewer_have_the_power(effect: float) -> None:
    pairs = pairs_needed(sample(effect).tolist())
    assert pairs is not None
    random = np.random.default_rng(0)
    power = {
        n: np.mean(scipy.stats.ttest_1samp(random.normal(effect, 1, (40_000, n)), 0, axis=1).pvalue < 0.05)
        for n in (pairs - 1, pairs)
    }
    assert power[pairs - 1] < 0.8 <= power[pairs] + 0.005


def test_more_tests_need_more_pairs_and_equal_differences_two() -> None:
    assert pairs_needed(sample(0.8).tolist(), tests=5) > pairs_needed(sample(0.8).tolist())  # type: ignore[operator]
    assert pairs_needed([0.3, 0.3, 0.3]) == 2
    assert pairs_needed([0.3, -0.3]) is None
    assert pairs_needed(sample(0.01).tolist()) is None


def students(values: np.ndarray) -> tuple[float, float]:
    interval = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    return float(interval.low), float(interval.high)


def test_fewer_than_ten_differences_have_student_s_interval() -> None:
    for count in (2, 5, 9):
        assert paired_interval(sample(0.3, count).tolist()) == pytest.approx(students(sample(0.3, count)))
    assert paired_interval(sample(0.3, 10).tolist()) != pytest.approx(students(sample(0.3, 10)))
    assert paired_interval(sample(0.3, 300).tolist()) == pytest.approx(students(sample(0.3, 300)), rel=0.05)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e6])
def test_an_interval_has_the_unit_of_its_differences(scale: float) -> None:
    low, high = paired_interval(sample(0.3, 12).tolist())
    assert paired_interval((scale * sample(0.3, 12)).tolist()) == pytest.approx((scale * low, scale * high))


def test_a_skewed_sample_has_a_skewed_bootstrap_interval() -> None:
    values = np.random.default_rng(1).exponential(size=40)
    low, high = paired_interval(values.tolist())
    assert high - values.mean() > 1.1 * (values.mean() - low)  # the studentized bootstrap reaches to the long tail


def test_differences_below_the_digits_of_the_largest_figure_are_none() -> None:
    differences = paired_differences([1e6 + 1e-8, 1e-9], [1e6, 0.0])
    assert differences == [0.0, 0.0]
    assert paired_differences([1e-9, 3e-9], [0.0, 1e-9]) == pytest.approx([1e-9, 2e-9])
