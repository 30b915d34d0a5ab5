"""Losses and penalties against their formulas, written again in NumPy."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from dlexp.losses import LOSSES
from dlexp.regularizers import REGULARIZERS

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3], [-3.0, 4.0, 0.0], [1.0, 1.0, -2.0]], dtype=torch.float64)
TARGETS = torch.tensor([0, 2, 0, 1])
P = np.exp(LOGITS.numpy()) / np.exp(LOGITS.numpy()).sum(1, keepdims=True)
ONE_HOT = np.eye(3)[TARGETS.numpy()]


def loss(name: str, outputs: torch.Tensor = LOGITS) -> float:
    return LOSSES.build(LOSSES.bind({"name": name})).function(outputs, TARGETS).item()


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
    """Ten equal probabilities give 1.0 and 0.09: where the homework's 1.003 and 0.0879 come from."""
    outputs, targets = torch.zeros(4, 10), torch.arange(4)
    values = {n: LOSSES.build({"name": n}).function(outputs, targets).item() for n in ("mse", "categorical_hinge")}
    assert values["mse"] == pytest.approx(0.09) and values["categorical_hinge"] == pytest.approx(1.0)


@pytest.mark.parametrize("name", LOSSES.builders)
def test_its_gradient_is_its_slope(name: str) -> None:
    outputs = (LOGITS.log_softmax(1) if name == "nll" else LOGITS).clone().requires_grad_()
    function = LOSSES.build(LOSSES.bind({"name": name})).function
    assert torch.autograd.gradcheck(lambda z: function(z, TARGETS), outputs)


def test_penalties_are_their_formulas() -> None:
    weights = [torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0]])]

    def penalty(**options: object) -> float:
        function = REGULARIZERS.build(REGULARIZERS.bind(options))
        assert function is not None
        return function(weights).item()

    assert penalty(name="l1", strength=0.5) == pytest.approx(0.5 * 6)
    assert penalty(name="l2", strength=0.5) == pytest.approx(0.5 * 14)
    assert penalty(name="elastic_net", strength=2.0, l1_ratio=0.25) == pytest.approx(2 * (0.25 * 6 + 0.75 * 14))
    assert REGULARIZERS.build({"name": "none"}) is None
