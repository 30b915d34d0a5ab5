"""Check that a job's dataset, model and loss fit together, before its first step."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

from dlexp.components.losses import Outputs, Targets
from dlexp.config.lazy import nn, torch
from dlexp.errors import UserError, did_you_mean
from dlexp.models.activations import activations
from dlexp.models.summary import summarize

if TYPE_CHECKING:
    import torch

    from dlexp.training.setup.job import Job

TRACEABLE = 30_000  # numbers in a step; they take a megabyte of trace.csv


def check_fit(job: Job) -> None:
    """Check the targets, run the model on a few samples, and check that the loss takes its outputs.

    Raises UserError naming the change needed.
    """
    from dlexp.models.by_hand import ByHand

    _check_targets(job)
    _check_pairs(job)
    _check_notation(job)
    if job.config.trace_steps and (count := _numbers_of_a_step(job)) > TRACEABLE:
        raise UserError(
            f"trace_steps={job.config.trace_steps} writes every number of a step, at most {TRACEABLE:,}, "
            f"not {count:,}: take a smaller batch_size or model; log_gradients=true works for larger ones."
        )
    inputs, targets = next(iter(job.batches.serve("train", min(8, job.batches.size("train")))))
    devices = [job.device] if job.device.type == "cuda" else []
    by_hand = isinstance(job.model, ByHand)
    with torch.random.fork_rng(devices), torch.set_grad_enabled(not by_hand):
        try:
            outputs = job.model.eval()(inputs)
            if not isinstance(outputs, torch.Tensor):
                raise UserError(
                    f"The model returns {type(outputs).__name__}, but a loss takes one tensor of outputs: return it "
                    "from `forward` alone."
                )
        except (RuntimeError, ValueError, TypeError) as error:
            raise UserError(f"The model cannot take inputs of shape {tuple(inputs.shape[1:])}: {error}") from error
        job.model.train()
    if not outputs.requires_grad and not by_hand and job.config.epochs:
        raise UserError("No weight of this model gets a gradient: epochs=0 evaluates it as it is.")
    outputs = outputs.detach()
    if not bool(outputs.isfinite().all()):
        raise UserError(
            "The model's outputs are not finite numbers, before any step: check model.init, the options of its layers, "
            "and the size of the inputs (dataset.normalization)."
        )
    _check_outputs(job, outputs, len(inputs))
    with torch.random.fork_rng(devices):
        _check_loss(job, outputs, targets)
    if by_hand:
        if job.penalty is not None or job.config.precision == "bfloat16":
            raise UserError("model.backward=manual takes neither a regularizer nor precision=bfloat16.")
        job.loss.by_hand(outputs, targets)
    train_size = job.batches.size("train")
    if job.batch_size == 1 or train_size % job.batch_size == 1:
        try:
            with torch.random.fork_rng(devices), torch.no_grad():
                copy.deepcopy(job.model).train()(inputs[:1])
        except ValueError as error:  # batch norm's: "Expected more than 1 value per channel when training"
            raise UserError(
                f"batch_size={job.batch_size} leaves a batch of one sample of {train_size}, and batch norm cannot "
                f"compute the variance of one sample: choose another batch_size. ({error})"
            ) from error


def _numbers_of_a_step(job: Job) -> int:
    """Count the numbers a traced step writes: inputs and activations of the batch, parameters and gradients."""
    shapes = [job.source.input_shape, *(row.output_shape for row in summarize(job.model, job.source.input_shape))]
    return job.batch_size * sum(map(math.prod, shapes)) + 2 * sum(p.numel() for p in job.model.parameters())


def _check_notation(job: Job) -> None:
    """Refuse a notation of a layer or parameter that the model lacks, or with another number of names than it has."""
    notation = job.config.notation or {}
    if not notation:
        return
    inputs, _ = next(iter(job.batches.serve("train", 1)))
    sizes = {name: output.numel() for name, output in activations(job.model, inputs).items()}
    sizes |= {name: parameter.numel() for name, parameter in job.model.named_parameters()}
    for key, names in notation.items():
        if key not in sizes:
            raise UserError(f"notation: the model has no {key}.{did_you_mean(key, sizes)}")
        if isinstance(names, list) and len(names) != sizes[key]:
            raise UserError(f"notation: {key} has {sizes[key]} numbers, not {len(names)}: {', '.join(names)}.")


def _check_targets(job: Job) -> None:
    """Refuse a loss that does not take the dataset's targets, a monitor or a milestone that is no metric of the run."""
    source, loss = job.source, job.config.loss.name
    kind: Targets = source.kind
    if kind not in job.loss.takes:
        fitting = {
            "classes": "cross_entropy, for example",
            "values": "mse or half_squared_error",
            "nothing": "output_matching",
        }
        raise UserError(
            f"loss={loss} is not for dataset={job.config.dataset.name}, whose targets are {kind}: take "
            f"loss={fitting[kind]}."
        )
    if job.config.predict.precision is not None and kind != "classes":
        raise UserError(
            f"predict.precision={job.config.predict.precision:g} is for predictions of classes, and the targets of "
            f"dataset={job.config.dataset.name} are {kind}: leave it out."
        )
    if job.loss.one_node and len(source.class_names) != 2:
        raise UserError(
            f"loss={loss} is for two classes, not {len(source.class_names)}: set dataset.positive_class=NAME "
            "to tell one class from the others, or take loss=cross_entropy."
        )
    columns = [f"{split}/{name}" for split in job.batches.splits for name in ("loss", *job.metrics)]
    monitor, watched = job.config.early_stopping.monitor, job.schedule.monitor
    if "validation" in job.batches.splits and monitor not in columns:
        validation = [column for column in columns if column.startswith("validation/")]
        raise UserError(
            f"early_stopping.monitor={monitor}: this run has {' and '.join(validation)}; metrics=[…] adds more."
        )
    if watched is not None and watched not in columns:
        raise UserError(f"scheduler.monitor={watched}: this run has {', '.join(columns)}.")
    for name in job.config.milestones or ():
        if name not in columns:
            raise UserError(
                f"milestones={{{name}: …}}: this run has {', '.join(columns)}.{did_you_mean(name, columns)}"
            )


