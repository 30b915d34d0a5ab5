"""The cost of a sweep before it runs: measured on a few batches of each kind of job, in a temporary directory."""

import contextlib
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlexp.config.config import Config
from dlexp.config.registry import import_modules
from dlexp.data import preparation
from dlexp.runs.directory import METRICS
from dlexp.sweep.jobs import Task
from dlexp.training.loop import train

BATCHES = 20  # of train, in each of three epochs; the first is not measured
FORWARD = 1 / 3  # of a training step's time: evaluation has no backward pass, which takes twice the forward one
MOST = 12  # kinds that are measured; the other kinds of a large sweep get their mean


@dataclass(frozen=True)
class Cost:
    """The cost of one job of a kind."""

    parameters: int
    memory: int  # peak in bytes; on the CPU it includes PyTorch itself
    seconds: float


def costs(tasks: Sequence[Task]) -> dict[str, Cost]:
    """Return each task's cost by its key; tasks that differ only in their seed have one kind."""
    kinds: dict[str, list[Task]] = {}
    for task in tasks:
        kinds.setdefault(task.kind, []).append(task)
    measured: dict[str, Cost] = {}
    for same in list(kinds.values())[:MOST]:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            cost = _cost(same[0], folder)
        measured |= {task.key: cost for task in same}
    mean = sum(cost.seconds for cost in measured.values()) / len(measured)
    rest = Cost(0, 0, mean)
    return {task.key: measured.get(task.key, rest) for task in tasks}


def _cost(task: Task, folder: str) -> Cost:
    config = task.config
    prepared = preparation.prepare(config.dataset, Path(config.data_dir), import_modules(config.imports))
    sizes = {split: len(samples.targets) for split, samples in prepared.splits.items()}
    batch = sizes["train"] if config.batch_size == "full" else min(config.batch_size, sizes["train"])
    cut = _cut(config, sizes, batch)
    small = replace(
        config,
        dataset=replace(config.dataset, preparation=replace(config.dataset.preparation, **cut)),
        output_dir=folder,
        epochs=3,
        stop_at=None,
        trace_steps=0,
        evaluate_every_n_steps=None,
        checkpoint=replace(config.checkpoint, every_seconds=None),
        early_stopping=replace(config.early_stopping, patience=None),
    )
    run = train(small)
    result, rows = run.read_json("result.json"), run.read_table(METRICS)
    per_sample = 1 / max(row["samples_per_second"] for row in rows[1:])
    held_out = sum(size for split, size in sizes.items() if split != "train")
    epochs = min(config.epochs, config.stop_at or config.epochs)
    seconds = epochs * per_sample * (sizes["train"] + FORWARD * held_out)
    return Cost(result["parameters"], result["peak_memory_bytes"], seconds)


def _cut(config: Config, sizes: dict[str, int], batch: int) -> dict[str, Any]:
    """Return options of the dataset that give the probe fewer samples, if it is large and not inline."""
    if config.dataset.name == "inline" or sizes["train"] <= 2 * BATCHES * batch:
        return {}
    classes = 1000  # a stratified cut needs at least one sample of each; no dataset here has more classes
    train = max(BATCHES * batch, min(classes, sizes["train"] // 2))
    return {"train_size": train, "test_size": min(sizes["test"], classes), "stratified": False}
