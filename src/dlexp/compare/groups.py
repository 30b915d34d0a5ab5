"""Group finished runs by a factor, and find whatever else differs between the groups."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlexp.components.metrics import known_directions
from dlexp.config.keys import makes_a_difference
from dlexp.errors import UserError, did_you_mean
from dlexp.runs.directory import RunDirectory
from dlexp.runs.formatting import flat, label

PROVENANCE = (
    *("data_sha256", "split_sha256", "numerics", "code_sha256"),
    *("torch", "numpy", "processor", "device_name", "threads"),
)
WEIGHTS = "initial_weights_sha256"
SEED = "seed"
Setting = tuple[Any, ...]  # the factors' values, hashable


@dataclass(frozen=True)
class Record:
    """A finished run: its config as flat keys, its provenance, and its final metrics."""

    path: str
    keys: Mapping[str, Any]
    provenance: Mapping[str, Any]
    figures: Mapping[str, float]
    directions: Mapping[str, str]  # by a metric's name: whether higher or lower is better


def record(run: RunDirectory) -> Record | None:
    """Read a run's config and final metrics; return None if it is not finished, or trained nothing."""
    try:
        result, notes = run.read_json("result.json"), run.read_json("environment.json")
        keys, figures = flat(run.read_config()), run.figures()
    except UserError:
        return None
    if result.get("status") != "finished" or "final" not in result:
        return None
    told = result.get("directions")
    directions = known_directions() | (told if isinstance(told, dict) else {})
    return Record(str(run.path), keys, {key: notes.get(key) for key in (*PROVENANCE, WEIGHTS)}, figures, directions)


def newest(runs: Iterable[Record | None]) -> tuple[list[Record], list[str]]:
    """Return the finished runs, of duplicates only the newest, and a note on each run that is left out."""
    found: dict[str, Record] = {}
    notes = []
    unfinished = 0
    for each in runs:
        if each is None:
            unfinished += 1
            continue
        deciding = sorted((key, repr(value)) for key, value in each.keys.items() if makes_a_difference(key))
        job = repr((deciding, each.provenance["numerics"], each.provenance["code_sha256"]))
        if job in found:
            notes.append(f"{found[job].path} is left out: {each.path} is the same job, run anew.")
        found[job] = each
    if unfinished:
        notes.append(f"{unfinished} runs are left out: they are not finished or not whole, or trained nothing.")
    return list(found.values()), notes


def factor_key(name: str, everything: Sequence[Record]) -> str:
    """Return the flat key that `name` means: `optimizer` is `optimizer.name`. Raises UserError for an unknown one."""
    known = {key for record in everything for key in record.keys}
    for key in (name, f"{name}.name"):
        if key in known:
            return key
    raise UserError(f"--by {name}: no run has such a key.{did_you_mean(name, sorted(known))}")


def setting(record: Record, factors: Sequence[str]) -> Setting:
    """Return the record's values of the factors."""
    return tuple(_frozen(record.keys.get(factor)) for factor in factors)


def nuisances(everything: Sequence[Record], factors: Sequence[str]) -> list[str]:
    """Return the keys to pair by: neither a factor nor the seed, they vary alike in every group.

    A key varies alike if each group has the same values of it, as in a sweep over several keys.
    """
    alike = []
    for key, values in _varying(everything, factors).items():
        if len({frozenset(each) for each in values.values()}) == 1 and key != SEED:
            alike.append(key)
    return alike


def confounders(everything: Sequence[Record], factors: Sequence[str]) -> list[str]:
    """Return in words whatever else differs between the groups: config, data, split, initial weights, code, machine.

    An option that only one choice of a compared component has is part of that choice; one that both have confounds.
    """
    found = []
    parts = tuple(factor.removesuffix("name") for factor in factors if factor.endswith(".name"))
    for key, values in _varying(everything, factors).items():
        if len({frozenset(each) for each in values.values()}) == 1 or key == SEED:
            continue
        if key.startswith(parts) and parts and any(None in each for each in values.values()):
            continue
        found.append(f"{key}: {_by_group(values)}")
    found_in = {
        key: {s: {r.provenance[key] for r in rs} for s, rs in _grouped(everything, factors).items()}
        for key in PROVENANCE
    }
    for key, by_setting in found_in.items():
        if key in ("data_sha256", "split_sha256") and any(factor.startswith("dataset.") for factor in factors):
            continue
        if len({frozenset(map(str, each)) for each in by_setting.values()}) > 1:
            found.append(f"{key}: {_by_group({s: {str(v)[:12] for v in each} for s, each in by_setting.items()})}")
    if not any(factor.startswith(("model.", "dataset.", "loss.", "precision")) for factor in factors):
        weights: dict[Any, set[Any]] = {}
        pair_by = nuisances(everything, factors)
        for record in everything:
            weights.setdefault((record.keys.get(SEED), setting(record, pair_by)), set()).add(record.provenance[WEIGHTS])
        if differing := [seed for (seed, _), hashes in weights.items() if len(hashes) > 1]:
            found.append(f"initial weights: others for the same seed ({', '.join(map(str, sorted(set(differing))))})")
    return found


def _varying(everything: Sequence[Record], factors: Sequence[str]) -> dict[str, dict[Setting, set[Any]]]:
    """Return each key whose value is not the same in all runs, with its values in each group."""
    groups = _grouped(everything, factors)
    known = dict.fromkeys(key for record in everything for key in record.keys)
    keys = [key for key in known if makes_a_difference(key) and key not in factors]
    values = {key: {s: {_frozen(r.keys.get(key)) for r in rs} for s, rs in groups.items()} for key in keys}
    return {key: each for key, each in values.items() if len(set().union(*each.values())) > 1}


def _grouped(everything: Sequence[Record], factors: Sequence[str]) -> dict[Setting, list[Record]]:
    groups: dict[Setting, list[Record]] = {}
    for record in everything:
        groups.setdefault(setting(record, factors), []).append(record)
    return groups


def named(settings: Iterable[Setting]) -> dict[Setting, str]:
    """Return each setting's short text; if two have the same, as 16 and [16] do, write all of them out."""
    settings = list(settings)
    short = {each: ", ".join(label(_thawed(value)) for value in each) for each in settings}
    if len(set(short.values())) == len(short):
        return short
    return {each: ", ".join(json.dumps(_thawed(value), ensure_ascii=False) for value in each) for each in settings}


def _by_group(values: Mapping[Setting, set[Any]]) -> str:
    names = named(values)
    return ", ".join(
        f"{names[group]} has {' and '.join(sorted(label(_thawed(value)) for value in each))}"
        for group, each in values.items()
    )


def _thawed(value: object) -> object:
    """Undo `_frozen` before a value is labelled: tuples of pairs become mappings, other tuples lists."""
    if isinstance(value, tuple):
        if value and all(isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str) for item in value):
            return {key: _thawed(item) for key, item in value}
        return [_thawed(item) for item in value]
    return value


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, Mapping):
        return tuple((key, _frozen(item)) for key, item in value.items())
    return value
