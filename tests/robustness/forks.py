"""What the trials share: a verb run by a fork, in a folder of its own. Torch is imported once, for all of them."""

import contextlib
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # must be set before torch is imported

import torch

from dlexp.cli.main import main
from dlexp.config.config import load_config
from dlexp.report import figures
from dlexp.training.build import build, check

CRASHED = 98  # the exit code of a child whose work raised


@dataclass(frozen=True)
class Trial:
    """One trial: what was done, and what went otherwise than promised, or ''."""

    what: str
    wrong: str = ""


def prepare(*jobs: list[str], draw: bool = False) -> None:
    """Import what every fork would import again, and leave out pictures, half a second each."""
    import sklearn.metrics  # noqa: F401

    torch.set_num_threads(1)
    for overrides in jobs or ([],):
        build(check(load_config(overrides)))
    if not draw:
        figures.draw = lambda run, **_: None


class Child:
    """A fork that does `work` in `folder`; what it and its own children print comes through a pipe."""

    def __init__(self, folder: Path, work: Callable[[], int]):
        folder.mkdir(parents=True, exist_ok=True)
        self._said, said = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = CRASHED
            with contextlib.suppress(BaseException):  # it must never return to what forked it
                os.chdir(folder)
                os.dup2(said, 1)
                os.dup2(said, 2)
                sys.stdout, sys.stderr = (os.fdopen(n, "w", 1, closefd=False) for n in (1, 2))
                try:
                    code = work()
                except BaseException:  # noqa: BLE001 - whatever it was, it is printed
                    traceback.print_exc()
                sys.stderr.flush()
            os._exit(code)
        os.close(said)

    def outlives(self, seconds: float) -> bool:
        """Wait so long, or until it ends; return whether it is alive."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return False
            time.sleep(min(0.001, seconds))
        return True

    def kill_after(self, seconds: float, number: int = signal.SIGKILL) -> bool:
        """Send a signal, unless the child ends before; return whether it was sent."""
        alive = self.outlives(seconds)
        if alive:
            os.kill(self.pid, number)
        return alive

    def wait(self, within: float = 300.0) -> tuple[int, str]:
        """Return the exit code (less than zero: the signal that killed it) and what it printed.

        Raises TimeoutError where after `within` seconds it, or a process that it started and left, is still there.
        """
        deadline, text = time.monotonic() + within, b""
        try:
            while select.select([self._said], [], [], max(0.0, deadline - time.monotonic()))[0]:
                if not (chunk := os.read(self._said, 65536)):
                    _, status = os.waitpid(self.pid, 0)
                    return os.waitstatus_to_exitcode(status), text.decode(errors="replace")
                text += chunk
            raise TimeoutError(text.decode(errors="replace"))
        finally:
            os.close(self._said)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that are there."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def dlexp(folder: Path, *arguments: str | Path) -> tuple[int, str]:
    """Run one verb in a fork; return its exit code and what it printed."""
    return Child(folder, lambda: main([*map(str, arguments)])).wait()
