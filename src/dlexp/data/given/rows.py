"""Rows of numbers: from CSV, a DataFrame or an array; a row that cannot be used is named with its column."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from dlexp.errors import one_line

DELIMITERS = ",;\t"
MOST_NAMED = 10  # columns of a header that a message quotes


class Refused(NamedTuple):
    """A file, or a row of one, that cannot be used, and why."""

    name: str
    reason: str


class Row(NamedTuple):
    """A row's number, how a message calls it, and its cells."""

    number: Any
    where: str
    cells: Sequence[Any]


def parse(content: bytes) -> tuple[list[str], list[Row]]:
    """Return the header of a CSV file ([] if it has none) and its rows, numbered from 0, without blank lines.

    A first row without a single number is the header, and so is 0, 1, 2, …, as pandas names columns. Raises ValueError
    with the reason if it is no CSV.
    """
    try:
        text = content.decode("utf-8-sig")
        first = next((line for line in text.splitlines() if line.strip()), "")
        delimiter = max(DELIMITERS, key=first.count)  # a comma if there is none
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except UnicodeDecodeError:
        raise ValueError("it is no CSV: it is not text in UTF-8.") from None
    except csv.Error as error:
        raise ValueError(f"it is no CSV: {error}.") from None
    if not lines:
        raise ValueError("it is empty.")
    cells = [cell.strip() for cell in lines[0][1]]
    header = [] if any(_number(cell) is not None for cell in cells) and not counts(cells) else cells
    rows = lines[1:] if header else lines
    if not rows:
        raise ValueError("it has no row of numbers.")
    return header, [Row(i, f"row {i} (line {n})", cells) for i, (n, cells) in enumerate(rows)]


def counts(header: Sequence[str]) -> bool:
    """Whether a first row of three cells or more only counts the columns, from 0."""
    return len(header) > 2 and list(header) == [str(i) for i in range(len(header))]


def numbers(
    rows: Iterable[Row], wanted: int, columns: Sequence[str] = (), source: str = ""
) -> tuple[np.ndarray, list[Any], list[Refused]]:
    """Return the usable rows as float64 (N, wanted), their numbers, and the refused rows.

    If every row has the same wrong number of columns, that is one refusal, of the `source`.
    """
    rows = list(rows)
    lengths = {len(row.cells) for row in rows}
    if len(lengths) == 1 and wanted not in lengths:
        named = f" ({', '.join(columns[:MOST_NAMED])}{', …' * (len(columns) > MOST_NAMED)})" if columns else ""
        reason = f"it has {lengths.pop()} columns{named}, and the run takes {wanted}."
        return np.zeros((0, wanted)), [], [Refused(source, reason)]
    values: list[list[float]] = []
    numbers_of, refused = [], []
    for row in rows:
        fault = next(_faults(row.cells, wanted, columns), None)
        if fault is None:
            values.append([float(cell) for cell in row.cells])
            numbers_of.append(row.number)
        else:
            refused.append(Refused(f"{source}{', ' if source else ''}{row.where}", fault))
    return np.array(values, np.float64).reshape(-1, wanted), numbers_of, refused


def column(i: int, columns: Sequence[str] = ()) -> str:
    """Return how a message calls a column: its number from 0, and its name if it has one."""
    return f"column {i} ({columns[i]})" if i < len(columns) else f"column {i}"


def _faults(cells: Sequence[Any], wanted: int, columns: Sequence[str]) -> Iterator[str]:
    if len(cells) != wanted:
        yield f"it has {len(cells)} columns, and the run takes {wanted}."
        return
    for i, cell in enumerate(cells):
        number = _number(cell)
        if number is None:
            missing = cell is None or not str(cell).strip() or str(cell) == "<NA>"
            yield f"{column(i, columns)}: {'a value is missing' if missing else f'{one_line(str(cell))} is no number'}."
        elif not math.isfinite(number):
            missing = isinstance(cell, float) and math.isnan(cell)  # as pandas writes a missing value
            yield f"{column(i, columns)}: {'a value is missing' if missing else f'{cell} is not finite'}."


def _number(cell: Any) -> float | None:
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        return None
