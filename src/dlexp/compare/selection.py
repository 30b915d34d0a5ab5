"""Which runs are meant, and how two of them differ."""

from collections.abc import Sequence
from typing import Any

import yaml

from dlexp.errors import UserError, did_you_mean
from dlexp.rundir import RunDirectory, flat
from dlexp.tabular import label, table

UNTOLD = ("command", "directory", "config_sha256")  # of an environment: the config's own keys say it better


def select(runs: Sequence[RunDirectory], filters: Sequence[str]) -> list[RunDirectory]:
    """Return the runs that every filter is true of: `status=failed`, `optimizer=adam`, `model.hidden_sizes=[5,5]`.

    Raises UserError for a filter that is not key=value, or whose key no run has.
    """
    wanted = {}
    for each in filters:
        key, equals, value = each.partition("=")
        if not equals:
            raise UserError(f"{each} is not of the form key=value.")
        try:
            wanted[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"{each}: {value} is not a value.") from None
    described = [(run, describe(run)) for run in runs] if wanted else [(run, {}) for run in runs]
    known = {key for _, keys in described for key in keys}
    for key in wanted if described else ():
        if key not in known:
            raise UserError(f"{key}: no run has such a key.{did_you_mean(key, sorted(known))}")
    return [run for run, keys in described if all(keys.get(key) == value for key, value in wanted.items())]


def describe(run: RunDirectory) -> dict[str, Any]:
    """Return a run's config as flat keys, its status, and each component's name under its group."""
    return {**run.keys(), "status": run.status().get("status")}


def difference(one: RunDirectory, other: RunDirectory) -> str:
    """Return, as a table, what differs in config, environment (data among it) and results; else that nothing does."""
    sections = {
        "config": [flat(run.read_config()) for run in (one, other)],
        "environment": [_notes(run, "environment.json") for run in (one, other)],
        "result": [_figures(run) for run in (one, other)],
    }
    rows = []
    for section, (mine, theirs) in sections.items():
        for key in dict.fromkeys([*mine, *theirs]):
            if mine.get(key) != theirs.get(key):
                rows.append([section, key, _shown(mine.get(key)), _shown(theirs.get(key))])
    return table(["", "", str(one.path), str(other.path)], rows) if rows else "Nothing differs."


def _notes(run: RunDirectory, name: str) -> dict[str, Any]:
    try:
        return {key: value for key, value in run.read_json(name).items() if key not in UNTOLD}
    except UserError:  # a run that was killed before it wrote them
        return {}


def _figures(run: RunDirectory) -> dict[str, Any]:
    result = _notes(run, "result.json")
    return {"status": result.get("status"), **(run.figures() if result else {})}


def _shown(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else label(value)
    return "–" if value is None else text if len(text) <= 40 else text[:37] + "…"
