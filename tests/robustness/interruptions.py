"""SIGINT, SIGTERM, SIGUSR1 and two SIGINTs at many instants: the exit code is the signal's, and all goes on afterwards.

An instant is the n-th call of a function; the n-th call of whatever Python function, by chance; or the import of a
module, in a process of its own. The second SIGINT comes with the first fsync after the first one or, where that raised
KeyboardInterrupt, at once. After one signal a run may take one more step, and save once.
"""

import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.backends.backend_agg
import matplotlib.figure  # noqa: F401 - so that no fork imports it
import torchvision.datasets.utils  # noqa: F401 - nor this
from robustness.faults import difference, go_on
from robustness.forks import Child, Trial, dlexp, prepare
from robustness.kills import SWEEP
from robustness.published import published_hoda
from small_runs import IMAGES

from dlexp.cli import main as command
from dlexp.cli.main import main

INT = signal.SIGINT
WAYS = {"INT": (INT,), "TERM": (signal.SIGTERM,), "USR1": (signal.SIGUSR1,), "INT twice": (INT, INT)}
LOGGED = ["log_every_n_steps=2", "log_gradients=true", "evaluate_every_n_steps=4"]
COMMANDS = {
    "train": ["train", *IMAGES, *LOGGED, "epochs=3", "checkpoint.every_epochs=1"],
    "report": ["report"],
    "fetch": ["data", "fetch", "hoda", "--data-dir", "data"],
    "sweep": SWEEP,
}
INSTANTS = {  # of each command: a function, and which of its calls
    "train": {
        "dlexp.config.composition:_resolved": (1,),
        "dlexp.training.loop:build": (1,),
        "dlexp.training.loop:RunDirectory.create": (1,),
        "dlexp.training.loop:LossWatch.check": (1, 2, 5, 6, 9, 15),
        "dlexp.training.evaluation:predict": (1, 2, 4, 7, 9, 11, 13),
        "dlexp.training.evaluation:classify": (1,),
        "dlexp.training.checkpoint:save": (1, 2, 3, 5),
        "torch:save": (1, 4),
        "os:fsync": (1, 4, 9, 16, 24),
        "os:replace": (1, 3, 8, 12),
        "dlexp.training.loop:write_results": (1,),
        "dlexp.storage.tables:Table.close": (1,),
        "dlexp.report.figures:draw": (1,),
        "dlexp.report.figures:save": (1, 2),
    },
    "report": {
        "dlexp.report.write:collect": (1,),
        "dlexp.report.write:page": (1,),
        "dlexp.report.paper:draw": (1, 2),
        "os:replace": (1, 2, 4, 7),
    },
    "fetch": {
        "dlexp.data.store:fetch": (1,),
        "http.client:HTTPResponse.read": (1, 3, 5),
        "numpy:save": (1, 3),
        "os:replace": (1, 4, 5),
    },
    "sweep": {"dlexp.sweep.pool:Worker.give": (2,), "dlexp.sweep.pool:Worker.messages": (3,)},
}
ANYWHERE = {"train": 10, "report": 4, "fetch": 4}  # instants by chance
IMPORTS = ("hydra", "numpy", "torch", "torch.optim", "sklearn", "matplotlib")
IMPORTING = """
import os, pathlib, sys
from dlexp.cli import main

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            pathlib.Path("struck").touch()
            for number in map(int, numbers.split()):
                try:
                    os.kill(os.getpid(), number)
                except KeyboardInterrupt as error:
                    interrupt = error
            raise interrupt

module, numbers, *sys.argv[1:] = sys.argv[1:]
sys.meta_path.insert(0, Finder())
sys.exit(main())
"""


class Strike:
    """Signals that come with a call, and what a run begins after the first of them."""

    def __init__(self, numbers: tuple[int, ...], at: int):
        self.calls = self.steps = self.saves = 0
        self._numbers, self._at, self._struck = numbers, at, False

    def call(self) -> None:
        """Count; at the call that it is to be, signal."""
        self.calls += 1
        if self.calls != self._at:
            return
        Path("struck").touch()
        self._struck = True
        first, *second = self._numbers
        again = [partial(os.kill, os.getpid(), number) for number in second]
        try:
            os.kill(os.getpid(), first)
        except KeyboardInterrupt:
            for kill in again:
                kill()
            raise
        for kill in again:
            before("os:fsync", kill)

    def step(self) -> None:
        """Count a step."""
        self.steps += self._struck

    def save(self) -> None:
        """Count a save."""
        self.saves += self._struck


def before(function: str, do: Callable[[], object]) -> None:
    """Do something before each call of a function, `module:name`."""
    module, _, path = function.partition(":")
    *outer, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in outer:
        owner = getattr(owner, each)
    real = getattr(owner, name)

    def both(*arguments: Any, **named: Any) -> Any:
        do()
        return real(*arguments, **named)

    setattr(owner, name, both)


