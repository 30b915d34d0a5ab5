"""Demonstrate statements with numbers, and write the two sides of each into a run directory."""

import sys
from collections.abc import Sequence
from pathlib import Path

from dlexp.config.config import Config
from dlexp.config.registry import import_modules
from dlexp.demonstrations import DEMONSTRATIONS
from dlexp.errors import JobError
from dlexp.runs.directory import DEMONSTRATION, TRAJECTORIES, RunDirectory
from dlexp.runs.provenance import config_sha256, origin


def demonstrate(config: Config, command: Sequence[str] | None = None) -> RunDirectory:
    """Compute both sides of a checked config's statements; write demonstration.csv, result.json, trajectories.csv.

    environment.json records `command`, by default that of this process.
    Raises JobError, after everything is written, if sides differ by more than rounding.
    """
    imports = import_modules(config.imports)
    demonstration = DEMONSTRATIONS.build(config.demonstration, imports)
    assert demonstration is not None, "the caller checks this"
    differences = [pair.difference for pair in demonstration.sides]  # before a directory is made
    run = RunDirectory.create(Path(config.output_dir), config.name)
    with run.locked():
        run.write_json(
            "environment.json", {**origin(imports, command), "config_sha256": config_sha256(config.to_mapping())}
        )
        run.write_config(config.to_mapping())
        rows = []
        for pair in demonstration.sides:
            numbers = zip(*(side.tolist() for side in pair.numbers()), strict=True)
            rows += [(pair.statement, i, left, right, abs(left - right)) for i, (left, right) in enumerate(numbers)]
        run.write_table(DEMONSTRATION, ["statement", "index", "left", "right", "difference"], rows)
        if demonstration.curves:
            points = [(name, *point) for name, curve in demonstration.curves.items() for point in curve.tolist()]
            run.write_table(TRAJECTORIES, ["curve", "x", "y"], points)
        sides = [
            {"statement": pair.statement, "difference": difference, "tolerance": pair.tolerance}
            for pair, difference in zip(demonstration.sides, differences, strict=True)
        ]
        run.write_json("result.json", {"status": "finished", "sides": sides})
        wrong = [p for p in demonstration.sides if p.tolerance is not None and not p.difference <= p.tolerance]
        run.write_status("failed" if wrong else "finished", epoch=0, step=0)
    for pair in wrong:
        print(f"{pair.statement}: the sides differ by {pair.difference:.2g}.", file=sys.stderr)
    if wrong:
        raise JobError(f"{len(wrong)} of {len(sides)} statements do not hold: see {run.path / DEMONSTRATION}.")
    return run
