"""What a model starts from if not from chance: published weights, or another run's; and their preprocessing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from dlexp.config import schema
from dlexp.config.config import Config
from dlexp.errors import UserError
from dlexp.models.freezing import parts_of
from dlexp.models.published import load_weights, preprocessing_of
from dlexp.runs.directory import RunDirectory
from dlexp.runs.provenance import weights_sha256
from dlexp.training import checkpoint

if TYPE_CHECKING:
    from torch import nn


def with_preprocessing(config: Config) -> Config:
    """Return the config with the preprocessing of its pretrained weights in place of the dataset's own, if asked for.

    A given size or interpolation overrules that of the weights. Raises UserError if the model has no weights.
    """
    preparation = config.dataset.preparation
    if preparation.preprocessing is None:
        return config
    if config.model.name != "pretrained":
        raise UserError(f"dataset.preprocessing=weights needs model=pretrained; here it is {config.model.name}.")
    wanted = preprocessing_of(**config.model.options)
    size = preparation.image_size or wanted.image_size
    preparation = dataclasses.replace(
        preparation,
        normalization="given",
        mean=wanted.mean,
        deviation=wanted.deviation,
        image_size=size,
        resize=preparation.resize or round(wanted.resize * size / wanted.image_size),
        interpolation=preparation.interpolation or wanted.interpolation,
    )
    return dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, preparation=preparation))


def overruled(config: Config) -> list[str]:
    """Return a warning for each key of the preprocessing that differs from what the pretrained weights want."""
    if config.model.name != "pretrained" or config.model.options["weights"] is None:
        return []
    preparation, wanted = config.dataset.preparation, preprocessing_of(**config.model.options)
    here = {
        "resize": preparation.resize or preparation.image_size,
        "image_size": preparation.image_size,
        "interpolation": preparation.interpolation,
        "mean": preparation.mean,
        "deviation": preparation.deviation,
    }
    different = {k: v for k, v in here.items() if v != getattr(wanted, k)}
    return [
        f"dataset.{key} is {value} here, but the weights were trained with {getattr(wanted, key)}."
        for key, value in different.items()
    ]


def begin(model: nn.Module, config: Config) -> tuple[dict[str, str], list[str]]:
    """Give the model the weights that the config names; return hashes for provenance, and what is worth saying.

    Raises UserError if they do not fit, JobError if they cannot be fetched.
    """
    notes: list[str] = []
    hashes: dict[str, str] = {}
    if config.model.name == "pretrained":
        notes += load_weights(model, **config.model.options)
    if (source := config.model.transfer.init_from) is not None:
        hashes["init_from_sha256"] = _from_run(model, source, notes)
    return hashes, notes


def _from_run(model: nn.Module, source: str, notes: list[str]) -> str:
    """Copy another run's last weights, all but those of a head of another shape; return their hash."""
    run = RunDirectory.open(schema.path(source, "model.init_from="))
    state, warnings = checkpoint.latest(run)
    if state is None:
        raise UserError(f"model.init_from={source}: this run has no checkpoint yet.")
    theirs, own = state["model"], model.state_dict()
    head = {id(tensor) for part in parts_of(model)[1] for tensor in part.state_dict(keep_vars=True).values()}
    of_head = {name for name, tensor in model.state_dict(keep_vars=True).items() if id(tensor) in head}
    fitting = {name: tensor for name, tensor in theirs.items() if name in own and own[name].shape == tensor.shape}
    for name, tensor in own.items():
        if name not in fitting and name not in of_head:
            there = f"{tuple(theirs[name].shape)}" if name in theirs else "not there"
            raise UserError(
                f"model.init_from={source} does not fit: {name} is {tuple(tensor.shape)} here and {there} in that "
                "run. Only the head may differ."
            )
    if own.keys() - fitting.keys():  # half a head is no start
        fitting = {name: tensor for name, tensor in fitting.items() if name not in of_head}
    model.load_state_dict(fitting, strict=False)
    anew = ", ".join(name for name in own if name not in fitting)
    notes += warnings
    notes.append(f"Starts from {source}: {len(fitting)} of {len(own)} tensors{f'; {anew} start anew' * bool(anew)}.")
    return weights_sha256(theirs)
