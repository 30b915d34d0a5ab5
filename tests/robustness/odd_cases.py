"""The cases of `odd_numbers`: what is asked for, how that has to end, and what the message has to name."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dlexp.data.datasets.mnist import mnist

HANDLED, DIVERGED, REFUSED = 0, 1, 2
Case = tuple[list[str], int, str]  # overrides, exit code, what the message names

# A module of a user's, that does what it is told to: with the arrays of a dataset, in a loss, in a forward pass.
ODD = """
import itertools
from math import inf, nan
import numpy as np
import torch
from torch.nn import functional as F
from dlexp.data.source import Samples, Source
from dlexp.components.losses import Loss

def odd_data(harm: str = "", values: bool = False) -> Source:
    x, t = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32), np.arange(40) % 2
    t = x[:, :1].copy() if values else t
    train, test = [x.copy(), t.copy()], [x.copy(), t.copy()]
    exec(harm)
    names = {"value_names": ("y",)} if values else {"class_names": ("no", "yes")}
    return Source((3,), embedded=lambda: {"train": Samples(*train), "test": Samples(*test)}, **names)

def odd_loss(formula: str = "value") -> Loss:
    calls = itertools.count(1)
    def loss(z, t):
        value, call, evaluating = F.cross_entropy(z, t), next(calls), torch.is_inference_mode_enabled()
        return eval(formula, globals(), locals())
    return Loss(loss)

class odd_model(torch.nn.Module):
    def __init__(self, harm: str = "", *, input_shape, num_outputs):
        super().__init__()
        self.linear = torch.nn.Linear(*input_shape, num_outputs)
        self.register_buffer("seen", torch.zeros(1))
        self.harm = harm
    def forward(self, x):
        scope = {"self": self, "x": x}
        exec(self.harm, scope)
        return self.linear(scope["x"])
