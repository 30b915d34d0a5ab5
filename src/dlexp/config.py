"""Hydra → typed, frozen dataclasses. Nothing below this module sees a DictConfig."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dlexp import schema
from dlexp.errors import UserError, did_you_mean
from dlexp.schema import Count, Natural, Positive

COMPONENTS = ("dataset", "model", "optimizer", "scheduler", "loss", "regularizer")
GROUPS = (*COMPONENTS, "experiment")
Component = Mapping[str, Any]  # 'name', and the options of the builder of that name


def _inside_output_dir(name: str) -> None:
    if not re.fullmatch(r"[\w.=+,@ -]+(/[\w.=+,@ -]+)*", name) or ".." in PurePosixPath(name).parts or len(name) > 200:
        raise ValueError("must be a relative path of letters, digits and any of . _ - = + , @ without '..'")


def _device(name: str) -> None:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ValueError("must be auto, cpu, cuda or cuda:N")


def _honest_monitor(name: str) -> None:
    if name.startswith("test/"):
        raise ValueError(
            "would choose a model by its test results, which then mean nothing; take validation/loss or "
            "validation/accuracy, with dataset.validation_fraction=0.1"
        )
    if name not in ("validation/loss", "validation/accuracy"):
        raise ValueError("must be validation/loss or validation/accuracy")


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after `patience` epochs (null: never) in which `monitor` did not improve."""

    patience: Count | None
    monitor: Annotated[str, _honest_monitor]


@dataclass(frozen=True)
class Checkpoint:
    """How often a run is saved besides at its end: by time, by epochs, or both (null: never)."""

    every_seconds: Positive | None
    every_epochs: Count | None


