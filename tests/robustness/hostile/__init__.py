"""Hostile input: no code of it runs, nothing outside is written, no secret is stored, no HTML of it lives.

Each input is a folder with an outputs directory and commands typed in it. What a payload would do is to make or change
a file in the folder beside it, where nothing may change at all.
"""

import importlib
import os
import resource
import shutil
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from robustness.forks import Child, Trial, dlexp, prepare

from dlexp.cli.main import main
from dlexp.report import paper
from dlexp.runs.directory import RunDirectory

KINDS = ("checkpoints", "code", "configs", "names", "secrets", "files", "links", "downloads", "labels")
RUN = "outputs/iris_mlp/it"  # of two epochs of four, in the working directory
PWNED = "../outside/pwned"  # what a payload touches
SECRET = "hunter2-and-5-more"
SECONDS, BYTES = 30, 3 * 2**30  # that any input may take at most, beside what the process has already
READ = (  # by commands that only read runs
    ["list", "runs"],
    ["report"],
    ["compare", "outputs", "--by", "seed"],
    ["diff", RUN, "outputs/iris_mlp/other"],
)


@dataclass(frozen=True)
class Attack:
    """What is laid out in the working directory, what is typed there, and with what codes that may end."""

    what: str
    commands: tuple[list[str], ...]
    lay_out: Callable[[Path], object] = lambda work: None
    codes: tuple[int, ...] = (2,)
    look: Callable[[Path], str] = lambda work: ""  # says what else is wrong afterwards
    before: Callable[[], object] = lambda: None  # in the process of a command
    folder: str = "."  # where the commands are typed


def typed(attack: Attack, command: list[str], folder: Path) -> tuple[int, str]:
    """Run one command; return its exit code and what it printed."""

    def work() -> int:
        os.environ["SECRET_TOKEN"] = SECRET
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, resource.RLIM_INFINITY))
        signal.alarm(SECONDS)
        attack.before()
        return main(command)

    return Child(folder, work).wait()


def snapshot(place: Path) -> dict[str, object]:
    """Return everything outside the outputs and the data."""
    found: dict[str, object] = {}
    for root, folders, files in os.walk(place):
        if Path(root) == place / "work":
            folders[:] = [name for name in folders if name not in ("outputs", "data")]
        for name in (*folders, *files):
            path = Path(root, name)
            mode = path.lstat().st_mode
            content = path.read_bytes() if stat.S_ISREG(mode) else path.readlink() if stat.S_ISLNK(mode) else b""
            found[str(path.relative_to(place))] = (stat.S_IFMT(mode), content)
    return found


def holds_secret(place: Path) -> list[str]:
    """Return the files that hold the secret."""
    files = [path for path in place.rglob("*") if stat.S_ISREG(path.lstat().st_mode)]
    return [str(path) for path in files if path.stat().st_size < 2**26 and SECRET.encode() in path.read_bytes()]


def outcome(attack: Attack, template: Path) -> str:
    """Lay an attack out and type its commands; return what was not as it should be, or ''."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        work, outside = place / "work", place / "outside"
        shutil.copytree(template, work)
        (outside / "folder").mkdir(parents=True)
        for file in ("precious", "precious.part", "folder/step_000000001.pt", "folder/status.json.part"):
            (outside / file).write_text("precious")
        attack.lay_out(work)
        before = snapshot(place)
        for command in attack.commands:
            code, said = typed(attack, command, work / attack.folder)
            ended = f"{' '.join(command)!r} ended with {code}: {said[-400:]!r}"
            if (after := snapshot(place)) != before:
                changed = [path for path in {**before, **after} if before.get(path) != after.get(path)]
                return f"{changed} changed, and {ended}"
            if found := holds_secret(place):
                return f"{found} hold the secret, and {ended}"
            messages = sum(line.startswith("dlexp: ") or "  failed  " in line for line in said.splitlines())
            if code not in attack.codes or "Traceback" in said or messages != (code != 0):
                return ended
        return attack.look(work)


def trials(*, short: bool, part: str = "") -> Iterator[Trial]:
    """Every input, or those of one kind; in short every so manieth."""
    prepare()
    paper.figures = lambda study: {}  # which take longer to draw than everything else; test_report draws them
    everything: list[Attack] = []
    for kind in (part,) if part else KINDS:
        everything += importlib.import_module(f"{__name__}.{kind}").attacks()
    assert len({attack.what for attack in everything}) == len(everything)
    with tempfile.TemporaryDirectory() as place:
        template = Path(place) / "work"
        overrides = ["epochs=4", "stop_at=2", "dataset.validation_fraction=0.2", "checkpoint.every_epochs=1"]
        for name, more in (("it", ["log_gradients=true"]), ("other", ["seed=1"])):
            code, said = dlexp(template, "train", *overrides, *more)
            assert code == 0, said
            (made,) = template.glob("outputs/iris_mlp/20*")
            made.rename(made.with_name(name))
        for attack in everything[:: len(everything) // 12] if short else everything:
            yield Trial(attack.what, outcome(attack, template))


def write(path: str, content: str | bytes) -> Callable[[Path], object]:
    """Return what writes a file in the working directory."""

    def lay_out(work: Path) -> None:
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).unlink(missing_ok=True)
        (work / path).write_bytes(content if isinstance(content, bytes) else content.encode())

    return lay_out


def table(name: str, content: str | bytes) -> Callable[[Path], object]:
    """Return what writes a table of the run, and takes its SHA-256 out of what vouches for it."""

    def lay_out(work: Path) -> None:
        write(f"{RUN}/{name}", content)(work)
        run = RunDirectory(work / RUN)
        run.write_json("status.json", {**run.read_json("status.json"), "tables": {}})

    return lay_out


def both(*steps: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return what does all the steps."""
    return lambda work: [step(work) for step in steps]


def edited(file: str, old: str, new: str) -> Callable[[Path], object]:
    """Return what replaces text in a file of the run."""

    def lay_out(work: Path) -> None:
        path = work / RUN / file
        text = "".join(line for line in path.read_text().splitlines(keepends=True) if "SHA-256" not in line)
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return lay_out


def configured(**changes: Any) -> Callable[[Path], object]:
    """Return what sets keys of the run's config."""

    def lay_out(work: Path) -> None:
        path = work / RUN / "config.yaml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}, sort_keys=False))

    return lay_out
