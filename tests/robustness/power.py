"""The power goes off, for every moment: what the disk kept goes on to the same end, from the last checkpoint at least.

A disk keeps of a file what was synced, and of a folder the names that it had when it was synced; of what came since it
may keep anything (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014). Three disks stand for all that
there are: one that keeps nothing of it, one that keeps all names and no bytes, and one that keeps some, by chance.
"""

import os
import random
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from robustness.faults import NAMED, difference, go_on, train_with
from robustness.forks import Child, Trial, prepare
from small_runs import KINDS

from dlexp.runs.directory import find_runs

KEPT = ("nothing", "names", "some")  # of what was not synced
Names = dict[str, tuple[int, bool]]  # a folder's: each one's inode, and whether it is a folder


class Disk:
    """Notes what is synced in the working directory, and lays out in `left` what would be left before each call."""

    def __init__(self, left: Path):
        self._left, self._calls, self._saved, self._is_off = left, 0, 0, False
        self._bytes: dict[int, bytes] = {}
        self._names: dict[int, Names] = {}
        self._held: list[int] = []  # descriptors, so that no inode is used again

    def installed(self) -> "Disk":
        """Put it before every call that syncs, names or deletes."""
        for name in NAMED:
            self._before(name, getattr(os, name))
        return self

    def lay_out(self, call: str) -> None:
        """Lay out what each of the three disks would have kept, were the power to go off now."""
        self._is_off = True  # these calls are not the run's
        self._calls += 1
        paths = {path.lstat().st_ino: path for path in (Path(), *Path().rglob("*"))}
        for kept in KEPT:
            chance = random.Random(self._calls)
            lies = self._left / f"{self._calls:04}, before {call}, {kept}, step {self._saved}"
            self._folder(Path().stat().st_ino, lies, kept, paths, chance)
        self._is_off = False

    def _before(self, name: str, real: Callable[..., Any]) -> None:
        def call(first: Any, *others: Any, **named: Any) -> Any:
            if self._is_off:
                return real(first, *others, **named)
            self.lay_out(name)
            done = real(first, *others, **named)
            if name == "fsync":
                self._note(first)
            return done

        setattr(os, name, call)

    def _note(self, file: int) -> None:
        path, inode = Path(f"/proc/self/fd/{file}"), os.fstat(file).st_ino
        self._held.append(os.dup(file))
        if not path.is_dir():
            self._bytes[inode] = path.read_bytes()
            return
        self._names[inode] = names = _names(path)
        self._saved = max(
            [self._saved, *(int(step[1]) for name in names if (step := re.fullmatch(r"step_(\d+)\.pt", name)))]
        )

    def _folder(self, inode: int, lies: Path, kept: str, paths: dict[int, Path], chance: random.Random) -> None:
        lies.mkdir()
        synced = self._names.get(inode, {})
        now = _names(paths[inode]) if inode in paths and kept != "nothing" else synced
        for name in sorted({*synced, *now}):
            which = now if kept == "names" else chance.choice((synced, now))
            if name not in which:
                continue
            inner, is_folder = which[name]
            if is_folder:
                self._folder(inner, lies / name, kept, paths, chance)
                continue
            there = self._bytes.get(inner, b"")
            if kept == "some" and inner in paths:
                whole = paths[inner].read_bytes()
                there = chance.choice((there, whole, there + bytes(max(0, len(whole) - len(there)))))
            (lies / name).write_bytes(there)


def _names(folder: Path) -> Names:
    with os.scandir(folder) as entries:
        return {entry.name: (entry.inode(), entry.is_dir(follow_symlinks=False)) for entry in entries}


def trial(what: str, overrides: list[str], whole: Path, left: Path) -> Trial:
    """Go on with what is left; see that no step was lost that a checkpoint had been synced for."""
    saved = int(what.rsplit(maxsplit=1)[1])
    steps = [int(path.stem.removeprefix("step_")) for run in find_runs(left) for path in run.checkpoints()]
    if max([0, *steps]) < saved:
        return Trial(what, f"has {steps}")
    code, said = Child(left, lambda: go_on(overrides)).wait()
    if code or "Warning" in said:
        return Trial(what, f"ended with {code}: {said[-300:]}")
    return Trial(what, difference(whole, left))


def trials(*, short: bool, part: str = "tabular") -> Iterator[Trial]:
    """Every moment of a kind of job and each disk; in short, some of them, evenly spread."""
    overrides = [*KINDS[part], "epochs=3", "checkpoint.every_epochs=1"]
    prepare(overrides)
    with tempfile.TemporaryDirectory() as place:
        whole, left = Path(place) / "whole", Path(place) / "left"
        left.mkdir()
        code, said = Child(whole, train_with(lambda: Disk(left).installed(), overrides)).wait()
        assert code == 0, said
        found = sorted(left.iterdir())
        for number in range(0, len(found), 20 if short else 1):
            yield trial(f"{part}, {found[number].name}", overrides, whole, found[number])
