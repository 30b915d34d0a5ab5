"""Write studies as one HTML page that opens from disk: it contains data, style and scripts, and loads nothing."""

import base64
import dataclasses
import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from dlexp.compare import tables
from dlexp.compare.comparison import Comparison
from dlexp.compare.statistics import Estimate
from dlexp.report.collect import MOST_POINTS, Facts, thinned
from dlexp.report.confusion import most_confused
from dlexp.report.studies import Study, best_first, by_strength, columns_of, settings
from dlexp.runs.formatting import now

MOST_IN_ALL = 60_000  # points of all runs' curves; a run keeps at least fifty
MOST_WITH_IMAGES = 12  # the page has the wrong images of this many best runs of a study
MOST_CLASSES = 40  # of a confusion matrix; of more, the page lists those that are most often confused
CURVES = ("curves", "steps", "evaluations")
INTERNAL = {*CURVES, "name", "keys", "record", "command", "memory"}  # facts that the page gets in another form


def page(studies: Sequence[Study], pictures: Mapping[str, bytes], *, live: bool = False) -> str:
    """Return the page; `pictures` are PNG files of decision boundaries by study.

    Everything from a run directory is JSON in a block that the browser does not run, and the page's policy allows only
    its own scripts, by their hashes: a class named `<script>` is text. A live page may also load files from disk.
    """
    web = files("dlexp.report") / "web"
    scripts = sorted((each for each in web.iterdir() if each.name.endswith(".js")), key=lambda each: each.name)
    last = [each for each in scripts if each.name == "page.js"]  # it uses the functions of the others
    script = "".join(each.read_text(encoding="utf-8") for each in [*(s for s in scripts if s not in last), *last])
    script = f"'use strict';\n{script}"
    plotly = (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    hashes = " ".join(f"'sha256-{_sha256(text)}'" for text in (plotly, script))
    policy = (
        f"default-src 'none'; script-src {hashes}{' file:' if live else ''}; style-src 'unsafe-inline'; img-src data:"
    )
    parts = {
        "policy": policy,
        "style": (web / "page.css").read_text(encoding="utf-8"),
        "data": as_json(studies, pictures, live=live),
        "plotly": plotly,
        "script": script,
    }
    template = re.split(r"\{(policy|style|data|plotly|script)\}", (web / "page.html").read_text(encoding="utf-8"))
    return "".join(parts[text] if i % 2 else text for i, text in enumerate(template))


def as_json(studies: Sequence[Study], pictures: Mapping[str, bytes], *, live: bool) -> str:
    """Return the page's data as strict JSON, with `<` escaped so that it cannot end its block."""
    runs = sum(len(study.runs) for study in studies)
    most = max(50, min(MOST_POINTS, MOST_IN_ALL // max(1, runs)))
    everything = columns_of([run for study in studies for run in study.runs])
    columns = list(dict.fromkeys([*(key for study in studies for key in study.columns), *everything]))
    shown = list(dict.fromkeys([*columns, *(key for study in studies for key in study.differing)]))
    places = _places([run["path"] for study in studies for run in study.runs])
    content = {
        "generated": now(),
        "live": live,
        "columns": columns,
        "directions": {name: way for study in studies for name, way in study.directions.items()},
        "studies": [_study(study, pictures.get(study.name), most, shown, places) for study in studies],
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _places(paths: Sequence[str]) -> dict[str, str]:
    """Return each path from the folder that all share on: its last folders tell whose run it is."""
    try:
        top = os.path.commonpath([Path(path).parent.parent for path in paths])
    except ValueError:  # there are none, or absolute and relative ones
        return {path: path for path in paths}
    return {path: str(Path(path).relative_to(top)) for path in paths}


def _study(
    study: Study, picture: bytes | None, most: int, shown: Sequence[str], places: Mapping[str, str]
) -> dict[str, Any]:
    ranked = best_first(study)
    with_images = {run["path"] for run in [run for run in ranked if "wrong" in run][:MOST_WITH_IMAGES]}
    return {
        "name": study.name,
        "differing": study.differing,
        "single": study.single,
        "columns": study.columns,
        "varied": study.varied,
        "factors": study.factors,
        "metrics": study.metrics,
        "units": study.units("test/loss"),
        "refusals": study.refusals,
        "by_strength": by_strength(study),
        "findings": {metric: _finding(found) for metric, found in study.comparisons.items()},
        "runs": [
            _run(run, most, with_images=run["path"] in with_images)
            | {"settings": settings(run, shown), "place": places[run["path"]]}
            for run in study.runs
        ],
        "boundary": base64.b64encode(picture).decode() if picture else None,
    }


def _finding(found: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON values; settings are pairs, since JavaScript sorts an object's numeric keys.

    Each estimate has its texts too: `shown` is its number of seeds, mean, deviation and interval.
    """
    effects = []
    for effect in found.effects:
        differences = [{**dataclasses.asdict(each), "claimed": each.claimed} for each in effect.differences]
        effects.append({**dataclasses.asdict(effect), "settings": _pairs(effect.settings), "differences": differences})
    return {"effects": effects, "combinations": _pairs(found.combinations), "notes": found.notes}


def _pairs(estimates: Mapping[str, Estimate]) -> list[tuple[str, dict[str, Any]]]:
    shown = tables.shown(estimates)
    return [
        (row[0], {**dataclasses.asdict(each), "shown": row[1:]})
        for row, each in zip(shown, estimates.values(), strict=True)
    ]


def _run(run: Facts, most: int, *, with_images: bool) -> dict[str, Any]:
    hidden = INTERNAL if with_images else INTERNAL | {"wrong"}
    shown = {key: value for key, value in run.items() if key not in hidden and value is not None}
    if "confusion" in shown and len(shown["confusion"]["names"]) > MOST_CLASSES:
        names, counts = shown.pop("confusion").values()
        shown["confused"] = [[names[i], names[j], count] for i, j, count in most_confused(np.array(counts))]
    words = run.get("command")
    command = [str(word) for word in words][1:] if isinstance(words, list) else []
    typed = shlex.join(["dlexp", *command]) if command[:1] in (["train"], ["resume"]) else ""
    curves = {name: _rounded(thinned(run[name], most)) for name in CURVES if run.get(name)}
    here = run.get("environment") or {}
    machine = [f"{key}={here[key]}" for key in ("device", "threads") if here.get(key)]  # they decide the bits too
    repeat = shlex.join(["dlexp", "train", "--config", run["path"] + "/config.yaml", *machine])
    return {**shown, **curves, "repeat": repeat, "command": typed}


def _rounded(columns: Mapping[str, Iterable[float | None]]) -> dict[str, list[float | int | None]]:
    """Round to six digits, more than a plot shows, which halves the size."""
    return {name: list(map(_short, values)) for name, values in columns.items() if name != "samples_per_second"}


def _short(value: float | None) -> float | int | None:
    return None if value is None else int(value) if value.is_integer() else float(f"{value:.6g}")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
