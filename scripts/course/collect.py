"""Take what the pages show of the runs: figures, printed text, tables and pictures."""

import functools
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from dlexp.config.composition import grid, options
from dlexp.config.config import Config, load_config
from dlexp.config.lazy import matplotlib
from dlexp.report import collect as facts
from dlexp.report import figures, paper, studies, text, worked
from dlexp.runs.directory import RunDirectory, find_runs
from dlexp.runs.formatting import label
from dlexp.sweep.expansion import expand, varied
from scripts.course.page import COURSE, MEASURED, named_pictures

WIDTH = 900  # pixels: a page of a repository shows no more
COLOURS = 64  # of a picture's palette, which makes it a quarter of the size
ROUNDS = 4  # that move the colours to their pixels: without them grey photographs leave none for an orange line

Row = dict[str, Any]  # a run's setting, seed, reductions and figures


def collect(*roots: Path) -> None:
    """Add the finished runs under the `roots` to the measurements: the newest of each experiment, setting and seed."""
    kept: dict[str, Any] = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    found: dict[str, dict[tuple[str, int], tuple[RunDirectory, Row]]] = {}
    for run in find_runs(*roots):
        if (row := row_of(run)) is not None:
            name = run.read_config()["name"]
            found.setdefault(name, {})[str(row["setting"]), int(row["seed"])] = run, row
    for name, runs in found.items():
        kept[name] = _shown([*runs.values()])
        for picture in named_pictures(name):
            _copy(picture, name, [*runs.values()])
    known = {name: kept[name] for name in options("experiment") if name in kept}
    MEASURED.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def row_of(run: RunDirectory) -> Row | None:
    """Return a finished run's setting, seed, reductions and figures; None if it belongs to no experiment."""
    config = run.read_config()
    name = config["name"]
    if name not in options("experiment") or not run.has_result():
        return None
    result = run.read_json("result.json")
    if "sides" in result:
        return {"setting": "", "seed": 0}
    keys, own = _declared(name)
    chosen = {key: run.keys()[key] for key in keys}
    final, dataset = result["final"], config["dataset"]
    measure = next(metric for metric in final["test"] if metric != "loss")
    cut = [f"{dataset['train_size']:,} samples"] if dataset["train_size"] != own.dataset.preparation.train_size else []
    if config["epochs"] != own.epochs and "epochs" not in keys:
        cut.append(f"{config['epochs']} of {own.epochs} epochs")
    return {
        "setting": ", ".join(f"{key.removeprefix('model.')} {label(value)}" for key, value in chosen.items()),
        "seed": config["seed"],
        "reduced": ", ".join(cut),
        "train": final["train"][measure],
        "test": final["test"][measure],
        "loss": final["test"]["loss"],
        "measure": measure,
        "seconds": round(result["training_seconds"], 2),
    }


@functools.cache
def _declared(name: str) -> tuple[list[str], Config]:
    """Return the keys in which an experiment's jobs differ, and its config."""
    jobs, declared = expand([f"experiment={name}"]), grid([f"experiment={name}"])
    keys = [key for key in varied(jobs)[0] if key in declared] if len(jobs) > 1 else []
    return keys, load_config([f"experiment={name}"])


def _shown(runs: Sequence[tuple[RunDirectory, Row]]) -> dict[str, Any]:
    newest, _ = runs[-1]
    if newest.demonstration:
        result = newest.read_json("result.json")
        return {"tables": result["tables"], "statements": text.statements(newest), "findings": result["findings"]}
    first = [(run, row["setting"]) for run, row in runs if row["seed"] == 0]
    if all(worked.is_worked_example(run) for run, _ in first) or len(first) == 1:
        both = [(setting, (worked.trace(run), worked.predictions(run))) for run, setting in first]
        printed = [(setting, "\n\n".join(filter(None, parts))) for setting, parts in both]
    else:
        printed = [("", worked.first_gradients([({"setting": setting}, run) for run, setting in first]))]
    printed = [each for each in printed if each[1]]
    trained = any(run.read_json("result.json")["steps"] for run, _ in runs)
    rows = [row for _, row in sorted(runs, key=lambda each: each[1]["seed"])] if trained else []
    return {"runs": rows, "printed": printed}


def _copy(picture: Path, name: str, runs: Sequence[tuple[RunDirectory, Row]]) -> None:
    """Write a picture that a page names: `study_…` of all runs, or one of the first seed of a setting, its folder."""
    if picture.stem.startswith("study_"):
        image = _of_study(picture.stem.removeprefix("study_"), [run for run, _ in runs])
    else:
        folder = picture.parent.name if picture.parent != COURSE / "pictures" / name else ""
        run = min((each for each in runs if slug(each[1]["setting"]) == folder), key=lambda each: each[1]["seed"])[0]
        figures.draw(run, anew=False)
        image = Image.open(run.path / picture.name)
    image = image.convert("RGB")
    image.thumbnail((WIDTH, 2 * WIDTH))
    picture.parent.mkdir(parents=True, exist_ok=True)
    image.quantize(COLOURS, kmeans=ROUNDS, dither=Image.Dither.NONE).save(picture, optimize=True)


def _of_study(name: str, runs: Sequence[RunDirectory]) -> Image.Image:
    (study,) = studies.studies([{**facts.read(run), "alone": False} for run in runs])
    content = io.BytesIO()
    with matplotlib.rc_context(paper.STYLE):
        paper.figures(study)[name]().savefig(content, format="png", dpi=150)
    return Image.open(content)


def slug(setting: str) -> str:
    """Return a setting as a folder's name: `optimizer adam` is optimizer_adam."""
    return re.sub(r"[^\w.-]+", "_", setting).strip("_")
