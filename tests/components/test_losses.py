"""Losses and penalties equal their formulas, written again in NumPy."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from dlexp.components.losses import LOSSES
from dlexp.components.metrics import build
from dlexp.components.regularizers import REGULARIZERS
from dlexp.config.component import Component

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3], [-3.0, 4.0, 0.0], [1.0, 1.0, -2.0]], dtype=torch.float64)
TARGETS = torch.tensor([0, 2, 0, 1])
P = np.exp(LOGITS.numpy()) / np.exp(LOGITS.numpy()).sum(1, keepdims=True)
ONE_HOT = np.eye(3)[TARGETS.numpy()]


def loss(name: str, outputs: torch.Tensor = LOGITS) -> float:
    return LOSSES.build(LOSSES.bind(Component(name))).function(outputs, TARGETS).item()


def test_cross_entropy_is_scikit_learns_log_loss() -> None:
    assert loss("cross_entropy") == pytest.approx(log_loss(TARGETS, P, labels=[0, 1, 2]), rel=1e-12)


def test_nll_of_log_probabilities_is_cross_entropy() -> None:
    assert loss("nll", LOGITS.log_softmax(1)) == pytest.approx(loss("cross_entropy"), rel=1e-12)


def test_mse_is_on_softmax_and_one_hot() -> None:
    assert loss("mse") == pytest.approx(((P - ONE_HOT) ** 2).mean(), rel=1e-12)


def test_categorical_hinge_is_on_softmax() -> None:
    right = (P * ONE_HOT).sum(1)
    wrong = (P - 2 * ONE_HOT).max(1)
    assert loss("categorical_hinge") == pytest.approx(np.maximum(0, 1 + wrong - right).mean(), rel=1e-12)


def test_the_course_s_untrained_hinge_and_mse_are_near_one_and_nine_hundredths() -> None:
    """Ten equal probabilities give 1.0 and 0.09, which explains the homework's 1.003 and 0.0879."""
    outputs, targets = torch.zeros(4, 10), torch.arange(4)
    values = {n: LOSSES.build(Component(n)).function(outputs, targets).item() for n in ("mse", "categorical_hinge")}
    assert values["mse"] == pytest.approx(0.09) and values["categorical_hinge"] == pytest.approx(1.0)


def test_one_node_s_cross_entropy_is_scikit_learns_log_loss() -> None:
    z, t = LOGITS[:, :1], torch.tensor([0, 1, 1, 0])
    value = LOSSES.build(Component("binary_cross_entropy")).function(z, t).item()
    assert value == pytest.approx(log_loss(t, 1 / (1 + np.exp(-z.numpy()[:, 0]))), rel=1e-12)


def test_losses_against_a_one_hot_class_equal_their_formulas() -> None:
    z, right = LOGITS.numpy(), (LOGITS.numpy() * ONE_HOT).sum(1, keepdims=True)
    hinges = np.maximum(0, 1 - right + z) * (1 - ONE_HOT)
    sigmoid = 1 / (1 + np.exp(-z))
    expected = {
        "multi_margin": hinges.sum(1).mean() / 3,
        "multilabel_margin": hinges.sum(1).mean() / 3,
        "multilabel_soft_margin": -(ONE_HOT * np.log(sigmoid) + (1 - ONE_HOT) * np.log(1 - sigmoid)).mean(),
        "poisson_nll": (np.exp(z) - ONE_HOT * z).mean(),
        "gaussian_nll": ((P - ONE_HOT) ** 2).mean() / 2,
        "half_squared_error": ((z - ONE_HOT) ** 2).sum(1).mean() / 2,
    }
    for name, value in expected.items():
        assert loss(name) == pytest.approx(value, rel=1e-12), name


def test_options_of_losses_reach_the_formula() -> None:
    squared = LOSSES.build(LOSSES.bind(Component("multi_margin", {"p": 2, "margin": 0.5}))).function(LOGITS, TARGETS)
    hinges = np.maximum(0, 0.5 - (LOGITS.numpy() * ONE_HOT).sum(1, keepdims=True) + LOGITS.numpy()) ** 2
    assert squared.item() == pytest.approx((hinges * (1 - ONE_HOT)).sum(1).mean() / 3, rel=1e-12)
    wide = LOSSES.build(LOSSES.bind(Component("gaussian_nll", {"variance": 4.0}))).function(LOGITS, TARGETS)
    assert wide.item() == pytest.approx((np.log(4.0) + ((P - ONE_HOT) ** 2).mean() / 4) / 2, rel=1e-12)


def test_losses_of_values_use_the_unchanged_outputs() -> None:
    outputs, targets = LOGITS, torch.ones_like(LOGITS)
    errors = LOGITS.numpy() - 1
    mse, half = (LOSSES.build(Component(name)).function(outputs, targets) for name in ("mse", "half_squared_error"))
    assert mse.item() == pytest.approx((errors**2).mean()) and half.item() == pytest.approx((errors**2).sum() / 8)


def test_output_matching_compares_consecutive_samples() -> None:
    matching = LOSSES.build(Component("output_matching"))
    z, nothing = LOGITS.numpy(), torch.zeros(4, 0)
    distances = np.linalg.norm(z[[1, 3]] - z[[0, 2]], axis=1)
    assert matching.function(LOGITS, nothing).item() == pytest.approx((distances**2).mean())
    (metric,) = build(None, "nothing").values()
    assert metric(LOGITS, nothing) == pytest.approx(distances.mean())


@pytest.mark.parametrize("name", LOSSES.builders)
def test_the_gradient_of_a_loss_is_its_slope(name: str) -> None:
    chosen = LOSSES.build(LOSSES.bind(Component(name)))
    outputs = LOGITS[:, :1] if chosen.one_node else LOGITS.log_softmax(1) if name == "nll" else LOGITS
    targets = TARGETS.clamp(max=1) if chosen.one_node else TARGETS
    assert torch.autograd.gradcheck(lambda z: chosen.function(z, targets), outputs.clone().requires_grad_())


def test_penalties_equal_their_formulas() -> None:
    weights = [torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0]])]

    def penalty(**options: object) -> float:
        function = REGULARIZERS.build(REGULARIZERS.bind(Component.of(options, "regularizer")))
        assert function is not None
        return function(weights).item()

    assert penalty(name="l1", strength=0.5) == pytest.approx(0.5 * 6)
    assert penalty(name="l2", strength=0.5) == pytest.approx(0.5 * 14)
    assert penalty(name="elastic_net", strength=2.0, l1_ratio=0.25) == pytest.approx(2 * (0.25 * 6 + 0.75 * 14))
    assert REGULARIZERS.build(Component("none")) is None
