"""The step: forward pass, loss and backward pass of one batch. `build` chooses its kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from dlexp.components.losses import Loss
from dlexp.components.regularizers import Penalty
from dlexp.config.lazy import nn, optim, torch

if TYPE_CHECKING:
    from torch import Tensor

    from dlexp.models.by_hand import ByHand


class Stepped(NamedTuple):
    """The results of a step: the batch's outputs (B, …) and scalars. Every weight's `grad` is set by then."""

    outputs: Tensor
    loss: Tensor
    penalty: Tensor | None
    objective: Tensor  # loss + penalty


Step: TypeAlias = "Callable[[Tensor, Tensor], Stepped]"  # takes a batch's inputs and targets


def at_least_float32(outputs: Tensor) -> Tensor:
    """Return a model's outputs in float32 if they are bfloat16 or float16: losses would round to three digits."""
    return outputs.float() if outputs.element_size() < 4 else outputs


def autograd(
    model: nn.Module,
    optimizer: optim.Optimizer,
    loss: Loss,
    penalty: Penalty | None,
    weights: Sequence[Tensor],
    autocast: AbstractContextManager[object],
) -> Step:
    """Return a step that computes gradients by PyTorch's autograd; `penalty` is a function of `weights`."""

    def step(inputs: Tensor, targets: Tensor) -> Stepped:
        with autocast:
            outputs = at_least_float32(model(inputs))
        batch_loss = loss.function(outputs, targets)
        added = penalty(weights) if penalty is not None else None
        objective = batch_loss if added is None else batch_loss + added
        optimizer.zero_grad()
        objective.backward()
        return Stepped(outputs.detach(), batch_loss.detach(), None if added is None else added.detach(), objective)

    return step


def by_hand(model: ByHand, optimizer: optim.Optimizer, loss: Loss) -> Step:
    """Return a step that computes gradients by formulas (see `models.by_hand`), without autograd."""

    def step(inputs: Tensor, targets: Tensor) -> Stepped:
        with torch.no_grad():
            outputs = model(inputs)
            batch_loss, gradient = loss.by_hand(outputs, targets)
            optimizer.zero_grad()
            model.backward(gradient)
        return Stepped(outputs, batch_loss, None, batch_loss)

    return step
