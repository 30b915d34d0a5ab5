"""A running job in its run directory: the state that a checkpoint holds, saved and restored as one."""

from __future__ import annotations

import csv
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dlexp.components.optimizers import OPTIMIZERS
from dlexp.config.lazy import torch
from dlexp.config.registry import import_modules
from dlexp.errors import DlexpError, JobError, UserError, full_memory
from dlexp.runs.directory import METRICS, RunDirectory
from dlexp.storage.untrusted import check_head
from dlexp.training import checkpoint
from dlexp.training.checkpoint import Progress
from dlexp.training.diagnostics.diagnostic import Diagnostic, Moment, Row
from dlexp.training.setup.epoch import EpochTotals
from dlexp.training.setup.job import Job
from dlexp.training.setup.step import Stepped
from dlexp.training.sinks import SINKS
from dlexp.training.sinks.csv_files import CsvFiles

if TYPE_CHECKING:
    from torch import Tensor

NUMBERS = {bool, int, float}
_GO_ON = "The last checkpoint is whole: once this is mended, `dlexp resume` goes on from it."


class Session:
    """The state of a run: starts anew, or from the run directory's newest whole checkpoint."""

    def __init__(self, job: Job, run: RunDirectory, hashes: Sequence[str], diagnostics: Sequence[Diagnostic] = ()):
        """Raise UserError if the checkpoints are damaged, or their config has none of `hashes` (the current first)."""
        self.job, self.run, self._hashes, self._diagnostics = job, run, hashes, diagnostics
        self.progress = Progress()
        self.totals = EpochTotals(job)
        self.best_weights: dict[str, torch.Tensor] | None = None
        self._best_on_disk: int | None = None
        columns = _columns(job, diagnostics)
        try:
            state, self.warnings = checkpoint.latest(run, self._check)
            if state is None and (run.path / "config.yaml").exists():
                status = run.status()
                if status["status"] in ("stopped", "finished") or (status["status"] != "failed" and status["epoch"]):
                    raise UserError(f"{run.path} was saved, but its checkpoints are gone: start a new run.")
                self.warnings = [f"{run.path} has no checkpoint yet: it starts from the beginning."]
            saved = self._restore(state) if state is not None else {METRICS: 0}
            lengths = {name: saved.get(name, 0) for name in columns} | {METRICS: saved[METRICS]}
        except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"The checkpoint in {run.path} does not fit this config: {error}") from error
        for name in (name for name, length in lengths.items() if length):
            _refuse_other_columns(run.path / name, columns[name])
        # A table that was not written before begins now; one that is no longer written keeps its length for later.
        self.tables = CsvFiles(run, columns, lengths)
        digests = state.get("digests", {}) if state is not None else {}
        self._paused = {name: (length, digests.get(name)) for name, length in saved.items() if name not in columns}
        imports = import_modules(job.config.imports)
        chosen = (SINKS.bind_choice(choice, imports) for choice in job.config.sinks)
        self.sinks = [self.tables, *(SINKS.build(each, imports, run_path=run.path) for each in chosen)]
        self._next_save = time.monotonic() + (job.config.checkpoint.every_seconds or float("inf"))

    def save_if_due(self) -> None:
        """Save if `checkpoint.every_seconds` have passed; otherwise this costs 50 ns."""
        if time.monotonic() >= self._next_save:
            self.save()

    def save(self) -> None:
        """Write a checkpoint of everything, the best weights beside it, and the status.

        Raises JobError if a part of it is not finite, and keeps the last checkpoint; OSError if it cannot be written.
        """
        job, progress = self.job, self.progress
        if wrong := next(self._not_finite(), None):
            raise JobError(_not_finite(wrong, f"after step {progress.step}", self.run))
        synced = self._paused | self.tables.sync()
        if self.best_weights is not None and self._best_on_disk != progress.best_epoch:
            best = {"model": self.best_weights, "progress": asdict(progress), "experiment": self._hashes[0]}
            checkpoint.save(self.run, best, name="best.pt")
            self._best_on_disk = progress.best_epoch
        state = {
            "model": job.model.state_dict(),
            "optimizer": job.optimizer.state_dict(),
            "scheduler": job.schedule.scheduler.state_dict() if job.schedule.scheduler else None,
            "random": checkpoint.random_state(),
            "progress": asdict(progress),
            **self.totals.state(progress.position),
            "best_weights": self.best_weights,
            "lengths": {name: length for name, (length, _) in synced.items()},
            "digests": {name: digest for name, (_, digest) in synced.items()},
            "experiment": self._hashes[0],
        }
        checkpoint.save(self.run, state, name=checkpoint.name_of(progress.step))
        self.run.write_status("running", **self.whereabouts())
        self._next_save = time.monotonic() + (job.config.checkpoint.every_seconds or float("inf"))

    def write(self, table: str, rows: Iterable[Row]) -> None:
        """Write rows of a table to every sink."""
        for row in rows:
            for sink in self.sinks:
                sink.write(table, row)

    def begin_diagnostics(self) -> None:
        """Prepare the diagnostics, and write the first rows of each new table."""
        for each in self._diagnostics:
            rows = each.before_training(self.job)
            self.write(each.table, rows if self.tables.is_new(each.table) else ())

    def diagnose_step(self, inputs: Tensor, targets: Tensor, stepped: Stepped) -> None:
        """Write the diagnostics' rows about the step just made."""
        moment = Moment(self.job, self.progress, self.totals, inputs, targets, stepped)
        for each in self._diagnostics:
            self.write(each.table, each.after_step(moment))

    def diagnose_epoch(self) -> None:
        """Write the diagnostics' rows about the epoch just ended."""
        for each in self._diagnostics:
            self.write(each.table, each.after_epoch(self.job, self.progress.epoch + 1))

    def check_finite(self, loss: float) -> None:
        """Raise JobError, naming epoch and step, if a step's loss is not finite."""
        if not -float("inf") < loss < float("inf"):
            when = f"in epoch {self.progress.epoch + 1}, step {self.progress.step + 1}"
            raise JobError(_not_finite(f"The loss became {loss}: it", when, self.run))

    def whereabouts(self) -> dict[str, Any]:
        """Return epoch, step and training time, for status.json."""
        progress = self.progress
        return {"epoch": progress.epoch, "step": progress.step, "training_seconds": progress.training_seconds}

    @contextmanager
    def recorded(self) -> Iterator[Self]:
        """Close the tables at the end; after a failure write its message and traceback to status.json.

        Raises JobError if the disk, the GPU's memory or PyTorch's determinism failed; the last checkpoint is whole.
        """
        try:
            yield self
            for sink in self.sinks:
                sink.close()
        except BaseException as error:
            reason = str(error) if isinstance(error, DlexpError) else f"{type(error).__name__}: {error}"
            facts = {**self.whereabouts(), "error": reason, "traceback": traceback.format_exc()}
            self.tables.abandon()
            for sink in self.sinks[1:]:
                sink.close()
            with suppress(OSError):  # a full disk has no room for a status either; `error` is raised anyway
                self.run.write_status("failed", **facts)
            if (explained := _explained(error, self.run)) is not None:
                raise JobError(explained) from error
            raise

    def _not_finite(self) -> Iterator[str]:
        """Name each weight, buffer of the model (a norm's variance) and tensor of the optimizer that is not finite."""
        states = self.job.optimizer.state_dict()["state"].values()
        for what, tensors in (
            ("The model's", self.job.model.state_dict()),
            ("The best epoch's", self.best_weights or {}),
            *((f"The optimizer's (of parameter {i})", state) for i, state in enumerate(states)),
        ):
            for name, tensor in tensors.items():
                if isinstance(tensor, torch.Tensor) and not bool(tensor.isfinite().all()):
                    yield f"{what} {name}"

    def _check(self, path: Path, state: dict[str, Any]) -> None:
        """Raise UserError for a checkpoint of another experiment, or if a table changed after the checkpoint."""
        checkpoint.check_experiment(path, state, self._hashes)
        for name, length in state["lengths"].items():
            check_head(self.run.path / name, length, state.get("digests", {}).get(name))

    def _restore(self, state: dict[str, Any]) -> dict[str, int]:
        job = self.job
        job.model.load_state_dict(state["model"])
        _refuse_other_kinds(job.optimizer.state_dict()["param_groups"], state["optimizer"]["param_groups"])
        if job.config.optimizer.name in OPTIMIZERS.builders:  # the shapes of a user's own optimizer are unknown
            weights = [weight for group in job.optimizer.param_groups for weight in group["params"]]
            for number, moments in state["optimizer"]["state"].items():
                if any(m.dim() and m.shape != weights[number].shape for m in moments.values() if torch.is_tensor(m)):
                    raise ValueError("the optimizer's state has other shapes than the weights")
        job.optimizer.load_state_dict(state["optimizer"])
        if job.schedule.scheduler:
            _refuse_other_kinds(job.schedule.scheduler.state_dict(), state["scheduler"])
            job.schedule.scheduler.load_state_dict(state["scheduler"])
        checkpoint.restore_random_state(state["random"])
        lr = job.optimizer.param_groups[0]["lr"]  # dlexp 0.1.0 did not save it
        self.progress = Progress(**{"lr": lr, **state["progress"]})
        if self.progress.step != self.progress.epoch * job.steps_per_epoch + self.progress.position:
            raise ValueError("its step and its epoch do not fit")
        if (best := state["best_weights"]) is not None:
            if best.keys() != job.model.state_dict().keys():
                raise ValueError("its best weights have other names")
            _refuse_other_kinds(dict(job.model.state_dict()), best)
        self.totals.restore(self.progress.position, state)
        self.best_weights = state["best_weights"]
        return dict(state["lengths"])


