"""Write the course's pages: the words of scripts/course/pages, with each experiment's command, settings and results."""

import itertools
import json
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dlexp.compare.tables import markdown_table
from dlexp.config.composition import grid, options
from dlexp.config.config import load_config
from dlexp.runs.formatting import label, texts

WORDS = Path(__file__).parent / "pages"
COURSE = Path(__file__).parents[2] / "docs" / "course"
MEASURED = COURSE / "measured.json"
EXPERIMENT = re.compile(r"^\{\{ (\w+/\w+) \}\}$", re.MULTILINE)
SLIPS = "{{ slips }}"
PICTURE = re.compile(r"\((pictures/[^)]+\.png)\)")


def write() -> None:
    """Write every page: docs/course.md, and one for each homework in docs/course."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


def pages() -> dict[Path, str]:
    """Return each page's text by its path."""
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    found = {}
    for path in sorted(WORDS.glob("*.md")):
        text = EXPERIMENT.sub(lambda match: _experiment(match[1], measured.get(match[1])), path.read_text("utf-8"))
        folder = COURSE.parent if path.name == "course.md" else COURSE
        found[folder / path.name] = text.replace(SLIPS, _slips())
    return found


def named_pictures(experiment: str) -> list[Path]:
    """Return the paths of the pictures of an experiment that the pages name."""
    names = [name for path in WORDS.glob("*.md") for name in PICTURE.findall(path.read_text(encoding="utf-8"))]
    return [COURSE / name for name in names if name.startswith(f"pictures/{experiment}/")]


def _slips() -> str:
    rows = yaml.safe_load((WORDS / "slips.yaml").read_text(encoding="utf-8"))
    cells = [[row["exercise"], row["says"], row["right"], f"`dlexp train {row['show']}`"] for row in rows]
    header = ["exercise", "the homework says", "right is", "the command that shows it"]
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, ["---"] * len(header), *cells))


def _experiment(name: str, measured: Mapping[str, Any] | None) -> str:
    comment = " ".join(line.lstrip("# ") for line in _comment(options("experiment")[name]))
    title, *paragraphs = re.split(r" (?=Stated:|Not stated|Should |Found:)", comment)
    settings = [part for part in paragraphs if part.startswith(("Stated", "Not stated"))]
    seen = [part for part in paragraphs if not part.startswith(("Stated", "Not stated"))]
    sweep = "-m " if grid([f"experiment={name}"]) else ""
    command = f"```bash\ndlexp train {sweep}experiment={name}\n```"
    results = _results(name, measured) if measured else ["Not measured yet."]
    return "\n\n".join([f"**{_title(title)}**", command, " ".join(settings), *results, *seen])


def _title(text: str) -> str:
    """Return a comment's first sentence without the exercise's name and the hint to run it with -m."""
    words = text.partition(": ")[2].strip().replace(" (run with -m)", "").rstrip(".")
    return f"{words[0].upper()}{words[1:]}."


def _comment(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()[1:]  # below the package
    return list(itertools.takewhile(lambda line: line.startswith("#"), lines))


def _results(name: str, measured: Mapping[str, Any]) -> list[str]:
    if "runs" in measured:
        printed = [part for title, text in measured["printed"] for part in (title, f"```text\n{text}\n```") if part]
        return [*printed, *([_runs(name, measured["runs"])] if measured["runs"] else [])]  # a net may not be trained
    parts = []
    for title, shown in measured["tables"].items():
        parts += [f"*{title}*", markdown_table(shown["columns"], texts(shown["rows"]))]
    statements = markdown_table(["statement", "one side", "the other", "difference"], measured["statements"])
    count = f"{len(measured['statements'])} statement{'s' * (len(measured['statements']) > 1)}"
    checked = f"<details><summary>What the run checks: {count}</summary>\n\n{statements}\n\n</details>"
    return [*parts, *measured["findings"], checked]


def _runs(name: str, measured: Sequence[Mapping[str, Any]]) -> str:
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in measured:
        rows.setdefault(row["setting"], []).append(row)
    reference = load_config([f"experiment={name}"]).reference
    reported = {setting: _reported(reference, setting) for setting in rows}
    header = ["setting"] * (len(rows) > 1) + ["reported"] * any(reported.values())
    measure = measured[0]["measure"].replace("_", " ")
    header += [f"test {measure}", f"train {measure}", "test loss", "training time"]
    cells = []
    for setting, runs in rows.items():
        seconds = statistics.mean(run["seconds"] for run in runs)
        line = [setting] * (len(rows) > 1) + [reported[setting] or "–"] * any(reported.values())
        cells.append([*line, *(_numbers(runs, column) for column in ("test", "train", "loss")), f"{seconds:.1f} s"])
    seeds = len({run["seed"] for run in measured})
    notes = [f"The numbers of a cell are those of seeds 0 to {seeds - 1}; one number is that of all."] * (seeds > 1)
    notes += [f"Measured in a reduced form: {measured[0]['reduced']}."] * bool(measured[0]["reduced"])
    return "\n\n".join([markdown_table(header, cells), *([" ".join(notes)] if notes else [])])


def _reported(reference: Sequence[Mapping[str, Any]], setting: str) -> str:
    """Return the reported test figures of the reference rows whose conditions match this setting."""
    found = []
    for row in reference:
        figures = {key: value for key, value in row.items() if key in ("test/accuracy", "test/loss", "train/accuracy")}
        conditions = {key: value for key, value in row.items() if key not in figures and "/" not in key}
        conditions.pop("parameters", None)
        texts = [f"{key.removeprefix('model.')} {label(value)}" for key, value in conditions.items()]
        if figures and all(text in setting.split(", ") for text in texts):
            found += [f"{key.replace('/', ' ')} {value:g}" for key, value in figures.items()]
    return ", ".join(found)


def _numbers(runs: Sequence[Mapping[str, Any]], column: str) -> str:
    """Return the figure of each seed, or the one figure that all seeds have."""
    shown = [_shown(run[column]) for run in sorted(runs, key=lambda run: run["seed"])]
    return ", ".join(shown if len({*shown}) > 1 else shown[:1])


def _shown(value: float) -> str:
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.3f}" if math.modf(value)[0] else f"{value:.0f}"
    return f"{value:.1e}"
