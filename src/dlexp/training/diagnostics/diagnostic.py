"""The base class of diagnostics: a diagnostic observes a run and returns rows of its own table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlexp.training.checkpoint import Progress
from dlexp.training.setup.epoch import EpochTotals
from dlexp.training.setup.job import Job
from dlexp.training.setup.step import Stepped

if TYPE_CHECKING:
    from torch import Tensor

Row = Mapping[str, object]


@dataclass(frozen=True)
class Moment:
    """The state after a step, for a diagnostic: the job, its progress, and the step's batch."""

    job: Job
    progress: Progress
    totals: EpochTotals
    inputs: Tensor
    targets: Tensor
    stepped: Stepped

    @property
    def place(self) -> dict[str, int]:
        """The step and the epoch of a row, both counted from 1."""
        return {"step": self.progress.step, "epoch": self.progress.epoch + 1}


class Diagnostic:
    """Writes `table`, a CSV file in the run directory. Subclasses define its columns and its rows.

    A diagnostic must not change the run: it draws no random numbers and leaves the model in training mode.
    """

    table: str

    def columns(self, job: Job) -> Sequence[str]:
        """Return the table's columns."""
        raise NotImplementedError

    def before_training(self, job: Job) -> Iterable[Row]:
        """Return the first rows, which are written if the table is new. Register hooks here."""
        return ()

    def after_step(self, moment: Moment) -> Iterable[Row]:
        """Return rows about the step just made; the gradients are still those of this step."""
        return ()

    def after_epoch(self, job: Job, epoch: int) -> Iterable[Row]:
        """Return rows about the epoch just ended, counted from 1."""
        return ()
