"""The totals of an epoch's steps: kept on the device, read once at the epoch's end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlexp.config.lazy import torch
from dlexp.training.setup.job import Job
from dlexp.training.setup.step import Stepped

if TYPE_CHECKING:
    from torch import Tensor


class EpochTotals:
    """Loss, sums of metrics and penalty of each step, for the train split's row in metrics.csv.

    Metrics that do not add up over batches (F1, AUC) need the outputs and targets of the whole epoch: these are kept,
    on the device, only if the config asks for such a metric.
    """

    def __init__(self, job: Job):
        steps = job.steps_per_epoch
        self._job = job
        self._adding = {name: metric for name, metric in job.metrics.items() if metric.adds_up}
        self._whole = {name: metric for name, metric in job.metrics.items() if not metric.adds_up}
        # A row for the loss, one for each metric that adds up, one for the penalty.
        self._totals = torch.zeros(2 + len(self._adding), steps, dtype=job.dtype, device=job.device)
        self._sizes = torch.full((steps,), job.batch_size, dtype=torch.float64, device=job.device)
        self._sizes[-1] = job.batches.size("train") - job.batch_size * (steps - 1)
        self._kept: list[tuple[Tensor, Tensor]] = []

    def add(self, position: int, stepped: Stepped, targets: Tensor) -> None:
        """Add the step at `position` of the epoch; read nothing from the device."""
        losses, *sums, penalties = self._totals
        losses[position] = stepped.loss
        for row, metric in zip(sums, self._adding.values(), strict=True):
            row[position] = metric.function(metric.predictions(stepped.outputs), targets)
        if stepped.penalty is not None:
            penalties[position] = stepped.penalty
        if self._whole:
            self._kept = self._kept if position else []
            self._kept.append((stepped.outputs, targets))

    def metrics(self) -> dict[str, float]:
        """Return the means of loss and metrics over the epoch's samples, and of the penalty, if any, over its steps."""
        train_size = self._job.batches.size("train")
        losses, *sums, penalties = self._totals
        row = {"train/loss": ((losses.double() * self._sizes).sum() / train_size).item()}
        values = {
            name: total.double().sum().item() / train_size for name, total in zip(self._adding, sums, strict=True)
        }
        if self._whole:
            outputs, targets = (torch.cat(parts) for parts in zip(*self._kept, strict=True))
            values |= {name: metric(outputs.float(), targets) for name, metric in self._whole.items()}
        row |= {f"train/{name}": values[name] for name in self._job.metrics}
        return row | ({"train/penalty": penalties.double().mean().item()} if self._job.penalty else {})

    def of_step(self, position: int, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        """Return the loss, metrics and penalty of one step; this reads from the device and costs a synchronization."""
        loss, *_, penalty = self._totals[:, position].tolist()
        metrics = {f"train/{name}": metric(outputs, targets) for name, metric in self._job.metrics.items()}
        return {"train/loss": loss, **metrics, "train/penalty": penalty}

    def state(self, position: int) -> dict[str, Any]:
        """Return the state for a checkpoint after `position` steps of the epoch."""
        kept = [list(pair) for pair in self._kept[:position]]
        return {"totals": self._totals[:, :position].clone(), **({"kept": kept} if self._whole else {})}

    def restore(self, position: int, state: dict[str, Any]) -> None:
        """Restore what `state` returned. Raises RuntimeError or KeyError if it belongs to other metrics."""
        self._totals[:, :position] = state["totals"].to(self._job.device)
        if self._whole:
            self._kept = [(o.to(self._job.device), t.to(self._job.device)) for o, t in state["kept"]]
