"""Trains with the k-th call to the disk going wrong, for every k, and lets the run go on afterwards.

python -m robustness.faults KIND HOW FIRST EVERY, from tests/, prints a line of JSON for each trial. Torch is imported
once: every trial is a fork. After the idea of SQLite's tests, which fail the n-th call at every n (https://www.sqlite.org/testing.html).
"""

import builtins
import errno
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from test_resume import KINDS, assert_same_end

from dlexp import cli
from dlexp.build import build, check
from dlexp.config import load_config
from dlexp.report import figures
from dlexp.rundir import find_runs

DIED = 99  # the exit code of a process that ended in the middle of a call
# What happens at the call: the process ends before it, or when half of a write is done; the call fails; a write takes
# half of what it was given, which is no error. "lasting": all later calls fail as well.
WAYS = ("exit", "torn", "ENOSPC", "ENOSPC lasting", "EIO", "EIO lasting", "short")


class Disk:
    """Counts the calls that change the disk, and lets number `at` go wrong; 0 lets none."""

    def __init__(self, at: int, how: str):
        self.calls: list[str] = []
        self._at, (self._how, *lasting) = at, how.split()
        self._lasting = bool(lasting)

    def call(self, name: str, do: Callable[[], Any], data: Any = b"") -> Any:
        """Do it, or what goes wrong instead."""
        self.calls.append(name)
        number = len(self.calls)
        if self._at == 0 or number < self._at or (number > self._at and not self._lasting):
            return do()
        if self._how in ("exit", "torn"):
            if self._how == "torn" and name == "write":
                os.write(self._file, bytes(data)[: len(data) // 2])
            os._exit(DIED)
        if self._how == "short":
            return os.write(self._file, bytes(data)[: max(1, len(data) // 2)]) if name == "write" else do()
        number = getattr(errno, self._how)
        raise OSError(number, os.strerror(number), "the disk of a test")

    def installed(self) -> "Disk":
        """Put it between this process and every file that is written."""
        disk, opens = self, io.open

        class File(io.FileIO):
            def write(self, data: Any) -> int:
                disk._file = self.fileno()
                return int(disk.call("write", lambda: io.FileIO.write(self, data), data))

        def opened(file: Any, mode: str = "r", buffering: int = -1, *text: Any, **named: Any) -> Any:
            if not set(mode) & set("wax+"):
                return opens(file, mode, buffering, *text, **named)
            raw = disk.call("open", lambda: File(file, mode.replace("b", "").replace("t", "")))
            buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return buffered if "b" in mode else io.TextIOWrapper(buffered, *text, **named)

        def between(name: str) -> None:
            real = getattr(os, name)
            setattr(os, name, lambda *a, **k: disk.call(name, lambda: real(*a, **k)))

        io.open = builtins.open = opened  # type: ignore[assignment]
        for name in ("fsync", "replace", "mkdir", "unlink"):
            between(name)
        return self


def in_child(folder: Path, work: Callable[[], int]) -> tuple[int, str]:
    """Return the exit code and standard error of `work`, done by a fork in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child == 0:
        code = 98
        try:
            os.chdir(folder)
            said = os.open(folder / "said", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.dup2(said, 1)
            os.dup2(said, 2)
            sys.stdout, sys.stderr = (os.fdopen(n, "w", 1, closefd=False) for n in (1, 2))
            code = work()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), (folder / "said").read_text()


def trial(overrides: list[str], whole: Path, folder: Path, at: int, how: str) -> dict[str, Any]:
    """Train with a fault, go on without, and compare with the undisturbed run; say what is wrong, or ''."""

    def disturbed() -> int:
        Disk(at, how).installed()
        return cli.main(["train", *overrides])

    def later() -> int:
        found = find_runs(Path("outputs"))
        arguments = ["resume", str(found[0].path)] if found else ["train", *overrides]
        return cli.main(arguments)

    code, said = in_child(folder, disturbed)
    after, said_after = in_child(folder, later)
    wrong = ""
    expected = (DIED,) if how in ("exit", "torn") else (0,) if how == "short" else (1,)
    if code not in expected:
        wrong = f"ended with {code}: {said[-300:]}"
    elif "Traceback" in said or (code == 1 and not said.splitlines()[-1].startswith("dlexp: ")):
        wrong = f"no message: {said[-300:]}"
    elif after != 0:
        wrong = f"did not go on: {after}: {said_after[-300:]}"
    else:
        (run,) = find_runs(folder / "outputs")
        try:
            assert_same_end(find_runs(whole)[0], run)
        except AssertionError as error:
            wrong = f"ended otherwise: {error}"
        if left := [str(path) for path in folder.rglob("*.part")]:
            wrong = f"left {left}"
    shutil.rmtree(folder)
    return {"at": at, "code": code, "wrong": wrong}


def main() -> None:
    """Print a line for each trial, and first the calls of an undisturbed run."""
    kind, how, first, every = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(1)
    figures.draw = lambda run: None  # half a second each, and no part of what has to be saved
    overrides = [*KINDS[kind], "epochs=3", "checkpoint.every_epochs=1"]
    build(check(load_config(overrides)))  # imports what every fork would import again
    import sklearn.metrics  # noqa: F401

    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"

        def undisturbed() -> int:
            disk = Disk(0, "exit").installed()
            code = cli.main(["train", *overrides])
            os.write(os.open("calls", os.O_CREAT | os.O_WRONLY), json.dumps(disk.calls).encode())
            return code

        code, said = in_child(whole, undisturbed)
        assert code == 0, said
        calls = json.loads((whole / "calls").read_text())
        print(json.dumps({"calls": calls}), flush=True)
        for at in range(first, len(calls) + 1, every):
            found = trial(overrides, whole / "outputs", Path(place) / str(at), at, how)
            print(json.dumps({"call": calls[at - 1], **found}), flush=True)


if __name__ == "__main__":
    main()
