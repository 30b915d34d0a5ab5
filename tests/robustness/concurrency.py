"""Several processes at once: on one run, at the same start, at the same sweep, at one report, at one download."""

import dataclasses
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from robustness.damaged import refused
from robustness.faults import Disk
from robustness.forks import Child, Trial, dlexp, prepare
from small_runs import TABULAR, assert_same_end

from dlexp.cli.main import main
from dlexp.data import store
from dlexp.data.datasets import DATASETS
from dlexp.data.source import Samples
from dlexp.report import figures
from dlexp.runs.directory import RunDirectory, find_runs
from dlexp.training import checkpoint

EIGHT, DEADLINE = 8, 120.0  # processes, seconds
ENDLESS = [*TABULAR, "epochs=1000000", "checkpoint.every_seconds=0.2"]
draw = figures.draw  # before `prepare` leaves it out


def at_once(folder: Path, works: Sequence[Callable[[], int]]) -> list[Child]:
    """Start a child for each, and let them go at the same moment."""
    gate, opener = os.pipe()

    def behind(work: Callable[[], int]) -> Callable[[], int]:
        def do() -> int:
            os.close(opener)
            os.read(gate, 1)
            return work()

        return do

    children = [Child(folder, behind(work)) for work in works]
    os.close(gate)
    os.close(opener)
    return children


def command(*arguments: object) -> Callable[[], int]:
    """Return the work of a verb."""
    return lambda: main([*map(str, arguments)])


def until(true: Callable[[], object], what: str) -> None:
    """Wait."""
    deadline = time.monotonic() + DEADLINE
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.005)


def has_ended(child: Child) -> bool:
    """Whether a child has ended; it is not waited for."""
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def on_one_run(base: Path, number: int) -> Iterator[str]:
    """Eight resume a run, every other time just after its holder was killed; one may, the others are told who does."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(base, Path(place) / "one"))
        run = find_runs(folder)[0]
        if number % 2:
            holder = Child(folder, command("resume", run.path))
            until(lambda: (run.path / "lock").read_text() == str(holder.pid), "the lock has no number")
            os.kill(holder.pid, signal.SIGKILL)
            holder.wait()
        children = at_once(folder, [command("resume", run.path)] * EIGHT)
        until(lambda: sum(map(has_ended, children)) >= EIGHT - 1, "the others did not end")
        (works, *others) = sorted(children, key=has_ended)
        if has_ended(works):
            yield f"nobody works: {[child.wait() for child in children]}"
            return
        for child in others:
            code, said = child.wait()
            if code != 2 or refused(code, said) or f"in use by process {works.pid}." not in said:
                yield f"{works.pid} works, but another ended with {code}: {said[-300:]}"
        os.kill(works.pid, signal.SIGTERM)
        code, said = works.wait()
        if code != 143 or run.status()["status"] != "stopped" or not checkpoint.latest(run)[0]:
            yield f"who worked ended with {code}: {said[-300:]}"


def held_by_what_it_started(base: Path) -> Iterator[str]:
    """The holder dies, a process that it had started lives on: the run is free."""
    with tempfile.TemporaryDirectory() as place:
        run = find_runs(Path(shutil.copytree(base, Path(place) / "one")))[0]

        def work() -> int:
            with run.locked():
                print(subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)
                os._exit(0)

        _, said = Child(Path(place), work).wait()
        if run.is_locked():
            yield "still held"
        os.kill(int(said), signal.SIGKILL)


def starts(folder: Path, number: int, *, watched: bool) -> Iterator[str]:
    """Eight start under one name; one of them is killed as it begins; lists, and reports if `watched`, look on."""
    before = {run.path for run in find_runs(folder)}
    train = ["train", "name=same", "epochs=1"]

    def killed() -> int:
        Disk(2 + number % 9, "torn").installed()
        return main(train)

    looks = [command("list", "runs"), *[command("report", "--to", "page")] * (2 if watched else 0)]
    children = at_once(folder, [killed, *looks, *[command(*train)] * (EIGHT - 1)])
    ended = [child.wait() for child in children]
    for (code, said), may in zip(
        ended, [(99,), (0,), *[(0, 2)] * (len(looks) - 1), *[(0,)] * (EIGHT - 1)], strict=True
    ):
        if code not in may or "Traceback" in said:
            yield f"ended with {code}: {said[-400:]}"
    new = [run for run in find_runs(folder) if run.path not in before]
    whole = [run for run in new if run.status()["status"] == "finished"]
    if len(whole) != EIGHT - 1:
        yield f"{len(whole)} finished runs of {len(new)}"


def cleared(folder: Path) -> str:
    """Start once more: what the killed ones left half written under this name has to be gone."""
    code, said = dlexp(folder, "train", "name=same", "epochs=1")
    left = [part for part in folder.rglob("*.part") if not (part.parent / "config.yaml").exists()]
    return said if code else f"left {left}" if left else ""


def pictures(base: Path) -> Iterator[str]:
    """Eight draw the pictures of a run that was killed before it had them."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(base, Path(place) / "one"))
        run = find_runs(folder)[0]

        def work() -> int:
            figures.draw = draw
            return main(["resume", str(run.path)])

        for child in at_once(folder, [work] * EIGHT):
            code, said = child.wait()
            if code and (code != 2 or "in use by process" not in said or "Traceback" in said):
                yield f"ended with {code}: {said[-400:]}"
        if left := [*folder.rglob("*.part")]:
            yield f"left {left}"


