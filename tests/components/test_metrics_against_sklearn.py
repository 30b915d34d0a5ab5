"""Metrics against scikit-learn, for outputs that are tied, saturated or close, and for targets of absent classes."""

import math

import mpmath
import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics

from dlexp.components.metrics import METRICS, final, log_odds, logits, predicted_classes

CASES = 100  # 1,000 pass as well; they take a minute


def case(seed: int) -> tuple[torch.Tensor, np.ndarray]:
    """Random logits (N, classes), or (N, 1) of one node, and targets (N,)."""
    random = np.random.default_rng(seed)
    classes, samples = int(random.integers(2, 6)), int(random.integers(1, 16))
    one_node = classes == 2 and bool(random.integers(2))
    outputs = random.normal(size=(samples, 1 if one_node else classes)) * random.choice([1e-9, 1.0, 30.0, 1e3])
    if random.integers(2):
        outputs = outputs.round()  # ties
    present = random.permutation(classes)[: random.integers(1, classes + 1)]  # one class, some of them, all
    return torch.from_numpy(outputs), random.choice(present, samples)


def ranks(rows: np.ndarray, k: int) -> np.ndarray:
    """The samples' ranks (N,) by class k's log-odds, computed in 40 digits and rounded to 30, so that ties are ties."""
    with mpmath.workdps(40):
        odds = []
        for z in ([mpmath.mpf(value) for value in row] for row in rows.tolist()):
            highest = max(z)
            others = mpmath.log(mpmath.fsum(mpmath.exp(each - highest) for i, each in enumerate(z) if i != k))
            odds.append(mpmath.mpf(mpmath.nstr(z[k] - highest - others, 30)))
        return np.array([sorted(set(odds)).index(each) for each in odds])


def by_scikit_learn(outputs: torch.Tensor, targets: np.ndarray) -> dict[str, float]:
    rows = logits(outputs).numpy()
    classes, guesses = rows.shape[1], rows.argmax(1)
    averages = {"average": "macro", "zero_division": 0.0}
    names = {"precision": "precision_score", "recall": "recall_score", "f1": "f1_score"}
    expected = {key: getattr(sklearn_metrics, name)(targets, guesses, **averages) for key, name in names.items()}
    recalls = [np.mean(guesses[targets == each] == each) for each in np.unique(targets)]
    expected |= {"accuracy": np.mean(targets == guesses), "balanced_accuracy": np.mean(recalls)}
    one = len({*targets, *guesses}) == 1
    expected["matthews_correlation"] = 0.0 if one else sklearn_metrics.matthews_corrcoef(targets, guesses)
    if len(np.unique(targets)) < classes:
        return expected | {"roc_auc": math.nan, "pr_auc": math.nan}
    pairs = [(targets == k, ranks(rows, k)) for k in ([1] if classes == 2 else range(classes))]
    for key, name in (("roc_auc", "roc_auc_score"), ("pr_auc", "average_precision_score")):
        expected[key] = np.mean([getattr(sklearn_metrics, name)(right, score) for right, score in pairs])
    return expected


def test_the_metrics_of_classes_are_those_of_scikit_learn() -> None:
    metrics = {"accuracy": METRICS.builders["accuracy"](), **final("classes")}
    for seed in range(CASES):
        outputs, targets = case(seed)
        measured = {name: metric(outputs, torch.from_numpy(targets)) for name, metric in metrics.items()}
        assert measured == pytest.approx(by_scikit_learn(outputs, targets), rel=1e-12, abs=1e-12, nan_ok=True), (
            f"case {seed}"
        )


def test_the_metrics_of_values_are_those_of_scikit_learn() -> None:
    for seed in range(CASES):
        random = np.random.default_rng(seed)
        shape = int(random.integers(2, 12)), int(random.integers(1, 4))
        targets, outputs = random.normal(size=(2, *shape)) * random.choice([1e-3, 1.0, 1e3])
        expected = {
            "absolute_error": sklearn_metrics.mean_absolute_error(targets, outputs),
            "root_mean_squared_error": sklearn_metrics.root_mean_squared_error(targets, outputs),
            "r2": sklearn_metrics.r2_score(targets, outputs),
        }
        metrics = {"absolute_error": METRICS.builders["absolute_error"](), **final("values")}
        both = torch.from_numpy(outputs), torch.from_numpy(targets)
        assert {name: metric(*both) for name, metric in metrics.items()} == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_areas_rank_probabilities_that_round_to_one(dtype: torch.dtype) -> None:
    outputs = torch.tensor([[20.0], [21], [30], [35], [40]], dtype=dtype)
    targets = torch.tensor([0, 0, 1, 1, 1])
    three = torch.cat([outputs, torch.zeros_like(outputs), -outputs], 1)
    for name in ("roc_auc", "pr_auc"):
        area = METRICS.builders[name]()
        assert area(outputs, targets) == 1.0
        assert area(torch.cat([-outputs, torch.zeros_like(outputs)], 1), targets) == 1.0
        assert area(three, torch.tensor([2, 2, 1, 0, 0])) < 1.0
    assert (log_odds(three)[:, 0].diff() > 0).all()


def test_the_best_of_k_classes_is_the_prediction() -> None:
    """Equal logits, and probabilities that round to 0, have an order too."""
    outputs = torch.tensor([[0.0, 0.0, 0.0], [300.0, 100.0, 50.0], [-9.0, 400.0, 200.0]])
    top = {k: METRICS.builders["top_k_accuracy"](k) for k in (1, 2, 3)}
    for label in range(3):
        targets = torch.full((3,), label)
        assert top[1](outputs, targets) == (predicted_classes(outputs) == targets).double().mean()
        assert top[3](outputs, targets) == 1.0
    assert top[2](outputs, torch.tensor([1, 1, 2])) == 1.0
    assert top[2](outputs, torch.tensor([2, 2, 0])) == 0.0


@pytest.mark.parametrize("name", METRICS.builders)
def test_the_direction_of_a_metric_is_that_of_better_predictions(name: str) -> None:
    metric = METRICS.builders[name]()
    if metric.needs in ("values", "pairs"):
        targets = torch.tensor([[1.0], [1.0], [2.0], [2.0]])
        good, bad = metric(targets, targets), metric(torch.tensor([[0.0], [9.0], [5.0], [1.0]]), targets)
    else:
        targets, right = torch.arange(6), 9 * torch.eye(6)
        good, bad = metric(right, targets), metric(right.roll(1, 0) - right, targets)
    assert good != bad and metric.higher_is_better == (good > bad)


def test_a_value_that_never_varies_has_no_r2() -> None:
    targets = torch.tensor([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    assert math.isnan(METRICS.builders["r2"]()(targets + 1, targets))  # and not minus infinity


def test_the_distance_of_pairs_is_euclidean() -> None:
    pairs = torch.tensor([[0.0, 0.0], [3.0, 4.0], [1.0, 1.0], [1.0, 2.0]])
    assert METRICS.builders["distance"]()(pairs, torch.zeros(4)) == 3.0  # of 5 and 1
