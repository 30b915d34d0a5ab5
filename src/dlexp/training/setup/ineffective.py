"""Options that another choice makes ineffective: without a word, a sweep over one would give equal jobs."""

import json
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from dlexp.components.optimizers import OPTIMIZERS
from dlexp.config import schema
from dlexp.config.component import Component, Preparation
from dlexp.config.config import Config, load_config
from dlexp.errors import UserError
from dlexp.models import MODELS

# A demonstration's own dataset or model may come with others of the rest.
OF_TRAINING = ("optimizer", "scheduler", "regularizer", "seed", "shuffle", "precision")
Option = tuple[str, Any, Any, str]  # key, value, default, and the reason why it has no effect


def refuse_ineffective(config: Config, imports: Sequence[ModuleType] = ()) -> None:
    """Raise UserError if an option of a checked config is not the default and cannot have an effect."""
    rules = (_of_demonstration,) if config.is_demonstration else (_of_optimizer, _of_dataset)
    for message in (message for rule in rules for message in _messages(rule(config, imports))):
        raise UserError(message)


def ineffective(config: Config, imports: Sequence[ModuleType] = ()) -> list[str]:
    """Return a warning for each option without effect that is not refused, because a sweep over depths needs it."""
    return list(_messages(_of_model(config, imports)))


def _messages(options: Iterator[Option]) -> Iterator[str]:
    for key, value, default, reason in options:
        if (typed := json.dumps(value)) != json.dumps(default):
            yield f"{key}={value if isinstance(value, str) else typed} has no effect: {reason}."


def _of_optimizer(config: Config, imports: Sequence[ModuleType]) -> Iterator[Option]:
    chosen, schedule = config.optimizer, config.scheduler.options
    default = _defaults(OPTIMIZERS.find(chosen.name, imports))
    if config.scheduler.name == "one_cycle":
        if schedule["max_lr"] not in (None, chosen.options.get("lr")):
            reason = "scheduler.max_lr sets the rate. Without it, one_cycle rises to optimizer.lr"
            yield from _options(chosen, "optimizer", ["lr"], default, reason)
        if schedule["cycle_momentum"]:
            reason = "scheduler.cycle_momentum=true sets the momentum"
            yield from _options(chosen, "optimizer", ["momentum", "betas"], default, reason)
    if chosen.name == "sgd" and chosen.options["momentum"] == 0:
        yield from _options(chosen, "optimizer", ["dampening"], default, "optimizer.momentum is 0")


def _of_model(config: Config, imports: Sequence[ModuleType]) -> Iterator[Option]:
    chosen = config.model
    default = _defaults(MODELS.find(chosen.name, imports))
    if chosen.name == "mlp" and not chosen.options["hidden_sizes"]:
        keys = ["batch_norm", "dropout", *["activation"] * (not isinstance(chosen.options["activation"], tuple))]
        yield from _options(chosen, "model", keys, default, "model.hidden_sizes=[] leaves no hidden layer")
    if chosen.name == "layers" and "activation" not in _names(chosen.options["layers"]):
        yield from _options(chosen, "model", ["activation"], default, "model.layers has no `activation`")


def _of_dataset(config: Config, imports: Sequence[ModuleType]) -> Iterator[Option]:
    preparation = config.dataset.preparation
    if preparation.validation_fraction == 0:
        reason = "there is no validation split. dataset.validation_fraction=0.1 makes one"
        yield "early_stopping.monitor", config.early_stopping.monitor, "validation/loss", reason
        if not any((preparation.test_to_train_ratio, preparation.train_size, preparation.test_size)):
            reason = f"dataset={config.dataset.name} has its own test split, and no other is drawn"
            for key in ("split_seed", "stratified"):
                yield f"dataset.{key}", getattr(preparation, key), getattr(Preparation(), key), reason


def _of_demonstration(config: Config, imports: Sequence[ModuleType]) -> Iterator[Option]:
    usual, own = load_config([]).to_mapping(), config.to_mapping()
    for key in OF_TRAINING:
        yield from _compared(key, own[key], usual[key], f"demonstration={config.demonstration.name} trains nothing")


def _compared(key: str, value: Any, default: Any, reason: str) -> Iterator[Option]:
    """Yield what a nested mapping and its default hold below `key`; a component's name comes first."""
    if not isinstance(value, dict):
        yield key, value, default, reason
        return
    if value.get("name") != default.get("name"):
        yield key, value["name"], default["name"], reason
    for inner in value.keys() & default.keys():
        yield from _compared(f"{key}.{inner}", value[inner], default[inner], reason)


def _options(chosen: Component, group: str, keys: Sequence[str], default: dict[str, Any], why: str) -> Iterator[Option]:
    for key in keys:
        if key in chosen.options:
            yield f"{group}.{key}", chosen.options[key], default[key], why


def _defaults(builder: Callable[..., Any]) -> dict[str, Any]:
    return {key: parameter.default for key, parameter in schema.configurable(builder).items()}


def _names(layers: Any) -> Iterator[str]:
    """Yield every text in nested lists and mappings of layers."""
    if isinstance(layers, str):
        yield layers
    elif isinstance(layers, dict):
        yield from _names([*layers.keys(), *layers.values()])
    elif isinstance(layers, list | tuple):
        for layer in layers:
            yield from _names(layer)
