"""Write the course's page: each experiment's description, its command, and its reported and measured results."""

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from dlexp.config.composition import grid, options
from dlexp.config.config import load_config
from dlexp.runs.formatting import label

SETS = {
    "nn_theory": "A theory set: nets whose weights are written down, and what can be counted and proved",
    "ml_hw4": "Machine Learning, theory 4: hand-made units, gradients by formula, log-sum-exp",
    "nn_hw2": "Neural networks, homework 2: initial weights, the playground, Hoda, XNOR by hand, MNIST",
    "is_hw4": "Intelligent Systems, homework 4: backpropagation by hand, an MLP on CIFAR-10 one factor at a time",
    "dl_hw3": "Deep Learning, homework 3: from one update by hand to a CNN on CIFAR-10",
}
INTRODUCTION = """# The course

Written by `python -m scripts.course page` from the experiments themselves: do not edit it here. Each exercise has the
words of its YAML under `conf/experiment/`, the command that runs it, and what it measured on two CPU cores beside what
the homework reports (once, on one seed, in another framework). Nothing is tuned towards a reported figure. Three
numbers are seeds 0, 1 and 2; where an experiment was cut to fit, it says to what. Times are of one thread beside other
work: they tell seconds from minutes, no more. Two of the studies over more seeds: [`studies.md`](studies.md).

An order to go through it: write the numbers of a step down (`is_hw4/ex01`, `dl_hw3/ex01`); prove what can be proved
(`nn_theory`, `ml_hw4`); train small nets until they are boring (`dl_hw3/ex07`, `nn_hw2`); then see what changing one
factor does (`is_hw4/ex02a`, `dl_hw3/ex09`), and what it costs (`dl_hw3/ex10`, `dl_hw3/ex04a`).
"""


def page(measured: Sequence[Mapping[str, str]]) -> str:
    """Return the page in Markdown; `measured` are the rows of docs/course_measured.csv."""
    parts = [INTRODUCTION]
    for homework, title in SETS.items():
        parts.append(f"## {title}\n")
        for name, path in options("experiment").items():
            if name.startswith(homework + "/"):
                parts.append(_exercise(name, path, [row for row in measured if row["experiment"] == name]))
    return "\n".join(parts)


def _exercise(name: str, path: Path, measured: Sequence[Mapping[str, str]]) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = " ".join(line.lstrip("# ") for line in lines[1:] if line.startswith("#"))
    title, _, text = comment.partition(" Stated:")
    paragraphs = re.split(r" (?=Not stated|Should |Found:)", "Stated:" + text)
    sweep = "-m " if grid([f"experiment={name}"]) else ""
    command = f"```\ndlexp train {sweep}experiment={name}\n```"
    results = _table(name, measured) if measured else "Not run to the end yet.\n"
    return "\n\n".join([f"### `{name}`", f"**{title.strip()}**", *paragraphs, command, results])


def _table(name: str, measured: Sequence[Mapping[str, str]]) -> str:
    rows: dict[str, list[Mapping[str, str]]] = {}
    for row in measured:
        rows.setdefault(row["setting"], []).append(row)
    reported = {setting: _reported(name, setting) for setting in rows}
    header = ["setting"] * (len(rows) > 1) + ["reported"] * any(reported.values())
    measure = measured[0]["measure"].replace("_", " ")
    values = measured[0]["train"] != ""
    header += [f"test {measure}", f"train {measure}", "test loss", "training time"] if values else [measure]
    table = [header, ["---"] * len(header)]
    for setting, runs in rows.items():
        cells = [setting] * (len(rows) > 1) + [reported[setting] or "–"] * any(reported.values())
        cells.append(_numbers(runs, "test"))
        if values:
            seconds = statistics.mean(float(run["seconds"]) for run in runs)
            cells += [_numbers(runs, "train"), _numbers(runs, "loss"), f"{seconds:.1f} s"]
        table.append(cells)
    cut = measured[0]["reduced"]
    note = f"\n\nMeasured in a reduced form: {cut}." if cut else ""
    return "\n".join("| " + " | ".join(row) + " |" for row in table) + note + "\n"


def _reported(name: str, setting: str) -> str:
    """Return the reported test figures of the reference rows whose conditions match this setting."""
    found = []
    for row in load_config([f"experiment={name}"]).reference:
        figures = {key: value for key, value in row.items() if key in ("test/accuracy", "test/loss", "train/accuracy")}
        conditions = {key: value for key, value in row.items() if key not in figures and "/" not in key}
        conditions.pop("parameters", None)
        texts = [f"{key.removeprefix('model.')} {label(value)}" for key, value in conditions.items()]
        if figures and all(text in setting.split(", ") for text in texts):
            found += [f"{key.replace('/', ' ')} {value:g}" for key, value in figures.items()]
    return ", ".join(found)


def _numbers(runs: Sequence[Mapping[str, str]], column: str) -> str:
    values = [float(run[column]) for run in sorted(runs, key=lambda run: int(run["seed"])) if run[column]]
    return ", ".join(_shown(value) for value in values)


def _shown(value: float) -> str:
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.3f}" if math.modf(value)[0] else f"{value:.0f}"
    return f"{value:.1e}"