def anywhere(do: Callable[[], object]) -> None:
    """Do something before each call of a Python function, while a verb runs."""
    run = command._run

    def profiled(arguments: list[str]) -> int:
        sys.setprofile(lambda frame, event, _: do() if event == "call" else None)
        try:
            return run(arguments)
        finally:
            sys.setprofile(None)

    command._run = profiled


def interrupted(folder: Path, command: str, function: str, at: int, numbers: tuple[int, ...]) -> Child:
    """Start a command that is struck."""
    strike = Strike(numbers, at)

    def work() -> int:
        before("dlexp.training.loop:LossWatch.check", strike.step)
        before("dlexp.training.session:Session.save", strike.save)
        before(function, strike.call) if function else anywhere(strike.call)
        code = main(COMMANDS[command])
        Path("after").write_text(json.dumps(vars(strike)))
        return code

    return Child(folder, work)


def importing(folder: Path, module: str, numbers: tuple[int, ...]) -> Child:
    """Train in a process of its own, which is struck when it imports a module."""
    arguments = [module, " ".join(str(int(number)) for number in numbers), *COMMANDS["train"]]
    return Child(folder, lambda: os.execv(sys.executable, [sys.executable, "-c", IMPORTING, *arguments]))


def outcome(child: Child, number: int, command: str, whole: Path, folder: Path) -> str:
    """Wait for what was struck, go on, and say what was not as it should be; '' for nothing."""
    try:
        code, said = child.wait(within=120)
    except TimeoutError:
        return "something that it started did not end"
    if not (folder / "struck").exists():
        return "was not struck"
    (folder / "struck").unlink()
    if code != 128 + number or "Traceback" in said:
        return f"ended with {code}: {said[-500:]}"
    if (after := folder / "after").exists():
        done = json.loads(after.read_text())
        after.unlink()
        if done["steps"] > 1 or done["saves"] > 1:
            return f"took {done['steps']} steps more, and saved {done['saves']} times"
    verify = ["data", "verify", *COMMANDS["fetch"][2:]]
    if command == "fetch" and (verified := dlexp(folder, *verify)[0]) not in (0, 2):
        return f"verify ended with {verified}"
    work = partial(go_on, COMMANDS["train"][1:]) if command == "train" else partial(main, COMMANDS[command])
    code, said = Child(folder, work).wait()
    return f"did not go on: {code}: {said[-300:]}" if code else difference(whole, folder) or differs(whole, folder)


def differs(whole: Path, folder: Path) -> str:
    """Say which file of a report or of a dataset is not as it is in `whole`, or is not there, or is more."""
    for below in ("outputs/report", "data"):
        names = [{str(p.relative_to(root)) for p in (root / below).rglob("*")} for root in (whole, folder)]
        if names[0] != names[1]:
            return f"lacks {names[0] - names[1]}, has {names[1] - names[0]}"
        for name in names[0]:
            if name.endswith((".npy", ".md", ".csv")) and (whole / name).read_bytes() != (folder / name).read_bytes():
                return f"{name} is otherwise"
    return ""


def undisturbed(place: Path, command: str, *, count: bool) -> tuple[Path, Path, int]:
    """Do a command; return the folder where it was done, one to begin in, and how many functions it called, or 0."""
    begin, whole = place / f"{command} to be done", place / command
    begin.mkdir()
    if command == "report":
        shutil.copytree(place / "train" / "outputs", begin / "outputs")
    shutil.copytree(begin, whole)
    child = interrupted(whole, command, "" if count else "os:replace", 0, ())
    code, said = child.wait()
    assert code == 0, said
    after = whole / "after"
    calls = json.loads(after.read_text())["calls"]
    after.unlink()
    return whole, begin, calls


def trials(*, short: bool) -> Iterator[Trial]:
    """Every instant, each way; in short some of them, each another way, without sweeps and imports."""
    prepare(COMMANDS["train"][1:], draw=True)
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as place, published_hoda():
        folder = Path(place) / "struck"
        for command in ANYWHERE if short else INSTANTS:
            by_chance = 0 if short else ANYWHERE.get(command, 0)
            whole, begin, calls = undisturbed(Path(place), command, count=by_chance > 0)
            instants = [(function, at) for function, times in INSTANTS[command].items() for at in times]
            instants += [("", chance.randint(1, calls)) for _ in range(by_chance)]
            for number, (function, at) in enumerate(instants):
                if short and number % 9:
                    continue
                for way in [list(WAYS)[number // 9 % 4]] if short else WAYS:
                    shutil.copytree(begin, folder)
                    child = interrupted(folder, command, function, at, WAYS[way])
                    what = f"{command}, call {at} of {function or 'all'}, {way}"
                    yield Trial(what, outcome(child, WAYS[way][0], command, whole, folder))
                    shutil.rmtree(folder)
        for module in () if short else IMPORTS:
            for way, numbers in WAYS.items():
                child = importing(folder, module, numbers)
                wrong = outcome(child, numbers[0], "train", Path(place) / "train", folder)
                yield Trial(f"import of {module}, {way}", wrong)
                shutil.rmtree(folder)
