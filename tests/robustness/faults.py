"""The k-th call to the disk goes wrong, for every k; the run goes on afterwards, to the same end.

After the idea of SQLite's tests, which fail the n-th call at every n (https://www.sqlite.org/testing.html). Besides:
files that must not grow beyond a size, and (`disks`) disks that are really full or read-only.
"""

import builtins
import errno
import functools
import io
import json
import os
import re
import resource
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from robustness.forks import Child, Trial, prepare
from small_runs import KINDS, assert_same_end

from dlexp.cli.main import main
from dlexp.runs.directory import find_runs

NAMED = ("fsync", "replace", "mkdir", "unlink")  # what changes the disk besides opening and writing
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

        def opened(
            file: Any, mode: str = "r", buffering: int = -1, *text: Any, opener: Any = None, **named: Any
        ) -> Any:
            if not set(mode) & set("wax+") or str(file).startswith("/proc/"):  # no file of a disk
                return opens(file, mode, buffering, *text, opener=opener, **named)
            raw = disk.call("open", lambda: File(file, mode.replace("b", "").replace("t", ""), opener=opener))
            buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return buffered if "b" in mode else io.TextIOWrapper(buffered, *text, **named)

        def between(name: str) -> None:
            real = getattr(os, name)

            def call(*a: Any, **k: Any) -> Any:
                is_there = name == "mkdir" and Path(a[0]).is_dir()  # the disk changes nothing then
                return real(*a, **k) if is_there else disk.call(name, lambda: real(*a, **k))

            setattr(os, name, call)

        io.open = builtins.open = opened  # type: ignore[assignment]
        for name in NAMED:
            between(name)
        return self


def train_with(disturb: Callable[[], object], overrides: list[str]) -> Callable[[], int]:
    """Return the work of a child: to train with what goes wrong."""

    def work() -> int:
        disturb()
        return main(["train", *overrides])

    return work


def next_command(overrides: list[str]) -> list[str]:
    """What a user would type next: resume the run, or the same command where there is none yet."""
    found = find_runs(Path("outputs"))
    return ["resume", str(found[0].path)] if found else ["train", *overrides]


def go_on(overrides: list[str]) -> int:
    """Do what a user would type next."""
    return main(next_command(overrides))


def trial(
    what: str, overrides: list[str], whole: Path, disturb: Callable[[], object], expected: tuple[int, ...]
) -> Trial:
    """Train with a fault, go on without, and compare with the undisturbed run in `whole`."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "disturbed"
        code, said = Child(folder, train_with(disturb, overrides)).wait()
        if code not in expected:
            return Trial(what, f"ended with {code}: {said[-300:]}")
        if "Traceback" in said or (code == 1 and one_message(code, said)):
            return Trial(what, f"no message: {said[-300:]}")
        after, said = Child(folder, lambda: go_on(overrides)).wait()
        return Trial(what, f"did not go on: {after}: {said[-300:]}" if after else difference(whole, folder))


def one_message(code: int, said: str, reason: str = "") -> str:
    """Say what is wrong with a failure that is the disk's, if anything is."""
    *before, message = said.splitlines() or [""]
    if code != 1 or any("Traceback" in line or line.startswith("dlexp: ") for line in before):
        return f"ended with {code}: {said[-300:]}"
    return "" if message.startswith("dlexp: ") and reason in message else f"no message: {said[-300:]}"


def difference(whole: Path, folder: Path) -> str:
    """Say how the runs in `folder` differ from those in `whole`, or what they left behind; '' where they do not."""
    wholes, runs = (sorted(find_runs(each / "outputs"), key=lambda run: run.keys()["seed"]) for each in (whole, folder))
    if len(runs) != len(wholes):
        return f"{len(runs)} runs"
    for pair in zip(wholes, runs, strict=True):
        try:
            assert_same_end(*pair)
        except AssertionError as error:
            return f"ended otherwise: {error}"
        # Of two checkpoints, the steps depend on how much time went by.
        names = [
            [re.sub(r"step_\d+", "step", str(p.relative_to(run.path))) for p in run.path.rglob("*")] for run in pair
        ]
        lacks, more = Counter(names[0]) - Counter(names[1]), Counter(names[1]) - Counter(names[0])
        if lacks or more:
            return f"lacks {[*lacks]}, has {[*more]}"
    left = [str(path) for path in folder.rglob("*.part")]
    return f"left {left}" if left else ""


def trials(*, short: bool, part: str = "tabular") -> Iterator[Trial]:
    """Every call of a kind of job, each way; in short, and of all kinds but the first, some of them, evenly spread."""
    from robustness import disks

    overrides = [*KINDS.get(part, KINDS["tabular"]), "epochs=3", "checkpoint.every_epochs=1"]
    every = 100 if short else 1 if part == "tabular" else 3
    prepare(overrides)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "whole"

        def undisturbed() -> int:
            disk = Disk(0, "exit").installed()
            code = main(["train", *overrides])
            os.write(os.open("calls", os.O_CREAT | os.O_WRONLY), json.dumps(disk.calls).encode())
            return code

        code, said = Child(folder, undisturbed).wait()
        assert code == 0, said
        if short or part == "disks":
            yield from disks.trials(overrides, folder, short=short)
        if part == "disks":
            return
        calls = json.loads((folder / "calls").read_text())
        for number, how in enumerate(WAYS):
            expected = (DIED,) if how in ("exit", "torn") else (0,) if how == "short" else (1,)
            for at in range(1 + number * every // len(WAYS), len(calls) + 1, every):
                disturb = functools.partial(Disk.installed, Disk(at, how))
                yield trial(f"{part}, call {at}, {calls[at - 1]}: {how}", overrides, folder, disturb, expected)
        largest = max(file.stat().st_size for file in folder.rglob("*.pt"))
        for size in range(0, largest, largest if short else 1000 * every):
            disturb = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            yield trial(f"{part}, files of {size} bytes at most", overrides, folder, disturb, (1,))
