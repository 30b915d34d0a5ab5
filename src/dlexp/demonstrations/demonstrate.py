"""Demonstrate statements with numbers, and write the two sides of each into a run directory."""

import dataclasses
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dlexp.config.config import Config
from dlexp.config.lazy import Image
from dlexp.config.registry import import_modules
from dlexp.demonstrations import DEMONSTRATIONS
from dlexp.demonstrations.sides import Demonstration
from dlexp.errors import JobError
from dlexp.runs.directory import DEMONSTRATION, FIGURE, FIGURE_IMAGES, RunDirectory
from dlexp.runs.provenance import config_sha256, origin
from dlexp.storage.atomic import write_atomically


def demonstrate(config: Config, command: Sequence[str] | None = None) -> RunDirectory:
    """Compute both sides of a checked config's statements; write demonstration.csv, result.json, figure.csv.

    The images of a figure are in figure_images.png, side by side, so that the figure can be drawn again.
    environment.json records `command`, by default that of this process.
    Raises JobError, after everything is written, if a statement does not hold.
    """
    imports = import_modules(config.imports)
    demonstration = DEMONSTRATIONS.build(config.demonstration, imports)
    assert demonstration is not None, "the caller checks this"
    run = RunDirectory.create(Path(config.output_dir), config.name)
    with run.locked():
        run.write_json(
            "environment.json", {**origin(imports, command), "config_sha256": config_sha256(config.to_mapping())}
        )
        run.write_config(config.to_mapping())
        _write(demonstration, run)
        wrong = [pair for pair in demonstration.sides if not pair.holds]
        run.write_status("failed" if wrong else "finished", epoch=0, step=0)
    for pair in wrong:
        unequal = f"the sides differ by {pair.difference:.2g}"
        print(f"{pair.statement}: {unequal if pair.relation == '=' else 'it does not hold'}.", file=sys.stderr)
    if wrong:
        count = f"{len(wrong)} of {len(demonstration.sides)}"
        raise JobError(f"{count} statements do not hold: see {run.path / DEMONSTRATION}.")
    return run


def _write(demonstration: Demonstration, run: RunDirectory) -> None:
    rows: list[tuple[str | float, ...]] = []
    for pair in demonstration.sides:
        numbers = zip(*(side.tolist() for side in pair.numbers()), strict=True)
        rows += [(pair.statement, i, left, right, abs(left - right)) for i, (left, right) in enumerate(numbers)]
    run.write_table(DEMONSTRATION, ["statement", "index", "left", "right", "difference"], rows)
    rows = [
        (title, name, *map(float, point))
        for title, panel in demonstration.panels.items()
        for name, curve in panel.curves.items()
        for point in curve
    ]
    images = {title: panel.image for title, panel in demonstration.panels.items() if panel.image is not None}
    if images:
        write_atomically(run.path / FIGURE_IMAGES, _side_by_side(list(images.values())))
    if demonstration.panels:
        run.write_table(FIGURE, ["panel", "curve", "x", "y"], rows)
    run.write_json(
        "result.json",
        {
            "status": "finished",
            "sides": [
                {key: getattr(pair, key) for key in ("statement", "difference", "relation", "tolerance", "holds")}
                for pair in demonstration.sides
            ],
            "tables": {title: dataclasses.asdict(table) for title, table in demonstration.tables.items()},
            "panels": {
                title: {key: getattr(panel, key) for key in ("x", "y", "log", "equal", "sentence")}
                | {"image": images[title].shape if title in images else None}
                for title, panel in demonstration.panels.items()
            },
            "findings": list(demonstration.findings),
        },
    )


def _side_by_side(images: Sequence[np.ndarray]) -> bytes:
    """Return a PNG of the images, uint8 (height, width[, 3]), from left to right with their upper edges in line."""
    coloured = any(image.ndim == 3 for image in images)
    alike = [np.repeat(each[..., None], 3, 2) if coloured and each.ndim == 2 else each for each in images]
    highest = max(map(len, images))
    padded = [np.pad(each, [(0, highest - len(each)), *[(0, 0)] * (each.ndim - 1)]) for each in alike]
    strip = np.concatenate(padded, 1)
    content = io.BytesIO()
    Image.fromarray(strip).save(content, "PNG")
    return content.getvalue()
