"""Read all facts of a run that a report shows; runs whose files have not changed come from a cache."""

import base64
import csv
import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlexp.compare.groups import Record, record
from dlexp.errors import UserError
from dlexp.report.figures import marks, value_pairs
from dlexp.report.reliability import reliability_facts
from dlexp.report.text import confidence, reported
from dlexp.runs.directory import (
    BOUNDARY,
    CALIBRATION,
    CONFUSION,
    EVALUATIONS,
    GRADIENTS,
    METRICS,
    POINTS,
    PREDICTIONS,
    STEPS,
    WRONG,
    WRONG_IMAGES,
    RunDirectory,
)
from dlexp.runs.formatting import strict
from dlexp.storage.atomic import write_atomically
from dlexp.storage.untrusted import read_bytes

VERSION = 6  # of the cache's format, and of the pictures
MOST_POINTS = 300  # of a curve: a screen shows no more
MOST_PAIRS = 500  # of true and predicted values
WATCHED = (
    *("config.yaml", "environment.json", "status.json", "result.json", METRICS, STEPS, EVALUATIONS, CONFUSION),
    *(CALIBRATION, GRADIENTS, BOUNDARY, POINTS, PREDICTIONS, WRONG, WRONG_IMAGES, "figure.png"),
)
DAMAGE = (UserError, OSError, csv.Error, KeyError, IndexError, ValueError, TypeError, AttributeError, RecursionError)
TOLD = ("git_commit", "git_dirty", "device", "device_name", "threads", "python", "torch", "numpy", "platform")
PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")

# Every run has these facts.
FACTS = {"path", "time", "name", "error", "keys", "figures", "curves", "record", "status", "alone"}
Facts = dict[str, Any]  # plain JSON values


def collect(runs: Iterable[RunDirectory], cache: Path) -> list[Facts]:
    """Return each run's facts; `cache` keeps those of runs whose files have not changed."""
    known = _read_cache(cache)
    facts: dict[str, dict[str, Any]] = {}
    for run in runs:
        path, stamp = str(run.path.resolve()), _stamp(run)
        old = known.get(path)
        if old is None or old["stamp"] != stamp or old["facts"]["status"] == "running" or run.is_locked():
            old = {"stamp": stamp, "facts": read(run)}
        facts[path] = {"stamp": stamp, "facts": {**old["facts"], "path": str(run.path)}}
    if facts != known:
        cache.parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps({"version": VERSION, "runs": facts}).encode()
        write_atomically(cache, content, durable=False)
    return [each["facts"] for each in facts.values()]


def read(run: RunDirectory) -> Facts:
    """Return the facts of a run in any state; if a file is damaged, `error` names it."""
    facts: Facts = {"path": str(run.path), "time": run.path.name, "name": run.path.parent.name, "error": ""}
    facts |= {"keys": {}, "figures": {}, "curves": {}, "record": None, "status": "damaged", "alone": False}
    try:
        return dict(json.loads(json.dumps(strict(_read(run, dict(facts))), default=str)))
    except DAMAGE as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return {**facts, **_as_far_as_it_goes(run), "status": "damaged", "error": reason}


def _as_far_as_it_goes(run: RunDirectory) -> Facts:
    """Return a damaged run's config keys, if its config is whole: they name its study."""
    try:
        keys = json.loads(json.dumps(strict(run.keys()), default=str))
    except DAMAGE:
        return {}
    return {"keys": keys, "name": str(keys.get("name"))}


def _read(run: RunDirectory, facts: Facts) -> Facts:
    status = run.status()
    facts |= {"status": status["status"], "epoch": status["epoch"], "keys": run.keys()}
    facts |= {"error": str(status.get("error", "")), "name": str(facts["keys"].get("name", facts["name"]))}
    if run.demonstration:
        content = run.read_json("result.json")
        facts |= {key: content.get(key) for key in ("sides", "tables", "findings")}
        return facts | ({"figure": _picture(run, "figure.png")} if (run.path / "figure.png").exists() else {})
    for name, table in (("curves", METRICS), ("steps", STEPS), ("evaluations", EVALUATIONS)):
        facts[name] = thinned(read_columns(run, table), MOST_POINTS)
    if (run.path / "environment.json").exists():
        notes = run.read_json("environment.json")
        facts |= {"command": notes.get("command"), "environment": {key: notes.get(key) for key in TOLD}}
        facts["alone"] = not _of_a_sweep(notes) and facts["name"] == "{dataset}_{model}".format(**facts["keys"])
    return facts | (_of_result(run) if (run.path / "result.json").exists() else {})


def _of_a_sweep(notes: Mapping[str, Any]) -> bool:
    return bool(notes.get("sweep", (notes.get("command") or [""])[0] == "dlexp"))  # 0.1.0 wrote no `sweep`


