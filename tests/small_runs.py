"""Make small runs, in this process or another, and compare two of them bit for bit."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dlexp.config.config import load_config
from dlexp.runs.directory import RunDirectory
from dlexp.training import checkpoint, loop
from dlexp.training.build import check
from dlexp.training.resume import resumed_config

SMALL_CNN = [
    "model=layers",
    "model.layers=[{conv2d: {out_channels: 4, kernel_size: 3, padding: 1}}, batch_norm2d, activation, {max_pool2d: 2}, "
    "flatten, {linear: 16}, activation, {dropout: 0.3}, output]",
]
TABULAR = [
    "dataset=iris",
    "batch_size=16",
    "model.dropout=0.2",
    "model.batch_norm=true",
    "dataset.validation_fraction=0.2",
]
IMAGES = ["dataset=digits", "dataset.train_size=200", "batch_size=32", "dataset.validation_fraction=0.2", *SMALL_CNN]
PRETRAINED = [  # with random weights, on small images
    *("model=pretrained", "model.architecture=shufflenet_v2_x0_5", "model.weights=null"),
    *("dataset=digits", "dataset.train_size=100", "dataset.test_size=40", "dataset.image_size=32"),
]
KINDS = {
    "tabular": [*TABULAR, "scheduler=exponential", "early_stopping.patience=50"],
    "images": [*IMAGES, "scheduler=one_cycle", "optimizer=sgd", "optimizer.momentum=0.9", "log_gradients=true"],
    "plateau": [*TABULAR, "scheduler=reduce_on_plateau", "scheduler.patience=0", "optimizer=nadam", "regularizer=l2"],
    "cosine": [*IMAGES, "scheduler=cosine", "optimizer=rmsprop", "log_every_n_steps=3"],
    "bfloat16": [*IMAGES, "precision=bfloat16", "optimizer=adamw"],
}


def train(*overrides: str) -> RunDirectory:
    """Train in this process without drawing, by default for two epochs."""
    return loop.train(check(load_config(["epochs=2", *overrides])))


def resume(run: RunDirectory, *overrides: str) -> RunDirectory:
    return loop.train(resumed_config(run, overrides), run)


def start(*arguments: str | Path) -> subprocess.Popen:
    """Start the command in another process."""
    command = [sys.executable, "-m", "dlexp.cli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def only_run(root: Path = Path("outputs")) -> RunDirectory:
    (config,) = root.rglob("config.yaml")
    return RunDirectory(config.parent)


def timeless(run: RunDirectory, name: str) -> list[Sequence[str]]:
    """Return a table's cells as text, without the columns of times."""
    lines = [line.split(",") for line in (run.path / name).read_text().splitlines()]
    kept = [i for i, column in enumerate(lines[0]) if column not in ("seconds", "samples_per_second")]
    return [[cells[i] for i in kept] for cells in lines]


def final_state(run: RunDirectory) -> dict[str, Any]:
    state = checkpoint.load(run.checkpoints()[0])
    for key in ("training_seconds", "epoch_seconds"):
        del state["progress"][key]
    for key in ("lengths", "digests", "experiment"):  # of metrics.csv, which has times; of a config's keys
        del state[key]
    return state


def assert_equal(one: Any, other: Any, where: str = "state") -> None:
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for i, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{where}[{i}]")
    else:
        assert one == other, where


def assert_same_end(one: RunDirectory, other: RunDirectory) -> None:
    assert_equal(final_state(one), final_state(other))
    for table in [file.name for file in one.path.glob("*.csv")]:
        assert timeless(one, table) == timeless(other, table), table
    for best in [file.relative_to(one.path) for file in one.path.glob("checkpoints/best.pt")]:
        assert_equal(*(checkpoint.load(run.path / best)["model"] for run in (one, other)), "best.pt")
    results = [run.read_json("result.json") for run in (one, other)]
    for result in results:
        for key in ("training_seconds", "samples_per_second", "peak_memory_bytes"):
            del result[key]
        assert result["status"] == "finished"
    assert results[0] == results[1]
