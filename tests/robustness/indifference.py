"""What must not decide a run's bits, changed one at a time: how it is watched, where it runs, what runs beside it."""

import functools
import locale
import os
import pty
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from robustness.forks import Child, Trial, prepare
from small_runs import KINDS, assert_same_end

from dlexp.cli.main import main
from dlexp.report import figures
from dlexp.runs.directory import RunDirectory, find_runs

WATCHED = (  # overrides that ask to see more, or to save more often
    *("log_every_n_steps=1", "log_every_n_steps=3", "evaluate_every_n_steps=1", "evaluate_every_n_steps=4"),
    *("log_gradients=true", "log_units=true", "checkpoint.every_epochs=1", "checkpoint.every_seconds=0.0001"),
    *("checkpoint.every_seconds=null", "name=another", "output_dir=else/where"),
)
TRACED = ("trace_steps=1", "trace_steps=30")  # of small nets
ZONES = ("UTC", "Asia/Tehran", "America/St_Johns", "Pacific/Kiritimati")
HASH_SEEDS = ("0", "1", "4294967295")
DRAW = figures.draw


def another_terminal() -> None:
    """Let standard error be a terminal, where a bar is shown instead of lines."""
    terminal, end = pty.openpty()
    os.dup2(end, 2)
    threading.Thread(target=lambda: [*iter(lambda: os.read(terminal, 65536), b"")], daemon=True).start()


def another_reader() -> None:
    """Let nobody read what is said any more."""
    read, write = os.pipe()
    os.close(read)
    os.dup2(write, 2)


def another_past() -> None:
    """Let this process have used every generator before."""
    random.seed(7)
    np.random.seed(7)
    torch.manual_seed(7)
    torch.rand(99), np.random.rand(99)
    main(["train", "epochs=1", "seed=9", "output_dir=before"])


def another_place() -> None:
    """Let the working directory be another."""
    Path("deep/er").mkdir(parents=True)
    os.chdir("deep/er")


def another_zone(zone: str) -> None:
    """Let it be another time."""
    os.environ["TZ"] = zone
    time.tzset()


def changes() -> dict[str, Callable[[], object]]:
    """Return what is done to a process before it trains."""
    languages = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split()
    return {
        "a progress bar": another_terminal,
        "nobody reads": another_reader,
        "nowhere to write what is said": lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), 2),
        "pictures": lambda: setattr(figures, "draw", DRAW),
        "other runs before": another_past,
        "another directory": another_place,
        "no file readable by others": functools.partial(os.umask, 0o077),
        **{f"TZ={zone}": functools.partial(another_zone, zone) for zone in ZONES},
        **{f"LC_ALL={each}": functools.partial(locale.setlocale, locale.LC_ALL, each) for each in languages},
    }


def train(folder: Path, overrides: list[str], change: Callable[[], object] = lambda: None) -> str:
    """Train in a fork; return what it says where it fails, or ''."""

    def work() -> int:
        change()
        return main(["train", *overrides])

    code, said = Child(folder, work).wait()
    return f"ended with {code}: {said[-300:]}" if code else ""


def difference(whole: RunDirectory, folder: Path, name: str = "") -> str:
    """Say how the run in a folder, of this name if there are several, differs from `whole`; '' where it does not."""
    (run,) = (run for run in find_runs(folder) if name in str(run.path) and "before" not in run.path.parts)
    try:
        assert_same_end(whole, run)
    except AssertionError as error:
        return f"ended otherwise: {str(error)[:300]}"
    return ""


def stopped_and_reported(folder: Path, overrides: list[str]) -> str:
    """Train in two parts, with a report and a comparison between them."""
    wrong = train(folder, [*overrides, "stop_at=1"])

    def work() -> int:
        run = str(find_runs(Path("outputs"))[0].path)
        return main(["report"]) or main(["evaluate", run]) or main(["resume", run])

    code, said = Child(folder, work).wait()
    return wrong or (f"ended with {code}: {said[-300:]}" if code else "")


def in_a_process(folder: Path, overrides: list[str], **environment: str) -> str:
    """Train in a process of its own, which imports everything anew."""
    folder.mkdir()
    command = [sys.executable, "-m", "dlexp.cli", "train", *overrides]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    return f"ended with {done.returncode}: {done.stderr[-300:]}" if done.returncode else ""


def ways(kind: str) -> dict[str, Callable[[Path], str]]:
    """Return what is changed for a kind of job: each trains it in a folder, and says what went wrong."""
    overrides = [*KINDS[kind], "epochs=3"]
    own = {override.partition("=")[0] for override in overrides}  # what the undisturbed run logs, stays
    watched = [each for each in WATCHED if each.partition("=")[0] not in own]
    watched += TRACED if "dataset=iris" in overrides else ()
    found: dict[str, Callable[[Path], str]] = {"undisturbed": functools.partial(train, overrides=overrides)}
    for each in watched:
        found[each] = functools.partial(train, overrides=[*overrides, each])
    for what, change in changes().items():
        found[what] = functools.partial(train, overrides=overrides, change=change)
    for seed in HASH_SEEDS if kind == "tabular" else ():
        found[f"PYTHONHASHSEED={seed}"] = functools.partial(in_a_process, overrides=overrides, PYTHONHASHSEED=seed)
    return found | {"a report in between": functools.partial(stopped_and_reported, overrides=overrides)}


def trials(*, short: bool) -> Iterator[Trial]:
    """Every change on every kind of job; in short every fourth on one."""
    prepare(*([*kind, "epochs=2"] for kind in KINDS.values()))
    with tempfile.TemporaryDirectory() as place:
        for kind in ("tabular",) if short else KINDS:
            (_, undisturbed), *others = ways(kind).items()
            whole = Path(place) / kind / "whole"
            assert not undisturbed(whole)
            for number, (what, way) in enumerate(others[::4] if short else others):
                folder = whole.with_name(str(number))
                yield Trial(f"{kind}: {what}", way(folder) or difference(find_runs(whole)[0], folder))
        if not short:
            yield from side_by_side(Path(place))


def side_by_side(place: Path) -> Iterator[Trial]:
    """The jobs of a sweep, each against the same job alone, for several numbers of jobs at once."""
    overrides = [*KINDS["tabular"], "epochs=20", "name=sweep/${seed}"]
    for jobs in (1, 2, 3, 6):
        folder = place / f"jobs{jobs}"
        wrong = train(folder, ["-m", *overrides, "seed=range(6)", f"jobs={jobs}"])
        for seed in range(6):
            alone = place / f"alone{seed}"
            if not alone.exists():
                wrong = wrong or train(alone, [*overrides, f"seed={seed}"])
            (whole,) = find_runs(alone)
            yield Trial(f"jobs={jobs}, seed={seed}", wrong or difference(whole, folder, f"sweep/{seed}"))
