"""Config → a job with everything the loop needs, checked before the first step.

`check` checks names and values and imports no torch; `build` makes the objects and refuses those that do not fit
together.
"""

from __future__ import annotations

import dataclasses
import os
import random
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from dlexp.components import metrics
from dlexp.components.losses import LOSSES
from dlexp.components.optimizers import OPTIMIZERS
from dlexp.components.regularizers import REGULARIZERS
from dlexp.components.schedulers import SCHEDULERS
from dlexp.config.config import Config
from dlexp.config.lazy import nn, torch
from dlexp.config.registry import Registry, import_modules
from dlexp.data import augmentation
from dlexp.data import preparation as data
from dlexp.data.batches import Batches
from dlexp.demonstrations import DEMONSTRATIONS
from dlexp.errors import UserError
from dlexp.models import MODELS
from dlexp.models.freezing import Freezing, parts_of
from dlexp.models.summary import run_on_zeros
from dlexp.models.weights import weights_of
from dlexp.runs.provenance import weights_sha256
from dlexp.training import diagnostics
from dlexp.training.setup import transfer
from dlexp.training.setup.compatibility import check_fit
from dlexp.training.setup.ineffective import refuse_ineffective
from dlexp.training.setup.job import Job, autocast, dtype_of
from dlexp.training.setup.step import autograd, by_hand
from dlexp.training.sinks import SINKS

if TYPE_CHECKING:
    import torch

REGISTRIES: dict[str, Registry[Any]] = {
    "model": MODELS,
    "optimizer": OPTIMIZERS,
    "scheduler": SCHEDULERS,
    "loss": LOSSES,
    "regularizer": REGULARIZERS,
    "demonstration": DEMONSTRATIONS,
}


def check(config: Config, *, kept: bool = False) -> Config:
    """Return `config` with every component's options checked and complete; raises UserError naming a wrong one.

    An option that has no effect is wrong too, unless the config is a `kept` one of a run, which stays as it is.
    """
    imports = import_modules(config.imports)
    components: dict[str, Any] = {g: registry.bind(getattr(config, g), imports) for g, registry in REGISTRIES.items()}
    bound = dataclasses.replace(config, dataset=data.bind(config.dataset, imports), **components)
    checked = transfer.with_preprocessing(bound)
    for choice in config.metrics or ():
        metrics.METRICS.bind_choice(choice, imports)
    for choice in diagnostics.chosen(config):
        diagnostics.DIAGNOSTICS.bind_choice(choice, imports)
    for choice in config.sinks:
        SINKS.bind_choice(choice, imports)
    if config.early_stopping.patience is not None and checked.dataset.preparation.validation_fraction == 0:
        raise UserError(
            "early_stopping.patience needs a validation split: set, for example, dataset.validation_fraction=0.1."
        )
    if config.predict.precision is not None and checked.dataset.preparation.validation_fraction == 0:
        raise UserError(
            "predict.precision needs a validation split: set, for example, dataset.validation_fraction=0.1."
        )
    if not kept:
        refuse_ineffective(checked, imports)
    return checked


