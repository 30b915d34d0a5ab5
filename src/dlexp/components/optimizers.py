"""Optimizers: PyTorch's own, under PyTorch's parameter names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dlexp.config.lazy import optim
from dlexp.config.registry import Registry
from dlexp.config.schema import Fraction, NonNegative, Positive
from dlexp.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

Parameters = Iterable["Tensor"]
Betas = tuple[Fraction, ...]


def sgd(
    lr: Positive = 0.01,
    momentum: NonNegative = 0.0,
    dampening: NonNegative = 0.0,
    weight_decay: NonNegative = 0.0,
    nesterov: bool = False,
    fused: bool = True,
    *,
    parameters: Parameters,
) -> Optimizer:
    """Stochastic gradient descent, with momentum (Sutskever et al., 2013) if asked for."""
    if nesterov and (momentum == 0 or dampening != 0):
        raise UserError("optimizer.nesterov=true needs optimizer.momentum above 0 and optimizer.dampening=0.")
    return optim.SGD(parameters, lr, momentum, dampening, weight_decay, nesterov, fused=fused)


def adam(
    lr: Positive = 0.001,
    betas: Betas = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    amsgrad: bool = False,
    fused: bool = True,
    *,
    parameters: Parameters,
) -> Optimizer:
    """Adam (Kingma and Ba, 2015)."""
    return optim.Adam(parameters, lr, _pair(betas), eps, weight_decay, amsgrad, fused=fused)


def adamw(
    lr: Positive = 0.001,
    betas: Betas = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.01,
    amsgrad: bool = False,
    fused: bool = True,
    *,
    parameters: Parameters,
) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""
    return optim.AdamW(parameters, lr, _pair(betas), eps, weight_decay, amsgrad, fused=fused)


def nadam(
    lr: Positive = 0.002,
    betas: Betas = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    momentum_decay: NonNegative = 0.004,
    *,
    parameters: Parameters,
) -> Optimizer:
    """Adam with Nesterov momentum (Dozat, 2016)."""
    return optim.NAdam(parameters, lr, _pair(betas), eps, weight_decay, momentum_decay)


def rmsprop(
    lr: Positive = 0.01,
    alpha: Fraction = 0.99,
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    momentum: NonNegative = 0.0,
    centered: bool = False,
    *,
    parameters: Parameters,
) -> Optimizer:
    """RMSprop (Hinton, Coursera lecture 6e, 2012)."""
    return optim.RMSprop(parameters, lr, alpha, eps, weight_decay, momentum, centered)


def adagrad(
    lr: Positive = 0.01,
    lr_decay: NonNegative = 0.0,
    weight_decay: NonNegative = 0.0,
    initial_accumulator_value: NonNegative = 0.0,
    eps: Positive = 1e-10,
    *,
    parameters: Parameters,
) -> Optimizer:
    """Adagrad (Duchi et al., 2011)."""
    return optim.Adagrad(parameters, lr, lr_decay, weight_decay, initial_accumulator_value, eps)


def _pair(betas: Betas) -> tuple[float, float]:
    if len(betas) != 2:
        raise UserError(f"optimizer.betas={list(betas)} must be two numbers.")
    return betas[0], betas[1]


OPTIMIZERS: Registry[Optimizer] = Registry(
    "optimizer",
    {"sgd": sgd, "adam": adam, "adamw": adamw, "nadam": nadam, "rmsprop": rmsprop, "adagrad": adagrad},
    product=lambda: optim.Optimizer,
    example="def mine(lr: float = 0.1, *, parameters):\n    return torch.optim.SGD(parameters, lr)",
)