def sweeps(alone: Mapping[int, RunDirectory], overrides: list[str]) -> Iterator[str]:
    """Two identical sweeps: each job is trained once, to the same end as by one."""
    with tempfile.TemporaryDirectory() as place:
        for child in at_once(Path(place), [command(*overrides)] * 2):
            code, said = child.wait()
            if code or "Traceback" in said:
                yield f"ended with {code}: {said[-400:]}"
        runs = find_runs(Path(place))
        if len(runs) != len(alone):
            yield f"{len(runs)} runs of {len(alone)} jobs"
        for run in runs:
            assert_same_end(alone[run.read_config()["seed"]], run)


def downloads() -> Iterator[str]:
    """Eight fetch a dataset that is not here, by a download that bears no second one beside it."""
    with tempfile.TemporaryDirectory() as place:
        published, data = os.urandom(200_000), Path(place) / "data"

        def convert(folder: Path) -> dict[str, Samples]:
            with (folder / "raw").open("wb") as file:
                for start in range(0, len(published), 10_000):
                    file.write(published[start : start + 10_000])
                    file.flush()
                    time.sleep(0.001 * (os.getpid() % EIGHT))  # some are faster
            if hashlib.md5((folder / "raw").read_bytes()).digest() != hashlib.md5(published).digest():
                raise RuntimeError("the download is not whole")
            inputs = np.frombuffer(published[: 28 * 28 * 100], np.uint8).reshape(100, 28, 28, 1)
            return {split: Samples(inputs, np.arange(100) % 10) for split in ("train", "test")}

        source = dataclasses.replace(DATASETS.find("mnist")(), convert=convert, content=None, sizes=(100, 100))

        def read() -> int:
            store.read("mnist", source, data)
            return 0

        for child in at_once(Path(place), [read] * EIGHT):
            code, said = child.wait()
            if code:
                yield f"ended with {code}: {said[-400:]}"
        store.verify("mnist", source, data)
        if left := [*data.rglob("*.part")]:
            yield f"left {left}"


def tried(what: str, wrongs: Iterator[str]) -> Trial:
    """Return the trial of what went wrong, if anything did."""
    try:
        return Trial(what, "; ".join(wrongs))
    except (AssertionError, TimeoutError) as error:
        return Trial(what, str(error))


def trials(*, short: bool) -> Iterator[Trial]:
    """Everything that may happen twice at once, again and again."""
    prepare()
    with tempfile.TemporaryDirectory() as place:
        base, done, many = (Path(place) / name for name in ("endless", "done", "starts"))
        dlexp(base, "train", *ENDLESS, "stop_at=1")
        dlexp(done, "train", "dataset=playground", "epochs=2")
        for number in range(2 if short else 50):
            yield tried(f"eight on one run, time {number + 1}", on_one_run(base, number))
        yield tried("a process that the holder started", held_by_what_it_started(base))
        many.mkdir()
        for number in range(1 if short else 50):
            yield tried(f"eight starts, time {number + 1}", starts(many, number, watched=number % 5 == 0))
        yield Trial("a start after them", cleared(many))
        for number in range(1 if short else 5):
            yield tried(f"eight draw, time {number + 1}", pictures(done))
        for number in range(1 if short else 20):
            yield tried(f"eight downloads, time {number + 1}", downloads())
        if not short:
            sweep = ["train", "-m", "seed=range(4)", "epochs=30", "jobs=1"]
            code, said = dlexp(Path(place) / "alone", *sweep)
            assert code == 0, said
            alone = {run.read_config()["seed"]: run for run in find_runs(Path(place) / "alone")}
            for number in range(5):
                yield tried(f"two sweeps, time {number + 1}", sweeps(alone, sweep))
