"""A process that trains one job of a sweep after another, as its parent tells it in lines of JSON on standard input.

It answers in lines of JSON. Where its parent dies, the input ends: the job under way is saved, and the worker goes.
"""

import contextlib
import io
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, TextIO

from dlexp.config.config import load_config
from dlexp.errors import DlexpError, FixedLengthError, UserError
from dlexp.runs.directory import RunDirectory
from dlexp.storage.locks import taken
from dlexp.storage.untrusted import open_regular, refuse_link
from dlexp.sweep.jobs import Task, identity, look, refuse_misfits
from dlexp.training.build import check
from dlexp.training.resume import resumed_config

Draw = Callable[[RunDirectory], None]


class Said(io.StringIO):
    """Collects what a job prints; how far it is, which `display` says a line each time, goes to the parent at once."""

    def __init__(self, answers: TextIO):
        super().__init__()
        self._answers = answers

    def write(self, text: str) -> int:
        """Raise OSError, as any stream would, where the parent is gone: `display` then is silent."""
        if text.startswith("epoch "):
            print(json.dumps({"progress": text.rstrip()}), file=self._answers, flush=True)
            return len(text)
        return super().write(text)


def serve(draw: Draw) -> None:
    """Work until the input ends; `draw` is called with each run that a job has left, if no signal stopped it."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints is not an answer
    orders: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    while (line := orders.get()) is not None:
        order, said = json.loads(line), Said(answers)
        if "overrides" in order:
            sys.argv[1:] = ["train", *order["overrides"]]  # what environment.json tells as the command
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            answer = work(order, draw) if "overrides" in order else {"refused": misfit(order["fit"])}
        try:
            told = [line for line in said.getvalue().splitlines() if line]
            print(json.dumps({**answer, "said": told}), file=answers, flush=True)
        except BrokenPipeError:  # the parent is gone, and what was under way is saved
            return


def misfit(jobs: Sequence[Sequence[str]]) -> str | None:
    """Return why one of the jobs does not fit together; what else goes wrong, the job itself will tell."""
    with contextlib.suppress(Exception):
        try:
            refuse_misfits(jobs)
        except UserError as error:
            return str(error)
    return None


def work(order: dict[str, Any], draw: Draw) -> dict[str, Any]:
    """Train one job, or go on with it; return how it ended, where, and why where it failed."""
    run: RunDirectory | None = None
    try:
        config = check(load_config(order["overrides"]))
        task = Task(tuple(order["overrides"]), config, order["job"])
        with claimed(Path(config.output_dir), task.key) as claim:
            if claim is None:
                return {"status": "running", "run": None}
            known = {Path(path) for path in (order["run"], claim.read()) if path}
            if not order["fresh"]:  # another sweep may have been at it since the parent looked
                task = look(task, [RunDirectory(path) for path in known if _is_of(task, path)])
            if task.state == "running":
                return {"status": "running", "run": str(task.run and task.run.path)}
            if task.state == "done":
                assert task.run is not None
                run = task.run
            else:
                run = _train(task, order["device"])
            claim.seek(0)
            claim.truncate()
            claim.write(str(run.path))
        status = run.status()
        if "signal" not in status:
            draw(run)
        return {"status": status["status"], "run": str(run.path), "signal": status.get("signal")}
    except DlexpError as error:
        return {"status": "failed", "message": str(error), "exit_code": error.exit_code}
    except Exception as error:  # noqa: BLE001 - one job's failure, whatever it is, is told and is not the sweep's
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename}, line {frame.lineno}"
        return {"status": "failed", "message": f"{type(error).__name__}: {error} ({where})", "exit_code": 1}


@contextlib.contextmanager
def claimed(output_dir: Path, key: str) -> Iterator[IO[str] | None]:
    """Hold a job, so that two sweeps at once do not train it twice; None where another process holds it."""
    folder = output_dir / ".jobs"
    refuse_link(folder, "claims of jobs would be written where it leads. Delete it.")
    folder.mkdir(parents=True, exist_ok=True)
    with open_regular(folder / key, "a+") as file:
        if not taken(file.fileno()):
            yield None
            return
        file.seek(0)
        yield file


def _is_of(task: Task, path: Path) -> bool:
    """Whether a run that was noted for the task is still there, in its output directory, and of its job."""
    inside = path.resolve().is_relative_to(Path(task.config.output_dir).resolve())
    try:
        return inside and identity(RunDirectory(path)) == (task.job, task.config.name)
    except UserError:  # what is left of it is said where the sweep begins
        return False


def _train(task: Task, device: str | None) -> RunDirectory:
    where = [f"device={device}"] if device else []
    if task.run is None:
        config = check(load_config([*task.overrides, *where]))
        from dlexp.training.loop import work_of

        return work_of(config)(config)
    from dlexp.training import loop

    changes = [f"epochs={task.config.epochs}", f"threads={task.config.threads}", *where]
    changes.append(f"imports=[{','.join(task.config.imports)}]")  # which are the user's: the command gave them
    if task.config.stop_at:
        changes.append(f"stop_at={task.config.stop_at}")
    try:
        return loop.train(resumed_config(task.run, changes), task.run)
    except FixedLengthError:  # its schedule was planned for fewer epochs: another run
        return _train(replace(task, run=None), device)


def _listen(orders: "queue.SimpleQueue[str | None]") -> None:
    for line in sys.stdin:
        orders.put(line)
    orders.put(None)
    os.kill(os.getpid(), signal.SIGTERM)  # a job under way takes it as a request to save and stop
