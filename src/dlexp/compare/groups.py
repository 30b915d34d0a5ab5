"""Group finished runs by a factor, and find whatever else differs between the groups."""

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlexp.components.metrics import known_directions
from dlexp.config.keys import makes_a_difference
from dlexp.errors import UserError, did_you_mean
from dlexp.runs.directory import RunDirectory
from dlexp.runs.formatting import flat, label

MAKE_A_JOB = ("data_sha256", "numerics", "code_sha256")  # with the config: another value is another job
PROVENANCE = (*MAKE_A_JOB, "split_sha256", "torch", "numpy", "processor", "device_name", "threads")
WEIGHTS = "initial_weights_sha256"
SEED = "seed"
MOST_SETTINGS = 24  # of a factor: a key with more values is not compared
OWN = "; each value is a setting of its own"
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
    """Return the finished runs, of duplicates only the last, and a note on each run that is left out.

    `runs` come oldest first, as `find_runs` sorts them.
    """
    found: dict[str, Record] = {}
    notes = []
    unfinished = 0
    for each in runs:
        if each is None:
            unfinished += 1
            continue
        deciding = sorted((key, repr(value)) for key, value in each.keys.items() if makes_a_difference(key))
        job = repr((deciding, setting(each, MAKE_A_JOB)))
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
        if key in known and not makes_a_difference(key):
            raise UserError(f"--by {name}: runs that differ only in it are the same job, so it is no factor.")
        if key in known:
            return key
    raise UserError(f"--by {name}: no run has such a key.{did_you_mean(name, sorted(known))}")


def setting(record: Record, keys: Sequence[str]) -> Setting:
    """Return the record's values of config keys, and of the hashes and versions that also make its job."""
    return tuple(
        str(record.provenance[key])[:12] if key in MAKE_A_JOB else _frozen(record.keys.get(key)) for key in keys
    )


def units(metric: str, keys: Iterable[str]) -> list[str]:
    """Return those of the keys of which each value gives the metric another unit.

    A loss has the unit of its function, and of the targets if these are normalized.
    """
    return [
        key
        for key in keys
        if metric.endswith("/loss") and (key.partition(".")[0] == "loss" or key == "dataset.target_normalization")
    ]


def nuisances(everything: Sequence[Record], factors: Sequence[str]) -> list[str]:
    """Return the keys to pair by: neither a factor nor a seed, they vary alike in every group.

    A key varies alike if each group has the same values of it, as in a sweep over several keys.
    """
    return [key for key, values in _varying(everything, factors).items() if _alike(values)]


def further(everything: Sequence[Record], factors: Sequence[str]) -> list[str]:
    """Return the keys that make settings of their own: they vary within a group, but not alike in every group.

    Without them several runs of one setting would pass for one, or for seeds of the same thing.
    """
    unlike = [key for key, values in _varying(everything, factors).items() if not _alike(values)]
    values = {key: [setting(each, [key]) for each in everything] for key in (*unlike, *MAKE_A_JOB)}
    given = [*factors, *nuisances(everything, factors)]
    return splitting(values, [setting(each, given) for each in everything])


def splitting(values: Mapping[str, Sequence[Hashable]], given: Sequence[Hashable]) -> list[str]:
    """Return the keys that tell apart runs which `given` and the keys before them do not: the others follow from them.

    `values` has each key's value in each run; an optimizer's learning rate, for example, may follow from its name.
    """
    chosen: list[str] = []
    components = {key.removesuffix(".name") for key in values if key.endswith(".name") or "." not in key}
    options = {key for key in values if key.partition(".")[0] in components and "." in key.removesuffix(".name")}
    for key in sorted(values, key=lambda key: (key == SEED, key in options)):
        finer = list(zip(given, values[key], strict=True))
        if len(set(finer)) > len(set(given)):
            chosen, given = [*chosen, key], finer
    return chosen


def varied(everything: Sequence[Record]) -> list[str]:
    """Return the keys in which the runs differ, without seeds and those that follow from others."""
    values = {key: [setting(each, [key]) for each in everything] for key in _varying(everything, [])}
    return splitting(values, [()] * len(everything))


def confounders(everything: Sequence[Record], factors: Sequence[str]) -> list[str]:
    """Return in words whatever else differs between the groups: config, data, split, initial weights, code, machine.

    An option that only one choice of a compared component has is part of that choice; one that both have confounds.
    """
    found = []
    parts = tuple(factor.removesuffix("name") for factor in factors if factor.endswith(".name"))
    own = further(everything, factors)
    for key, values in _varying(everything, factors).items():
        if _alike(values):
            continue
        if key.startswith(parts) and parts and any(None in each for each in values.values()):
            continue
        found.append(f"{key}: {_by_group(values)}{OWN if key in own else ''}")
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
        pair_by = [*nuisances(everything, factors), *own]
        for record in everything:
            weights.setdefault((record.keys.get(SEED), setting(record, pair_by)), set()).add(record.provenance[WEIGHTS])
        if differing := [seed for (seed, _), hashes in weights.items() if len(hashes) > 1]:
            found.append(f"initial weights: others for the same seed ({', '.join(map(str, sorted(set(differing))))})")
    return found


def _varying(everything: Sequence[Record], factors: Sequence[str]) -> dict[str, dict[Setting, set[Any]]]:
    """Return each key whose value is not the same in all runs, with its values in each group; no key of a seed.

    `dataset.split_seed` is one too, if it goes with the seed: each seed has one value of it.
    """
    groups = _grouped(everything, factors)
    known = dict.fromkeys(key for record in everything for key in record.keys)
    keys = [key for key in known if makes_a_difference(key) and key not in factors]
    keys = [key for key in keys if not _goes_with_seed(key, everything)]
    values = {key: {s: {_frozen(r.keys.get(key)) for r in rs} for s, rs in groups.items()} for key in keys}
    return {key: each for key, each in values.items() if len(set().union(*each.values())) > 1}


def _goes_with_seed(key: str, everything: Sequence[Record]) -> bool:
    if not key.endswith(SEED):
        return False
    both = {setting(each, [SEED, key]) for each in everything}
    return len(both) == len({seed for seed, _ in both})


def _alike(values: Mapping[Setting, set[Any]]) -> bool:
    return len({frozenset(each) for each in values.values()}) == 1


def _grouped(everything: Sequence[Record], factors: Sequence[str]) -> dict[Setting, list[Record]]:
    groups: dict[Setting, list[Record]] = {}
    for record in everything:
        groups.setdefault(setting(record, factors), []).append(record)
    return groups


def named(settings: Iterable[Setting], keys: Sequence[str] = ()) -> dict[Setting, str]:
    """Return each setting's short text; `keys` name its last values, as in `adam, epochs=300`.

    If two have the same text, as 16 and [16] do, write all of them out.
    """
    settings = list(settings)
    for text in (label, lambda value: json.dumps(value, ensure_ascii=False)):
        names = {each: ", ".join(_assigned(each, keys, text)) for each in settings}
        if len(set(names.values())) == len(names):
            break
    return names


def _assigned(values: Setting, keys: Sequence[str], text: Callable[[Any], str]) -> Iterator[str]:
    first = len(values) - len(keys)
    for i, value in enumerate(values):
        yield (f"{keys[i - first].removesuffix('.name')}=" if i >= first else "") + text(_thawed(value))


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
