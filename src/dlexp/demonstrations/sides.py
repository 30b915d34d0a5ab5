"""The results of a demonstration: the two sides of each statement, tables, panels of a figure, and sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np

from dlexp.config.schema import Count


def _two_or_more(sizes: tuple[int, ...]) -> None:
    if len(sizes) < 2:
        raise ValueError("needs two sizes or more")


LayerSizes = Annotated[tuple[Count, ...], _two_or_more]


@dataclass(frozen=True)
class Sides:
    """A statement and its two sides: arrays, tensors or numbers of equal shape.

    `relation` says how the sides compare: equal up to `tolerance`, which rounding explains; near, which is shown and
    not checked; or every number of the left below that of the right.
    """

    statement: str
    left: Any
    right: Any
    tolerance: float = 1e-10
    relation: Literal["=", "≈", "<"] = "="

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

    @property
    def holds(self) -> bool:
        """Whether the sides compare as `relation` says; False if a number is NaN."""
        left, right = self.numbers()
        match self.relation:
            case "=":
                return self.difference <= self.tolerance
            case "<":
                return bool((left < right).all())
            case "≈":
                return bool(np.isfinite([left, right]).all())


@dataclass(frozen=True)
class Table:
    """Named columns, and rows of words and numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | float]]


@dataclass(frozen=True)
class Panel:
    """Curves in one pair of axes: `curves` maps names to points (n, 2); a curve of one point is a marker.

    `log` names the axes with a logarithmic scale; `equal` gives both axes the same unit, as in a plane. An `image`,
    uint8 (height, width) or (height, width, 3), lies beneath the curves, which then count its pixels from its upper
    left corner, and has a `sentence` below it instead of the axes' labels.
    """

    curves: Mapping[str, Any]
    x: str = ""
    y: str = ""
    log: Literal["", "x", "y", "xy"] = ""
    equal: bool = False
    image: Any = None
    sentence: str = ""


@dataclass(frozen=True)
class Demonstration:
    """What a demonstration shows.

    `sides` are the statements that it checks; `tables` and `panels` map titles to tables and to the panels of one
    figure; `findings` say in sentences what to see in them.
    """

    sides: Sequence[Sides]
    tables: Mapping[str, Table] = field(default_factory=dict)
    panels: Mapping[str, Panel] = field(default_factory=dict)
    findings: Sequence[str] = ()
