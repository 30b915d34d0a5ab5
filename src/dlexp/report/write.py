"""Run directories → the report's folder: page, pictures, summary.csv, report.md. What has not changed is kept."""

import csv
import hashlib
import html
import io
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dlexp.compare import tables
from dlexp.report import paper
from dlexp.report.collect import collect
from dlexp.report.page import as_json, page
from dlexp.report.studies import Study, settings, studies
from dlexp.rundir import RunDirectory

CACHE, DRAWN = ".cache.json", ".drawn.json"
EVERY_SECONDS = 2.0


def write(find: Callable[[], Sequence[RunDirectory]], folder: Path) -> list[Study]:
    """Write the report of the runs that `find` finds into `folder`; return its studies."""
    found = studies(collect(find(), folder / CACHE))
    names = _file_names(found)
    _draw(found, names, folder)
    pictures = {
        study.name: path.read_bytes()
        for study in found
        if (path := folder / "figures" / f"{names[study.name]}_boundary.png").exists()
    }
    files = RunDirectory(folder)
    files.write_atomically("index.html", page(found, pictures).encode(), durable=False)
    files.write_atomically("summary.csv", summary(found).encode(), durable=False)
    files.write_atomically("report.md", markdown(found, names, folder).encode(), durable=False)
    return found


def follow(find: Callable[[], Sequence[RunDirectory]], folder: Path, tell: Callable[[list[Study]], None]) -> None:
    """Write a page that follows the runs, until a KeyboardInterrupt; `tell` is called once it can be opened.

    The page reads `live.js` beside it, which is written anew whenever something changed: no server, no port.
    """
    files, last, opened = RunDirectory(folder), "", False
    while True:
        found = studies(collect(find(), folder / CACHE))
        facts = json.dumps([run for study in found for run in study.runs], sort_keys=True)
        if facts != last:
            text = as_json(found, {}, live=True)
            files.write_atomically("live.js", f"window.update({text})".encode(), durable=False)
            if not opened:
                files.write_atomically("index.html", page(found, {}, live=True).encode(), durable=False)
                tell(found)
            last, opened = facts, True
        time.sleep(EVERY_SECONDS)


def summary(found: Sequence[Study]) -> str:
    """Return a line a run: its study, what varied in it, status, figures, and where it lies."""
    varied = list(dict.fromkeys(key for study in found for key in study.varied))
    figures = list(dict.fromkeys(key for study in found for run in study.runs for key in run["figures"]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["study", "run", "status", *varied, *figures])
    for study in found:
        for run in study.runs:
            chosen, measured = settings(run, study.varied), run["figures"]
            cells = [*(chosen.get(key, "") for key in varied), *(measured.get(key, "") for key in figures)]
            writer.writerow([study.name, run["path"], run["status"], *cells])
    return text.getvalue()


def markdown(found: Sequence[Study], names: dict[str, str], folder: Path) -> str:
    """Return the studies in words, with links to their pictures: what a homework could include."""
    parts = ["# Report"]
    for study in found:
        statuses = [run["status"] for run in study.runs]
        counts = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
        parts.append(f"## {html.escape(study.name)}\n\n{counts}.")
        metric = next(iter(study.metrics), "")
        if comparison := study.comparisons.get(metric):
            parts.append(tables.markdown(comparison))
        elif study.metrics:
            header = ["run", *study.varied, *study.metrics]
            rows = [
                [run["time"], *(settings(run, study.varied).get(k, "–") for k in study.varied),
                 *(f"{run['figures'].get(k, float('nan')):.4f}" for k in study.metrics)]
                for run in study.runs if run["figures"]
            ]  # fmt: skip
            parts.append(tables.markdown_table(header, rows))
        for run in study.runs:
            if run.get("reported"):
                where = ", ".join(f"{key} {value}" for key, value in settings(run, study.varied).items())
                rows = [[str(cell) for cell in row] for row in run["reported"]]
                parts.append(tables.markdown_table([where or run["time"], "reported", "measured"], rows))
        drawn = sorted((folder / "figures").glob(f"{names[study.name]}_*.png"))
        parts += [f"![{path.stem}](figures/{path.name})" for path in drawn]
    return "\n\n".join(parts) + "\n"


def _draw(found: Sequence[Study], names: dict[str, str], folder: Path) -> None:
    """Draw the studies that are not as they were when they were drawn last."""
    place = folder / "figures"
    place.mkdir(parents=True, exist_ok=True)
    try:
        drawn = dict(json.loads((folder / DRAWN).read_bytes()))
    except (OSError, ValueError, TypeError):  # none yet, or not whole: all are drawn
        drawn = {}
    for study in found:
        content = json.dumps([study.name, *study.runs], sort_keys=True).encode()
        digest, name = hashlib.sha256(content).hexdigest(), names[study.name]
        if drawn.get(name) == digest:
            continue
        for what, figure in paper.figures(study).items():
            paper.save(figure, place / f"{name}_{what}")
        drawn[name] = digest
    RunDirectory(folder).write_atomically(DRAWN, json.dumps(drawn).encode(), durable=False)


def _file_names(found: Sequence[Study]) -> dict[str, str]:
    """A name for each study's files, without slashes or whatever else a name may hold."""
    names: dict[str, str] = {}
    for study in found:
        plain = re.sub(r"[^\w-]+", "_", study.name)[:100] or "study"
        numbers = ("", *(f"_{i}" for i in range(2, len(found) + 2)))
        names[study.name] = next(plain + number for number in numbers if plain + number not in names.values())
    return names
