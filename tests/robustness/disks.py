"""A disk that is really full, or really read-only: a tmpfs of a few KB. Mounting one needs root."""

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from robustness.faults import difference, go_on, one_message, train_with
from robustness.forks import Child, Trial, dlexp

from dlexp.cli.main import main
from dlexp.runs.directory import find_runs

ROOM = "size=20m,nr_inodes=1000"


@contextlib.contextmanager
def mounted(options: str) -> Iterator[tuple[Path, Callable[[str], object]] | None]:
    """Yield a folder whose `outputs` is a disk of its own, and what remounts that; None where none can be mounted."""
    with tempfile.TemporaryDirectory() as place:
        disk = Path(place) / "outputs"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            yield None
            return
        try:
            yield Path(place), lambda new: subprocess.run(["mount", "-o", f"remount,{new}", disk], check=True)
        finally:
            subprocess.run(["umount", disk], check=True)


def full(options: str, overrides: list[str], whole: Path) -> Trial | None:
    """Train on too small a disk; go on when there is room."""
    with mounted(options) as place:
        if place is None:
            return None
        folder, remount = place
        code, said = Child(folder, train_with(lambda: None, overrides)).wait()
        wrong = "" if code == 0 else one_message(code, said, "No space left on device")
        if left := [*folder.rglob("*.part")]:
            wrong = wrong or f"left {left}"
        remount(ROOM)
        code, said = Child(folder, lambda: go_on(overrides)).wait()
        wrong = wrong or (f"did not go on: {code}: {said[-300:]}" if code else difference(whole, folder))
        return Trial(f"a disk with {options}", wrong)


def read_only(done: int, overrides: list[str], whole: Path) -> Trial | None:
    """Train as far as `done` epochs, go on where nothing can be written, look at it, and go on where it can be."""
    with mounted(ROOM) as place:
        if place is None:
            return None
        folder, remount = place
        wrong = ""
        if done:
            Child(folder, train_with(lambda: None, [*overrides, f"stop_at={done}"])).wait()
        before = contents(folder)
        remount("ro")
        wrong = one_message(*Child(folder, lambda: go_on(overrides)).wait(), "Read-only file system")
        run = str(find_runs(folder)[0].path) if done else ""
        for verb in ("list runs", f"evaluate {run}", f"diff {run} {run}", "report --to page") if done else ():
            code, said = dlexp(folder, *verb.split())
            wrong = wrong or (f"{verb}: {code}, {said[-300:]}" if code else "")
        if contents(folder) != before:
            wrong = wrong or "something was changed"
        remount("rw")
        code, said = Child(folder, lambda: main(["resume", run]) if done else go_on(overrides)).wait()
        wrong = wrong or (f"did not go on: {code}: {said[-300:]}" if code else difference(whole, folder))
        return Trial(f"a read-only disk after {done} epochs", wrong)


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file of the disk."""
    return {path: path.read_bytes() for path in (folder / "outputs").rglob("*") if path.is_file()}


def trials(overrides: list[str], whole: Path, *, short: bool) -> Iterator[Trial]:
    """Disks of every few KB and of every number of files, and read-only ones; none where none can be mounted."""
    sizes = (68,) if short else range(4, 200, 4)
    files = (9,) if short else range(2, 26)
    tried = [full(f"size={size}k", overrides, whole) for size in sizes]
    tried += [full(f"size=20m,nr_inodes={number}", overrides, whole) for number in files]
    tried += [read_only(done, overrides, whole) for done in ((2,) if short else (0, 1, 2))]
    yield from (trial for trial in tried if trial is not None)