def build(config: Config, *, begun: bool = False) -> Job:
    """Build the job of a checked config: read the data, initialize the model, move all to the device, check the fit.

    If the job has `begun`, its weights come from a checkpoint: those that it started from need not be there any more.
    Sets PyTorch's process-wide switches (threads, determinism, seeds) as the config says.
    Raises UserError for choices that do not fit, naming the change needed; JobError if the data cannot be fetched.
    """
    from dlexp.models.by_hand import ByHand  # its class needs torch at import

    imports = import_modules(config.imports)
    config, device = configure_torch(config)
    prepared = data.prepare(config.dataset, Path(config.data_dir), imports)
    augment = augmentation.build(config.dataset.preparation.augmentation, prepared.source.input_shape)
    batches = Batches(prepared.splits, prepared.preprocessing, device, dtype_of(config), augment)
    train_size = batches.size("train")
    batch_size = train_size if config.batch_size == "full" else min(config.batch_size, train_size)

    torch.manual_seed(config.seed)
    np.random.seed(config.seed % 2**32)
    random.seed(config.seed)
    model = build_model(config, imports)
    hashes, notes = ({}, []) if begun else transfer.begin(model, config)
    model = model.to(device)
    freezing = Freezing(model, config.model.transfer)
    if not freezing.trained:
        raise UserError("The model has no parameters to train.")
    try:
        optimizer = OPTIMIZERS.build(config.optimizer, imports, parameters=_groups(config, model, freezing.trained))
    except (ValueError, RuntimeError) as error:
        raise UserError(f"optimizer={config.optimizer.name} cannot be made: {error}") from error
    steps = -(-train_size // batch_size)
    measured, final = metrics.build(config.metrics, prepared.source.kind, imports), metrics.final(prepared.source.kind)
    if prepared.preprocessing.target_mean is not None:
        measured, final = metrics.of_units(measured, batches.in_units), metrics.of_units(final, batches.in_units)
    schedule = SCHEDULERS.build(
        config.scheduler,
        imports,
        optimizer=optimizer,
        epochs=max(1, config.epochs),
        steps_per_epoch=steps,
        metrics=measured,
    )
    loss, penalty = LOSSES.build(config.loss, imports), REGULARIZERS.build(config.regularizer, imports)
    trained = set(map(id, freezing.trained))
    weights = [weight for weight in weights_of(model).values() if id(weight) in trained]
    if penalty is not None and not weights:
        raise UserError(f"regularizer={config.regularizer.name} penalizes weights, and this model trains none.")
    if isinstance(model, ByHand):
        step = by_hand(model, optimizer, loss)
    else:
        step = autograd(model, optimizer, loss, penalty, weights, autocast(config, device))
    job = Job(
        config=config,
        device=device,
        model=model,
        freezing=freezing,
        batches=batches,
        optimizer=optimizer,
        schedule=schedule,
        loss=loss,
        metrics=measured,
        final_metrics=final,
        penalty=penalty,
        step=step,
        source=prepared.source,
        preprocessing=prepared.preprocessing,
        batch_size=batch_size,
        hashes={
            "data_sha256": prepared.data_sha256,
            "split_sha256": prepared.split_sha256,
            "initial_weights_sha256": weights_sha256(model.state_dict()),
            **hashes,
        },
        notes=[*notes, *transfer.overruled(config)],
    )
    check_fit(job)
    return job


def _groups(config: Config, model: nn.Module, trained: Sequence[nn.Parameter]) -> list[Any]:
    """Return what the optimizer trains: one list, or two groups, of which the backbone has a rate of its own."""
    ratio = config.optimizer.rates.backbone_lr_ratio
    if ratio is None:
        return list(trained)
    of_head = {id(p) for part in parts_of(model)[1] for p in part.parameters()}
    head, backbone = [p for p in trained if id(p) in of_head], [p for p in trained if id(p) not in of_head]
    if not backbone:
        raise UserError(f"optimizer.backbone_lr_ratio={ratio:g} has no effect: the backbone is not trained.")
    return [{"params": head}, {"params": backbone, "lr": config.optimizer.options["lr"] * ratio}]


def build_model(config: Config, imports: Sequence[ModuleType] = ()) -> torch.nn.Module:
    """Build the model alone, on the CPU, from the facts of its dataset; needs no data to be present."""
    source = data.source_of(config.dataset, imports)
    loss = LOSSES.build(config.loss, imports)
    facts = {
        "input_shape": source.input_shape,
        "num_classes": len(source.class_names),
        "num_outputs": 1 if loss.one_node else len(source.class_names or source.value_names) or 1,
    }
    usual = torch.get_default_dtype()
    torch.set_default_dtype(
        dtype_of(config)
    )  # so that weights given as numbers are not rounded to float32 before float64
    try:
        model = MODELS.build(config.model, imports, **facts)
        if any(map(nn.parameter.is_lazy, (*model.parameters(), *model.buffers()))):
            run_on_zeros(model, source.input_shape)
        return model.train()
    finally:
        torch.set_default_dtype(usual)


def configure_torch(config: Config) -> tuple[Config, torch.device]:
    """Set PyTorch's process-wide switches; return the config with its device and threads resolved, and the device.

    Raises UserError if the device is not here.
    """
    name = config.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device={name}: PyTorch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices here. "
            "Use device=cpu, or device=auto to take a GPU if there is one."
        )
    threads = torch.get_num_threads() if config.threads == "auto" else config.threads
    torch.set_num_threads(threads)
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may give other bits each time
    torch.use_deterministic_algorithms(config.deterministic)
    # Otherwise deterministic mode makes a pass over every new tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not config.deterministic
    return dataclasses.replace(config, device=name, threads=threads), device