@dataclass(frozen=True)
class Config:
    """Everything that decides a run; `conf/config.yaml` holds the defaults and says what each key means."""

    dataset: Component
    model: Component
    optimizer: Component
    scheduler: Component
    loss: Component
    regularizer: Component
    name: Annotated[str, _inside_output_dir]
    epochs: Count
    batch_size: Count | Literal["full"]
    seed: Natural
    device: Annotated[str, _device]
    precision: Literal["float32", "bfloat16"]
    threads: Count | Literal["auto"]
    deterministic: bool
    stop_at: Count | None
    early_stopping: EarlyStopping
    checkpoint: Checkpoint
    log_every_n_steps: Count | None
    log_gradients: bool
    imports: tuple[str, ...]
    data_dir: str
    output_dir: str

    def to_mapping(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and scalars, as `config.yaml` holds them."""
        return dataclasses.asdict(self)


def load_config(overrides: Sequence[str], *, file: Path | None = None) -> Config:
    """Compose the config that `overrides` (Hydra's grammar) ask for, from the groups or from a saved `file`.

    The groups are dlexp's own and those in `./conf`. Options of components are not checked here: `build.check` does.
    Raises UserError naming the key that is wrong, and what it may have been meant to be.
    """
    parsed = _parse(overrides)
    try:
        if file is None:
            composed = _compose(parsed)
        else:
            composed = _apply(parsed, {**_compose([]), **read_mapping(file)}, file)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise UserError(f"The config cannot be composed: {_first_line(error)}") from error
    composed["data_dir"] = str(Path(str(composed["data_dir"])).expanduser().absolute())
    return Config(**schema.bind(Config, composed, ""))


def read_mapping(file: Path) -> dict[str, Any]:
    """Return a saved YAML config as plain values, its interpolations resolved; UserError where it is not one."""
    try:
        mapping = OmegaConf.to_container(OmegaConf.load(file), resolve=True)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}.") from None
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        raise UserError(f"{file} is not a config: {_first_line(error)}") from None
    if not isinstance(mapping, dict):
        raise UserError(f"{file} is not a config: it holds a {type(mapping).__name__}, not a mapping.")
    return {str(key): value for key, value in mapping.items()}


def options(group: str) -> dict[str, Path]:
    """Return the YAML file of each option of `group`, dlexp's own winning over the user's `./conf`."""
    found: dict[str, Path] = {}
    for root in (Path.cwd() / "conf", shipped_configs()):
        folder = root / group
        found |= {p.relative_to(folder).with_suffix("").as_posix(): p for p in folder.rglob("*.yaml")}
    return dict(sorted(found.items()))


def shipped_configs() -> Path:
    """The folder of the configs that came with dlexp, in a wheel or in an editable install."""
    return Path(str(files("dlexp.conf")))


def _parse(overrides: Sequence[str]) -> list[Override]:
    parser = OverridesParser.create()
    parsed = []
    for text in overrides:
        try:
            override = parser.parse_override(text)
        except HydraException as error:
            raise UserError(f"{text!r} is not of the form key=value: {_first_line(error)}") from None
        if override.is_sweep_override():
            raise UserError(f"{text} gives several values, but one run takes one.")
        if override.is_hydra_override():
            raise UserError(
                f"{text}: settings of Hydra itself cannot be changed; output_dir and name say where runs go."
            )
        parsed.append(override)
    return parsed


def _compose(parsed: list[Override]) -> dict[str, Any]:
    user_configs = Path.cwd() / "conf"
    search = []
    if user_configs.is_dir() and not user_configs.samefile(shipped_configs()):
        quoted = str(user_configs).replace("\\", "\\\\").replace("'", "\\'")
        search = [f"hydra.searchpath=['file://{quoted}']"]
    choices = [override for override in parsed if override.key_or_group in GROUPS]
    for choice in choices:
        _check_choice(choice)
    with initialize_config_dir(str(shipped_configs().absolute()), version_base="1.3"):
        if len(choices) < len(parsed):
            chosen = compose("config", search + [_text(choice) for choice in choices])
            _check_keys([o for o in parsed if o not in choices], OmegaConf.to_container(chosen, resolve=False))
        composed = compose("config", search + [_text(override) for override in parsed])
    return {str(key): value for key, value in _resolved(composed).items()}


def _apply(parsed: list[Override], saved: dict[str, Any], file: Path) -> dict[str, Any]:
    """Set `key=value` overrides in a saved config; its components are chosen already."""
    for override in parsed:
        if override.key_or_group in GROUPS:
            raise UserError(f"{_text(override)}: {file} has chosen its {override.key_or_group} already.")
    _check_keys(parsed, saved)
    config = OmegaConf.create(saved)
    for override in parsed:
        OmegaConf.update(config, override.key_or_group, override.value())
    return {str(key): value for key, value in _resolved(config).items()}


def _check_choice(choice: Override) -> None:
    group, value = choice.key_or_group, choice.value()
    known = options(group)
    if value is not None and str(value) not in known:
        raise UserError(f"{group}={value}: there is no such {group}.{did_you_mean(str(value), known)}")


def _check_keys(overrides: Sequence[Override], config: Any) -> None:
    for override in overrides:
        if override.is_add() or override.is_force_add():
            continue
        level, parts = config, override.key_or_group.split(".")
        for i, part in enumerate(parts):
            if not isinstance(level, dict) or part not in level:
                raise UserError(_unknown_key(parts, i, level, config))
            level = level[part]


def _unknown_key(parts: list[str], i: int, level: Any, config: dict[str, Any]) -> str:
    elsewhere = [
        f"{group}.{parts[-1]}" for group, keys in config.items() if isinstance(keys, dict) and parts[-1] in keys
    ]
    prefix = "".join(part + "." for part in parts[:i])
    chosen = f" in {parts[0]}={level['name']}" if i == 1 and isinstance(level, dict) and "name" in level else ""
    siblings = [str(key) for key in (level if isinstance(level, dict) else ())] + ([] if i else ["experiment"])
    hint = f" Did you mean {' or '.join(elsewhere)}?" if elsewhere else did_you_mean(parts[i], siblings, prefix)
    return f"There is no key {'.'.join(parts)}{chosen}.{hint}"


def _resolved(config: Any) -> dict[Any, Any]:
    container = OmegaConf.to_container(config, resolve=True)
    assert isinstance(container, dict)
    return container


def _text(override: Override) -> str:
    assert override.input_line is not None
    return override.input_line


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