def _refuse_other_kinds(expected: Any, found: Any) -> None:
    """Raise ValueError if a state has other types or shapes than expected: `load_state_dict` accepts anything.

    Keys may differ, because other versions of PyTorch may have other keys.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in expected.keys() & found.keys():
            _refuse_other_kinds(expected[key], found[key])
    elif isinstance(expected, list | tuple) and isinstance(found, list | tuple):
        for pair in zip(expected, found, strict=False):
            _refuse_other_kinds(*pair)
    elif torch.is_tensor(expected) and (not torch.is_tensor(found) or expected.shape != found.shape):
        raise ValueError("a part of it has another shape")
    elif {type(expected), type(found)} & NUMBERS and not {type(expected), type(found)} <= {*NUMBERS, type(None)}:
        raise ValueError("a part of it has another type")


def _refuse_other_columns(path: Path, columns: Sequence[str]) -> None:
    """Raise UserError if an existing table has other columns than the config asks for."""
    with path.open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file), [])
    if header != list(columns):
        raise UserError(
            f"{path} has the columns {', '.join(header)}: a resumed run keeps these, not {', '.join(columns)}."
        )


def _columns(job: Job, diagnostics: Sequence[Diagnostic]) -> dict[str, Sequence[str]]:
    """Return the columns of metrics.csv, and of each diagnostic's table."""
    metrics = [f"{split}/{name}" for split in job.batches.splits for name in ("loss", *job.metrics)]
    penalty = ["train/penalty"] * (job.penalty is not None)
    everything = ["epoch", "step", *metrics, *penalty, "lr", "seconds", "samples_per_second"]
    return {METRICS: everything, **{each.table: each.columns(job) for each in diagnostics}}


def _explained(error: BaseException, run: RunDirectory) -> str | None:
    """Return a message for the user if the failure has a known cause outside dlexp, otherwise None."""
    if isinstance(error, OSError):
        return f"{run.path} could not be written: {error.strerror}. {_GO_ON}"
    if full := full_memory(error):
        return f"{full} {_GO_ON}"
    if isinstance(error, RuntimeError) and "deterministic implementation" in str(error):
        return f"deterministic=true, but {str(error).split('.')[0]}. Set deterministic=false, or replace that layer."
    return None


def _not_finite(what: str, when: str, run: RunDirectory) -> str:
    saved = f" The checkpoints in {run.path} are from before." if run.checkpoints() else ""
    return f"{what} is not a finite number, {when}.{saved} A smaller optimizer.lr, or normalized inputs, may help."
