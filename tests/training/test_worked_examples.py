"""Exercises worked by hand: every traced number agrees with the same steps written in NumPy."""

import csv
from collections import defaultdict

import numpy as np
import pytest
import torch
from small_runs import assert_same_end, resume, train

from dlexp import load_run
from dlexp.cli.main import main
from dlexp.config.config import load_config
from dlexp.errors import UserError
from dlexp.models.by_hand import DERIVATIVES
from dlexp.runs.directory import RunDirectory
from dlexp.training.build import check


def traced(run: RunDirectory) -> dict[tuple[int, str, str], np.ndarray]:
    """Return trace.csv as arrays by (step, what, name)."""
    numbers = defaultdict(list)
    with (run.path / "trace.csv").open() as file:
        for row in csv.DictReader(file):
            numbers[int(row["step"]), row["what"], row["name"]].append(float(row["value"]))
    return {key: np.array(values) for key, values in numbers.items()}


def run_as_it_is(name: str, *overrides: str) -> RunDirectory:
    config = check(load_config([f"experiment={name}"]))
    return train(f"experiment={name}", f"epochs={config.epochs}", *overrides)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def test_backpropagation_of_is_hw4_ex01() -> None:
    weights = [
        np.array(w)
        for w in (
            [[0.17, 0.37, 0.57], [0.26, 0.46, 0.46]],
            [[7.15, 6.45], [7.25, 6.55], [7.35, 6.65]],
            [[42.12, 42.32, 42.52], [42.22, 42.42, 42.62]],
            [[1.16, 1.36]],
        )
    ]
    biases = [np.array(b) for b in ([0.71, 0.62], [13.15, 13.25, 13.35], [1.12, 1.22], [-0.74])]
    functions = [np.tanh, sigmoid, np.tanh, lambda z: np.maximum(z, 0)]
    slopes = [lambda y: 1 - y**2, lambda y: y * (1 - y), lambda y: 1 - y**2, lambda y: (y > 0).astype(float)]
    found = traced(run_as_it_is("is_hw4/ex01_backprop"))
    for step, (x, target) in enumerate([([32, 11, 57], 7), ([6, 7, 6], 6)], 1):
        values = [np.array(x, float)]
        for layer, (w, b, function) in enumerate(zip(weights, biases, functions, strict=True)):
            z = w @ values[-1] + b
            np.testing.assert_allclose(found[step, "activation", f"{2 * layer} Linear"], z, rtol=1e-12)
            values.append(function(z))
        assert found[step, "loss", ""] == pytest.approx((values[-1] - target) ** 2 / 2)
        delta = values[-1] - target
        for layer in (3, 2, 1, 0):
            function = ("Tanh", "Sigmoid", "Tanh", "ReLU")[layer]
            np.testing.assert_allclose(found[step, "gradient", f"{2 * layer + 1} {function}"], delta, atol=1e-12)
            delta = delta * slopes[layer](values[layer + 1])
            np.testing.assert_allclose(found[step, "gradient", f"{2 * layer} Linear"], delta, atol=1e-12)
            dw, db = np.outer(delta, values[layer]), delta
            np.testing.assert_allclose(found[step, "gradient", f"{2 * layer}.weight"], dw.ravel(), atol=1e-12)
            np.testing.assert_allclose(found[step, "gradient", f"{2 * layer}.bias"], db, atol=1e-12)
            assert layer == 3 or not dw.any(), "below layer 4 every gradient is 0"
            delta = weights[layer].T @ delta
            weights[layer], biases[layer] = weights[layer] - 0.1 * dw, biases[layer] - 0.1 * db
            np.testing.assert_allclose(found[step, "parameter", f"{2 * layer}.weight"], weights[layer].ravel())
            np.testing.assert_allclose(found[step, "parameter", f"{2 * layer}.bias"], biases[layer])
    np.testing.assert_allclose(found[1, "activation", "0 Linear"], [42.71, 40.22])
    assert found[1, "activation", "7 ReLU"] == pytest.approx(1.78)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_one_update_of_dl_hw3_ex01(optimizer: str) -> None:
    x, w = np.array([1.5, 1, 1]), np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, -0.4])
    z1, z2 = w[[0, 2, 4]] @ x, w[[1, 3, 5]] @ x
    h1, h2 = np.tanh(z1), np.where(z2 > 0, z2, 0.2 * z2)
    output = sigmoid(w[6] * h1 + w[7] * h2)
    delta = output - 0  # of the sigmoid's input, under binary cross-entropy with target 0
    gradient = np.zeros(8)
    gradient[[0, 2, 4]] = delta * w[6] * (1 - h1**2) * x
    gradient[[1, 3, 5]] = delta * w[7] * (1.0 if z2 > 0 else 0.2) * x
    gradient[6:] = delta * np.array([h1, h2])
    # Adam's first step from zero moments: m̂ = g and v̂ = g².
    new = w - 0.1 * (gradient if optimizer == "sgd" else gradient / (np.abs(gradient) + 1e-8))
    found = traced(run_as_it_is("dl_hw3/ex01_one_update", f"optimizer={optimizer}", "optimizer.lr=0.1"))
    for what, expected in (("gradient", gradient), ("parameter", new)):
        np.testing.assert_allclose(found[1, what, "0.0.0.weight"], expected[[0, 2, 4]], rtol=1e-10)
        np.testing.assert_allclose(found[1, what, "0.1.0.weight"], expected[[1, 3, 5]], rtol=1e-10)
        np.testing.assert_allclose(found[1, what, "1.weight"], expected[6:], rtol=1e-10)


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_a_step_through_pooling_of_dl_hw3_ex03(pooling: str) -> None:
    data = np.array([[[1, 2, -3, 2], [1, 2, -2, 1]], [[4, 2, -2, 2], [3, 2, -7, 2]]], float)
    w = np.array([[0.5, -0.2], [0.3, 0.1]])

    def output(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        z = np.array([(w * x[:, i : i + 2]).sum() for i in range(3)])
        pairs = np.stack([z[:-1], z[1:]])
        return pairs.mean(0) if pooling == "avg" else pairs.max(0)

    def objective(w: np.ndarray) -> float:
        return float(((output(data[1], w) - output(data[0], w)) ** 2).sum())

    steps = np.eye(4).reshape(4, 2, 2) * 1e-6
    slope = np.array([(objective(w + h) - objective(w - h)) / 2e-6 for h in steps])
    run = run_as_it_is(f"dl_hw3/ex03_{pooling}_pooling")
    found = traced(run)
    assert found[1, "loss", ""] == pytest.approx(objective(w))
    np.testing.assert_allclose(found[1, "gradient", "0.weight"], slope, rtol=1e-6)
    np.testing.assert_allclose(found[1, "parameter", "0.weight"], w.ravel() - 0.01 * slope, rtol=1e-6)
    of_outputs, shares = {
        "avg": ([[-1.4, 1.6], [1.4, -1.6]], [[[0.5, 0.5, 0], [0, 0.5, 0.5]], [[0.5, 0.5, 0], [0, 0.5, 0.5]]]),
        "max": ([[-1.4, 1.4], [1.4, -1.4]], [[[0, 1, 0], [0, 1, 0]], [[1, 0, 0], [0, 1, 0]]]),
    }[pooling]
    np.testing.assert_allclose(found[1, "gradient", f"1 {pooling.title()}Pool1d"], np.ravel(of_outputs))
    through = [np.array(each).T @ g for each, g in zip(shares, of_outputs, strict=True)]
    np.testing.assert_allclose(found[1, "gradient", "0 Conv1d"], np.ravel(through), atol=1e-12)
    assert load_run(str(run.path)).result["final"]["test"]["distance"] < 1e-5


DIFFERENT = """\
input               W x                      hidden vector  weighted sum  output   value  predicted value
[-1, -1, 2.5, 2.5]  0 -3.5 -3.5 -3.5 -3.5 0  1 0 0 0 0 1    2             0       0.0000           0.0000
[6, 4, 2, 6]        2 4 0 2 -2 -4            0 0 1 0 0 0    1             0       0.0000           0.0000
[-10, 0, 0, -10]    -10 -10 0 0 10 10        0 0 1 1 0 0    2             0       0.0000           0.0000
[-1, 0, 1, 0.5]     -1 -2 -1.5 -1 -0.5 0.5   0 0 0 0 0 0    0             1       1.0000           1.0000
"""
TWO_OF_THREE = """\
input      z1    z2    n1  n2  weighted sum  output   value  predicted value
[0, 0, 0]  -1.5  -2.5  0   0   -1            0       0.0000           0.0000
[0, 0, 1]  -0.5  -1.5  0   0   -1            0       0.0000           0.0000
[0, 1, 0]  -0.5  -1.5  0   0   -1            0       0.0000           0.0000
[0, 1, 1]  0.5   -0.5  1   0   0             1       1.0000           1.0000
[1, 0, 0]  -0.5  -1.5  0   0   -1            0       0.0000           0.0000
[1, 0, 1]  0.5   -0.5  1   0   0             1       1.0000           1.0000
[1, 1, 0]  0.5   -0.5  1   0   0             1       1.0000           1.0000
[1, 1, 1]  1.5   0.5   1   1   -1            0       0.0000           0.0000
"""


@pytest.mark.parametrize(
    ("name", "numbers"), [("ml_hw4/ex01_all_different", DIFFERENT), ("nn_theory/ex01_two_of_three", TWO_OF_THREE)]
)
def test_nets_of_step_units_show_what_each_layer_gives(
    name: str, numbers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", f"experiment={name}"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(numbers)
    assert "Nothing is trained" in printed
    assert not any(word in printed for word in ("r2", "R²", "loss", "error")), "nothing is fitted"


@pytest.mark.parametrize(
    ("notation", "message"),
    [
        ("{1 Relu: [n1, n2]}", r"no 1 Relu\. Did you mean 1 ReLU"),
        ("{1 ReLU: [n1]}", "has 2 numbers, not 1: n1"),
        ("{1 ReLU: 3}", "a name, or a list of names"),
    ],
)
def test_a_notation_that_does_not_fit_is_refused(notation: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        train("dataset=inline", "model.hidden_sizes=[2]", f"notation={notation}")


def test_units_without_a_gradient_cannot_be_trained() -> None:
    with pytest.raises(UserError, match="epochs=0"):
        train("experiment=nn_theory/ex01_two_of_three", "epochs=1")


def test_a_trace_continues_after_a_stop() -> None:
    overrides = ["experiment=nn_hw2/ex05_xnor", "epochs=3", "trace_steps=10"]
    whole, stopped = train(*overrides, "name=whole"), train(*overrides, "name=stopped", "stop_at=2")
    resumed = resume(stopped)
    assert_same_end(whole, resumed)
    assert (whole.path / "trace.csv").read_bytes() == (resumed.path / "trace.csv").read_bytes()
    assert max(step for step, _, _ in traced(whole)) == 10


def test_a_run_resumes_with_a_trace_of_no_steps() -> None:
    whole, start = (
        train("dataset=inline", "epochs=2", "trace_steps=2"),
        train("dataset=inline", "epochs=0", "trace_steps=2"),
    )
    assert (resume(start, "epochs=2").path / "trace.csv").read_bytes() == (whole.path / "trace.csv").read_bytes()


def test_samples_are_printed_beside_their_own_predictions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "dataset=inline", "dataset.test_size=2", "epochs=1"]) == 0
    assert "[0, 1]" not in capsys.readouterr().out, "the test split is not the config's list"


def test_a_trace_is_printed_beside_the_reported_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "experiment=is_hw4/ex01_backprop"]) == 0
    printed = capsys.readouterr().out
    assert "activation 0 Linear         42.71 40.22" in printed
    assert "parameter  6.weight         1.682 1.882" in printed
    assert "[32, 11, 57]  42.71 40.22  1 1     26.75 27.05 27.35" in printed
    assert "trace/2/parameter/6.bias/0         0.0474    0.0474" in printed
    assert "trace/1/activation/7 ReLU/0 0      1.7800    1.7800" in printed


