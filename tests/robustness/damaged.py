"""Damaged files of a run, in every verb that reads them: one message, or the file before it, or a row that says so."""

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from robustness.faults import difference
from robustness.forks import Trial, dlexp
from small_runs import TABULAR

from dlexp.runs.directory import RunDirectory, find_runs
from dlexp.storage.sealed import seal_archive
from dlexp.training import checkpoint

JOB = [*TABULAR, "epochs=4", "checkpoint.every_epochs=1", "log_every_n_steps=3", "log_gradients=true"]
RUNS = {
    "whole": [],
    "stopped": ["stop_at=3"],
    "other": ["seed=1", "stop_at=3"],
    "wider": ["model.hidden_sizes=[9]", "stop_at=3"],
    "beside": ["model.hidden_sizes=[9]"],
}
FILES = (
    *(
        "config.yaml",
        "environment.json",
        "preprocessing.json",
        "status.json",
        "result.json",
        "metrics.csv",
        "steps.csv",
        "gradients.csv",
    ),
    *("predictions.csv", "confusion_matrix.csv", "calibration.csv", "lock", "checkpoints/best.pt", "checkpoints"),
)
VERBS = ("resume", "evaluate", "evaluate --best", "report", "compare", "list runs", "diff", "list runs status=stopped")

Damage = Callable[[Path, Path], object]  # of a file, with another run's


def sealed(archive: bytes) -> bytes:
    """An archive with the SHA-256 that belongs to it."""
    return seal_archive(archive[:-2] + b"\0\0")


def changed(**keys: object) -> Damage:
    """Other values for some keys of a checkpoint's state, None for none."""

    def damage(path: Path, other: Path) -> None:
        buffer, state = io.BytesIO(), checkpoint.load(path)
        torch.save({key: value for key, value in {**state, **keys}.items() if value is not None}, buffer)
        path.write_bytes(sealed(buffer.getvalue()))

    return damage


