"""python -m scripts.course run [NAME…] | collect | page.

`run` trains all experiments, or those whose names begin with a NAME, into outputs/course; `collect` writes the results
of these runs to docs/course_measured.csv; `page` writes docs/course.md from the experiments and that table.
"""

import csv
import subprocess
import sys
from pathlib import Path

import yaml

from dlexp.config.composition import grid, options
from dlexp.config.config import load_config
from dlexp.runs.directory import RunDirectory, find_runs
from dlexp.runs.formatting import label
from dlexp.sweep.expansion import expand, varied
from scripts.course.page import page

ROOT = Path(__file__).parents[2]
RUNS = Path("outputs/course")
MEASURED = ROOT / "docs" / "course_measured.csv"
COLUMNS = ("experiment", "setting", "seed", "reduced", "train", "test", "loss", "measure", "seconds")


def run(beginnings: list[str]) -> int:
    """Train every experiment in a process of its own; return how many failed."""
    reduced = yaml.safe_load((Path(__file__).parent / "reduced.yaml").read_text())
    failed = 0
    for name in options("experiment"):
        if beginnings and not any(name.startswith(beginning) for beginning in beginnings):
            continue
        plan = reduced.get(name, {"seeds": 3, "overrides": []})
        seeds = ",".join(map(str, range(plan["seeds"])))
        demonstration = "override /demonstration" in options("experiment")[name].read_text()
        repeated = [] if demonstration else [f"seed={seeds}"]
        command = [sys.executable, "-m", "dlexp.cli", "train", "-m", f"experiment={name}", *plan["overrides"]]
        failed += subprocess.run([*command, *repeated, f"output_dir={RUNS}"], check=False).returncode != 0
    return failed


def collect(*roots: Path) -> list[dict[str, object]]:
    """Return a row for each finished run under the `roots`: the newest of each experiment, setting and seed."""
    rows: dict[tuple[str, str, int], dict[str, object]] = {}
    for directory in find_runs(*roots):
        if (row := _row(directory)) is not None:
            rows[str(row["experiment"]), str(row["setting"]), int(str(row["seed"]))] = row
    order = list(options("experiment"))
    return sorted(rows.values(), key=lambda row: order.index(str(row["experiment"])))


def _row(directory: RunDirectory) -> dict[str, object] | None:
    config = directory.read_config()
    name = config["name"]
    if name not in options("experiment") or not (directory.path / "result.json").exists():
        return None  # a run of another experiment, or an unfinished one
    result = directory.read_json("result.json")
    row: dict[str, object] = {"experiment": name, "setting": "", "seed": 0, "reduced": ""}
    if "sides" in result:
        exact = [side["difference"] for side in result["sides"] if side["relation"] == "="]
        return row | {"measure": f"largest difference of {len(exact)} statements", "test": max(exact)}
    jobs = expand([f"experiment={name}"])
    keys = list(grid([f"experiment={name}"])) if len(jobs) > 1 else []
    settings = [{k: v for k, v in values.items() if k in keys} for values in varied(jobs)] if keys else [{}]
    chosen = {key: directory.keys()[key] for key in settings[0]}
    final, dataset = result["final"], config["dataset"]
    measure = next(metric for metric in final["test"] if metric != "loss")
    own = load_config([f"experiment={name}"])
    cut = [f"{dataset['train_size']:,} samples"] if dataset["train_size"] != own.dataset.preparation.train_size else []
    if config["epochs"] != own.epochs and "epochs" not in keys:
        cut.append(f"{config['epochs']} of {own.epochs} epochs")
    return row | {
        "setting": ", ".join(f"{key.removeprefix('model.')} {label(value)}" for key, value in chosen.items()),
        "seed": config["seed"],
        "reduced": ", ".join(cut),
        "train": final["train"][measure],
        "test": final["test"][measure],
        "loss": final["test"]["loss"],
        "measure": measure,
        "seconds": round(result["training_seconds"], 2),
    }


def main() -> int:
    """Run the action that the first argument names."""
    action, arguments = (sys.argv[1:] or ["page"])[0], sys.argv[2:]
    if action == "run":
        return run(arguments)
    if action == "collect":
        rows = collect(*map(Path, arguments or [str(RUNS)]))
        with MEASURED.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    with MEASURED.open(newline="", encoding="utf-8") as file:
        (ROOT / "docs" / "course.md").write_text(page(list(csv.DictReader(file))), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
