"""Runs a sweep's tasks in worker processes, shows how it goes, and stops them all when it is told to."""

import json
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TextIO

from tqdm import tqdm

from dlexp.signals import StopRequest
from dlexp.tasks import Task

Answer = dict[str, Any]  # status, run, message, said, seconds


class Worker:
    """One process, and the task that it is at."""

    def __init__(self, device: str | None):
        self.device = device
        self.task: Task | None = None
        self.started = 0.0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dlexp.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is the parent's, which passes it on once
        )

    def give(self, task: Task, *, fresh: bool) -> None:
        """Let it work on a task."""
        self.task, self.started = task, time.monotonic()
        run = str(task.run.path) if task.run else None
        order = {"overrides": task.overrides, "job": task.job, "run": run, "fresh": fresh, "device": self.device}
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it died already: reading its answer will say so
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()

    def answer(self) -> Answer:
        """Read how its task ended; a process that died says that."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"status": "failed", "message": self._epitaph(), "said": []}
        return {**answer, "seconds": time.monotonic() - self.started}

    def end(self) -> None:
        """Close its input, which ends it, and wait."""
        assert self.process.stdin is not None and self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def _epitaph(self) -> str:
        code = self.process.wait()
        return f"its process was killed by signal {-code}" if code < 0 else f"its process ended with code {code}"


@dataclass
class Progress:
    """How a sweep stands: a line that stays at the bottom of a terminal; elsewhere nothing but the jobs' own lines."""

    total: int
    workers: int
    running: int = 0
    failed: int = 0

    def __post_init__(self) -> None:
        self._bar = tqdm(
            total=self.total,
            bar_format="{n_fmt}/{total_fmt} done  {postfix} {bar}",
            disable=not sys.stderr.isatty() if sys.stderr else True,
            dynamic_ncols=True,
        )
        self._seconds: list[float] = []

    def show(self) -> None:
        """Draw the line anew."""
        left = ""
        if self._seconds:
            mean = sum(self._seconds) / len(self._seconds)
            left = f"  {tqdm.format_interval(mean * (self.total - self._bar.n) / self.workers)} left"
        self._bar.set_postfix_str(f"{self.running} running  {self.failed} failed{left}")

    def end_of_job(self, text: str, seconds: float, file: TextIO) -> None:
        """Print a job's own line above."""
        self._seconds.append(seconds)
        self._bar.update()
        tqdm.write(text, file=file)
        file.flush()

    def close(self) -> None:
        """Leave the line as it stands."""
        self._bar.close()


def supervise(
    todo: Sequence[Task],
    devices: Sequence[str | None],
    tell: Callable[[Task, Answer], str],
    *,
    fresh: bool = False,
    fail_fast: bool = False,
) -> tuple[dict[str, Answer], int | None]:
    """Run the tasks, one at a time on each of `devices` (None: what the config says).

    `tell` makes the line that is printed when a task has ended. Returns each task's answer by its key, and the signal
    that stopped the sweep, if one did: then every job under way has been saved.
    """
    waiting, answers = deque(todo), dict[str, Answer]()
    progress = Progress(len(todo), len(devices))
    with StopRequest() as stop, _workers(devices[: len(todo)]) as workers, selectors.DefaultSelector() as selector:
        passed_on = False

        def occupy(worker: Worker) -> None:
            if waiting and not stop():
                worker.give(waiting.popleft(), fresh=fresh)
                selector.register(worker.process.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]

        for worker in workers:
            occupy(worker)
        while busy := [key.data for key in selector.get_map().values()]:
            progress.running = len(busy)
            progress.show()
            for key, _ in selector.select(timeout=0.2):
                worker = key.data
                selector.unregister(key.fileobj)
                answer, task = worker.answer(), worker.task
                if stop() and answer["status"] == "failed":
                    answer["status"] = "stopped"  # by our own signal, before it could save anything
                answers[task.key] = answer
                progress.failed += answer["status"] == "failed"
                file = sys.stderr if answer["status"] == "failed" else sys.stdout
                progress.end_of_job(tell(task, answer), answer["seconds"], file)
                if answer["status"] == "failed" and fail_fast:
                    waiting.clear()
                if worker.process.poll() is not None and waiting:
                    worker.end()
                    workers[workers.index(worker)] = worker = Worker(worker.device)
                occupy(worker)
            if stop() and not passed_on:
                passed_on = True
                for worker in busy:
                    worker.process.send_signal(stop.signal or 0)
        progress.close()
        return answers, stop.signal


@contextmanager
def _workers(devices: Sequence[str | None]) -> Iterator[list[Worker]]:
    workers = [Worker(device) for device in devices]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.end()
