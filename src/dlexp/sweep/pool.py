"""Runs a sweep's tasks in worker processes, and stops them all after a signal."""

import os
import select
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from dlexp.errors import UserError
from dlexp.sweep.jobs import Task, one_of_each_kind
from dlexp.sweep.messages import Check, Ended, Message, Progress, Refused, decode, encode
from dlexp.sweep.progress import LiveTable
from dlexp.training.process.signals import StopRequest


class Worker:
    """One worker process, and its current task."""

    def __init__(self, number: int, device: str | None):
        self.number, self.device = number, device
        self.task: Task | None = None
        self._started, self._partial = 0.0, b""
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dlexp.cli.worker"],  # -P: import no json.py of the working directory
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # only the parent gets Ctrl-C, and passes it on once
        )

    def send(self, order: Message) -> None:
        """Send it a message."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it died already: `messages` reports that
            self.process.stdin.write(encode(order).encode())

    def give(self, task: Task, *, fresh: bool) -> None:
        """Give it a task."""
        self.task, self._started = task, time.monotonic()
        self.send(task.order(fresh=fresh, device=self.device))

    def messages(self) -> list[Message]:
        """Wait for its messages: the progress or end of its task; a failure if the process died."""
        assert self.process.stdout is not None
        chunk = os.read(self.process.stdout.fileno(), 65536)
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        told = [decode(line) for line in lines] if chunk else [Ended("failed", message=self._epitaph(), exit_code=1)]
        seconds = time.monotonic() - self._started
        return [replace(each, seconds=seconds) if isinstance(each, Ended) else each for each in told]

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


def supervise(
    todo: Sequence[Task],
    devices: Sequence[str | None],
    live: LiveTable,
    *,
    fresh: bool = False,
    fail_fast: bool = False,
) -> tuple[dict[str, Ended], int | None]:
    """Run the tasks, one at a time on each of `devices` (None: the config's device).

    Returns each task's answer by its key, and the signal that stopped the sweep, or None. After a signal every running
    job has been saved. Raises UserError, before any job starts, if one does not fit together.
    """
    waiting, answers = deque(todo), dict[str, Ended]()
    with StopRequest() as stop, _workers(devices[: len(todo)]) as workers, selectors.DefaultSelector() as selector:

        def occupy(worker: Worker) -> None:
            if not waiting or stop():
                return
            if worker.process.poll() is not None:
                worker.end()
                workers[worker.number] = worker = Worker(worker.number, worker.device)
            worker.give(waiting.popleft(), fresh=fresh)
            live.started(worker.number, worker.task.key)  # type: ignore[union-attr]
            selector.register(worker.process.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]

        def hear(worker: Worker, answer: Message) -> None:
            task = worker.task
            assert task is not None
            if isinstance(answer, Progress):
                live.started(worker.number, task.key, answer.text)
                return
            assert isinstance(answer, Ended), answer
            selector.unregister(worker.process.stdout)  # type: ignore[arg-type]
            if stop() and answer.status == "failed":
                answer = replace(answer, status="stopped", run=None)  # our signal ended it before it saved anything
            if answer.status == "failed" and task.log.exists():
                answer = replace(answer, message=f"{answer.message}. What it printed is in {task.log}.")
            answers[task.key] = answer
            live.ended(worker.number, task.key, answer)
            if answer.status == "failed" and fail_fast:
                waiting.clear()
            occupy(worker)

        if workers:
            _refuse_misfits(workers[0], todo, stop)
        for worker in [*workers]:
            occupy(worker)
        passed_on = False
        while busy := [key.data for key in selector.get_map().values()]:
            for key, _ in selector.select(timeout=0.2):
                for answer in key.data.messages():
                    hear(key.data, answer)
            if stop() and not passed_on:
                passed_on = True
                for worker in busy:
                    worker.process.send_signal(signal.SIGTERM)
    return answers, stop.signal


def _refuse_misfits(worker: Worker, todo: Sequence[Task], stop: StopRequest) -> None:
    """Let a worker build one job of each kind, since it imports torch anyway. If it dies, the jobs start unchecked."""
    worker.send(Check(tuple(config.to_mapping() for config in one_of_each_kind(todo))))
    while not stop():
        assert worker.process.stdout is not None
        ready, _, _ = select.select([worker.process.stdout], [], [], 0.2)
        if ready and (said := worker.messages()):
            if isinstance(said[0], Refused) and said[0].message:
                raise UserError(said[0].message)
            return


@contextmanager
def _workers(devices: Sequence[str | None]) -> Iterator[list[Worker]]:
    workers = [Worker(number, device) for number, device in enumerate(devices)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.end()
