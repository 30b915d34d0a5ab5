"""Values and rows as text, JSON and flat keys."""

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dlexp.config.renamed import renamed


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of aligned columns: numbers to the right, words to the left."""
    rows = [tuple(row) for row in rows]
    cells = [tuple(header), *(tuple(_shown(value) for value in row) for row in rows)]
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


def label(value: Any) -> str:
    """Return a value as a short text: [5, 5, 5, 5] is 4 × 5, and {leaky_relu: 0.2} is leaky_relu 0.2."""
    if isinstance(value, list):
        same = len(value) > 1 and all(item == value[0] for item in value)
        if same or not value:
            return f"{len(value)} × {value[0]}" if same else "none"
        sizes = all(isinstance(item, int) and item >= 0 for item in value)
        return "-".join(map(str, value)) if sizes else f"[{', '.join(map(label, value))}]"
    if isinstance(value, dict):
        return ", ".join(f"{key} {label(item)}" for key, item in value.items())
    return str(value).lower() if isinstance(value, bool) else " ".join(str(value).split()) or str([value])[1:-1]


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


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) >= 0.001 or value == 0 else f"{value:.2e}"
    return f"{value:,}" if isinstance(value, int) else str(value)
