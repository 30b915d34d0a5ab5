"""Layers and initial weights equal their definitions."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlexp.config.config import load_config
from dlexp.errors import UserError
from dlexp.models.convolutions import LowRankConv2d, SeparableConv2d
from dlexp.models.units import IsZero, Maxout, Step
from dlexp.training.build import build_model, check


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
@pytest.mark.parametrize("layer", [SeparableConv2d, LowRankConv2d])
@pytest.mark.parametrize("rank", [1, 3])
def test_a_convolution_equals_the_dense_one_with_the_composed_weight(
    layer: type, rank: int, stride: int, padding: int
) -> None:
    torch.manual_seed(0)
    more = {"rank": rank} if layer is LowRankConv2d else {}
    convolution = layer(4, 6, 3, stride=stride, padding=padding, **more).double()
    images = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    dense = F.conv2d(images, convolution.dense_weight(), convolution[-1].bias, stride, padding)
    torch.testing.assert_close(convolution(images), dense)
    parameters = sum(p.numel() for p in convolution.parameters())
    assert parameters == (4 * 9 + 4 * 6 + 6 if layer is SeparableConv2d else rank * (4 + 3 + 3 + 6) + 6)
    assert parameters < 4 * 6 * 9 + 6


def test_maxout_is_the_largest_piece() -> None:
    unit = Maxout(3, 2, pieces=2)
    inputs = torch.randn(5, 3)
    pieces = inputs @ unit.linear.weight.T + unit.linear.bias
    expected = torch.stack([pieces[:, :2].amax(1), pieces[:, 2:].amax(1)], 1)
    torch.testing.assert_close(unit(inputs), expected)


def test_step_is_one_from_zero_on_and_is_zero_is_one_only_at_zero() -> None:
    inputs = torch.tensor([-1.0, -0.0, 0.0, 2.0])
    assert Step()(inputs).tolist() == [0, 1, 1, 1]
    assert IsZero()(inputs).tolist() == [0, 1, 1, 0]


def linear_layers(*overrides: str) -> list[nn.Linear]:
    torch.manual_seed(0)
    config = check(load_config(["dataset=digits", "model.hidden_sizes=[400,300]", *overrides]))
    return [module for module in build_model(config).modules() if isinstance(module, nn.Linear)]


@pytest.mark.parametrize(
    ("init", "deviation", "largest"),
    [
        ("xavier_normal", (2 / 700) ** 0.5, None),
        ("xavier_uniform", (2 / 700) ** 0.5, (6 / 700) ** 0.5),
        ("he_normal", (2 / 400) ** 0.5, None),
        ("he_uniform", (2 / 400) ** 0.5, (6 / 400) ** 0.5),
        ("{weight: {uniform: [-2, 2]}, bias: zeros}", 4 / 12**0.5, 2),
        ("{weight: {normal: {std: 0.5}}, bias: zeros}", 0.5, None),
    ],
)
def test_initial_weights_have_their_deviation(init: str, deviation: float, largest: float | None) -> None:
    layer = linear_layers(f"model.init={init}")[1]  # 400 → 300
    assert layer.weight.std().item() == pytest.approx(deviation, rel=0.02)
    assert layer.weight.mean().item() == pytest.approx(0, abs=deviation / 50)
    assert not layer.bias.any()
    if largest is not None:
        assert layer.weight.abs().max().item() == pytest.approx(largest, rel=0.01)


def test_uniform_alone_sets_weights_and_biases() -> None:
    for layer in linear_layers("model.init=uniform"):
        for tensor in (layer.weight, layer.bias):
            assert 0 <= tensor.min() < 0.2 and 0.8 < tensor.max() <= 1


def test_weights_and_biases_can_differ() -> None:
    for layer in linear_layers("model.init={weight: zeros, bias: {uniform: [3, 4]}}"):
        assert not layer.weight.any() and layer.bias.min() >= 3 and layer.bias.max() <= 4


def test_explicit_weights_are_set() -> None:
    chosen = "model.init={weight: {explicit: [[[1,2,3,4],[5,6,7,8],[9,10,11,12]]]}, bias: {constant: 2}}"
    (layer,) = (
        m
        for m in build_model(check(load_config(["model.hidden_sizes=[]", chosen]))).modules()
        if isinstance(m, nn.Linear)
    )
    assert layer.weight.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]] and layer.bias.tolist() == [2, 2, 2]


def test_the_defaults_of_constant_and_normal_are_those_of_their_docstrings() -> None:
    for layer in linear_layers("model.init={weight: normal, bias: constant}"):
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.1) and not layer.bias.any()


@pytest.mark.parametrize("layers", [1, 2])
def test_explicit_values_of_more_layers_than_there_are_are_refused(layers: int) -> None:
    config = check(load_config(["model.hidden_sizes=[]", f"model.init={{bias: {{explicit: {[[1, 2, 3]] * layers}}}}}"]))
    if layers == 1:
        build_model(config)
        return
    with pytest.raises(UserError, match="explicit values for 2 layers; there are 1"):
        build_model(config)
