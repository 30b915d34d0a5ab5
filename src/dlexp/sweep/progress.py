"""The display of a running sweep: a line for each ended job, and below them a live table of the others."""

import contextlib
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from dlexp.errors import UserError
from dlexp.runs.directory import RunDirectory
from dlexp.sweep.messages import Ended


class LiveTable:
    """The state of a sweep: done, failed, running, time left; and a line for each running job.

    It stays at the bottom of a terminal; without a terminal only the ended jobs' lines are printed.
    """

    def __init__(self, names: Mapping[str, str], total: int, workers: int = 1):
        self._names, self._total, self._workers = names, total, workers
        self._running: dict[int, str] = {}
        self._ended = self._done = self._failed = 0
        self._seconds: list[float] = []
        off = sys.stderr is None or not sys.stderr.isatty()
        layouts = ["{desc} {bar}", *["{desc}"] * workers]
        self._lines = [
            tqdm(total=total, position=i, bar_format=layout, disable=off, dynamic_ncols=True, leave=i == 0)
            for i, layout in enumerate(layouts)
        ]

    def started(self, worker: int, key: str, progress: str = "starting") -> None:
        """Show a worker's job and its progress."""
        self._running[worker] = key
        self._lines[1 + worker].set_description_str(f"  {self._names[key]}  {progress}")
        self._draw()

    def ended(self, worker: int, key: str, answer: Ended) -> None:
        """Print the line of a job that ended; for a failed job, to standard error."""
        failed = answer.status == "failed"
        self._running.pop(worker, None)
        self._ended, self._done, self._failed = self._ended + 1, self._done + is_done(answer), self._failed + failed
        self._seconds.append(answer.seconds)
        if worker + 1 < len(self._lines):
            self._lines[1 + worker].set_description_str("")
        self._lines[0].update()
        line = f"{self._ended}/{self._total}  {answer.status}  {self._names[key]}"
        line += f": {answer.message}" if failed else f"  {_outcome(answer)}"
        file = sys.stderr if failed else sys.stdout
        with contextlib.suppress(BrokenPipeError):  # for example `| head`: the jobs go on
            tqdm.write("\n".join([*answer.said, line]), file=file)
            file.flush()
        self._draw()

    def close(self) -> None:
        """Close the table; its first line stays."""
        for line in reversed(self._lines):
            line.close()

    def _draw(self) -> None:
        facts = [f"{self._done} of {self._total} done", f"{len(self._running)} running"]
        facts += [f"{self._failed} failed"] * bool(self._failed)
        if self._seconds:
            left = statistics.mean(self._seconds) * (self._total - self._ended) / self._workers
            facts.append(f"about {tqdm.format_interval(left)} left")
        self._lines[0].set_description_str(", ".join(facts))


def is_done(answer: Ended) -> bool:
    """Return whether a job reached its end (or its `stop_at`) without being stopped by a signal."""
    return answer.status in ("finished", "stopped") and not answer.signal and bool(answer.run)


def _outcome(answer: Ended) -> str:
    run = RunDirectory(Path(answer.run)) if answer.run else None
    try:
        figures = run.figures() if run else {}
    except UserError:  # it was stopped before it had a result
        figures = {}
    of_epochs = [f"test/{key.partition('/')[2]}" for key in figures if key.startswith("train/") and key != "train/loss"]
    test = {key: figures[key] for key in of_epochs if key in figures}
    shown = [f"{key.replace('/', ' ')} {value:.4g}" for key, value in test.items()]
    return "  ".join([*shown, f"{answer.seconds:.1f} s", answer.run or ""])
