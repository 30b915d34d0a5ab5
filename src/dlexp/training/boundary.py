"""The class probabilities of a net of two features on a grid, for the picture of its decision boundary."""

from __future__ import annotations

from dlexp.config.lazy import torch
from dlexp.runs.directory import BOUNDARY, POINTS, RunDirectory
from dlexp.training import evaluation as evaluate
from dlexp.training.setup.job import Job

SIDE = 101  # points of the grid along each axis
MARGIN = 0.05  # around the samples, as a share of their extent


def write_boundary(job: Job, run: RunDirectory) -> None:
    """Write boundary.csv (every class's probability on a grid) and points.csv (the samples) in the features' units.

    Does nothing if the inputs are not two features, or the targets are not classes.
    """
    if job.source.input_shape != (2,) or not job.source.class_names:
        return
    names = job.source.class_names
    points = {split: job.batches.raw(split) for split in job.batches.splits}
    everywhere = torch.cat(list(points.values()))
    low, high = everywhere.amin(0), everywhere.amax(0)
    margin = MARGIN * torch.where(high > low, high - low, 1.0)  # one sample has no extent
    low, high = low - margin, high + margin
    axes = (torch.linspace(a, b, SIDE, dtype=job.dtype) for a, b in zip(low.tolist(), high.tolist(), strict=True))
    grid = torch.cartesian_prod(*axes).to(job.device)
    with torch.inference_mode(), job.autocast():
        outputs = job.model.eval()(job.batches.normalized(grid)).float()
    _, probabilities = evaluate.classify(evaluate.as_logits(job.model, outputs))
    rows = torch.cat([grid, probabilities.to(grid.dtype)], 1).tolist()
    run.write_table(BOUNDARY, ["x", "y", *names], ([f"{number:.6g}" for number in row] for row in rows))
    samples = [
        (split, *point, names[target])
        for split, inputs in points.items()
        for point, target in zip(inputs.tolist(), job.batches.targets(split).tolist(), strict=True)
    ]
    run.write_table(POINTS, ["split", "x", "y", "target"], samples)
