"""The results of a demonstration: the two sides of each statement, and curves to draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np

from dlexp.config.schema import Count


def _two_or_more(sizes: tuple[int, ...]) -> None:
    if len(sizes) < 2:
        raise ValueError("needs two sizes or more")


LayerSizes = Annotated[tuple[Count, ...], _two_or_more]


@dataclass(frozen=True)
class Sides:
    """A statement and its two sides: arrays, tensors or numbers of equal shape.

    `tolerance` is the largest difference that rounding explains; None if the statement calls the sides near, not equal.
    """

    statement: str
    left: Any
    right: Any
    tolerance: float | None = 1e-10

    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """Both sides, float64 and flat."""
        left, right = (np.asarray(side, np.float64) for side in (self.left, self.right))
        assert left.shape == right.shape, self.statement
        return left.ravel(), right.ravel()

    @property
    def difference(self) -> float:
        """The largest absolute difference."""
        left, right = self.numbers()
        return float(np.abs(left - right).max())


@dataclass(frozen=True)
class Demonstration:
    """The sides of each statement; `curves` maps names to points (n, 2) in the plane."""

    sides: Sequence[Sides]
    curves: Mapping[str, np.ndarray] = field(default_factory=dict)
