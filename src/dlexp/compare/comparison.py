"""What a factor did: each setting's figures, paired differences between settings, and what they support in words."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dlexp.compare.groups import SEED, Record, Setting, confounders, factor_key, newest, nuisances, setting
from dlexp.compare.statistics import Estimate, estimate, holm, paired_interval, paired_p_value, pairs_needed
from dlexp.errors import UserError, did_you_mean
from dlexp.tabular import label

LIMIT = 0.05


@dataclass(frozen=True)
class Difference:
    """One setting minus another, over the seeds that both have; statistics are None with fewer than two."""

    one: str
    other: str
    pairs: int
    mean: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None  # Holm's, for all differences of the factor
    needed: int | None = None  # pairs that would settle it, where it is open

    @property
    def claimed(self) -> bool:
        """Whether the data support a difference: the corrected test says so, and the interval does not deny it."""
        if self.p_value is None or self.low is None or self.high is None:
            return False
        return self.p_value <= LIMIT and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Effect:
    """One factor: each setting's figure over seeds, averaged over whatever else was varied alike, best first."""

    factor: str
    metric: str
    settings: Mapping[str, Estimate]
    differences: Sequence[Difference]
    sentences: Sequence[str]
    confounders: Sequence[str]


@dataclass(frozen=True)
class Comparison:
    """Every factor's effect, the combinations best first where there are several, and what was left out."""

    effects: Sequence[Effect]
    combinations: Mapping[str, Estimate] = field(default_factory=dict)
    notes: Sequence[str] = ()


def compare(runs: Iterable[Record | None], by: Sequence[str], metric: str) -> Comparison:
    """Compare finished runs by one or more config keys.

    Raises UserError where a key or metric is unknown, or there is nothing to compare.
    """
    everything, notes = newest(runs)
    if not everything:
        raise UserError("There is no finished run to compare here. `dlexp list runs` shows what there is.")
    factors = [factor_key(name, everything) for name in by]
    if SEED in factors:
        raise UserError("--by seed: seeds are what a comparison averages over; name the factor that you varied.")
    known = {name for record in everything for name in record.figures}
    if metric not in known:
        raise UserError(f"--metric {metric}: no run has such a figure.{did_you_mean(metric, sorted(known))}")
    measured = [record for record in everything if metric in record.figures]
    if len(measured) < len(everything):
        notes.append(f"{len(everything) - len(measured)} runs are left out: they have no {metric}.")
    effects = [_effect(measured, factor, metric) for factor in factors]
    combinations: dict[str, Estimate] = {}
    if len(factors) > 1:
        figures = _by_seed(measured, factors, metric)
        combinations = _ranked({_name(s): estimate(list(v.values())) for s, v in figures.items()}, metric)
    return Comparison(effects, combinations, notes)


def higher_is_better(metric: str) -> bool:
    """Whether more of a figure is better: of accuracy and R², not of losses, errors, seconds."""
    return metric.endswith(("accuracy", "r2"))


def _effect(everything: Sequence[Record], factor: str, metric: str) -> Effect:
    figures = _by_seed(everything, [factor], metric)
    if len(figures) < 2:
        raise UserError(f"--by {factor}: every run here has {factor}={_name(next(iter(figures)))}; nothing to compare.")
    estimates = _ranked({_name(s): estimate(list(v.values())) for s, v in figures.items()}, metric)
    named = {_name(s): values for s, values in figures.items()}
    pairs = list(itertools.combinations(estimates, 2))
    differences = [_difference(one, other, named[one], named[other]) for one, other in pairs]
    tested = [d for d in differences if d.p_value is not None]
    corrected = holm([d.p_value for d in tested if d.p_value is not None])
    by_pair = {(d.one, d.other): p for d, p in zip(tested, corrected, strict=True)}
    final = []
    for each in differences:
        p = by_pair.get((each.one, each.other))
        values = _common(named[each.one], named[each.other])
        found = replace(each, p_value=p)
        final.append(found if p is None or found.claimed else replace(found, needed=pairs_needed(values, len(tested))))
    sentences = [_sentence(each, metric) for each in final]
    return Effect(factor, metric, estimates, final, sentences, confounders(everything, [factor]))