def test_named_weights_are_printed_with_their_gradients(capsys: pytest.CaptureFixture[str]) -> None:
    """The gradients are those that test_one_update_of_dl_hw3_ex01 computes."""
    assert main(["train", "experiment=dl_hw3/ex01_one_update", "optimizer=sgd", "optimizer.lr=0.1"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    names = [f"w{i}" for i in range(1, 9)]
    found = {name: [float(number) for number in numbers] for name, *numbers in filter(None, lines) if name in names}
    assert list(found) == names
    gradient = [0.003882, -0.214858, 0.002588, -0.143239, 0.002588, -0.143239, 0.353756, 0.787812]
    before = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, -0.4])
    expected = np.stack([before, gradient, before - 0.1 * np.array(gradient)], 1)
    np.testing.assert_allclose([*found.values()], expected, atol=6e-5)


def test_gradients_by_hand_are_printed_beside_autograd_s(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", "experiment=nn_hw2/ex05_xnor", "epochs=1"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "The gradients by hand equal autograd's to the last bit." in printed
    assert "step 4  2.bias    -0.30793" in printed and printed.count("\nstep 4  ") == 4
    monkeypatch.setitem(DERIVATIVES, torch.nn.ReLU, lambda module, x, y: 1.5 * (x > 0).to(x.dtype))
    assert main(command) == 0
    assert "The gradients by hand differ from autograd's by 2.1e-01 at most." in capsys.readouterr().out


def test_a_sweep_shows_the_gradients_of_the_first_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", "experiment=nn_hw2/ex02b_initialization", "epochs=1", "jobs=1"]) == 0
    printed = capsys.readouterr().out
    table = printed.partition("in the first step\n")[2].splitlines()
    norms = [[float(cell) for cell in line.split()[-4:]] for line in table[1:7]]
    moved = [[norm > 0 for norm in line] for line in norms]
    nothing, random = [False] * 3 + [True], [True] * 4
    zero_weights = [False, False, True, True]  # hidden weights and biases wait for the output weights
    assert moved == [nothing, zero_weights, random, random, zero_weights, random]
    assert "Equal probabilities for 3 classes have the loss ln 3 = 1.0986." in printed
    assert "before the first step" not in printed, "only samples of the config are printed"


def test_float64_is_never_rounded_to_float32() -> None:
    run = run_as_it_is("is_hw4/ex01_backprop")
    model = load_run(str(run.path)).load_model()
    assert all(p.dtype == torch.float64 for p in model.parameters())
    assert traced(run)[0, "parameter", "0.weight"][0] == 0.17
