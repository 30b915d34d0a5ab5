"""Run directories as lines of text for a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dlexp.errors import UserError
from dlexp.rundir import RunDirectory


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return aligned columns, numbers to the right, words to the left."""
    rows = [tuple(row) for row in rows]
    cells = [tuple(header), *(tuple(_shown(value) for value in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numbers = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(header))]
    aligned = (
        [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ]
        for row in cells
    )
    return "\n".join("  ".join(row).rstrip() for row in aligned)


def scores(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table of each split's metrics."""
    names = list(next(iter(metrics.values())))
    return table(["", *names], ([split, *values.values()] for split, values in metrics.items()))


def result(run: RunDirectory) -> str:
    """Return what a run came to: its final metrics, what they cost, and where it lies."""
    content = run.read_json("result.json")
    lines = [scores(content["final"]), ""]
    if len(classes := content["test_classes"]["per_class"]) == 2:
        shown = {key: value for key, value in content["test_classes"].items() if isinstance(value, float)}
        positive = {f"{key} of {name}": value for name in list(classes)[1:] for key, value in classes[name].items()}
        lines += [table(["test, with classes weighing alike", ""], (shown | positive).items()), ""]
    if selected := content["selected"]:
        lines.append(
            f"Best by {selected['by']}: epoch {selected['epoch']}, test accuracy {selected['test/accuracy']:.4f}"
            + (f"; stopped early after epoch {content['epochs']}." if content["stopped_early"] else ".")
        )
    lines.append(
        f"{content['epochs']} epochs, {content['steps']} steps in {content['training_seconds']:.2f} s of training, "
        f"{content['parameters']:,} parameters, {content['peak_memory_bytes'] / 2**20:.0f} MiB at most."
    )
    if comparison := reported(run):
        lines += ["", comparison, ""]
    return "\n".join([*lines, str(run.path)])


def reported(run: RunDirectory) -> str:
    """Return the reported figures that the run's config names (`reference`) beside the measured ones, or ''.

    A row of the reference is of this run where its other keys (`batch_size`, `optimizer`) are the run's.
    """
    config, result = run.read_config(), run.read_json("result.json")
    measured = {f"{split}/{name}": value for split, values in result["final"].items() for name, value in values.items()}
    measured |= {key: value for key, value in result.items() if key in ("parameters", "training_seconds")}
    rows = []
    for row in config.get("reference", []):
        conditions = {key: value for key, value in row.items() if key not in measured}
        if all(_chosen(config, key) == value for key, value in conditions.items()):
            rows += [(key, float(row[key]), float(measured[key])) for key in row if key in measured]
    return table(["", "reported", "measured"], rows) if rows else ""


def runs(directories: Iterable[RunDirectory]) -> str:
    """Return a line a run: status, epoch, final accuracies, path."""
    rows: list[list[Any]] = []
    for run in directories:
        status = run.status()
        try:
            final = run.read_json("result.json").get("final", {})
        except UserError:  # stopped before it was written, or damaged: a list goes on to the next run
            final = {}
        accuracies = [final.get(split, {}).get("accuracy", "") for split in ("train", "test")]
        rows.append([status.get("status", "unknown"), status.get("epoch", ""), *accuracies, str(run.path)])
    return table(["status", "epoch", "train accuracy", "test accuracy", "run"], rows)


def _chosen(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value["name"] if isinstance(value, Mapping) and "name" in value else value


def _shown(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
