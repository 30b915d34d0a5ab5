"""Select runs by filters, and compare two runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from dlexp.errors import UserError, did_you_mean
from dlexp.runs.directory import RunDirectory
from dlexp.runs.formatting import flat, label, table
from dlexp.storage.untrusted import load_yaml

MISSING = "–"  # shown for a key that the run does not have
UNTOLD = ("command", "sweep", "directory", "config_sha256")  # left out: the config's keys show more


def select(runs: Sequence[RunDirectory], filters: Sequence[str]) -> list[RunDirectory]:
    """Return the runs that match every filter: `status=failed`, `optimizer=adam`, `model.hidden_sizes=[5,5]`.

    Raises UserError for a filter that is not key=value, or whose key no run has.
    """
    wanted = {}
    for each in filters:
        key, equals, value = each.partition("=")
        if not equals:
            raise UserError(f"{each} is not of the form key=value.")
        try:
            wanted[key] = value, load_yaml(value)  # as in a config: 1e-3 is a number, true a boolean
        except ValueError:
            raise UserError(f"{each}: {value} is not a valid YAML value.") from None
    described = [(run, describe(run)) for run in runs] if wanted else [(run, {}) for run in runs]
    known = {key for _, keys in described for key in keys}
    for key in wanted if described else ():
        if key not in known:
            raise UserError(f"{key}: no run has such a key.{did_you_mean(key, sorted(known))}")
    return [run for run, keys in described if all(_has(keys, key, *values) for key, values in wanted.items())]


def _has(keys: Mapping[str, Any], key: str, typed: str, value: Any) -> bool:
    """Return whether the key has exactly this value: 1 is not true, a missing key is not null, text is as typed."""
    found = keys.get(key)
    return key in keys and (found == typed or (found == value and isinstance(found, bool) == isinstance(value, bool)))


def describe(run: RunDirectory) -> dict[str, Any]:
    """Return a run's config as flat keys, its status, and each component's name under its group."""
    try:
        return {**run.keys(), "status": run.status()["status"]}
    except UserError:
        return {"status": "damaged"}


def difference(one: RunDirectory, other: RunDirectory) -> str:
    """Return a table of the differences in config, environment (with data) and results, or that nothing differs."""
    sections = {
        "config": [flat(run.read_config()) for run in (one, other)],
        "environment": [_notes(run, "environment.json") for run in (one, other)],
        "result": [_figures(run) for run in (one, other)],
    }
    rows = []
    for section, (mine, theirs) in sections.items():
        for key in dict.fromkeys([*mine, *theirs]):
            if mine.get(key, MISSING) != theirs.get(key, MISSING):
                values = [each.get(key, MISSING) for each in (mine, theirs)]
                short = [_shown(value) for value in values]
                rows.append([section, key, *(short if short[0] != short[1] else map(str, values))])
    return table(["", "", str(one.path), str(other.path)], rows) if rows else "Nothing differs."


def _notes(run: RunDirectory, name: str) -> dict[str, Any]:
    try:
        return {key: value for key, value in run.read_json(name).items() if key not in UNTOLD}
    except UserError:  # the run was killed before it wrote the file
        return {}


def _figures(run: RunDirectory) -> dict[str, Any]:
    result = _notes(run, "result.json")
    return {"status": result.get("status"), **(run.figures() if result else {})}


def _shown(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else label(value)
    return "null" if value is None else text if len(text) <= 40 else text[:37] + "…"
