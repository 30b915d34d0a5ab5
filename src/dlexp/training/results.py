"""The results of a run after its last step: metrics of the final weights, predictions, numbers for the pictures."""

from __future__ import annotations

import contextlib
import io
import math
import resource
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from dlexp.components.metrics import Metric, directions
from dlexp.config.lazy import Image, torch
from dlexp.errors import JobError
from dlexp.models.activations import activations
from dlexp.runs.directory import CALIBRATION, CONFUSION, METRICS, PREDICTIONS, WRONG, WRONG_IMAGES, RunDirectory
from dlexp.storage.atomic import write_atomically
from dlexp.training import evaluation
from dlexp.training.boundary import write_boundary
from dlexp.training.prediction.calibration import COLUMNS, confidence_facts
from dlexp.training.session import Session
from dlexp.training.setup.job import Job

if TYPE_CHECKING:
    from torch import Tensor

WORST = 16  # misclassified images that are kept
Layers: TypeAlias = "Mapping[str, Sequence[float]]"  # a column of predictions.csv for each number of a layer


def write_results(session: Session, stop: Callable[[], bool], *, finished: bool) -> None:
    """Evaluate the final weights on every split; write result.json, predictions.csv and, for classes, their confusion.

    Writes nothing if `stop` returns True before every split is evaluated.
    """
    job, run, progress = session.job, session.run, session.progress
    session.tables.flush(METRICS)
    rows = run.read_table(METRICS)
    scores, outputs = evaluation.evaluate_splits(job, stop)
    if stop():
        return
    for split, whole in outputs.items():
        names = ("loss", *(name for name, metric in job.metrics.items() if metric.adds_up))  # others may be undefined
        figures = {"outputs": float(whole.abs().amax()), **{name: scores[split][name] for name in names}}
        for name, value in figures.items():
            if not math.isfinite(value):
                raise JobError(
                    f"The last step's weights give {split}/{name} = {value}, which is not finite: a smaller "
                    "optimizer.lr, or inputs of another scale (dataset.normalization), may help."
                )
    write = _write_classes if job.source.class_names else _write_values
    figures = write(run, job, outputs, _layers(job))
    write_boundary(job, run)
    samples = job.batches.size("train") * progress.epoch
    run.write_json(
        "result.json",
        {
            "status": "finished" if finished else "stopped",
            "epochs": progress.epoch,
            "steps": progress.step,
            "stopped_early": finished and progress.epoch < job.config.epochs,
            "final": scores,
            "directions": directions({**job.metrics, **job.final_metrics}),
            **figures,
            "best": _best(rows, job.metrics),
            "selected": _selected(rows, progress.best_epoch, job.config.early_stopping.monitor),
            "parameters": sum(p.numel() for p in job.model.parameters()),
            "training_seconds": progress.training_seconds,
            "samples_per_second": samples / progress.training_seconds if progress.training_seconds else None,
            "peak_memory_bytes": peak_memory(job.device),
        },
    )


def forget_peak_memory(device: torch.device) -> None:
    """Begin to measure the peak anew: a sweep's process trains several jobs, of which each has its own."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):  # if the system does not allow it, the peak is that of the whole process
            Path("/proc/self/clear_refs").write_text("5")  # see proc(5)


def peak_memory(device: torch.device) -> int:
    """Return bytes: on CUDA the peak of allocated tensors, on the CPU the process's largest resident size."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


def _layers(job: Job) -> dict[str, list[float]]:
    """Return the outputs of each layer for the test split, a column for each number, if the net is a worked example."""
    config = job.config
    if config.dataset.name != "inline" or not (config.trace_steps or config.epochs == 0):
        return {}
    (inputs, _), *_ = job.batches.serve("test", job.batches.size("test"))
    return {
        f"{name}/{i}": column
        for name, outputs in activations(job.model, inputs).items()
        for i, column in enumerate(outputs.flatten(1).T.tolist())
    }