def _by_seed(everything: Sequence[Record], factors: Sequence[str], metric: str) -> dict[Setting, dict[object, float]]:
    """Each setting's figure for each seed: the mean over what varies alike in every group, where all of it is there."""
    pair_by = nuisances(everything, factors)
    cells: dict[Setting, dict[object, dict[Setting, float]]] = {}
    for record in everything:
        by_seed = cells.setdefault(setting(record, factors), {})
        by_seed.setdefault(record.keys.get(SEED), {})[setting(record, pair_by)] = record.figures[metric]
    whole = {case for by_seed in cells.values() for by_case in by_seed.values() for case in by_case}
    return {
        s: {seed: sum(by_case.values()) / len(by_case) for seed, by_case in by_seed.items() if by_case.keys() == whole}
        or {seed: sum(by_case.values()) / len(by_case) for seed, by_case in by_seed.items()}
        for s, by_seed in cells.items()
    }


def _difference(one: str, other: str, mine: Mapping[object, float], theirs: Mapping[object, float]) -> Difference:
    values = _common(mine, theirs)
    if not values:
        means = [sum(each.values()) / len(each) for each in (mine, theirs)]
        return Difference(one, other, 0, means[0] - means[1])
    mean = sum(values) / len(values)
    if len(values) < 2:
        return Difference(one, other, 1, mean)
    return Difference(one, other, len(values), mean, *paired_interval(values), paired_p_value(values))


def _common(mine: Mapping[object, float], theirs: Mapping[object, float]) -> list[float]:
    return [mine[seed] - theirs[seed] for seed in mine if seed in theirs]


def _ranked(estimates: Mapping[str, Estimate], metric: str) -> dict[str, Estimate]:
    return dict(sorted(estimates.items(), key=lambda item: item[1].mean, reverse=higher_is_better(metric)))


def _name(values: Setting) -> str:
    return ", ".join(label(_thawed(value)) for value in values)


def _thawed(value: object) -> object:
    """Undo what made a value hashable, to be labelled: pairs are a mapping again, other tuples lists."""
    if isinstance(value, tuple):
        if value and all(isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str) for item in value):
            return {key: _thawed(item) for key, item in value}
        return [_thawed(item) for item in value]
    return value


def _sentence(difference: Difference, metric: str) -> str:
    d, better = difference, higher_is_better(metric)
    if d.p_value is None or d.low is None or d.high is None:
        why = "no seed is common to both" if d.pairs == 0 else "one common seed"
        return f"{d.one} and {d.other}: {d.mean:+.4g} {metric}, but {why}: nothing can be said."
    size = f"{abs(d.mean):.4g} ({_interval(d)})"
    if d.claimed:
        first, second = (d.one, d.other) if (d.mean > 0) == better else (d.other, d.one)
        return f"{first} is better than {second}: {metric} differs by {size}, corrected p = {d.p_value:.2g}."
    more = "" if d.needed is None else max(0, d.needed - d.pairs)
    settle = (
        f"about {more} more seeds would settle a difference of this size"
        if more
        else "more than a thousand seeds would be needed to settle so small a difference"
        if d.needed is None
        else "a few more seeds may settle it"
    )
    same = f"The data do not tell {d.one} from {d.other}: {metric} differs by {size}, corrected p = {d.p_value:.2g}"
    return f"{same}; {settle}."


def _interval(difference: Difference) -> str:
    assert difference.low is not None and difference.high is not None
    low, high = (
        sorted((difference.low, difference.high)) if difference.mean > 0 else (-difference.high, -difference.low)
    )
    return f"95 % interval {low:.4g} to {high:.4g}"
