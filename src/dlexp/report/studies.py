"""Group runs that belong together into a study, with the keys that vary and the results of `compare`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlexp.compare.comparison import Comparison, compare
from dlexp.compare.groups import MOST_SETTINGS, SEED, splitting, units
from dlexp.compare.statistics import Estimate
from dlexp.config.keys import makes_a_difference
from dlexp.errors import UserError
from dlexp.report.collect import Facts, record_of
from dlexp.runs.formatting import label

MOST_FACTORS = 4


@dataclass(frozen=True)
class Study:
    """Runs that belong together, the keys in which they differ, the factors among these, and the comparisons."""

    name: str
    runs: Sequence[Facts]
    differing: Sequence[str]
    columns: Sequence[str]  # the differing keys without options that follow from their component, as Adam's rate
    varied: Sequence[str]  # the differing keys without all that follow from others
    factors: Sequence[str]  # the varied keys without the seed, with few enough settings to compare
    metrics: Sequence[str]  # of the test split, the loss last
    comparisons: Mapping[str, Comparison]  # by metric; a metric that cannot be compared is left out
    refusals: Mapping[str, str]  # by metric that cannot be compared: why
    directions: Mapping[str, str]  # by a metric's name: whether higher or lower is better

    @property
    def single(self) -> bool:
        """Whether it is one run that neither a sweep nor its name joins to others."""
        return all(run["alone"] for run in self.runs)

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher value of the first metric is better."""
        return bool(self.metrics) and self.directions.get(self.metrics[0].partition("/")[2]) == "higher"

    def units(self, metric: str) -> list[str]:
        """Return the keys by which a metric's unit differs between the runs: figures of several units have no mean."""
        return units(metric, self.differing)

    def estimates(self, metric: str, factor: str) -> Mapping[str, Estimate]:
        """Return the estimate of each setting of a factor; {} if nothing was compared."""
        effects = self.comparisons[metric].effects if metric in self.comparisons else ()
        return next((each.settings for each in effects if each.factor in (factor, f"{factor}.name")), {})


def by_strength(study: Study) -> list[str]:
    """Return the factors sorted by the range of their settings' means, largest first."""
    metric = next(iter(study.metrics), "")

    def distance(factor: str) -> float:
        means = [each.mean for each in study.estimates(metric, factor).values()]
        return max(means) - min(means) if means else 0.0

    return sorted(study.factors, key=distance, reverse=True)


def studies(runs: Sequence[Facts]) -> list[Study]:
    """Return a study for each name among the runs, sorted by name, then one for each single run.

    Runs belong together if a sweep trained them or they were given a name; one that only has the name of its dataset
    and model stands alone.
    """
    by_name: dict[str, list[Facts]] = {}
    for run in sorted(runs, key=lambda run: str(run["name"])):  # which keeps the runs of a name in their order
        by_name.setdefault(f"{run['name']}/{run['time']}" if run["alone"] else run["name"], []).append(run)
    found = [_study(name, each) for name, each in by_name.items()]
    return sorted(found, key=lambda study: study.single)


def settings(run: Facts, keys: Iterable[str]) -> dict[str, str]:
    """Return a run's values of some keys as short texts; missing keys are left out."""
    return {key: label(run["keys"][key]) for key in keys if key in run["keys"]}


def measured(study: Study) -> list[Facts]:
    """Return the runs that have the study's first metric."""
    metric = next(iter(study.metrics), "")
    return [run for run in study.runs if isinstance(run["figures"].get(metric), float | int)]


def best_first(study: Study) -> list[Facts]:
    """Return the runs that have the study's first metric, the best first."""
    return sorted(measured(study), key=lambda run: run["figures"][study.metrics[0]], reverse=study.higher_is_better)


def _study(name: str, runs: Sequence[Facts]) -> Study:
    whole = [run for run in runs if run["keys"]]
    differing = _differing(whole)
    varied = splitting(differing, [()] * len(whole))
    finished = [record for run in runs if (record := record_of(run))]
    curves = {key for run in runs for key in run["curves"]}
    names = dict.fromkeys(key for record in finished for key in record.figures if key.startswith("test/"))
    of_epochs = [name for name in names if name in curves] or names  # the others are of the final weights only
    metrics = sorted(of_epochs, key=lambda name: name == "test/loss")
    directions = {name: way for record in finished for name, way in record.directions.items()}
    of_finished = {key: {_text(run["keys"].get(key)) for run in whole if run["record"]} for key in varied}
    factors = [key for key in varied if key != SEED and 1 < len(of_finished[key]) <= MOST_SETTINGS][:MOST_FACTORS]
    comparisons, refusals = {}, {}
    for metric in metrics if factors else ():
        try:
            comparisons[metric] = compare(finished, factors, metric)
        except UserError as error:
            refusals[metric] = str(error)
    return Study(
        name, runs, list(differing), columns_of(runs), varied, factors, metrics, comparisons, refusals, directions
    )


def columns_of(runs: Sequence[Facts]) -> list[str]:
    """Return the keys in which the runs differ, without options that follow from their component."""
    differing = _differing([run for run in runs if run["keys"]])
    return [key for key in differing if not _follows(key, differing)]


def _differing(runs: Sequence[Facts]) -> dict[str, list[str]]:
    """Return the keys that make a difference between the runs, with each run's value as text."""
    known = dict.fromkeys(key for run in runs for key in run["keys"] if not key.endswith(".name"))
    values = {key: [_text(run["keys"].get(key)) for run in runs] for key in known if makes_a_difference(key)}
    return {key: each for key, each in values.items() if len(set(each)) > 1}


def _follows(key: str, values: Mapping[str, Sequence[str]]) -> bool:
    """Return whether an option has one value for each choice of its component, of which there are several."""
    choices = values.get(key.partition(".")[0], ()) if "." in key else ()
    return len(set(choices)) > 1 and len(set(zip(choices, values[key], strict=True))) == len(set(choices))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
