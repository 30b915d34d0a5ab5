"""dlexp against a bare PyTorch loop, side by side in one process: `make benchmark`, or with names of cases.

Prints a Markdown table. Each case is run in turns (bare, dlexp, bare, dlexp, …), so that a slow spell of the machine
hits both; the ratio is that of the fastest turns, and the spread of the turns' own ratios is beside it. dlexp writes
its run directory, evaluates and logs as configured by default; its time is that of `loop.train` less building the job and
evaluating the final weights, which happen once whatever the number of epochs.
"""

import sys
import tempfile
import time

import torch

from dlexp import loop
from dlexp.build import build, check
from dlexp.config import load_config
from scripts.benchmarks import bare

CASES = {  # name: overrides, epochs, turns, ratio promised
    "Iris MLP, full batch": (["experiment=dl_hw3/ex07_iris"], 2000, 5, 1.2),
    "MNIST MLP, batch 64": (
        ["dataset=mnist", "model=mlp", "model.hidden_sizes=[256,128]", "batch_size=64"],
        3,
        5,
        1.05,
    ),
    "CIFAR CNN, batch 32": (
        ["model=cifar_cnn", "optimizer=sgd", "dataset.train_size=6400", "dataset.test_size=1280"],
        1,
        3,
        1.03,
    ),
}


def main() -> None:
    """Run every case, or those whose names begin with an argument."""
    torch.set_num_threads(torch.get_num_threads())
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}\n")
    print("| work | bare loop | dlexp | ratio (turns) | promised |\n|---|---|---|---|---|")
    for name, (overrides, epochs, turns, promised) in CASES.items():
        if len(sys.argv) < 2 or any(name.startswith(argument) for argument in sys.argv[1:]):
            measure(name, overrides, epochs, turns, promised)


def measure(name: str, overrides: list[str], epochs: int, turns: int, promised: float) -> None:
    """Print one case's row."""
    with tempfile.TemporaryDirectory() as folder:
        config = check(load_config([*overrides, f"epochs={epochs}", f"output_dir={folder}"]))
        pairs = [(bare.run(work(config), epochs), dlexp_seconds(config)) for _ in range(turns)]
    bare_best, dlexp_best = (min(column) for column in zip(*pairs, strict=True))
    ratios = sorted(ours / theirs for theirs, ours in pairs)
    print(
        f"| {name}, {epochs} epochs | {bare_best:.3f} s | {dlexp_best:.3f} s "
        f"| **{dlexp_best / bare_best:.3f}** ({ratios[0]:.3f} to {ratios[-1]:.3f}) | {promised} |",
        flush=True,
    )


def work(config) -> bare.Work:
    """The same model, optimizer and data for the bare loop, inputs as float32 in memory."""
    job = build(config)
    splits = {s: next(iter(job.batches.serve(s, job.batches.size(s)))) for s in ("train", "test")}
    evaluation_batch_size = len(next(iter(job.evaluation_batches("test")))[1])
    return bare.Work(job.model, job.optimizer, splits["train"], splits["test"], job.batch_size, evaluation_batch_size)


def dlexp_seconds(config) -> float:
    """Seconds from the start of the first epoch to the last checkpoint."""
    spent = {}
    write_results, session_class = loop.write_results, loop.Session

    def started(*arguments):
        spent["started"] = time.perf_counter()
        return session_class(*arguments)

    def ended(*_, **__) -> None:
        spent["ended"] = time.perf_counter()

    loop.Session, loop.write_results = started, ended
    try:
        loop.train(config)
    finally:
        loop.Session, loop.write_results = session_class, write_results
    return spent["ended"] - spent["started"]


if __name__ == "__main__":
    main()
