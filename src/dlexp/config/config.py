"""The config of a run: typed, frozen dataclasses instead of a DictConfig."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from dlexp.config import schema
from dlexp.config.code import refuse_foreign_code
from dlexp.config.component import Component, Dataset, Model, Optimizer
from dlexp.config.composition import Choices, compose, overridden
from dlexp.config.schema import Count, Interval, Natural, Positive, Seed, Threads

COMPONENTS: dict[str, type[Component]] = {
    "dataset": Dataset,
    "model": Model,
    "optimizer": Optimizer,
    **dict.fromkeys(("scheduler", "loss", "regularizer", "demonstration"), Component),
}


def _inside_output_dir(name: str) -> None:
    part = r"(?!\.)[\w.=+,@ -]+"  # names that begin with a dot are dlexp's own, for example .jobs
    if not re.fullmatch(f"{part}(/{part})*", name) or len(name.encode()) > 200:
        raise ValueError(
            "must be a relative path of letters, digits and any of . _ - = + , @; no part may begin with a dot"
        )


def _device(name: str) -> None:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ValueError("must be auto, cpu, cuda or cuda:N")


def _honest_monitor(name: str) -> None:
    if name.startswith("test/"):
        raise ValueError(
            "would choose a model by its test results, which makes them meaningless; take validation/loss or "
            "validation/accuracy, with dataset.validation_fraction=0.1"
        )
    if not name.startswith("validation/"):
        raise ValueError("must be validation/loss or validation/ and one of `metrics`, such as validation/accuracy")


def _names(notation: dict[str, Any]) -> None:
    for key, names in notation.items():
        if not all(isinstance(name, str) for name in (names if isinstance(names, list) else [names])):
            raise ValueError(f"{key} must have a name, or a list of names")


def _levels(milestones: Mapping[str, Any]) -> None:
    if not all(isinstance(level, int | float) and not isinstance(level, bool) for level in milestones.values()):
        raise ValueError("must give each metric a number to reach, as in {test/accuracy: 0.95}")


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after `patience` epochs (null: never) in which `monitor` did not improve."""

    patience: Count | None
    monitor: Annotated[str, _honest_monitor]


@dataclass(frozen=True)
class Predict:
    """Say "not found" below the lowest confidence with which validation reaches `precision` (null: never)."""

    precision: Annotated[float, Interval(0, 1, without_low=True)] | None


@dataclass(frozen=True)
class Checkpoint:
    """How often a run is saved before its end: by time, by epochs, or both (null: never)."""

    every_seconds: Positive | None
    every_epochs: Count | None


@dataclass(frozen=True)
class Config:
    """All settings of a run; `conf/config.yaml` holds the defaults and explains each key."""

    dataset: Dataset
    model: Model
    optimizer: Optimizer
    scheduler: Component
    loss: Component
    regularizer: Component
    demonstration: Component
    name: Annotated[str, _inside_output_dir]
    epochs: Natural
    batch_size: Count | Literal["full"]
    shuffle: bool
    seed: Seed
    device: Annotated[str, _device]
    precision: Literal["float32", "float64", "bfloat16"]
    threads: Threads | Literal["auto"]
    jobs: Threads | Literal["auto"]
    deterministic: bool
    feature_store: bool
    stop_at: Count | None
    early_stopping: EarlyStopping
    predict: Predict
    checkpoint: Checkpoint
    log_every_n_steps: Count | None
    evaluate_every_n_steps: Count | None
    log_gradients: bool
    log_units: bool
    trace_steps: Natural
    notation: Annotated[dict[str, Any], _names] | None
    milestones: Annotated[dict[str, Any], _levels] | None
    metrics: tuple[Any, ...] | None
    diagnostics: tuple[Any, ...]
    sinks: tuple[Any, ...]
    imports: tuple[str, ...]
    data_dir: str
    output_dir: str
    reference: tuple[dict[str, Any], ...]

    @property
    def is_demonstration(self) -> bool:
        """Whether the config chooses a demonstration, and trains nothing."""
        return self.demonstration.name != "none"

    def to_mapping(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and scalars, as `config.yaml` holds them."""
        return dataclasses.asdict(self) | {group: getattr(self, group).to_mapping() for group in COMPONENTS}


def load_config(
    overrides: Sequence[str], *, file: Path | None = None, anew: bool = False, choices: Choices | None = None
) -> Config:
    """Compose the config that `overrides` (Hydra's grammar) choose, from the groups or from a saved `file`.

    `anew` starts another run from the file: its device, threads and folders are those of this machine.
    `choices` remembers, for other calls, what is composed only to check keys.
    The groups are dlexp's own and those in `./conf`. Options of components are not checked here: `build.check` does.
    Raises UserError naming the wrong key, and the nearest right ones.
    """
    composed = compose(overrides, choices) if file is None else overridden(file, overrides, anew=anew)
    if file is not None and not any(each.startswith("imports=") for each in overrides):
        refuse_foreign_code(composed["imports"], file)
    config = from_mapping(composed)
    folders = {key: schema.path(getattr(config, key), f"{key}=") for key in ("data_dir", "output_dir")}
    return dataclasses.replace(
        config, data_dir=str(folders["data_dir"].absolute()), output_dir=str(folders["output_dir"])
    )


def from_mapping(mapping: Mapping[str, Any]) -> Config:
    """Return a mapping's config, as Hydra composes it or `to_mapping` gives it. Raises UserError for a wrong key."""
    chosen = {group: kind.of(mapping[group], group) for group, kind in COMPONENTS.items() if group in mapping}
    return Config(**schema.bind(Config, {**mapping, **chosen}, ""))
