"""Values and rows as text, JSON and flat keys."""

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dlexp.config.renamed import renamed


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of aligned columns: numbers to the right, words to the left."""
    rows = [tuple(row) for row in rows]
    cells = [tuple(header), *texts(rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numbers = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(header))]
    aligned = (
        [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ]
        for row in cells
    )
    return "\n".join("  ".join(row).rstrip() for row in aligned)


def texts(rows: Sequence[Sequence[object]]) -> list[tuple[str, ...]]:
    """Return the cells of a table as texts; the numbers of a column have the same decimals."""
    decimals = [
        decimals_of(value for value in column if isinstance(value, float)) for column in zip(*rows, strict=True)
    ]
    return [tuple(map(_shown, row, decimals)) for row in rows]


def label(value: Any) -> str:
    """Return a value as a short text: [5, 5, 5, 5] is 4 × 5, and {leaky_relu: 0.2} is leaky_relu 0.2.

    Items that follow one another again stand once: [{linear: 8}, relu, {linear: 8}, relu] is [2 × (linear 8, relu)].
    """
    if isinstance(value, list):
        same = len(value) > 1 and all(item == value[0] for item in value)
        if same or not value:
            return f"{len(value)} × {value[0]}" if same else "none"
        sizes = all(isinstance(item, int) and item >= 0 for item in value)
        return "-".join(map(str, value)) if sizes else f"[{', '.join(_grouped([*map(label, value)]))}]"
    if isinstance(value, dict):
        return ", ".join(f"{key} {label(item)}" for key, item in value.items())
    return str(value).lower() if isinstance(value, bool) else " ".join(str(value).split()) or str([value])[1:-1]


def _grouped(items: list[str]) -> list[str]:
    """Return the items, with two or more of them that follow one another again as `3 × (a, b)`."""
    for size in range(2, len(items) // 2 + 1):
        for start in range(len(items) - 2 * size + 1):
            block, times = items[start : start + size], 1
            while items[start + times * size : start + (times + 1) * size] == block:
                times += 1
            if times > 1 and len(set(block)) > 1:
                rest = items[start + times * size :]
                return [*items[:start], f"{times} × ({', '.join(block)})", *_grouped(rest)]
    return items


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a config as dotted keys, by their current names; the groups are flattened, deeper mappings stay nested."""
    keys: dict[str, Any] = {}
    for key, value in (config if prefix else renamed(config)).items():
        if isinstance(value, Mapping) and not prefix:
            keys |= flat(value, f"{prefix}{key}.")
        else:
            keys[prefix + str(key)] = value
    return keys


def now() -> str:
    """Return the local time with its offset, ISO 8601, to the second."""
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def strict(value: Any) -> Any:
    """Return a value for strict JSON: NaN and infinities become None, and keys become strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return value


def decimals_of(values: Iterable[float]) -> int:
    """Return how many decimals distinguish the values: three digits of their range, and no two alike; at least 4.

    Values that agree in 12 digits count as one: means of the same figures may differ by rounding.
    """
    distinct = sorted({float(f"{value:.12g}") for value in values if math.isfinite(value)})
    if len(distinct) < 2:
        return 4
    most = 14 - _exponent(max(map(abs, distinct)))  # a float holds no more
    decimals = max(4, min(most, 2 - _exponent(distinct[-1] - distinct[0])))
    while decimals < most and len({number(value, decimals) for value in distinct}) < len(distinct):
        decimals += 1
    return decimals


def number(value: float, decimals: int = 4) -> str:
    """Return a number with so many decimals, or with as many more as three significant digits of it take."""
    if not value or not math.isfinite(value):
        return f"{value or 0.0:.4f}"
    digits = max(decimals, 2 - _exponent(value))
    return f"{value:.{digits}f}" if abs(value) >= 1e-4 else f"{value:.{digits + _exponent(value)}e}"


def interval(low: float, high: float) -> str:
    """Return `low to high`, with at least three significant digits of its width."""
    wider = _exponent(max(abs(low), abs(high))) - _exponent(high - low) if low < high else 0
    digits = max(4, min(15, 3 + wider))
    return f"{low:.{digits}g} to {high:.{digits}g}"


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def _shown(value: object, decimals: int) -> str:
    if isinstance(value, float):
        return number(value, decimals)
    return f"{value:,}" if isinstance(value, int) else str(value)
