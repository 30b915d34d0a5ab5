"""Measure a sweep of small jobs, one at a time and two in parallel, against one command for each job.

`python -m scripts.benchmarks.sweep` measures all three in turn, and prints each time's ratio to that of the commands.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

SEEDS = 8
JOB = ["dataset=digits", "epochs=40", "threads=1"]
TRAIN = [sys.executable, "-m", "dlexp.cli", "train"]


def seconds(commands: Sequence[Sequence[str]]) -> float:
    """Run the commands one after another; return the seconds that they take."""
    started = time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Print a Markdown table."""
    with tempfile.TemporaryDirectory() as folder:
        sweep = [*TRAIN, "-m", *JOB, f"seed=range({SEEDS})"]
        alone = seconds([[*TRAIN, *JOB, f"seed={seed}", f"output_dir={folder}/alone"] for seed in range(SEEDS)])
        serial = seconds([[*sweep, "jobs=1", f"output_dir={folder}/serial"]])
        parallel = seconds([[*sweep, "jobs=2", f"output_dir={folder}/parallel"]])
    print(f"{SEEDS} jobs of the digits MLP, {JOB[1]}, one thread each.\n")
    print("| how | time | ratio |\n|---|---|---|")
    for name, time_taken in (("a command each", alone), ("a sweep, jobs=1", serial), ("a sweep, jobs=2", parallel)):
        print(f"| {name} | {time_taken:.1f} s | **{time_taken / alone:.2f}** |")


if __name__ == "__main__":
    main()
