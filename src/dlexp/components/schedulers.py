"""PyTorch's learning-rate schedules, with when each steps and whether a finished run can continue under it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, SupportsFloat

from dlexp.components.metrics import Metric
from dlexp.config.lazy import lr_scheduler
from dlexp.config.registry import Registry
from dlexp.config.schema import Count, Fraction, Natural, NonNegative, Positive
from dlexp.errors import UserError

if TYPE_CHECKING:
    from torch.optim import Optimizer


@dataclass(frozen=True)
class Schedule:
    """A PyTorch scheduler and how the loop drives it."""

    scheduler: Any  # LRScheduler; None leaves the learning rate alone
    interval: Literal["epoch", "step", "metric"]  # 'metric': each epoch, given a column of metrics.csv
    fixed_length: str | None = None  # the reason if a finished run cannot be extended
    monitor: str | None = None  # the column for 'metric'; None: the loss of validation if it exists, else train


def none(*, optimizer: Optimizer) -> Schedule:
    """Leave the learning rate as it is."""
    return Schedule(None, "epoch")


def exponential(gamma: Positive = 0.9, *, optimizer: Optimizer) -> Schedule:
    """Multiply lr by `gamma` after every epoch."""
    return Schedule(lr_scheduler.ExponentialLR(optimizer, gamma), "epoch")


def step(step_size: Count = 10, gamma: Positive = 0.1, *, optimizer: Optimizer) -> Schedule:
    """Multiply lr by `gamma` after every `step_size` epochs."""
    return Schedule(lr_scheduler.StepLR(optimizer, step_size, gamma), "epoch")


def cosine(
    T_max: Count | None = None,  # noqa: N803 - PyTorch's own name
    eta_min: NonNegative = 0.0,
    *,
    optimizer: Optimizer,
    epochs: int,
) -> Schedule:
    """Lower lr to `eta_min` along half a cosine in `T_max` epochs, then keep it (Loshchilov and Hutter, 2017).

    There are no restarts: PyTorch's class alone would rise again after `T_max`. Raises UserError if `eta_min` is above
    the optimizer's lr.
    """
    if eta_min > (lr := optimizer.param_groups[0]["lr"]):
        raise UserError(f"scheduler.eta_min={eta_min:g} is above optimizer.lr={lr:g}, so lr would rise, not fall.")

    class Cosine(lr_scheduler.CosineAnnealingLR):
        def get_lr(self) -> list[Any]:
            if self.last_epoch > self.T_max:
                return [group["lr"] for group in self.optimizer.param_groups]
            return list(super().get_lr())

    why = None if T_max else "scheduler=cosine spreads its half wave over all epochs; set scheduler.T_max to fix it"
    return Schedule(Cosine(optimizer, T_max or epochs, eta_min), "epoch", why)


def one_cycle(
    max_lr: Positive | None = None,
    pct_start: Fraction = 0.3,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
    cycle_momentum: bool = False,
    *,
    optimizer: Optimizer,
    epochs: int,
    steps_per_epoch: int,
) -> Schedule:
    """Raise lr to `max_lr`, then lower it far below its start, over the whole run (Smith and Topin, 2018).

    `max_lr` is the optimizer's lr by default. With `cycle_momentum`, momentum (or Adam's first beta) falls from 0.95 to
    0.85 while lr rises, and rises again while it falls.
    """
    if abs(pct_start * epochs * steps_per_epoch - 1) < 1e-9:
        raise UserError(
            f"scheduler.pct_start={pct_start:g} of {epochs * steps_per_epoch} steps is one step, so lr has no step "
            "to rise in: take a larger one, or 0."
        )
    scheduler = lr_scheduler.OneCycleLR(
        optimizer,
        max_lr or optimizer.param_groups[0]["lr"],
        total_steps=epochs * steps_per_epoch,
        pct_start=pct_start,
        anneal_strategy=anneal_strategy,
        cycle_momentum=cycle_momentum,
        div_factor=div_factor,
        final_div_factor=final_div_factor,
    )
    return Schedule(scheduler, "step", "scheduler=one_cycle spreads its one cycle over all epochs")


def reduce_on_plateau(
    factor: Fraction = 0.1,
    patience: Natural = 10,
    threshold: NonNegative = 1e-4,
    cooldown: Natural = 0,
    min_lr: NonNegative = 0.0,
    monitor: str | None = None,
    *,
    optimizer: Optimizer,
    metrics: Mapping[str, Metric],
) -> Schedule:
    """Multiply lr by `factor` when `monitor`, a column of metrics.csv, stops improving.

    The default `monitor` is the validation loss, or the train loss if there is no validation split. A value improves if
    it is better than the best one by more than `threshold` times the best one's size. Raises UserError if `min_lr`
    leaves nothing to lower.
    """
    if factor == 0:
        raise UserError("scheduler.factor=0: must be above 0.")
    if min_lr >= (lr := optimizer.param_groups[0]["lr"]):
        raise UserError(f"scheduler.min_lr={min_lr:g} is not below optimizer.lr={lr:g}, so lr would stay as it is.")

    class Plateau(lr_scheduler.ReduceLROnPlateau):
        # PyTorch's relative threshold multiplies the best value by 1 ± threshold: if that value is negative, an equal
        # one counts as better.
        def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:  # type: ignore[override]
            self.threshold_mode, self.threshold = "abs", threshold * abs(self.best) if math.isfinite(self.best) else 0.0
            super().step(metrics)

    name = (monitor or "").partition("/")[2]
    mode: Literal["min", "max"] = "max" if name in metrics and metrics[name].higher_is_better else "min"
    scheduler = Plateau(optimizer, mode, factor, patience, threshold, cooldown=cooldown, min_lr=min_lr)
    return Schedule(scheduler, "metric", monitor=monitor)


SCHEDULERS: Registry[Schedule] = Registry(
    "scheduler",
    {
        "none": none,
        "exponential": exponential,
        "step": step,
        "cosine": cosine,
        "one_cycle": one_cycle,
        "reduce_on_plateau": reduce_on_plateau,
    },
    product=lambda: Schedule,
    example='from dlexp.components.schedulers import Schedule\nreturn Schedule(scheduler, "epoch")',
)
