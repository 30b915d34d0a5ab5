"""Gradients written by hand equal autograd's."""

import pytest
import torch
from small_runs import assert_same_end, resume, train

from dlexp import load_run
from dlexp.components.losses import LOSSES, Loss
from dlexp.config.component import Component
from dlexp.config.config import load_config
from dlexp.errors import UserError
from dlexp.models.by_hand import DERIVATIVES, ByHand
from dlexp.training.build import build, build_model, check

ACTIVATIONS = ["identity", "relu", "{leaky_relu: 0.2}", "tanh", "sigmoid", "{softplus: {beta: 3, threshold: 0.5}}"]
LOSS_OPTIONS = [
    {"name": "cross_entropy"},
    {"name": "cross_entropy", "label_smoothing": 0.1},
    {"name": "binary_cross_entropy"},
    {"name": "mse"},
    {"name": "half_squared_error"},
]


def test_every_derivative_is_tested() -> None:
    assert len(DERIVATIVES) == len(ACTIVATIONS)


@pytest.mark.parametrize("loss", LOSS_OPTIONS, ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", ["[]", "[5]", "[7,6,5,4]"])
def test_every_gradient_equals_autograd_s(sizes: str, activation: str, loss: dict[str, object]) -> None:
    torch.manual_seed(0)
    overrides = [f"model.hidden_sizes={sizes}", f"model.activation={activation}", "dataset=digits", "precision=float64"]
    model = build_model(check(load_config([*overrides, "model.backward=manual", f"loss={loss['name']}"])))
    assert isinstance(model, ByHand)
    function = LOSSES.build(LOSSES.bind(Component.of(loss, "loss")))
    inputs = torch.randn(9, 1, 8, 8, dtype=torch.float64)
    targets = torch.randint(0, 2 if function.one_node else 10, (9,))
    compare(model, function, inputs, targets)


@pytest.mark.parametrize("loss", ["mse", "half_squared_error"])
def test_gradients_of_losses_of_values_equal_autograd_s(loss: str) -> None:
    config = ["dataset=linear_map", "model.hidden_sizes=[4,3]", "model.activation=[tanh,relu,sigmoid]", f"loss={loss}"]
    model = build_model(check(load_config([*config, "model.backward=manual", "precision=float64"])))
    assert isinstance(model, ByHand)
    inputs, targets = torch.randn(2, 9, 5, dtype=torch.float64)
    compare(model, LOSSES.build(LOSSES.bind(Component(loss))), inputs, targets)


def test_a_layer_without_biases_has_a_gradient_by_hand() -> None:
    model = ByHand(torch.nn.Sequential(torch.nn.Linear(4, 3, bias=False), torch.nn.Tanh()).double())
    compare(model, LOSSES.build(Component("cross_entropy")), torch.randn(5, 4).double(), torch.tensor([0, 1, 2, 0, 1]))


def compare(model: ByHand, function: Loss, inputs: torch.Tensor, targets: torch.Tensor) -> None:
    with torch.no_grad():
        value, gradient = function.by_hand(model(inputs), targets)
        model.backward(gradient)
    by_hand = [parameter.grad for parameter in model.parameters()]
    expected = function.function(torch.nn.Sequential(*model)(inputs), targets)
    assert value.item() == pytest.approx(expected.item(), abs=1e-12)
    for mine, theirs in zip(by_hand, torch.autograd.grad(expected, list(model.parameters())), strict=True):
        assert mine is not None
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_hundred_steps_end_at_the_same_weights(optimizer: str) -> None:
    overrides = [
        "experiment=dl_hw3/ex07_iris",
        "epochs=100",
        f"optimizer={optimizer}",
        "optimizer.lr=0.01",
        "model.init=default",
    ]
    weights = []
    for backward in ("manual", "autograd"):
        run = train(*overrides, f"model.backward={backward}", f"name={backward}")
        weights.append(load_run(str(run.path)).load_model().state_dict())
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], rtol=1e-4, atol=1e-5)


def test_no_step_uses_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("autograd was used")

    monkeypatch.setattr(torch.Tensor, "backward", forbidden)
    monkeypatch.setattr(torch.autograd, "grad", forbidden)
    monkeypatch.setattr(torch.autograd, "backward", forbidden)
    overrides = ["model.backward=manual", "log_gradients=true", "batch_size=32", "epochs=3"]
    whole, stopped = train(*overrides, "name=whole"), train(*overrides, "name=stopped", "stop_at=1")
    assert_same_end(whole, resume(stopped))


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.batch_norm=true"],
        ["model.dropout=0.1"],
        ["model.activation=gelu"],
        ["regularizer=l2"],
        ["loss=categorical_hinge"],
    ],
)
def test_a_model_or_loss_without_a_gradient_by_hand_is_refused(overrides: list[str]) -> None:
    with pytest.raises(UserError, match=r"by hand|model\.backward=manual"):
        build(check(load_config(["model.backward=manual", *overrides])))


@pytest.mark.parametrize("loss", LOSS_OPTIONS, ids=str)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3, 1e6])
def test_losses_by_hand_equal_their_functions_on_logits_of_any_size(loss: dict[str, object], scale: float) -> None:
    """An exponential of 1000 is infinite, and that of every shifted logit must not be 0."""
    function = LOSSES.build(LOSSES.bind(Component.of(loss, "loss")))
    outputs = torch.tensor([[1.0, -1.0, 0.5], [-1.0, 1.0, 0.0], [0.9, 1.0, 1.0]], dtype=torch.float64) * scale
    outputs = (outputs[:, :1] if function.one_node else outputs).requires_grad_()
    targets = torch.tensor([0, 0, 1])
    value = function.function(outputs, targets)
    value.backward()
    by_hand, gradient = function.by_hand(outputs.detach(), targets)
    torch.testing.assert_close(by_hand, value.detach(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(gradient, outputs.grad, rtol=1e-9, atol=1e-12)
