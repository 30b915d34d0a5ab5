"""Measure dlexp against a bare PyTorch loop in one process: `make benchmark`. Arguments choose cases by beginning.

Prints Markdown. Each case runs in turns (bare, dlexp, bare, dlexp and so on), so that a slow spell of the machine hits
both; the ratio compares the fastest turns, and the range of the turns' own ratios is beside it. dlexp writes its run
directory, evaluates and logs as configured by default. Its time runs from the start of its session to the last
checkpoint; it excludes work that happens once for any number of epochs: building the job, and evaluating the final
weights.
"""

import sys
import tempfile
import time
from typing import Any
from unittest import mock

import torch

from dlexp.config.config import Config, load_config
from dlexp.training import loop
from dlexp.training.build import build, check
from scripts.benchmarks import bare, homework

MNIST = ["dataset=mnist", "model=mlp", "model.hidden_sizes=[256,128]", "batch_size=64"]
CIFAR = ["model=cifar_cnn", "optimizer=sgd", "dataset.train_size=6400", "dataset.test_size=1280"]
CASES: dict[str, tuple[list[str], int, int, float]] = {  # overrides, epochs, turns, the ratio promised
    "Iris MLP, full batch": (["experiment=dl_hw3/ex07_iris"], 2000, 7, 1.2),
    "MNIST MLP, batch 64": (MNIST, 3, 5, 1.05),
    "CIFAR CNN, batch 32, 6,400 images": (CIFAR, 1, 3, 1.03),
}


def main(chosen: list[str]) -> None:
    """Run every case, or those whose names begin with one of `chosen`."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}.\n")
    print("| work | bare loop | dlexp | ratio (turns) | promised |\n|---|---|---|---|---|")
    for name, (overrides, epochs, turns, promised) in CASES.items():
        if not chosen or name.startswith(tuple(chosen)):
            measure(name, overrides, epochs, turns, f"at most {promised}")
    name = "MNIST MLP, batch 64, against a DataLoader with per-sample transforms"
    if not chosen or name.startswith(tuple(chosen)):
        measure(name, MNIST, 1, 3, "at most 0.25", homework.run)


def measure(name: str, overrides: list[str], epochs: int, turns: int, promised: str, other: Any = None) -> None:
    """Print one case's row: dlexp's time divided by that of `other`, by default the bare loop."""
    with tempfile.TemporaryDirectory() as folder:
        config = check(load_config([*overrides, f"epochs={epochs}", f"output_dir={folder}"]))
        run = other or (lambda work: bare.run(work, epochs))
        pairs = [(run(work_of(config)), dlexp_seconds(config)) for _ in range(turns)]
    theirs, ours = (min(column) for column in zip(*pairs, strict=True))
    ratios = sorted(mine / their for their, mine in pairs)
    print(
        f"| {name}, epochs: {epochs} | {theirs:.3f} s | {ours:.3f} s | **{ours / theirs:.3f}** "
        f"({ratios[0]:.3f} to {ratios[-1]:.3f}) | {promised} |",
        flush=True,
    )


def work_of(config: Config) -> bare.Work:
    """Return the same model, optimizer and data as plain objects, with inputs as float32 in memory."""
    job = build(config)
    splits = {s: next(iter(job.batches.serve(s, job.batches.size(s)))) for s in ("train", "test")}
    evaluation_batch_size = len(next(iter(job.evaluation_batches("test")))[1])
    return bare.Work(job.model, job.optimizer, splits["train"], splits["test"], job.batch_size, evaluation_batch_size)


def dlexp_seconds(config: Config) -> float:
    """Return the seconds from the start of the session to the last checkpoint."""
    moments: list[float] = []
    session_class = loop.Session

    def start(*arguments: Any) -> Any:
        moments.append(time.perf_counter())
        return session_class(*arguments)

    def end(*_: Any, **__: Any) -> None:
        moments.append(time.perf_counter())

    with mock.patch.object(loop, "Session", start), mock.patch.object(loop, "write_results", end):
        loop.train(config)
    return moments[1] - moments[0]


if __name__ == "__main__":
    main(sys.argv[1:])