def _check_pairs(job: Job) -> None:
    if job.loss.takes != ("nothing",):
        return
    cutting = ("test_to_train_ratio", "validation_fraction", "train_size", "test_size")
    if cuts := [key for key in cutting if getattr(job.config.dataset.preparation, key)]:
        raise UserError(f"dataset.{cuts[0]} would separate the pairs that loss={job.config.loss.name} compares.")
    sizes = [job.batch_size, *(job.batches.size(split) for split in job.batches.splits)]
    if any(size % 2 for size in sizes) or (job.config.shuffle and job.steps_per_epoch > 1):
        raise UserError(
            f"loss={job.config.loss.name} compares pairs of consecutive samples: it needs shuffle=false, and "
            "an even batch_size and number of samples."
        )


def _check_outputs(job: Job, outputs: torch.Tensor, samples: int) -> None:
    loss, source = job.config.loss.name, job.source
    wanted = 1 if job.loss.one_node else len(source.class_names or source.value_names)
    if wanted and outputs.shape != (samples, wanted):
        there_are = f"the dataset has {wanted} {'classes' if source.class_names else 'values'}"
        model = job.config.model
        way_out = f"{model.name} gets the number to give if it has a keyword-only parameter, as in f(*, num_outputs)"
        if "layers" in model.options:
            way_out = f"End model.layers with `output`, or `linear: {wanted}`"
        raise UserError(
            f"The model gives outputs of shape {tuple(outputs.shape[1:])}, but "
            f"{f'loss={loss} needs one' if job.loss.one_node else there_are}. {way_out}."
        )
    kind = _kind(job.model, outputs)
    if not source.class_names or kind in job.loss.accepts:
        return
    if kind != _kind(job.model, _with_other_weights(job, samples)):
        kind = "logits"  # that sum to one by chance
    if kind not in job.loss.accepts:
        way_out = {
            "probabilities": "drop the softmax or sigmoid at the end of the model: the losses apply it",
            "log_probabilities": "take loss=nll, or drop log_softmax from the end of the model",
            "logits": "end the model in log_softmax, or take loss=cross_entropy",
        }[kind]
        raise UserError(f"The model gives {kind.replace('_', '-')}, which loss={loss} does not take: {way_out}.")


def _with_other_weights(job: Job, samples: int) -> torch.Tensor:
    """Return the outputs for the same samples of a copy of the model with noise in its parameters."""
    inputs, _ = next(iter(job.batches.serve("train", samples)))
    model = copy.deepcopy(job.model).eval()
    with torch.random.fork_rng([job.device] if job.device.type == "cuda" else []), torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.rand_like(parameter))
        outputs: torch.Tensor = model(inputs)
    return outputs


def _check_loss(job: Job, outputs: torch.Tensor, targets: torch.Tensor) -> None:
    """Refuse a loss that fails on the outputs, or gives more than one number."""
    try:
        loss = job.loss.function(outputs, targets)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise UserError(
            f"loss={job.config.loss.name} cannot take outputs of shape {tuple(outputs.shape)}, {outputs.dtype}, with "
            f"targets of shape {tuple(targets.shape)}, {targets.dtype}: {error}"
        ) from error
    if not isinstance(loss, torch.Tensor) or loss.dim():
        what = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise UserError(f"loss={job.config.loss.name} gives {what}, not one number: average it over the batch.")


def _kind(model: torch.nn.Module, outputs: torch.Tensor) -> Outputs:
    def sums_to_one(values: torch.Tensor) -> bool:
        return values.shape[1] > 1 and bool(((values.sum(1) - 1).abs() < 1e-3).all())

    ends_in_sigmoid = isinstance(model, nn.Sequential) and isinstance(model[-1], nn.Sigmoid)
    outputs = outputs.float().flatten(1)
    if ends_in_sigmoid or ((outputs >= 0).all() and sums_to_one(outputs)):
        return "probabilities"
    return "log_probabilities" if sums_to_one(outputs.exp()) else "logits"
