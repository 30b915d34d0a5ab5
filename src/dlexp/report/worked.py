"""Worked examples in a terminal: small nets whose every number is printed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dlexp.runs.directory import PREDICTIONS, TRACE, RunDirectory
from dlexp.runs.formatting import label, table

WIDTH = 12  # the most numbers of a row, rows of a tensor and samples of a batch that are printed; trace.csv has all
FEW = 4  # numbers of a tensor in a table that compares tensors
Tensors = Mapping[tuple[str, str, str], Mapping[str, float]]  # by step, what and name; numbers by their index


def is_worked_example(run: RunDirectory) -> bool:
    """Return whether a run is small enough to read every number: its samples are in its config."""
    return bool(run.read_config()["dataset"]["name"] == "inline")


def traced(run: RunDirectory) -> Tensors:
    """Return the tensors of trace.csv, in its order; {} if the run has none."""
    tensors: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in run.read_rows(TRACE) if (run.path / TRACE).exists() else ():
        tensors.setdefault((row["step"], row["what"], row["name"]), {})[row["index"]] = float(row["value"])
    return tensors


def trace(run: RunDirectory) -> str:
    """Return trace.csv, if its batches are small: a line for each tensor of the first steps, rows in brackets.

    Below it come a table of the parameters that `notation` names, and one of gradients by hand beside autograd's.
    """
    tensors, notation = traced(run), run.read_config().get("notation") or {}
    parts = [_tensors(tensors), _named(tensors, notation), _beside_autograd(tensors)]
    return "\n\n".join(part for part in parts if part)


def _tensors(tensors: Tensors) -> str:
    samples = len({index.partition(" ")[0] for index in tensors.get(("1", "input", ""), ())})
    if samples > WIDTH:
        return f"trace.csv has every number of the first step's {samples} samples."
    lines, last = [], None
    for (step, what, name), numbers in tensors.items():
        if what == "autograd":  # a table has these
            continue
        if step != last:
            lines += ["", "before the first step" if step == "0" else f"step {step}"]
            last = step
        rows: dict[str, list[float]] = {}
        for index, value in numbers.items():
            rows.setdefault(index.rpartition(" ")[0], []).append(value)
        shown = [_joined(row, WIDTH) for row in rows.values()]
        text = shown[0] if len(shown) == 1 else " ".join(f"[{row}]" for row in shown[:WIDTH])
        lines.append(f"  {what:10} {name:16} {text}{' …' if len(shown) > WIDTH else ''}".rstrip())
    return "\n".join(lines[1:])


def predictions(run: RunDirectory) -> str:
    """Return the samples that the config holds, with what each layer and the net give for each; '' for other datasets.

    The layers are there if the run is traced or not trained.
    """
    config = run.read_config()
    dataset, notation = config["dataset"], config.get("notation") or {}
    if dataset["name"] != "inline" or dataset["test_size"] is not None or dataset["test_to_train_ratio"] is not None:
        return ""
    inputs = dataset["inputs"] if dataset["test_inputs"] is None else dataset["test_inputs"]
    header, cells = run.read_cells(PREDICTIONS)
    words = 2 if dataset["class_names"] else 0  # target and prediction, also if a class is called 007
    shown: dict[str, list[Any]] = {"input": [str(x) for x in inputs], **_of_layers(header, cells, notation)}
    for place, column in enumerate(header):
        if place and "/" not in column:
            shown[column] = [row[place] if place <= words else float(row[place]) for row in cells]
    return table([*shown], zip(*shown.values(), strict=True))


def _of_layers(header: Sequence[str], cells: Sequence[Sequence[str]], notation: Mapping[str, Any]) -> dict[str, Any]:
    """Return a column for each layer in predictions.csv, or for each of its numbers if these have names."""
    layers: dict[str, list[int]] = {}
    for place, column in enumerate(header):
        if "/" in column:
            layers.setdefault(column.rpartition("/")[0], []).append(place)
    groups: dict[str, list[int]] = {}
    for layer, places in layers.items():
        names = notation.get(layer, layer)
        groups |= {names: places} if isinstance(names, str) else zip(names, ([p] for p in places), strict=True)
    return {name: [_joined([float(row[p]) for p in places], WIDTH) for row in cells] for name, places in groups.items()}


def first_gradients(runs: Sequence[tuple[Mapping[str, Any], RunDirectory]]) -> str:
    """Return a line for each traced run of a sweep: the norm of each parameter's gradient in the first step.

    If the loss is cross-entropy, a sentence gives that of equal probabilities. '' if no run has a trace of a step.
    """
    found = [(varied, _norms(traced(run))) for varied, run in runs]
    names = list(dict.fromkeys(name for _, norms in found for name in norms))
    if not names:
        return ""
    header = [key.removeprefix("model.") for key in found[0][0]]
    rows: list[list[str | float]] = []
    for varied, norms in found:
        rows += [[*map(label, varied.values()), *(norms.get(name, "") for name in names)]] if norms else []
    text = "norm of each parameter's gradient in the first step\n" + table([*header, *names], rows)
    run = runs[0][1]
    classes = run.read_json("result.json").get("test_classes", {}).get("per_class", {})
    if classes and run.keys()["loss"] == "cross_entropy":
        number = len(classes)
        text += f"\nEqual probabilities for {number} classes have the loss ln {number} = {math.log(number):.4f}."
    return text


def _norms(tensors: Tensors) -> dict[str, float]:
    parameters = [name for step, what, name in tensors if (step, what) == ("0", "parameter")]
    gradients = {name: tensors.get(("1", "gradient", name)) for name in parameters}
    return {name: math.hypot(*numbers.values()) for name, numbers in gradients.items() if numbers is not None}


def _named(tensors: Tensors, notation: Mapping[str, Any]) -> str:
    """Return a line for each named number of the parameters: before the steps, and each step's gradient and value."""
    rows: dict[str, list[float]] = {}
    steps = list(dict.fromkeys(step for step, _, _ in tensors))
    columns = [("0", "parameter"), *((step, what) for step in steps[1:] for what in ("gradient", "parameter"))]
    for key, names in notation.items():
        if ("0", "parameter", key) in tensors and isinstance(names, list):
            numbers = [tensors[step, what, key].values() for step, what in columns]
            rows |= zip(names, map(list, zip(*numbers, strict=True)), strict=True)
    header = ["", "before", *(f"{what}{step}" for step in steps[1:] for what in ("gradient of step ", "after step "))]
    ordered = sorted(rows, key=lambda name: (len(name), name))  # w2 before w10
    return table(header, ([name, *rows[name]] for name in ordered)) if rows else ""


def _beside_autograd(tensors: Tensors) -> str:
    """Return a line for each gradient by hand: its first numbers, those by autograd, and the largest difference."""
    rows, largest = [], 0.0
    for (step, what, name), theirs in tensors.items():
        if what == "autograd":
            ours = tensors[step, "gradient", name]
            difference = max(abs(value - theirs[index]) for index, value in ours.items())
            largest = max(largest, difference)
            sides = [_joined(list(side.values()), FEW) for side in (ours, theirs)]
            rows.append([f"step {step}", name, *sides, f"{difference:.1e}" if difference else "0"])
    if not rows:
        return ""
    text = table(["", "gradient", "by hand", "by autograd", "difference"], rows)
    agree = f"differ from autograd's by {largest:.1e} at most" if largest else "equal autograd's to the last bit"
    return f"{text}\nThe gradients by hand {agree}."


def _joined(numbers: Sequence[float], most: int) -> str:
    return " ".join([*(f"{number + 0.0:.6g}" for number in numbers[:most]), *["…"] * (len(numbers) > most)])  # no -0