"""
NAN, INFINITY = math.nan, math.inf
CLASSES = ["a", "b"]


def inline(inputs: Any, targets: Any, names: list[str] | None, *others: str, **more: Any) -> list[str]:
    """Return overrides of a dataset written in the config; `names` None: its targets are values."""
    keys = {"inputs": inputs, "targets": targets, "class_names": names, **more}
    return [
        "dataset=inline",
        *(f"dataset.{key}={'null' if value is None else value}" for key, value in keys.items()),
        *([] if names else ["loss=mse"]),
        *others,
    ]


def data() -> Iterator[Case]:
    """Data in the config, in a user's module and in files."""
    fine, labels = [[0, 1], [2, 3], [4, 5], [6, 7]], ["a", "b", "a", "b"]
    for odd in (NAN, INFINITY, -INFINITY, 1e39, 1e300):
        yield inline([[odd, 1], *fine[1:]], labels, CLASSES), REFUSED, "inputs"
        yield inline(fine, labels, CLASSES, test_inputs=[[0, odd]], test_targets=["a"]), REFUSED, "inputs"
        yield inline(fine, [odd, 1, 2, 3], None), REFUSED, "targets"
    for odd in (-0.0, 1e-45, 1e-310, 5e-324):
        for way in ("none", "unit", "standard"):
            yield inline([[odd, 1], *fine[1:]], labels, CLASSES, f"dataset.normalization={way}"), HANDLED, ""
        everywhere = [[x, odd * (x > 3)] for x, _ in fine]
        standard = inline(everywhere, labels, CLASSES, "dataset.normalization=standard")
        yield standard, REFUSED if odd == 1e-45 else HANDLED, "dataset.normalization" if odd == 1e-45 else ""
    for way in ("unit", "standard"):
        for large in (1e300, 1e308):
            inputs = [[large, 1], [-large, 1], *fine]
            normalized = inline(inputs, [*labels, *CLASSES], CLASSES, f"dataset.normalization={way}")
            yield normalized, REFUSED, "dataset.normalization"
            mild = way == "unit" and large == 1e300
            yield [*normalized, "precision=float64"], HANDLED if mild else REFUSED, "" if mild else "normalization"
        constant = inline([[0.1, i] for i in range(49)], [0, 1] * 24 + [0], ["0", "1"], f"dataset.normalization={way}")
        yield [*constant, "dataset.test_inputs=[[0.2,1]]", "dataset.test_targets=[0]"], HANDLED, ""
    yield (
        ["dataset.normalization=given", "dataset.mean=0", "dataset.deviation=1e-300"],
        REFUSED,
        "dataset.normalization",
    )
    yield (
        ["dataset.normalization=given", "dataset.mean=1e38", "dataset.deviation=1e-3"],
        REFUSED,
        "dataset.normalization",
    )
    for target in ("c", -1, 0.5, 2, "null", '""'):
        yield inline(fine, [target, "a", "b", "a"], CLASSES), REFUSED, "dataset.targets"
    yield inline(fine, labels, [*CLASSES, "c"]), HANDLED, ""
    yield inline(fine, labels, [*CLASSES, "c"], test_inputs=[[1, 1]], test_targets=["c"]), HANDLED, ""
    yield inline(fine, labels, CLASSES, test_inputs=[[1, 1]], test_targets=["a"]), HANDLED, ""
    yield inline(fine, ["a"] * 4, CLASSES), HANDLED, ""
    yield inline(fine, ["a"] * 4, CLASSES, "loss=binary_cross_entropy"), HANDLED, ""
    yield inline(fine, ["a"] * 3 + ["b"], CLASSES, validation_fraction=0.5, stratified="false"), HANDLED, ""
    yield inline(fine, ["a"] * 3 + ["b"], CLASSES, validation_fraction=0.5), REFUSED, "dataset.validation_fraction"
    yield inline(fine, labels, CLASSES, validation_fraction=0.999, stratified="false"), REFUSED, "validation_fraction"
    yield inline(fine, labels, CLASSES, positive_class="c"), REFUSED, "dataset.positive_class"
    yield inline([], [], CLASSES), REFUSED, "dataset.inputs"
    yield inline(fine, labels, CLASSES, test_inputs=[], test_targets=[]), REFUSED, "dataset.test_inputs"
    yield inline([[1, 2]], ["a"], CLASSES), HANDLED, ""
    yield inline([[1, 2]], ["a"], CLASSES, "dataset.normalization=standard", "batch_size=99"), HANDLED, ""
    yield inline([[1, 2]], ["a"], CLASSES, "model.batch_norm=true"), REFUSED, "batch norm"
    yield inline(fine[:3], labels[:3], CLASSES, "model.batch_norm=true", "batch_size=2"), REFUSED, "batch_size"
    yield inline(fine, labels, CLASSES, "model.batch_norm=true", "dataset.validation_fraction=0.5"), HANDLED, ""
    yield inline([[1]], [1], None), HANDLED, ""
    yield inline(fine, [0.1] * 4, None), HANDLED, ""
    yield inline(fine, [1e-42, 0, 0, 0], None, "precision=float64"), HANDLED, ""
    yield inline(fine, [1e-200, 0, 0, 0], None, "precision=float64"), HANDLED, ""
    yield inline(fine, [3e38, -3e38, 0, 0], None), DIVERGED, "loss"
    conv = "model.layers=[{conv2d: {out_channels: 2, kernel_size: 8}}, batch_norm2d, flatten, output]"
    cut = ["dataset=digits", "dataset.train_size=33", "dataset.test_size=10", "batch_size=32", "model=layers", conv]
    yield cut, REFUSED, "batch norm"
    yield ["dataset.test_to_train_ratio=1e-9"], REFUSED, "dataset.test_to_train_ratio"
    yield ["dataset.test_to_train_ratio=1e9"], REFUSED, "dataset.test_to_train_ratio"
    harms = {
        "train[0][3, 1] = np.nan": "sample 3, feature 1",
        "test[0][39, 2] = np.inf": "sample 39, feature 2",
        "train[1][7] = 2": "class 2",
        "test[1][0] = -1": "class -1",
        "train[1] = train[1] + 0.5": "targets",
        "train[1] = train[1].astype(str)": "targets",
        "train[1] = train[1][:-1]": "targets",
        "test[0], test[1] = test[0][:0], test[1][:0]": "test",
        "train[0] = train[0][:, :2]": "inputs",
        "train[0] = train[0].astype(str)": "inputs",
        "train[0] = train[0].astype(object)": "inputs",
    }
    odd = ["imports=[odd]", "dataset=odd"]
    for harm, named in harms.items():
        yield [*odd, f"dataset.harm='{harm}'"], REFUSED, named
    for kind in ("np.int32", "np.uint8", "bool"):
        yield [*odd, f"dataset.harm='train[1], test[1] = train[1].astype({kind}), test[1].astype({kind})'"], HANDLED, ""
    for value in ("np.nan", "np.inf"):
        yield [*odd, f"dataset.harm='train[1][5] = {value}'", "dataset.values=true", "loss=mse"], REFUSED, "sample 5"
    for harm, named in {
        "labels[0] = 10": "labels",
        "labels = labels.astype(float)": "targets",
        "labels = labels[1:]": "labels",
        "labels = labels.astype(object)": "damaged",
        "images = images.astype(np.float32)": "inputs",
        "images = images[:-1]": "inputs",
    }.items():
        yield ["dataset=mnist", "data_dir=data", f"+damage={harm}"], REFUSED, named


