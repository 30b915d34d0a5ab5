"""Minimize a loss until it no longer falls, for demonstrations that speak of its least value."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from dlexp.config.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def minimize(parameters: Iterable[Tensor], loss: Callable[[], Tensor], **options: Any) -> float:
    """Change the parameters in place by L-BFGS with a line search, and return the last loss.

    The options are those of torch.optim.LBFGS. Source: Nocedal and Wright (2006), "Numerical Optimization", chapter 7.
    """
    optimizer = torch.optim.LBFGS(list(parameters), line_search_fn="strong_wolfe", **options)

    def value() -> float:
        optimizer.zero_grad()
        result = loss()
        result.backward()
        return result.item()

    optimizer.step(value)
    return loss().item()
