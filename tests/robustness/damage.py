"""Every file of a run damaged: none is used silently. In the state's files every byte, the others in several ways.

A damaged checkpoint gives way to the one before it, with a warning; with none left nothing is begun anew.
"""

import functools
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

from robustness import damaged
from robustness.forks import Trial, prepare
from small_runs import train

from dlexp.config.config import load_config
from dlexp.errors import UserError
from dlexp.report import collect
from dlexp.runs.directory import CONFUSION, EVALUATIONS, GRADIENTS, METRICS, STEPS, RunDirectory
from dlexp.runs.provenance import config_hashes
from dlexp.training import checkpoint, diagnostics
from dlexp.training.build import build, check
from dlexp.training.resume import check_provenance, resumed_config
from dlexp.training.session import Session

SMALL = ["model.hidden_sizes=[]", "dataset.validation_fraction=0.2", "batch_size=full", "checkpoint.every_epochs=1"]
TABLES = ["log_every_n_steps=1", "log_gradients=true", "log_units=true", "evaluate_every_n_steps=1"]
SHOWN = (METRICS, STEPS, EVALUATIONS, GRADIENTS, CONFUSION)
NOTES = ("environment.json", "result.json", "status.json")


def damages(content: bytes, every: int) -> Iterator[tuple[str, bytes]]:
    """A bit of each byte flipped, each truncation, blocks of zeros, and more than there was."""
    for i in range(0, len(content), every):
        yield (
            f"bit {i * 5 % 8} of byte {i} flipped",
            content[:i] + bytes([content[i] ^ 1 << i * 5 % 8]) + content[i + 1 :],
        )
    for length in range(0, len(content), every):
        yield f"cut to {length} bytes", content[:length]
    for size in (512, 4096):
        for start in range(0, len(content), size * (1 if every == 1 else 8)):
            zeroed = content[:start] + bytes(len(content[start : start + size])) + content[start + size :]
            yield f"{size} bytes of zeros from byte {start}", zeroed
    yield "a byte more", content + b"x"
    yield "twice", content * 2


def each(path: Path, every: int, wrong: Callable[[], str]) -> Iterator[Trial]:
    """Damage a file in every way, and say what is wrong then."""
    content = path.read_bytes()
    for what, damage in damages(content, every):
        path.write_bytes(damage)
        try:
            found = wrong() if damage != content else ""
        except Exception as error:  # noqa: BLE001 - a traceback is what a trial looks for
            found = f"{type(error).__name__}: {error}"
        yield Trial(f"{path.name}: {what}", found)
    path.write_bytes(content)


def of_checkpoints(run: RunDirectory, every: int) -> Iterator[Trial]:
    """The newest checkpoint is damaged: the one before it has to be taken."""
    newest, before = run.checkpoints()
    step = checkpoint.load(before)["progress"]["step"]

    def wrong() -> str:
        state, said = checkpoint.latest(run)
        assert state is not None
        if state["progress"]["step"] != step:
            return "used"
        return "" if len(said) == 1 and str(newest) in said[0] else f"said {said}"

    yield from each(newest, every, wrong)


def of_tables(run: RunDirectory, every: int) -> Iterator[Trial]:
    """A table is damaged: of the checkpoints only one may be taken whose rows are as they were."""
    job, hashes = build(check(load_config([], file=run.path / "config.yaml"))), config_hashes(run.read_config())
    watching = diagnostics.build(job.config)  # whose tables are damaged too
    newest = checkpoint.load(run.checkpoints()[0])
    last, whole = newest["progress"]["step"], {name: (run.path / name).read_bytes() for name in newest["lengths"]}

    def wrong(name: str) -> str:
        try:
            session = Session(job, run, hashes, watching)
        except UserError as error:
            return "" if name in str(error) else str(error)
        session.tables.close()
        left = (run.path / name).read_bytes()
        for other, content in whole.items():
            (run.path / other).write_bytes(content)
        told = session.progress.step == last or any(name in warning for warning in session.warnings)
        fits = whole[name].startswith(left)
        return "" if fits and told else f"went on after {len(left)} bytes, said {session.warnings}"

    for name in whole:
        yield from each(run.path / name, every, functools.partial(wrong, name))


def of_what_is_shown(run: RunDirectory, every: int) -> Iterator[Trial]:
    """A table is damaged: a report says so, and shows nothing of it."""
    assert collect.read(run)["status"] == "stopped"

    def wrong(name: str) -> str:
        facts = collect.read(run)
        return "" if f"{name} was edited, or is damaged" in facts["error"] and not facts["curves"] else f"shows {facts}"

    for name in SHOWN:
        yield from each(run.path / name, every, functools.partial(wrong, name))


def of_config(run: RunDirectory, every: int) -> Iterator[Trial]:
    """The config is damaged: it is said, or nothing of what it says has changed."""
    path, whole = run.path / "config.yaml", resumed_config(run, [])

    def wrong() -> str:
        try:
            found = resumed_config(run, [])
            if found != whole:
                check_provenance(build(found), run)
        except UserError:
            return ""
        return "" if found == whole else f"gave {found}"

    yield from each(path, every, wrong)


def of_notes(run: RunDirectory, every: int) -> Iterator[Trial]:
    """A JSON file is damaged: it is said, or every value is as it was."""

    def wrong(name: str, whole: dict[str, Any]) -> str:
        try:
            found = run.read_json(name)
        except UserError:
            return ""
        return str([(k, v, found.get(k)) for k, v in whole.items() if found.get(k) != v] or "")

    for name in NOTES:
        yield from each(run.path / name, every, functools.partial(wrong, name, run.read_json(name)))


def trials(*, short: bool, part: str = "bytes") -> Iterator[Trial]:
    """Every byte of what a run goes on from, and every file of a run in each verb."""
    prepare()
    if short or part != "bytes":
        yield from damaged.trials(short=short, part=part)
    if not short and part != "bytes":
        return
    with tempfile.TemporaryDirectory() as place, chdir(place), warnings.catch_warnings():
        run = train(*SMALL, *TABLES, "epochs=3", "stop_at=2")
        for ways, every in (
            (of_checkpoints, 500),
            (of_tables, 50),
            (of_what_is_shown, 50),
            (of_config, 100),
            (of_notes, 100),
        ):
            yield from ways(run, every if short else 1)
