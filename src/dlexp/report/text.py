"""Show run directories as text in a terminal."""

from collections.abc import Iterable, Mapping
from typing import Any

from dlexp.errors import UserError
from dlexp.report import worked
from dlexp.runs.directory import DEMONSTRATION, METRICS, RunDirectory
from dlexp.runs.formatting import number, table


def scores(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table of the metrics that every split has, and one of those that only the held-out splits have."""
    everywhere = [name for name in metrics["train"] if all(name in values for values in metrics.values())]
    lines = [table(["", *everywhere], ([split, *(values[n] for n in everywhere)] for split, values in metrics.items()))]
    held_out = {split: values for split, values in metrics.items() if split != "train"}
    further = [name for name in next(iter(held_out.values())) if name not in everywhere]
    if further:
        rows = ([name, *(values[name] for values in held_out.values())] for name in further)
        lines += ["", table(["", *held_out], rows)]
    return "\n".join(lines)


def result(run: RunDirectory) -> str:
    """Return a run's results: its final metrics, training time, memory, and path."""
    content = run.read_json("result.json")
    by_sample = worked.predictions(run)
    untrained = by_sample and not content["epochs"]  # a forward pass of given weights: nothing is fitted
    of_every_split = content["final"]["train"].keys()
    shown = {split: {name: values[name] for name in of_every_split} for split, values in content["final"].items()}
    parts = (worked.trace(run), by_sample, "" if untrained else scores(shown))
    lines = [part + "\n" for part in parts if part]
    classes = content.get("test_classes", {}).get("per_class", {})
    of_test = {name: value for name, value in content["final"]["test"].items() if name not in of_every_split}
    of_test |= {key: value for key, value in content.get("test_classes", {}).items() if key != "per_class"}  # of 0.1.0
    of_test |= content.get("test_values", {})  # of 0.1.0
    if len(classes) in (0, 2) and not by_sample:
        positive = {f"{key} of {name}": value for name in list(classes)[1:] for key, value in classes[name].items()}
        positive = {key: int(value) if key.startswith("support ") else value for key, value in positive.items()}
        known = {key: value for key, value in (of_test | positive).items() if value is not None}
        lines += [table(["test, with classes weighing alike" if classes else "test", ""], known.items()), ""]
    if not by_sample and (below := below_constant(content)):
        lines += [below, ""]
    if selected := content["selected"]:
        lines.append(
            f"Best by {selected['by']}: epoch {selected['epoch']}, "
            + ", ".join(f"{key} {number(value)}" for key, value in selected.items() if key.startswith("test/"))
            + (f"; stopped early after epoch {content['epochs']}." if content["stopped_early"] else ".")
        )
    elif content["stopped_early"]:
        monitor = run.keys()["early_stopping.monitor"]
        lines.append(f"Stopped early after epoch {content['epochs']}: {monitor} was undefined in every epoch.")
    lines += confidence(content)
    seconds, parameters = f"{content['training_seconds']:.2f} s", f"{content['parameters']:,} parameters"
    lines.append(
        f"Nothing is trained: these are the outputs of the initial weights ({parameters})."
        if untrained
        else f"{content['epochs']} epochs, {content['steps']} steps in {seconds} of training, {parameters}, "
        f"{content['peak_memory_bytes'] / 2**20:.0f} MiB at most."
    )
    lines += [f"{what} first in epoch {epoch}." if epoch else f"{what} in no epoch." for what, epoch in passed(run)]
    if rows := reported(run):
        lines += ["", table(["", "reported", "measured"], rows), ""]
    return "\n".join([*lines, str(run.path)])


def confidence(content: Mapping[str, Any]) -> list[str]:
    """Return a sentence about calibration and one about rejection, from the content of result.json; [] for values."""
    lines = []
    if found := content.get("calibration"):
        test, temperature = found["test"], found["temperature"]
        scaled = f", {number(test['calibrated_error'])} with temperature {number(temperature)}" if temperature else ""
        none = " Validation gives no temperature: its log loss has no minimum."
        none = none if temperature is None and "validation" in found else ""
        lines.append(f"Calibration error on test: {number(test['error'])}{scaled}.{none}")
    if (found := content.get("rejection")) and found["threshold"] is None:
        lines.append(
            f"No confidence gives validation a precision of {found['wanted_precision']:g}: no prediction is rejected."
        )
    elif found:
        validation, test = (_accepted(found[split]) for split in ("validation", "test"))
        lines.append(
            f'Below a confidence of {number(found["threshold"])} a prediction is "not found": validation keeps '
            f"{validation}; test {test}."
        )
    return lines


def _accepted(found: Mapping[str, Any]) -> str:
    if found["precision"] is None:
        return "none"
    return f"{100 * found['coverage']:.1f} %, {100 * found['precision']:.1f} % of them right"


def below_constant(content: Mapping[str, Any]) -> str:
    """Return a warning if a constant guess beats the model on test, from the content of result.json; else ''."""
    r2 = content["final"]["test"].get("r2")
    if r2 is not None and r2 < 0:
        return f"Worse than a constant guess: R² is {number(r2)} on test, and 0 for the mean of its targets."
    classes = content.get("test_classes", {}).get("per_class", {})
    if not classes:
        return ""
    support = {name: round(scores["support"]) for name, scores in classes.items()}
    right = round(sum(scores["recall"] * scores["support"] for scores in classes.values()))
    usual = max(support, key=lambda name: support[name])
    if right >= support[usual]:
        return ""
    total = sum(support.values())
    return (
        f"Worse than a constant guess: the model is right for {right} of {total} test samples, always {usual} "
        f"would be for {support[usual]}."
    )


def reported(run: RunDirectory) -> list[tuple[str, Any, Any]]:
    """Return the figures reported in the config's `reference`, beside the measured ones: key, reported, measured.

    A row of the reference applies if its other keys (`batch_size`, `optimizer`) equal the run's.
    """
    keys, measured = run.keys(), run.figures()
    for place, numbers in worked.traced(run).items():
        measured |= {"/".join(["trace", *place, index]): value for index, value in numbers.items()}
    rows = []
    for row in keys.get("reference", ()):
        conditions = {key: value for key, value in row.items() if key not in measured}
        if all(keys.get(key) == value for key, value in conditions.items()):
            rows += [(key, _like(measured[key], row[key]), measured[key]) for key in row if key in measured]
    return rows


def passed(run: RunDirectory) -> list[tuple[str, int | None]]:
    """Return the config's `milestones`, as in `test accuracy ≥ 0.95`, each with the first epoch that reached it."""
    levels = run.read_config().get("milestones") or {}
    directions = run.read_json("result.json").get("directions", {})
    rows = run.read_table(METRICS) if levels else []
    found: list[tuple[str, int | None]] = []
    for key, level in levels.items():
        higher = directions.get(key.partition("/")[2]) == "higher"
        epochs = (int(row["epoch"]) for row in rows if (row[key] >= level if higher else row[key] <= level))
        found.append(
            (f"{key.replace('/', ' ').replace('_', ' ')} {'≥' if higher else '≤'} {level}", next(epochs, None))
        )
    return found


def demonstration(run: RunDirectory) -> str:
    """Return a demonstration's tables, statements and findings."""
    content = run.read_json("result.json")
    tables = content.get("tables", {}).items()
    parts = [f"{title}\n\n{table(shown['columns'], shown['rows'])}" for title, shown in tables]
    parts += [table(["", "one side", "the other", "difference"], statements(run)), *content.get("findings", ())]
    return "\n\n".join([*parts, str(run.path)])


def statements(run: RunDirectory) -> list[list[str]]:
    """Return each demonstrated statement, the first numbers of its two sides, and their largest difference."""
    numbers: dict[str, list[tuple[str, str]]] = {}
    for row in run.read_rows(run.demonstration or DEMONSTRATION):
        numbers.setdefault(row["statement"], []).append((_short(row["left"]), _short(row["right"])))
    rows = []
    for side in run.read_json("result.json")["sides"]:
        both = zip(*numbers[side["statement"]], strict=True)
        left, right = (" ".join([*values[:4], *["…"] * (len(values) > 4)]) for values in both)
        rows.append([side["statement"], left, right, f"{side['difference']:.1e}" if side["difference"] else "0"])
    return rows


def runs(directories: Iterable[RunDirectory]) -> str:
    """Return a line for each run: status, epoch, the final value of its first metric on train and test, path."""
    rows: list[list[Any]] = []
    for run in directories:
        status = run.status()
        try:
            figures = run.figures()
            missing = ""
        except UserError:  # no result yet, or a damaged one: list the other runs all the same
            figures, missing = {}, "damaged" if (run.path / "result.json").exists() else ""
        measure = next((k.partition("/")[2] for k in figures if k.startswith("test/") and k != "test/loss"), missing)
        values = [figures.get(f"{split}/{measure}", "") for split in ("train", "test")]
        rows.append([status["status"], status["epoch"], measure, *values, str(run.path)])
    return table(["status", "epoch", "", "train", "test", "run"], rows)


def _like(measured: Any, reported: Any) -> Any:
    return float(reported) if isinstance(measured, float) and isinstance(reported, int) else reported


def _short(number: str) -> str:
    return f"{float(number):,.0f}" if float(number).is_integer() else f"{float(number):.6g}"