def _write_classes(run: RunDirectory, job: Job, outputs: Mapping[str, Tensor], layers: Layers) -> dict[str, Any]:
    held_out = {split: evaluation.as_logits(job.model, outputs[split]) for split in job.batches.splits[1:]}
    targets_of = {split: job.batches.targets(split) for split in held_out}
    facts, bins = confidence_facts(held_out, targets_of, job.config.predict.precision)
    run.write_table(CALIBRATION, COLUMNS, bins)
    predicted, probabilities = evaluation.classify(held_out["test"])
    names, targets, confidence = job.source.class_names, job.batches.targets("test"), probabilities.amax(1)
    pairs = zip(targets.tolist(), predicted.tolist(), confidence.tolist(), strict=True)
    predictions = [(i, names[target], names[guess], sure) for i, (target, guess, sure) in enumerate(pairs)]
    _write_predictions(run, ["target", "prediction", "confidence"], predictions, layers)
    if job.batches.has_images:
        wrong = [i for i in confidence.argsort(descending=True, stable=True).tolist() if predicted[i] != targets[i]]
        _write_wrong(run, job, [predictions[i] for i in wrong[:WORST]])
    counts = evaluation.confusion_matrix(predicted, targets, len(names)).tolist()
    labelled = [[name, *row] for name, row in zip(names, counts, strict=True)]
    run.write_table(CONFUSION, ["true \\ predicted", *names], labelled)
    return {"test_classes": {"per_class": evaluation.per_class(predicted, targets, names)}, **facts}


def _write_predictions(
    run: RunDirectory, columns: Sequence[str], rows: Iterable[tuple[Any, ...]], layers: Layers
) -> None:
    rows = [(*row, *(values[i] for values in layers.values())) for i, row in enumerate(rows)]
    run.write_table(PREDICTIONS, ["index", *columns, *layers], rows)


def _write_wrong(run: RunDirectory, job: Job, predictions: Sequence[tuple[Any, ...]]) -> None:
    """Write the images misclassified with most confidence, side by side, and a table of their predictions."""
    if not predictions:
        return
    images = job.batches.images("test", torch.tensor([index for index, *_ in predictions], device=job.device))
    pixels = (np.concatenate([*images], 1) * (255 / job.source.largest)).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(content, "PNG")
    run.write_table(WRONG, ["index", "target", "prediction", "confidence"], predictions)
    write_atomically(run.path / WRONG_IMAGES, content.getvalue())


def _write_values(run: RunDirectory, job: Job, outputs: Mapping[str, Tensor], layers: Layers) -> dict[str, Any]:
    """Write predictions beside targets, one column each; number the outputs if they have no targets."""
    names, of_test = job.source.value_names, job.batches.in_units(outputs["test"]).flatten(1)
    targets = job.batches.published_targets("test")
    guesses = [f"predicted {name}" for name in names] or [f"output {i + 1}" for i in range(of_test.shape[1])]
    both = zip(targets.tolist(), of_test.tolist(), strict=True)
    rows = [(i, *target, *guess) for i, (target, guess) in enumerate(both)]
    _write_predictions(run, [*names, *guesses], rows, layers)
    return {}


def _best(rows: Sequence[Mapping[str, float]], metrics: Mapping[str, Metric]) -> dict[str, dict[str, Any]]:
    """Return each metric's best value and its epoch. They only describe the run; choose models by `selected`."""
    best: dict[str, dict[str, Any]] = {}
    for column in rows[0] if rows else ():
        split, _, name = column.partition("/")
        finite = [row for row in rows if math.isfinite(row[column])]  # comparisons with NaN are always false
        if (name == "loss" or name in metrics) and finite:
            choose = max if name in metrics and metrics[name].higher_is_better else min
            row = choose(finite, key=lambda row: row[column])
            best.setdefault(split, {})[name] = {"value": row[column], "epoch": int(row["epoch"])}
    return best


def _selected(rows: Sequence[Mapping[str, float]], epoch: int | None, monitor: str) -> dict[str, Any] | None:
    """Return the epoch chosen by validation (best.pt) and every split's metrics then; None without validation split."""
    if epoch is None:
        return None
    row = next(row for row in rows if row["epoch"] == epoch)
    return {"epoch": epoch, "by": monitor, **{key: value for key, value in row.items() if "/" in key}}
