"""Models that are no plain stack of layers: recurrent, with attention, lazy, in bfloat16, with several outputs."""

from pathlib import Path

import pytest
import torch
from small_runs import assert_same_end, resume, train

from dlexp.config.config import load_config
from dlexp.config.registry import import_modules
from dlexp.errors import UserError
from dlexp.models.summary import summarize
from dlexp.training.build import build_model, check

MODULE = """
import torch
from torch import nn


class Recurrent(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.lstm = nn.LSTM(1, 5, batch_first=True)
        self.scale = nn.Parameter(torch.ones(1))
        self.head = nn.Linear(5, outputs)

    def forward(self, x):
        return self.head(self.scale * self.lstm(x[..., None])[0][:, -1])


class Attention(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.up = nn.Linear(1, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Linear(4, outputs)

    def forward(self, x):
        x = self.up(x[..., None])
        return self.head(self.up(self.attention(x, x, x)[0].mean(2, keepdim=True)).mean(1))


class Half(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.head = nn.Linear(4, outputs).to(torch.bfloat16)
        self.scale = nn.Parameter(torch.ones((), dtype=torch.bfloat16))

    def forward(self, x):
        return self.scale * self.head(x.to(torch.bfloat16))


class Returns(nn.Module):
    def __init__(self, outputs, returned):
        super().__init__()
        self.head, self.returned = nn.Linear(4, outputs), returned

    def forward(self, x):
        return self.returned(self.head(x))


def recurrent(*, num_outputs):
    return Recurrent(num_outputs)

def attention(*, num_outputs):
    return Attention(num_outputs)

def half(*, num_outputs):
    return Half(num_outputs)

def lazy(*, num_outputs):
    return nn.Sequential(nn.LazyLinear(7), nn.ReLU(), nn.LazyBatchNorm1d(), nn.LazyLinear(num_outputs))

def norms(*, num_outputs):
    return nn.Sequential(nn.Unflatten(1, (2, 2)), nn.LayerNorm((2, 2)), nn.Flatten(), nn.AdaptiveAvgPool1d(num_outputs))

def several(*, num_outputs):
    return Returns(num_outputs, lambda outputs: (outputs, outputs))

def named(*, num_outputs):
    return Returns(num_outputs, lambda outputs: {"logits": outputs})

def deep(*, num_outputs):
    return Returns(num_outputs, lambda outputs: outputs[:, :, None])
"""
ODD = ["recurrent", "attention", "half", "lazy", "norms"]


@pytest.fixture(autouse=True)
def own_module(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("odd_models.py").write_text(MODULE)
    monkeypatch.syspath_prepend(Path.cwd())


def overrides(name: str) -> list[str]:
    return ["imports=[odd_models]", "model=custom", f"model.name={name}"]


@pytest.mark.parametrize("name", ODD)
def test_the_rows_of_a_summary_add_up(name: str) -> None:
    config = check(load_config(overrides(name)))
    model = build_model(config, import_modules(config.imports))
    rows = summarize(model, (4,))
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in model.parameters())
    shapes = {row.name: row.output_shape for row in rows}
    expected = {"recurrent": ("lstm", (4, 5)), "attention": ("attention", (4, 4)), "lazy": ("0", (7,))}
    path, shape = expected.get(name, ("", (3,)))
    assert shapes.get(path, rows[-1].output_shape) == shape


@pytest.mark.parametrize("name", ODD)
def test_it_trains_is_traced_and_resumes(name: str) -> None:
    options = [*overrides(name), "epochs=3", "dataset.train_size=30", "batch_size=10", "trace_steps=1"]
    whole = train(*options, "name=whole")
    assert_same_end(whole, resume(train(*options, "stop_at=1", "name=stopped")))
    traced = [row["name"] for row in whole.read_rows("trace.csv") if row["what"] == "activation"]
    expected = {"attention": {"up Linear", "up Linear (2)", "attention MultiheadAttention"}, "recurrent": {"lstm LSTM"}}
    assert expected.get(name, set()) <= set(traced)


@pytest.mark.parametrize(
    ("name", "message"),
    [("several", "returns tuple"), ("named", "returns dict"), ("deep", r"outputs of shape \(3, 1\)")],
)
def test_outputs_that_no_loss_takes_are_refused(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        train(*overrides(name))


def test_a_penalty_is_of_weights_but_not_of_norms() -> None:
    pairs = "{unflatten: {dim: 1, unflattened_size: [2, 3]}}"
    layers = f"[{{linear: 6}}, {pairs}, layer_norm, flatten, {pairs}, "
    layers += "{conv1d: {out_channels: 2, kernel_size: 2}}, flatten, output]"
    options = ["model=layers", f"model.layers={layers}", "epochs=0", "regularizer=l2", "regularizer.strength=0.5"]
    config = check(load_config(options))
    torch.manual_seed(config.seed)
    model = build_model(config)
    weights = [m.weight for m in model if isinstance(m, torch.nn.Linear | torch.nn.Conv1d)]
    expected = 0.5 * sum(float(weight.detach().double().square().sum()) for weight in weights)
    run = train(*options[:-3], *options[-2:], "epochs=1", "batch_size=full", "log_gradients=true")
    assert run.read_table("metrics.csv")[0]["train/penalty"] == pytest.approx(expected, rel=1e-6)
    assert [row["parameter"] for row in run.read_rows("gradients.csv")] == ["0.weight", "5.weight", "7.weight"]


def test_a_penalty_of_a_model_without_weights_is_refused() -> None:
    with pytest.raises(UserError, match="regularizer=l1 penalizes weights"):
        train(*overrides("norms"), "regularizer=l1")