def _of_result(run: RunDirectory) -> Facts:
    result, found = run.read_json("result.json"), record(run)
    facts: Facts = {
        "figures": run.figures(),
        "selected": result.get("selected"),
        "marks": marks(run),
        "memory": result.get("peak_memory_bytes"),
        "record": dataclasses.asdict(found) if found else None,
        "reported": reported(run),
    }
    dataset = run.keys().get("dataset", "")
    if (run.path / CONFUSION).exists():
        (_, *names), rows = run.read_cells(CONFUSION)
        counts = [[int(n) for n in row[1:]] for row in rows]
        facts["confusion"] = {"names": class_names(names, dataset), "counts": counts}
    if (run.path / CALIBRATION).exists():
        facts["calibration"] = {"curves": reliability_facts(run)[0], "said": confidence(result)}
    if (run.path / PREDICTIONS).exists():
        targets, guesses = value_pairs(run)
        facts["values"] = {name: [targets[name][:MOST_PAIRS], guesses[name][:MOST_PAIRS]] for name in targets}
    if (run.path / GRADIENTS).exists() and (rows_of_gradients := run.read_rows(GRADIENTS)):
        last = [row for row in rows_of_gradients if row["epoch"] == rows_of_gradients[-1]["epoch"]]
        facts["gradients"] = [[int(row["layer"]), float(row["l1"]), float(row["l2"])] for row in last]
    images = next((name for name in (WRONG_IMAGES, "wrong.png") if (run.path / name).exists()), None)
    if images:  # 0.1.0 called them wrong.png
        wrong = run.read_rows(WRONG)
        facts["wrong"] = {
            "image": _picture(run, images),
            "targets": class_names([row["target"] for row in wrong], dataset),
            "taken_for": class_names([row["prediction"] for row in wrong], dataset),
            "sure": [float(row["confidence"]) for row in wrong],
        }
    return facts


def _picture(run: RunDirectory, name: str) -> str:
    return base64.b64encode(run.read_bytes(name)).decode()


def record_of(facts: Facts) -> Record | None:
    """Return the run's record for `compare`, without reading its files again."""
    return Record(**facts["record"]) if facts["record"] else None


def class_names(names: Sequence[str], dataset: str) -> list[str]:
    """Return class names as people write them: Hoda's digits in Persian."""
    return [name.translate(PERSIAN) for name in names] if dataset.startswith("hoda") else list(names)


def read_columns(run: RunDirectory, table: str) -> dict[str, list[float | None]]:
    """Return a table of numbers by column; {} if the table is missing. A cell that is not finite becomes None.

    An incomplete last row is left out: the run may be writing it.
    """
    path = run.path / table
    if not path.is_file():
        return {}
    text = run.read_bytes(table).decode(errors="replace")
    header, *lines = text[: text.rfind("\n") + 1].splitlines() or [""]
    names = header.split(",")
    rows = [cells for line in lines if len(cells := line.split(",")) == len(names)]
    columns = {name: [_number(row[i]) for row in rows] for i, name in enumerate(names)}
    if "seconds" in columns:
        columns["seconds"] = _sums(columns["seconds"])
    return columns


def thinned(columns: Mapping[str, Sequence[float | None]], most: int) -> dict[str, list[float | None]]:
    """Return about `most` rows: the first, the last, and those with each column's extremes in every stretch."""
    length = len(next(iter(columns.values()), ()))
    if length <= most:
        return {name: list(values) for name, values in columns.items()}
    stretches = max(1, most // (2 * len(columns)))
    kept = {0, length - 1}
    for i in range(stretches):
        stretch = range(i * length // stretches, (i + 1) * length // stretches)
        for values in columns.values():
            known = {j: value for j in stretch if (value := values[j]) is not None}
            kept |= {choose(known, key=known.__getitem__) for choose in (min, max) if known}
    order = sorted(kept)
    return {name: [values[j] for j in order] for name, values in columns.items()}


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None  # False for NaN too


def _sums(seconds: Iterable[float | None]) -> list[float | None]:
    return list(itertools.accumulate(each or 0.0 for each in seconds))


def _stamp(run: RunDirectory) -> list[list[int] | None]:
    stamps: list[list[int] | None] = []
    for name in WATCHED:
        try:
            found = (run.path / name).stat()
        except OSError:
            stamps.append(None)
        else:
            stamps.append([found.st_mtime_ns, found.st_size])
    return stamps


def _read_cache(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_bytes(path))
        runs = dict(content["runs"]) if content["version"] == VERSION else {}
        return runs if all(each["facts"].keys() >= FACTS and each["stamp"] for each in runs.values()) else {}
    except DAMAGE:  # missing or damaged: read every run again
        return {}