def options() -> Iterator[Case]:
    """Options at the ends of their ranges, and beyond."""
    for lr in ("0", "-1", "nan", "inf", "1e308", "1e39"):
        yield [f"optimizer.lr={lr}"], REFUSED, "optimizer.lr"
    for optimizer in ("sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad"):
        yield [f"optimizer={optimizer}", "optimizer.lr=1e-300"], HANDLED, ""
        yield [f"optimizer={optimizer}", "optimizer.lr=1e30"], DIVERGED, "optimizer.lr"
        yield [f"optimizer={optimizer}", "optimizer.lr=1e30", "epochs=1", "batch_size=full"], DIVERGED, "epoch 1"
        yield [f"optimizer={optimizer}", "optimizer.lr=1e30", "precision=float64"], HANDLED, ""
        yield [f"optimizer={optimizer}", "optimizer.weight_decay=1e38"], DIVERGED, ""
    for option in ("adam.eps=0", "adam.betas=[1,0.9]", "adam.betas=[0.9,nan]", "sgd.momentum=inf", "rmsprop.alpha=1"):
        name, key = option.split(".", 1)
        yield [f"optimizer={name}", f"optimizer.{key}"], REFUSED, f"optimizer.{key.split('=')[0]}"
    yield ["optimizer.eps=1e-300", "model.hidden_sizes=[64]"], DIVERGED, ""
    yield ["optimizer.betas=[0,0]"], HANDLED, ""
    yield ["optimizer=sgd", "optimizer.momentum=1e20"], DIVERGED, ""
    yield ["model.dropout=1.0"], REFUSED, "model.dropout"
    yield ["model.dropout=0.999999"], HANDLED, ""
    yield ["model=layers", "model.layers=[{linear: 4}, {dropout: 1.0}, relu, output]"], HANDLED, ""
    yield ["model=layers", "model.layers=[{dropout: 1.5}, output]"], REFUSED, "dropout"
    yield ["model=layers", "model.layers=[{layer_norm: {eps: nan}}, output]"], REFUSED, "layers"
    yield ["model.init={uniform: [-1e38, 1e38]}"], REFUSED, "model.init"
    yield ["model.init={constant: 1e308}"], REFUSED, "model.init"
    yield ["model.init={constant: 0}"], HANDLED, ""
    for gamma in ("0", "-1", "nan"):
        yield ["scheduler=exponential", f"scheduler.gamma={gamma}"], REFUSED, "scheduler.gamma"
    yield ["scheduler=exponential", "scheduler.gamma=1e38"], DIVERGED, ""
    yield ["scheduler=exponential", "scheduler.gamma=1e-300"], HANDLED, ""
    yield ["scheduler=step", "scheduler.step_size=1", "scheduler.gamma=1e38", "epochs=40"], DIVERGED, ""
    yield ["scheduler=one_cycle", "scheduler.div_factor=1e-38"], DIVERGED, ""
    yield ["scheduler=one_cycle", "scheduler.final_div_factor=1e38"], HANDLED, ""
    yield ["early_stopping.patience=0", "dataset.validation_fraction=0.2"], REFUSED, "early_stopping.patience"
    yield ["epochs=0", "stop_at=1", "dataset.validation_fraction=0.2"], HANDLED, ""
    for strength, code in (("0", HANDLED), ("1e30", DIVERGED), ("1e38", DIVERGED), ("nan", REFUSED)):
        for regularizer in ("l1", "l2", "elastic_net"):
            yield [f"regularizer={regularizer}", f"regularizer.strength={strength}"], code, ""
    for smoothing, code in (("0", HANDLED), ("0.9999999", HANDLED), ("1", REFUSED), ("-0.1", REFUSED)):
        yield [f"loss.label_smoothing={smoothing}"], code, "" if code == HANDLED else "loss.label_smoothing"
    yield ["loss=gaussian_nll", "loss.variance=1e38"], HANDLED, ""
    yield ["loss=gaussian_nll", "loss.variance=0"], REFUSED, "loss.variance"
    yield ["loss=multi_margin", "loss.margin=1e38"], HANDLED, ""
    yield ["loss=multi_margin", "loss.margin=3e38", "loss.p=2"], DIVERGED, "loss"
    for precision in ("bfloat16", "float64"):
        yield [f"precision={precision}", "dataset.validation_fraction=0.2"], HANDLED, ""
        yield [f"precision={precision}", "loss=poisson_nll", "model.init={constant: 100}"], DIVERGED, "loss"
    yield ["batch_size=1000000"], HANDLED, ""


