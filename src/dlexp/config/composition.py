"""Compose groups, overrides and saved files with Hydra into one plain mapping whose keys are all known.

Every function here refuses a wrong key or option, and suggests the nearest right ones.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, Node, OmegaConf
from omegaconf.resolvers import oc

from dlexp.config.component import LATER
from dlexp.config.keys import is_of_the_machine
from dlexp.config.overrides import COMPOSING, parse, reason, text
from dlexp.config.renamed import refuse_former, renamed
from dlexp.errors import UserError, did_you_mean, nearest, one_line
from dlexp.storage.untrusted import load_yaml, read_at_most, refuse_alias_bombs, refuse_interpolations

GROUPS = ("dataset", "model", "optimizer", "scheduler", "loss", "regularizer", "demonstration", "experiment")
STORED_PATHS = ("data_dir", "output_dir")
Choices = dict[tuple[str, ...], Any]  # choices of groups, as typed → what they alone compose to


def compose(overrides: Sequence[str], choices: Choices | None = None) -> dict[str, Any]:
    """Return the resolved config that `overrides` (Hydra's grammar) choose from dlexp's groups and those in `./conf`.

    `choices` remembers, for other calls, what is composed only to check keys.
    Raises UserError naming the wrong key or option.
    """
    return _resolved(
        _composed([_single(override) for override in parse(overrides)], {} if choices is None else choices)
    )


def overridden(file: Path, overrides: Sequence[str], *, anew: bool = False) -> dict[str, Any]:
    """Return a saved config changed by `key=value` overrides; keys that it lacks get today's defaults.

    If another run starts `anew` from it, the keys of the machine get their defaults too; else `data_dir` does if the
    saved one does not exist here.
    Raises UserError if a key is wrong, or an override chooses a component, which the file has chosen.
    """
    parsed = [_single(override) for override in parse(overrides)]
    content = renamed(read_mapping(file))
    if missing := [group for group in GROUPS if group not in ("demonstration", "experiment", *content)]:
        raise UserError(f"{file} is not the config of a run: it has no {', '.join(missing)}.")
    defaults = compose([])
    elsewhere = {key for key in content if is_of_the_machine(key)} if anew else set()
    if not Path(str(content.get("data_dir"))).exists():
        elsewhere.add("data_dir")
    saved = defaults | {key: value for key, value in content.items() if key not in elsewhere}
    for group, keys in LATER.items():
        saved[group] = dict.fromkeys(keys) | saved[group]
    for override in parsed:
        if override.key_or_group in GROUPS:
            raise UserError(f"{text(override)}: {file} has chosen its {override.key_or_group} already.")
    _check_keys(parsed, saved)
    typed = {override.key_or_group for override in parsed}
    left = [key for key in ("device", "threads") if key in elsewhere - typed and content[key] != defaults[key]]
    if left:
        told = " ".join(f"{key}={content[key]}" for key in left)
        print(f"{file} has {told}, and this run takes them from here: type them for the same bits.", file=sys.stderr)
    config = OmegaConf.create(saved)
    for override in parsed:
        OmegaConf.update(config, override.key_or_group, override.value())
    return _resolved(config)


def grid(overrides: Sequence[str]) -> dict[str, str]:
    """Return the grid that an experiment declares in `hydra.sweeper.params`: key → comma-separated values."""
    composed = _composed([_single(override) for override in parse(overrides)], {}, with_hydra=True)
    params = _resolved(composed.hydra.sweeper.params or OmegaConf.create({}))
    return {str(key): str(value) for key, value in params.items()}


def read_mapping(file: Path, *, saved: bool = True) -> dict[str, Any]:
    """Return a YAML config as plain values; raise UserError if it is not one, or is saved and has interpolations."""
    try:
        with file.open("rb") as opened:  # it may be a pipe: `--config <(sed …)`
            content = read_at_most(opened)
        mapping = load_yaml(content.decode() or "{}")
        if saved:
            refuse_interpolations(mapping)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error}.") from None
    except ValueError as error:
        raise UserError(f"{file} is not a config: {error}") from None
    if not isinstance(mapping, dict):
        raise UserError(f"{file} is not a config: it holds a {type(mapping).__name__}, not a mapping.")
    return {str(key): value for key, value in mapping.items()}


def options(group: str) -> dict[str, Path]:
    """Return the YAML file of each option of `group`; dlexp's own take precedence over the user's `./conf`."""
    found: dict[str, Path] = {}
    for root in (Path.cwd() / "conf", shipped_configs()):
        folder = root / group
        found |= {p.relative_to(folder).with_suffix("").as_posix(): p for p in folder.rglob("*.yaml") if p.is_file()}
    return dict(sorted(found.items()))


def shipped_configs() -> Path:
    """Return the folder of dlexp's own configs, in a wheel or in an editable install."""
    return Path(str(files("dlexp.conf")))


def search_path() -> list[str]:
    """Return the override that lets Hydra find the user's configs in `./conf` too; none if there is no such folder."""
    user_configs = Path.cwd() / "conf"
    if not user_configs.is_dir() or user_configs.samefile(shipped_configs()):
        return []
    refuse_alias_bombs(user_configs)
    quoted = str(user_configs).replace("\\", "\\\\").replace("'", "\\'")
    return [f"hydra.searchpath=['file://{quoted}']"]


@contextmanager
def initialized() -> Iterator[None]:
    """Let Hydra compose from dlexp's configs, even if it is already initialized in this process."""
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(shipped_configs().absolute()), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = before


@contextmanager
def _without_secrets() -> Iterator[None]:
    """Let ${oc.env:…} read only paths, because a run stores every value of its config, and reports show them."""

    def from_environment(name: str, default: Any = None, *, _node_: Node) -> Any:
        key = _node_._get_full_key(None)
        value = oc.env(name, default)
        if key not in STORED_PATHS or not (name.startswith("DLEXP_") or str(value).startswith("/")):
            raise UserError(
                f"{key}: ${{oc.env:{name}}} would be stored with the run. It may give an absolute path to "
                f"{' and '.join(STORED_PATHS)}; type another value that is not secret as {key}=${name}."
            )
        return value

    OmegaConf.register_new_resolver("oc.env", from_environment, replace=True)
    try:
        yield
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def _single(override: Override) -> Override:
    if override.is_sweep_override():
        raise UserError(f"{text(override)} gives several values: run a sweep of them with `dlexp train -m`.")
    return override


def _composed(parsed: list[Override], known: Choices, *, with_hydra: bool = False) -> DictConfig:
    search = search_path()
    choices = [override for override in parsed if override.key_or_group in GROUPS]
    for choice in choices:
        _check_choice(choice)
    try:
        with initialized():
            if len(choices) < len(parsed):
                chosen = tuple(text(choice) for choice in choices)
                if chosen not in known:
                    known[chosen] = OmegaConf.to_container(hydra.compose("config", [*search, *chosen]), resolve=False)
                _check_keys([o for o in parsed if o not in choices], known[chosen])
            everything = search + [text(override) for override in parsed]
            return hydra.compose("config", everything, return_hydra_config=with_hydra)
    except COMPOSING as error:
        raise UserError(f"The config cannot be composed: {reason(error)}") from error


def _check_choice(choice: Override) -> None:
    group, value = choice.key_or_group, choice.value()
    known = options(group)
    if value is None:
        raise UserError(f"{group}=null: leave it out, or choose one of {', '.join(known)}.")
    if str(value) not in known:
        raise UserError(f"{group}={one_line(str(value))}: there is no such {group}.{did_you_mean(str(value), known)}")
    if not known[str(value)].is_relative_to(shipped_configs()):
        _check_file(known[str(value)])


def _check_file(file: Path) -> None:
    content = read_mapping(file, saved=False)  # Hydra would not name the file
    defaults = content.get("defaults") or ()
    for key in map(str, (*content, *(key for each in defaults if isinstance(each, dict) for key in each))):
        refuse_former(key.removeprefix("override ").lstrip("/"), key, f"{file}: ")


def _check_keys(overrides: Sequence[Override], config: Any) -> None:
    imports = any(override.key_or_group == "imports" for override in overrides)
    for override in overrides:
        own = f" If your builder takes it, write +{text(override)}." if imports else ""
        adds = override.is_add() or override.is_force_add()
        level, parts = config, override.key_or_group.split(".")
        for i, part in enumerate(parts):
            if adds and not isinstance(level, list) and not (isinstance(level, dict) and part in level):
                break  # a new key, which the component's builder accepts or refuses
            if not isinstance(level, dict) or part not in level:
                raise UserError(_unknown_key(parts, i, level, config) + (own if i == 1 else ""))
            level = level[part]


def _unknown_key(parts: list[str], i: int, level: Any, config: dict[str, Any]) -> str:
    below = [f"{group}.{key}" for group, keys in config.items() if isinstance(keys, dict) for key in keys]
    elsewhere = [key for key in below if key.rpartition(".")[2] == parts[-1]]
    prefix = "".join(part + "." for part in parts[:i])
    chosen = f" in {parts[0]}={level['name']}" if i == 1 and isinstance(level, dict) and "name" in level else ""
    siblings = [str(key) for key in (level if isinstance(level, dict) else ())] + ([] if i else ["experiment"])
    if not elsewhere and not i and not nearest(parts[0], siblings):  # learning_rate is optimizer.lr
        last = nearest(parts[0], {key.rpartition(".")[2] for key in below})
        elsewhere = [key for key in below if key.rpartition(".")[2] in last]
    hint = f" Did you mean {' or '.join(elsewhere)}?" if elsewhere else did_you_mean(parts[i], siblings, prefix)
    return f"There is no key {'.'.join(parts)}{chosen}.{hint}"


def _resolved(config: DictConfig) -> dict[str, Any]:
    try:
        with _without_secrets():
            container = OmegaConf.to_container(config, resolve=True)
    except COMPOSING as error:
        raise UserError(f"The config cannot be resolved: {reason(error)}") from error
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}