def compressed(path: Path, other: Path) -> None:
    """A gigabyte of zeros in a megabyte."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("archive/data.pkl", "w") as file:
        for _ in range(1024):
            file.write(bytes(2**20))
    path.write_bytes(sealed(buffer.getvalue()))


def flip(path: Path, other: Path) -> None:
    """A bit in the first digit after a third of the file, so that what is read is still of its format."""
    content = path.read_bytes() or b"0"  # a lock that nobody holds is empty
    at = next((i for i in range(len(content) // 3, len(content)) if chr(content[i]).isdigit()), 0)
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])


def older(path: Path, other: Path) -> None:
    """An older checkpoint under a newer name."""
    oldest = min(path.parent.glob("step_*"))
    if oldest == path:
        path.rename(path.with_name("step_000000099.pt"))
    else:
        shutil.copy(oldest, path)


def folder_instead(path: Path, other: Path) -> None:
    """A directory of the file's name."""
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Damage] = {
    "a bit flipped": flip,
    "half": lambda path, other: os.truncate(path, path.stat().st_size // 2),
    "zeros": lambda path, other: path.write_bytes(bytes(512) + path.read_bytes()[512:]),
    "empty": lambda path, other: path.write_bytes(b""),
    "noise": lambda path, other: path.write_bytes(bytes(range(255, 100, -1)) * 10),
    "another run's": lambda path, other: shutil.copy(other, path),
    "a directory": folder_instead,
    "missing": lambda path, other: path.unlink(),
}
OF_CHECKPOINTS: dict[str, Damage] = {
    **{name: way for name, way in DAMAGES.items() if name != "missing"},
    "a byte more": lambda path, other: path.write_bytes(path.read_bytes() + b"\0"),
    "a wider net's": lambda path, other: shutil.copy(str(other).replace("/other/", "/wider/"), path),
    "an older one by its name": older,
    "the best": lambda path, other: shutil.copy(path.parent / "best.pt", path),
    "a later format": changed(format=2),
    "no format": changed(format=None),
    "no model": changed(model=None),
    "no progress": changed(progress=None),
    "a hole of 8 GB": lambda path, other: os.truncate(path, 2**33),
    "a gigabyte of zeros, compressed": compressed,
    "no archive": lambda path, other: path.write_bytes(sealed(b"nothing at all, but sealed" * 10)),
}


def trained(folder: Path) -> None:
    """Train the runs that are damaged, each in a folder of its own."""
    for name, more in RUNS.items():
        code, said = dlexp(folder / name, "train", *JOB, *more)
        assert code == 0, said
        (run,) = find_runs(folder / name)
        run.path.rename(run.path.with_name("run"))


def copied(base: Path, place: Path, name: str = "stopped") -> RunDirectory:
    """A copy of a run, in outputs/ as it was."""
    shutil.copytree(base / name, place)
    return find_runs(place)[0]


def contents(run: RunDirectory) -> dict[Path, object]:
    """Every file of a run but its lock; of large ones the size and when they were written."""
    files = {path: path.stat() for path in run.path.rglob("*") if path.is_file() and path.name != "lock"}
    return {p: p.read_bytes() if s.st_size < 2**20 else (s.st_size, s.st_mtime_ns) for p, s in files.items()}


def refused(code: int, said: str) -> str:
    """Say what is wrong with a refusal; '' where it is one message."""
    messages = [line for line in said.splitlines() if line.startswith("dlexp: ")]
    one = len(messages) == 1 and said.splitlines()[-1] == messages[0]
    return "" if code in (1, 2) and one and "Traceback" not in said else f"{code}: {said[-400:]}"


def of_checkpoints(base: Path, damage: Damage, *, all_of_them: bool, verb: str) -> str:
    """Damage the newest checkpoint or all, and say what is wrong about what a verb makes of it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "damaged"
        run = copied(base, folder)
        theirs = find_runs(base / "other")[0].checkpoints()
        for ours, other in list(zip(run.checkpoints(), theirs, strict=True))[: None if all_of_them else 1]:
            damage(ours, other)
        before, path = contents(run), run.path.relative_to(folder)
        code, said = dlexp(folder, verb, path)
        if all_of_them:
            return refused(code, said) or ("" if code == 2 and contents(run) == before else f"{code}, or changed")
        if ours.is_dir() and verb == "resume":  # its name is that of a checkpoint to come
            return refused(code, said)
        if code or "Traceback" in said or f"{path}/checkpoints/step" not in said or "Warning: " not in said:
            return f"{code}: {said[-400:]}"
        return difference(base / "whole", folder) if verb == "resume" else ""


def of_sweep(base: Path) -> str:
    """Damage every checkpoint, and let its sweep go on: the job fails, and nothing is begun anew."""
    with tempfile.TemporaryDirectory() as place:
        run = copied(base, Path(place) / "damaged")
        for path in run.checkpoints():
            flip(path, path)
        before = contents(run)
        code, said = dlexp(Path(place) / "damaged", "train", "-m", *JOB, "jobs=1")
        alone = len(find_runs(Path(place))) == 1 and contents(run) == before
        told = "No checkpoint can be used" in said and "Traceback" not in said and "1 to go on" in said
        return "" if code == 2 and told and alone else f"{code}: {said[-400:]}"


def arguments(verb: str, run: Path, other: Path) -> list[str]:
    """Return the command line of a verb about a run, beside another."""
    more = {
        "report": ["outputs", "--to", "page"],
        "compare": ["outputs", "--by", "model.hidden_sizes"],
        "diff": [run, other],
    }
    name = verb.split()[0]
    return [*verb.split(), *map(str, more.get(name, [] if name == "list" else [run]))]


def of_files(base: Path, name: str, what: str, verb: str, undamaged: dict[str, str]) -> str:
    """Damage a file of a run, and say what is wrong about what a verb makes of it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "damaged"
        run = copied(base, folder, "whole" if verb == "compare" else "stopped")
        beside = Path(shutil.copytree(find_runs(base / "beside")[0].path, run.path.parent / "beside"))
        path = run.path / name
        if path.is_dir():
            shutil.move(path, folder / "moved")
            path.write_text("a file where a folder was")
        elif what:
            DAMAGES[what](path, find_runs(base / "other")[0].path / name)
        code, said = dlexp(folder, *arguments(verb, run.path.relative_to(folder), beside.relative_to(folder)))
        if code:
            return refused(code, said)
        if "Traceback" in said:
            return said[-400:]
        if verb == "resume":
            shutil.rmtree(beside)
            return difference(base / "whole", folder)
        if name == "config.yaml" and not path.exists():  # no run is left
            return ""
        if what in ("another run's", "missing") and verb not in ("resume", "evaluate"):
            return ""  # whole, and nobody could tell; or a blank
        shown = (folder / "page" / "summary.csv").read_text() if verb == "report" else said
        if shown == undamaged.setdefault(verb, shown) or (verb.startswith("list") and "iris_mlp/run" not in shown):
            return ""
        told = ("damaged", "interrupted", "left out", "Warning", "edited", "not whole", "–", "Not as when")
        return "" if any(word in shown for word in told) else f"showed {shown[-400:]}"


def trials(*, short: bool, part: str) -> Iterator[Trial]:
    """Checkpoints and other files, each damaged in each way, in each verb; in short some of them."""
    with tempfile.TemporaryDirectory() as place:
        base = Path(place)
        trained(base)
        if short or part == "checkpoints":
            every = [
                (n, w, a, v) for n, w in OF_CHECKPOINTS.items() for a in (False, True) for v in ("resume", "evaluate")
            ]
            for name, way, all_of_them, verb in every[:: 9 if short else 1]:
                what = f"{'every' if all_of_them else 'the newest'} checkpoint: {name}: {verb}"
                yield Trial(what, of_checkpoints(base, way, all_of_them=all_of_them, verb=verb))
        if part == "checkpoints":
            yield Trial("every checkpoint: a bit flipped: train -m", of_sweep(base))
        if short or part == "files":
            undamaged: dict[str, str] = {}
            for verb in VERBS:
                of_files(base, "lock", "", verb, undamaged)
            rest = [(file, what, verb) for file in FILES for what in DAMAGES for verb in VERBS]
            for file, what, verb in rest[:: 97 if short else 1]:
                yield Trial(f"{file}: {what}: {verb}", of_files(base, file, what, verb, undamaged))
