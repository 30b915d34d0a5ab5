"""The run directory: the only owner of its paths and file formats. `docs/run_directory.md` describes each file."""

import csv
import datetime
import io
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from dlexp.errors import JobError, UserError
from dlexp.runs.formatting import flat, now, strict
from dlexp.storage import sealed
from dlexp.storage.atomic import clear_partial, sync_folder, write_atomically
from dlexp.storage.locks import held, is_held
from dlexp.storage.tables import Table
from dlexp.storage.untrusted import file_sha256, is_regular, read_bytes, refuse_link, seal

METRICS, STEPS, EVALUATIONS = "metrics.csv", "steps.csv", "evaluations.csv"
GRADIENTS, UNITS, TRACE = "gradients.csv", "units.csv", "trace.csv"
BOUNDARY, POINTS = "boundary.csv", "points.csv"
CONFUSION, PREDICTIONS, CALIBRATION = "confusion_matrix.csv", "predictions.csv", "calibration.csv"
DEMONSTRATION, FIGURE, FIGURE_IMAGES = "demonstration.csv", "figure.csv", "figure_images.png"
PREPROCESSING = "preprocessing.json"
WRONG, WRONG_IMAGES = "wrong.csv", "wrong_images.png"
FIRST = ("environment.json", PREPROCESSING, "config.yaml")  # are written before a directory counts as a run
LARGEST = 1e300  # figures must be smaller, so that computing with them does not overflow; this excludes NaN
LINKED_LEVELS = 3  # folders below a link that are searched for runs: it may lead to / or to itself
COSTS = ("training_seconds", "parameters", "epochs")  # keys of result.json besides its metrics


