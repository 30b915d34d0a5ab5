"""Learning rates: what is written is what was used, and each schedule does what its formula says."""

import contextlib
import math
from typing import Any

import pytest
import torch
from small_runs import train

from dlexp.components import schedulers
from dlexp.components.metrics import METRICS
from dlexp.components.schedulers import SCHEDULERS, Schedule
from dlexp.config.config import load_config
from dlexp.errors import UserError
from dlexp.training.build import check
from dlexp.training.setup.ineffective import ineffective

OPTIONS = {
    "step": ["scheduler.step_size=1"],
    "reduce_on_plateau": ["scheduler.patience=0", "scheduler.threshold=0.9"],
}


@pytest.mark.parametrize("name", SCHEDULERS.builders)
def test_each_row_has_the_rate_that_its_step_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    used, take_step = [], torch.optim.SGD.step

    def step(self: torch.optim.SGD, *arguments: Any) -> Any:
        used.append(self.param_groups[0]["lr"])
        return take_step(self, *arguments)

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    options = [f"scheduler={name}", *OPTIONS.get(name, [])]
    run = train(*options, "optimizer=sgd", "batch_size=32", "epochs=3", "log_every_n_steps=1")
    assert [row["lr"] for row in run.read_table("steps.csv")] == used
    assert [row["lr"] for row in run.read_table("metrics.csv")] == used[3::4]
    assert name == "none" or len(set(used)) > 1


def test_one_cycle_begins_at_its_own_start() -> None:
    run = train("scheduler=one_cycle", "optimizer=sgd", "batch_size=32", "log_every_n_steps=1")
    assert run.read_table("steps.csv")[0]["lr"] == pytest.approx(0.01 / 25)  # optimizer.lr / div_factor


def sgd(lr: float = 0.1, **options: float) -> torch.optim.SGD:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr, **options)


def rates(optimizer: torch.optim.Optimizer, schedule: Schedule, values: list[tuple[float, ...]]) -> list[float]:
    """Return the rate of each step; each of `values` is given to the schedule after it."""
    used = []
    for value in values:
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.scheduler.step(*value)
    return used


@pytest.mark.parametrize(
    ("monitor", "values", "expected"),
    [
        (None, [-2.3] * 9, [1, 1, 1, 2, 2, 3, 3, 4, 4]),
        (None, [2.3] * 9, [1, 1, 1, 2, 2, 3, 3, 4, 4]),
        ("test/r2", [-0.5] * 5, [1, 1, 1, 2, 2]),
        (None, [-100, -100.009, -100.009, -100], [1, 1, 1, 2]),  # better by less than threshold times 100
        (None, [-100, -100.02, -100.04, -100.06], [1, 1, 1, 1]),
        (None, [0.0, -1e-9, -2e-9, -3e-9], [1, 1, 1, 1]),
        ("test/r2", [-0.5, -0.4, -0.3, -0.2], [1, 1, 1, 1]),
        (None, [math.inf, 3.0, 2.0, 1.0], [1, 1, 1, 1]),
    ],
)
def test_a_plateau_is_one_for_values_of_any_sign(monitor: str, values: list[float], expected: list[int]) -> None:
    optimizer, metrics = sgd(), {"r2": METRICS.builders["r2"]()}
    schedule = schedulers.reduce_on_plateau(patience=1, monitor=monitor, optimizer=optimizer, metrics=metrics)
    used = rates(optimizer, schedule, [(value,) for value in values])
    assert used == pytest.approx([10.0**-power for power in expected])


def test_cosine_falls_and_stays() -> None:
    optimizer = sgd()
    used = rates(optimizer, schedulers.cosine(3, 0.01, optimizer=optimizer, epochs=8), [()] * 8)
    wave = [0.01 + 0.09 * (1 + math.cos(math.pi * t / 3)) / 2 for t in range(4)]  # Loshchilov and Hutter (2017), (5)
    assert used == pytest.approx([*wave, *[0.01] * 4])


@pytest.mark.parametrize("cycle_momentum", [False, True])
def test_one_cycle_is_pytorch_s_with_the_optimizer_s_peak(cycle_momentum: bool) -> None:
    ours, theirs = sgd(0.3, momentum=0.7), sgd(0.3, momentum=0.7)
    schedule = schedulers.one_cycle(cycle_momentum=cycle_momentum, optimizer=ours, epochs=5, steps_per_epoch=4)
    bare = torch.optim.lr_scheduler.OneCycleLR(theirs, 0.3, total_steps=20, cycle_momentum=cycle_momentum)
    momenta = set()
    for _ in range(19):
        for optimizer, scheduler in ((ours, schedule.scheduler), (theirs, bare)):
            optimizer.step()
            scheduler.step()
        assert all(ours.param_groups[0][key] == theirs.param_groups[0][key] for key in ("lr", "momentum"))
        momenta.add(ours.param_groups[0]["momentum"])
    assert (momenta == {0.7}) is not cycle_momentum


@pytest.mark.parametrize(("share", "fits"), [(0.1, False), (0.15, True), (0.2, True), (0.0, True)])
def test_a_rise_of_one_step_is_refused(share: float, fits: bool) -> None:
    """PyTorch's class would divide by the steps of the rise minus one."""
    with contextlib.nullcontext() if fits else pytest.raises(UserError, match="no step to rise in"):
        schedulers.one_cycle(pct_start=share, optimizer=sgd(), epochs=5, steps_per_epoch=2)


@pytest.mark.parametrize(
    "overrides",
    [
        "scheduler=one_cycle scheduler.max_lr=0.1 optimizer.lr=0.5",
        "scheduler=one_cycle scheduler.cycle_momentum=true optimizer=sgd optimizer.momentum=0.5",
        "scheduler=one_cycle scheduler.cycle_momentum=true optimizer.betas=[0.8,0.99]",
        "optimizer=sgd optimizer.dampening=0.1",
        "early_stopping.monitor=validation/accuracy",
        "dataset=mnist dataset.split_seed=1",
        "dataset=mnist dataset.stratified=false",
        "demonstration=deep_linear seed=3",
        "demonstration=deep_linear optimizer.lr=3",
        "demonstration=deep_linear regularizer=l2",
    ],
)
def test_an_option_without_effect_is_refused(overrides: str) -> None:
    *others, last = overrides.split()
    check(load_config(others))
    with pytest.raises(UserError, match="has no effect"):
        check(load_config([*others, last]))


@pytest.mark.parametrize(
    ("overrides", "warned"),
    [
        ("model.hidden_sizes=[] model.activation=tanh", "model.activation=tanh"),
        ("model.hidden_sizes=[] model.dropout=0.5", "model.dropout=0.5"),
        ("model=layers model.layers=[relu,output] model.activation=tanh", "model.activation=tanh"),
        ("model=layers model.layers=[{sum:[[activation],[]]},output] model.activation=tanh", ""),
        ("model.hidden_sizes=[] model.activation=[tanh]", ""),  # of the outputs
        ("model.activation=tanh model.dropout=0.5", ""),
    ],
)
def test_an_option_that_a_sweep_over_depths_needs_is_warned_of(
    overrides: str, warned: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = check(load_config(overrides.split()))
    assert [message.split(" ")[0] for message in ineffective(config)] == ([warned] if warned else [])
    if "hidden_sizes" in overrides:
        train(*overrides.split())
        assert ("has no effect" in capsys.readouterr().err) == bool(warned)
