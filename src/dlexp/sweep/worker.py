"""A process that trains jobs of a sweep, one after another, by its parent's messages on standard input.

It answers in messages. If its parent dies, the input ends: the worker saves the running job and exits.
"""

import contextlib
import io
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Self, TextIO

from dlexp.config.config import from_mapping
from dlexp.demonstrations.demonstrate import demonstrate
from dlexp.errors import DlexpError, FixedLengthError, UserError, full_memory
from dlexp.runs.directory import RunDirectory
from dlexp.storage.locks import taken
from dlexp.storage.untrusted import open_regular, refuse_link
from dlexp.sweep.jobs import Task, job_and_name, look, refuse_misfits
from dlexp.sweep.messages import Check, Ended, Message, Progress, Refused, Train, decode, encode
from dlexp.sweep.output import captured, keep
from dlexp.training.build import check
from dlexp.training.loop import train
from dlexp.training.process.progress import Display
from dlexp.training.process.state import unchanged

Draw = Callable[[RunDirectory], None]


class Report(Display):
    """Sends a job's progress to the parent at once, and keeps its warnings for the end."""

    def __init__(self, answers: TextIO):
        self._answers, self.warnings = answers, list[str]()
        self.run: Path | None = None

    def begin(self, run: RunDirectory, epochs: int, steps_per_epoch: int, done: int) -> Self:
        """Take in the job's run directory and length."""
        self.run = run.path
        return super().begin(run, epochs, steps_per_epoch, done)

    def warn(self, text: str) -> None:
        """Keep a warning."""
        self.warnings.append(text)

    def tell(self, text: str) -> None:
        """Send a line; once the parent is gone, send nothing more."""
        self._show(lambda: _send(self._answers, Progress(text)))


def serve(draw: Draw) -> None:
    """Work until the input ends; call `draw` with the run of each job that no signal stopped."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # printed text must not mix with the answers
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # so that it stays in order with standard error
    orders: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    while (line := orders.get()) is not None:
        try:
            _send(answers, _answer(decode(line), Report(answers), draw))
        except BrokenPipeError:  # the parent is gone, and the running job is saved
            return


def _answer(order: Message, report: Report, draw: Draw) -> Message:
    if isinstance(order, Check):
        with Path(os.devnull).open("ab") as nowhere, captured(nowhere):  # the jobs print it again
            return Refused(misfit(order.configs))
    assert isinstance(order, Train), order

    @contextlib.contextmanager
    def logged(path: Path) -> Iterator[None]:
        try:
            with open_regular(path, "ab") as file, captured(file):
                yield
        finally:
            keep(path, report.run or (Path(order.run) if order.run else None))

    ended = work(order, draw, report, logged)
    return replace(ended, said=tuple(report.warnings))


def _send(answers: TextIO, message: Message) -> None:
    answers.write(encode(message))
    answers.flush()


def misfit(configs: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why one of the jobs does not fit together, or None; each job reports its other errors itself."""
    with contextlib.suppress(Exception):
        try:
            refuse_misfits(check(from_mapping(mapping)) for mapping in configs)
        except UserError as error:
            return str(error)
    return None


def work(
    order: Train,
    draw: Draw,
    display: Display | None = None,
    logged: Callable[[Path], AbstractContextManager[object]] = contextlib.nullcontext,
) -> Ended:
    """Train one job, or resume its run, in the context that `logged` returns for its log; return how it ended."""
    try:
        config = from_mapping(order.config)
        task = Task(order.command, config, order.job)
        with claimed(Path(config.output_dir), task.key) as claim:
            if claim is None:
                return Ended("running")
            with logged(task.log):
                return _work(order, replace(task, config=check(config)), claim, draw, display)
    except DlexpError as error:
        return Ended("failed", message=str(error), exit_code=error.exit_code)
    except Exception as error:  # noqa: BLE001 - no failure of one job may end the sweep
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename}, line {frame.lineno}"
        said = full_memory(error) or f"{type(error).__name__}: {error} ({where})"
        return Ended("failed", message=said, exit_code=1)


def _work(order: Train, task: Task, claim: IO[str], draw: Draw, display: Display | None) -> Ended:
    known = {Path(path) for path in (order.run, claim.read()) if path}
    if not order.fresh:  # another sweep may have worked on it since
        task = look(task, [RunDirectory(path) for path in known if _is_of(task, path)])
    if task.state == "running":
        return Ended("running", str(task.run and task.run.path))
    with unchanged():
        run = task.run if task.state == "done" and task.run else _train(task, order, display)
    claim.seek(0)
    claim.truncate()
    claim.write(str(run.path))
    status = run.status()
    if "signal" not in status:
        draw(run)
    return Ended(status["status"], str(run.path), signal=status.get("signal"))


@contextlib.contextmanager
def claimed(output_dir: Path, key: str) -> Iterator[IO[str] | None]:
    """Hold a job, so that two simultaneous sweeps do not train it twice; yield None if another process holds it."""
    folder = output_dir / ".jobs"
    refuse_link(folder, "claims of jobs would be written to its target. Delete it.")
    folder.mkdir(parents=True, exist_ok=True)
    with open_regular(folder / key, "a+") as file:
        if not taken(file.fileno()):
            yield None
            return
        file.seek(0)
        yield file


def _is_of(task: Task, path: Path) -> bool:
    """Return whether a noted run still exists, in the output directory or behind a link there, and is of the task."""
    inside = path.absolute().is_relative_to(Path(task.config.output_dir).absolute()) and ".." not in path.parts
    try:
        return inside and job_and_name(RunDirectory(path)) == (task.job, task.config.name)
    except UserError:  # a damaged run is reported when the sweep begins
        return False


def _train(task: Task, order: Train, display: Display | None) -> RunDirectory:
    config = replace(task.config, device=order.device or task.config.device)
    if config.is_demonstration:
        return demonstrate(config, order.command)
    try:
        return train(config, task.run, command=order.command, display=display)
    except FixedLengthError:  # its schedule was planned for fewer epochs: start a new run
        return train(config, command=order.command, display=display)


def _listen(orders: "queue.SimpleQueue[str | None]") -> None:
    for line in sys.stdin:
        orders.put(line)
    orders.put(None)
    os.kill(os.getpid(), signal.SIGTERM)  # a job under way takes it as a request to save and stop