class RunDirectory:
    """One run's directory, new (`create`) or existing (`open`)."""

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def create(cls, output_dir: Path, name: str) -> "RunDirectory":
        """Make a fresh `<output_dir>/<name>/<time>`; simultaneous starts get numbered directories.

        Raises JobError if it cannot be written.
        """
        moment = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        parent = output_dir / name
        missing = [folder for folder in (parent, *parent.parents) if not folder.exists()]
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _clear_false_starts(parent)
            for number in range(1, 10_000):
                path = parent / (moment if number == 1 else f"{moment}_{number}")
                try:
                    path.mkdir()
                except FileExistsError:
                    continue
                (path / "checkpoints").mkdir()
                for folder in (*missing, path):
                    sync_folder(folder.parent)
                return cls(path)
        except OSError as error:
            raise JobError(f"No run directory can be made in {parent}: {error.strerror}.") from error
        raise JobError(f"{parent} holds 10,000 runs of {moment} already.")

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """Return the run at `path`. Raises UserError if there is none."""
        if not is_regular(path / "config.yaml"):
            raise UserError(f"{path} is not a run: it has no config.yaml. `dlexp list runs` shows all runs.")
        return cls(path)

    @contextmanager
    def locked(self) -> Iterator[Self]:
        """Hold the run; the lock ends with the process. Raises UserError if another process holds it."""
        with held(self.path / "lock", str(self.path)):
            refuse_link(self.path / "checkpoints", "its target is outside the run.")
            try:
                (self.path / "checkpoints").mkdir(exist_ok=True)
            except FileExistsError:
                raise UserError(f"{self.path / 'checkpoints'} is a file, but must be a folder.") from None
            clear_partial(self.path.rglob("*.part"))
            yield self

    def is_locked(self) -> bool:
        """Return whether a process is working on the run now."""
        return is_held(self.path / "lock")

    def write_config(self, mapping: Mapping[str, Any]) -> None:
        """Write config.yaml, sealed with the SHA-256 of its keys."""
        comment = "The resolved config; `dlexp train --config <this file>` repeats the run."
        sealed.write_yaml(self.path / "config.yaml", mapping, comment)

    def read_config(self) -> dict[str, Any]:
        """Return config.yaml as plain values; raise UserError if it was edited or is damaged."""
        return sealed.read_yaml(self.path / "config.yaml")

    def keys(self) -> dict[str, Any]:
        """Return the config as flat keys (see `flat`), and each component's name under its group too."""
        keys = flat(self.read_config())
        return keys | {key.removesuffix(".name"): name for key, name in keys.items() if key.endswith(".name")}

    def figures(self) -> dict[str, Any]:
        """Return result.json's final metrics as `split/name`, and the costs of training; only those that are numbers.

        Raises UserError if there is no result.json.
        """
        result = self.read_json("result.json")
        final = result.get("final", {})
        if not isinstance(final, dict) or not all(isinstance(each, dict) for each in final.values()):
            raise UserError(f"{self.path / 'result.json'} is damaged: `final` has no splits.")
        figures = {f"{split}/{name}": value for split, each in final.items() for name, value in each.items()}
        figures |= {key: result.get(key) for key in COSTS}
        return {k: v for k, v in figures.items() if isinstance(v, int | float) and -LARGEST < v < LARGEST}

    @property
    def demonstration(self) -> str | None:
        """The name of a demonstration's table; None for a trained run. Version 0.1.0 wrote identity.csv."""
        return next((name for name in (DEMONSTRATION, "identity.csv") if (self.path / name).exists()), None)

    def write_json(self, name: str, content: Mapping[str, Any], *, durable: bool = True) -> None:
        """Write strict JSON, sealed with the SHA-256 of its content: a number that is not finite becomes null."""
        sealed.write_json(self.path / name, strict(content), durable=durable)

    def read_json(self, name: str) -> dict[str, Any]:
        """Return a JSON file's object; raise UserError if it is missing or damaged."""
        return sealed.read_json(self.path / name)

    def write_status(self, status: str, **facts: Any) -> None:
        """Write status.json: running, stopped, finished or failed, with facts such as the epoch.

        If the run has ended, add the SHA-256 of its tables (see `read_bytes`).
        """
        if over := status != "running":
            facts["tables"] = self._digests()
        self.write_json("status.json", {"status": status, "time": now(), **facts}, durable=over)

    def status(self) -> dict[str, Any]:
        """Return status.json; change 'running' to 'interrupted' if no process holds the run."""
        status = self._facts()
        if not isinstance(status.get("status"), str) or not isinstance(status.get("epoch"), int):
            status = {**status, "status": "running", "epoch": 0}
        if status["status"] == "running" and not self.is_locked():
            status["status"] = "interrupted"
        return status

    def instant(self) -> float:
        """Return when the run wrote its status, in seconds since 1970; if it never did, when it wrote its config."""
        try:
            return datetime.datetime.fromisoformat(self._facts()["time"]).timestamp()
        except (KeyError, TypeError, ValueError):
            return (self.path / "config.yaml").stat().st_mtime

    def _facts(self) -> dict[str, Any]:
        try:
            return self.read_json("status.json")
        except UserError:  # the run was killed before it wrote one, or it is damaged; resume uses the checkpoints
            return {}

    def has_result(self) -> bool:
        """Return whether result.json exists and is whole."""
        try:
            return bool(self.read_json("result.json"))
        except UserError:
            return False

    def table(self, name: str, columns: Sequence[str], length: int = 0) -> Table:
        """Open a table that grows, such as metrics.csv (see `Table`)."""
        return Table(self.path / name, columns, length)

    def write_table(self, name: str, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
        """Write a whole CSV file at once."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([columns, *rows])
        write_atomically(self.path / name, text.getvalue().encode())

    def read_table(self, name: str) -> list[dict[str, float]]:
        """Return the rows of a CSV file of numbers."""
        return [{key: float(value) for key, value in row.items()} for row in self.read_rows(name)]

    def read_rows(self, name: str) -> list[dict[str, str]]:
        """Return the rows of a CSV file as text."""
        return list(csv.DictReader(self._lines(name)))

    def read_cells(self, name: str) -> tuple[list[str], list[list[str]]]:
        """Return the header and the rows of a CSV file whose columns have no fixed names."""
        header, *rows = csv.reader(self._lines(name))
        return header, rows

    def read_bytes(self, name: str) -> bytes:
        """Return a table's content; raise UserError if it changed after the run ended."""
        digest, content = self._digest_of(name), read_bytes(self.path / name)
        if digest not in (None, seal(content)) and digest == self._digest_of(name):  # not resumed meanwhile
            raise UserError(f"{self.path / name} was edited, or is damaged: it is not as it was when the run ended.")
        return content

    def _digest_of(self, name: str) -> str | None:
        tables = self._facts().get("tables")
        return tables.get(name) if isinstance(tables, dict) else None

    def _digests(self) -> dict[str, str]:
        """Return the SHA-256 of each table and of the images that pictures are drawn from, without links."""
        files = sorted([*self.path.glob("*.csv"), *(self.path / name for name in (WRONG_IMAGES, FIGURE_IMAGES))])
        return {path.name: file_sha256(path) for path in files if is_regular(path)}

    def _lines(self, name: str) -> io.StringIO:
        try:
            return io.StringIO(self.read_bytes(name).decode(), newline="")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.path / name} is damaged: {error}.") from None

    def checkpoints(self) -> list[Path]:
        """Return the run's `step_` checkpoints, newest first."""
        return sorted((self.path / "checkpoints").glob("step_*.pt"), reverse=True)

    def keep_checkpoints(self, number: int) -> None:
        """Delete all but the newest `number` `step_` checkpoints."""
        for path in self.checkpoints()[number:]:
            path.unlink()


def _clear_false_starts(parent: Path) -> None:
    """Delete the partial files of processes that were killed before their directory was a run."""
    for path in {path.parent for name in FIRST for path in parent.glob(f"*/{name}*.part")}:
        if not path.is_symlink() and not (path / "config.yaml").exists() and not is_held(path / "lock"):
            clear_partial(path.glob("*.part"))


def find_runs(*roots: Path) -> list[RunDirectory]:
    """Return every run directory below the roots, oldest first; names tell local times, so instants decide.

    It follows links to runs and studies, and returns a run once, by a path without links if there is one.
    """
    found: dict[str, Path] = {}  # by real path
    # Folders, and how deep to search if they lie below a link.
    waiting: deque[tuple[str, int | None]] = deque((str(root), None) for root in roots)
    while waiting:
        folder, levels = waiting.popleft()
        try:
            entries = list(os.scandir(folder))
        except OSError:  # it is no folder, or may not be read
            continue
        is_run = any(entry.name == "config.yaml" for entry in entries) and Path(folder, "checkpoints").exists()
        if is_run:
            found.setdefault(os.path.realpath(folder), Path(folder))
        for entry in entries if levels != 0 else ():
            deeper = None if levels is None else levels - 1
            if entry.is_dir(follow_symlinks=False):
                waiting.appendleft((entry.path, deeper))
            elif entry.is_symlink() and not is_run:
                waiting.append((entry.path, LINKED_LEVELS if deeper is None else deeper))
    runs = map(RunDirectory, found.values())
    return sorted(runs, key=lambda run: (run.instant(), len(run.path.name), run.path.name, str(run.path)))