def training() -> Iterator[Case]:
    """What goes wrong in the course of a run, in a user's loss or model; every one has a validation split."""
    split = ["dataset.validation_fraction=0.2", "epochs=4", "checkpoint.every_epochs=1", "batch_size=64"]
    adam, sgd = [*split, "optimizer=adam"], [*split, "optimizer=sgd"]
    loss = ["imports=[odd]", "loss=odd"]
    for value in ("nan", "inf", "-inf"):
        # One call before all, four an epoch (two steps, validation, test), and three at the end of all.
        yield [*adam, *loss, f"loss.formula='value * (1 if call > 7 or not evaluating else {value})'"], HANDLED, ""
        yield [*adam, *loss, f"loss.formula='value * ({value} if call > 17 else 1)'"], DIVERGED, "/loss"
        yield [*adam, *loss, f"loss.formula='value * ({value} if evaluating else 1)'"], DIVERGED, "/loss"
        yield [*adam, *loss, f"loss.formula='value * ({value} if call == 2 else 1)'"], DIVERGED, "epoch 1, step 1"
        yield [*adam, *loss, f"loss.formula='value * ({value} if call == 15 else 1)'"], DIVERGED, "epoch 4, step 8"
    for way in (adam, sgd):
        yield [*way, *loss, "loss.formula='value + (z - z.detach()).abs().sqrt().sum()'"], DIVERGED, ""
        yield [*way, *loss, "loss.formula='value + (z - z.detach()).sum() * 1e30'"], DIVERGED, ""
        yield [*way, *loss, "loss.formula='value + (z - z.detach()).sum() * 1e38'", "log_gradients=true"], DIVERGED, ""
    model = ["imports=[odd]", "model=odd"]
    for harm, named in (
        ("self.seen += float('nan') if self.training else 0", "seen"),
        ("self.seen += float('inf') if self.training else 0", "seen"),
        ("x = x + float('nan') if self.training else x", "loss"),
        ("x = x if self.training or self.seen < 1 else x + float('nan'); self.seen += 1", "train/outputs"),
    ):
        yield [*adam, *model, f'model.harm="{harm}"'], DIVERGED, named
    norm = ["model=layers", "model.layers=[{linear: 4}, batch_norm1d, relu, output]"]
    large = ["dataset.normalization=given", "dataset.mean=0", "dataset.deviation=1e-20"]
    yield [*split, *norm, *large], DIVERGED, "running_var"


def write_files(overrides: list[str], folder: Path) -> None:
    """Write a user's module with its options, or the files of MNIST with something wrong in train's."""
    if "imports=[odd]" in overrides:
        (folder / "odd.py").write_text(ODD)
        for group, key in (
            ("dataset", "harm: ''\nvalues: false\nvalidation_fraction: 0"),
            ("loss", "formula: value"),
            ("model", "harm: ''"),
        ):
            (folder / "conf" / group).mkdir(parents=True)
            name = "data" if group == "dataset" else group
            (folder / "conf" / group / "odd.yaml").write_text(f"name: odd_{name}\n{key}\n")
    if damage := [each.removeprefix("+damage=") for each in overrides if each.startswith("+damage=")]:
        files = folder / "data" / "mnist"
        files.mkdir(parents=True)
        for split, size in zip(("train", "test"), mnist().sizes, strict=True):
            arrays = {"np": np, "images": np.zeros((size, 28, 28, 1), np.uint8), "labels": np.arange(size) % 10}
            if split == "train":
                exec(damage[0], arrays)
            np.save(files / f"{split}_inputs.npy", arrays["images"])
            np.save(files / f"{split}_targets.npy", arrays["labels"], allow_pickle=True)
