"""The effect of a factor: an estimate of each setting, paired differences, and conclusions in words."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dlexp.compare.groups import (
    SEED,
    Record,
    Setting,
    confounders,
    factor_key,
    further,
    named,
    newest,
    nuisances,
    setting,
    units,
)
from dlexp.compare.statistics import (
    Estimate,
    estimate,
    holm,
    paired_differences,
    paired_interval,
    paired_p_value,
    pairs_needed,
)
from dlexp.errors import UserError, did_you_mean
from dlexp.runs.formatting import decimals_of, interval, number

LIMIT = 0.05
SEE = "`dlexp list runs` shows the runs."
Cells = dict[tuple[object, Setting], float]  # a figure by seed and by case: the values of the nuisances


@dataclass(frozen=True)
class Difference:
    """One setting minus another, over the seeds that both have; statistics are None with fewer than two pairs."""

    one: str
    other: str
    pairs: int
    mean: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None  # adjusted by Holm for all differences of the factor
    needed: int | None = None  # the number of pairs that would settle it, if it is open

    @property
    def claimed(self) -> bool:
        """Whether the data support a difference: the corrected p-value is small, and the interval excludes 0."""
        if self.p_value is None or self.low is None or self.high is None:
            return False
        return self.p_value <= LIMIT and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Effect:
    """One factor: each setting's estimate over seeds, averaged over the nuisances, best first."""

    factor: str
    metric: str
    settings: Mapping[str, Estimate]
    differences: Sequence[Difference]
    sentences: Sequence[str]
    confounders: Sequence[str]


@dataclass(frozen=True)
class Best:
    """The best setting of a factor, or the best combination of several, with a sentence that names it."""

    setting: str  # with its key, as in optimizer=adam
    figure: str  # its mean
    doubt: str  # why the data may not support it; '' if they do
    sentence: str


@dataclass(frozen=True)
class Comparison:
    """Every factor's effect, the combinations if there are several factors (best first), and notes on runs left out."""

    effects: Sequence[Effect]
    combinations: Mapping[str, Estimate] = field(default_factory=dict)
    notes: Sequence[str] = ()
    best: Best | None = None


def compare(runs: Iterable[Record | None], by: Sequence[str], metric: str | None = None) -> Comparison:
    """Compare finished runs by one or more config keys; `metric` is `split/name`; by default the runs' own.

    Raises UserError if a key or metric is unknown, or there is nothing to compare.
    """
    everything, notes = newest(runs)
    if not everything:
        raise UserError(" ".join(["There is no finished run to compare here.", *notes, SEE]))
    factors = list(dict.fromkeys(factor_key(name, everything) for name in by))
    if SEED in factors:
        raise UserError("--by seed: a comparison averages over seeds; name the factor that you varied.")
    metric = own_metric(everything) if metric is None else metric
    known = {name for record in everything for name in record.figures}
    if metric not in known:
        raise UserError(f"--metric {metric}: no run has such a figure.{did_you_mean(metric, sorted(known))}")
    measured = [record for record in everything if metric in record.figures]
    if len(measured) < len(everything):
        notes.append(f"{len(everything) - len(measured)} runs are left out: their {metric} is missing or not finite.")
    _refuse_other_units(metric, measured)
    for factor in factors:
        if len(settings := {setting(record, [factor]) for record in measured}) < 2:
            only = named(settings)[settings.pop()]
            reason = f"--by {factor}: every run that counts has {factor}={only}; nothing to compare."
            raise UserError(" ".join([reason, *notes]))
    effects = [_effect(measured, factor, metric, notes) for factor in factors]
    combinations: dict[str, Estimate] = {}
    if len(factors) > 1:
        cells = _cells(measured, factors, metric)
        names = named(cells, [*factors, *further(measured, factors)])
        by_seed = {names[s]: estimate(list(_by_seed(each, _cases(cells)).values())) for s, each in cells.items()}
        combinations = _ranked(by_seed, higher=higher_is_better(metric, measured))
        first, *others = combinations
        by_name = {names[s]: each for s, each in cells.items()}
        best = _best("", metric, combinations, _differences(by_name, combinations, [(first, each) for each in others]))
    else:
        (effect,) = effects
        best = _best(factors[0].removesuffix(".name"), metric, effect.settings, effect.differences)
    return Comparison(effects, combinations, list(dict.fromkeys(notes)), best)


def _refuse_other_units(metric: str, everything: Sequence[Record]) -> None:
    for key in units(metric, dict.fromkeys(key for record in everything for key in record.keys)):
        if len(values := {setting(record, [key]) for record in everything}) > 1:
            other = own_metric(everything)
            take = f"--metric {other}" if other != "test/loss" else "a metric that all of them measure"
            raise UserError(
                f"--metric {metric}: the runs have other losses ({key}: {', '.join(named(values).values())}), of which "
                f"each has its own unit. Compare them by {take}."
            )


def higher_is_better(metric: str, everything: Iterable[Record]) -> bool:
    """Return whether a higher `split/name` is better, as the runs record it; if they do not, lower is better."""
    name = metric.partition("/")[2]
    return any(record.directions.get(name) == "higher" for record in everything)


def own_metric(everything: Iterable[Record]) -> str:
    """Return the first metric of the test split other than the loss; `test/loss` if there is no other."""
    names = (key for record in everything for key in record.figures if key.startswith("test/"))
    return next((name for name in names if name != "test/loss"), "test/loss")


def _effect(everything: Sequence[Record], factor: str, metric: str, notes: list[str]) -> Effect:
    cells = _cells(everything, [factor], metric)
    names = named(cells, further(everything, [factor]))
    by_name = {names[s]: each for s, each in cells.items()}
    figures = {name: _by_seed(each, _cases(cells)) for name, each in by_name.items()}
    cases = _cases(cells)
    if any(each.keys() != set(itertools.product(figures[name], cases)) for name, each in by_name.items()):
        notes.append(
            f"Some combinations of {factor.removesuffix('.name')} and seed are missing: a mean is over the seeds "
            "that have all, or over all runs if no seed does; a difference is over the runs that both settings have."
        )
    higher = higher_is_better(metric, everything)
    estimates = _ranked({name: estimate(list(each.values())) for name, each in figures.items()}, higher=higher)
    differences = _differences(by_name, estimates, list(itertools.combinations(estimates, 2)))
    sentences = [_sentence(each, metric, estimates, higher=higher) for each in differences]
    apart = [f"{d.one} and {d.other}" for d in differences if not d.pairs and figures[d.one].keys() & figures[d.other]]
    crossed = [f"{', '.join(nuisances(everything, [factor]))}: never the same in {each}" for each in apart]
    return Effect(factor, metric, estimates, differences, sentences, [*confounders(everything, [factor]), *crossed])


def _differences(
    cells: Mapping[str, Cells], estimates: Mapping[str, Estimate], pairs: Sequence[tuple[str, str]]
) -> list[Difference]:
    """Return the differences of pairs of settings, corrected for their number."""
    values = {(one, other): _paired(cells[one], cells[other]) for one, other in pairs}
    p_values = {pair: paired_p_value(each) for pair, each in values.items() if len(each) > 1}
    corrected = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    differences = []
    for (one, other), each in values.items():
        if len(each) < 2:
            mean = each[0] if each else estimates[one].mean - estimates[other].mean
            differences.append(Difference(one, other, len(each), mean))
            continue
        low, high = paired_interval(each)
        found = Difference(one, other, len(each), sum(each) / len(each), low, high, corrected[one, other])
        differences.append(found if found.claimed else replace(found, needed=pairs_needed(each, len(p_values))))
    return differences


def _best(factor: str, metric: str, settings: Mapping[str, Estimate], differences: Iterable[Difference]) -> Best:
    """Return the first of the ranked `settings`, with those of the same mean; without a `factor` names have keys."""
    best = next(iter(settings.values()))
    level = [name for name, each in settings.items() if math.isclose(each.mean, best.mean, rel_tol=1e-12)]
    name, shown = f"{factor}={_all_of(level)}" if factor else _all_of(level), metric.replace("/", " ").replace("_", " ")
    decimals = decimals_of(each.mean for each in settings.values())
    figure = number(best.mean, decimals)
    seeds = f" (mean of {best.count} seeds)" if best.count > 1 else ""
    sentence = f"Best: {name}, {shown} {figure}{seeds}"
    if len(level) == len(settings):
        return Best(name, figure, "no other setting is worse", f"{sentence}; no other setting is worse.")
    second = [*settings][len(level)]
    rivals = [each for each in differences if each.one == level[0] and each.other not in level and not each.claimed]
    doubt = ""
    if rivals:
        over = _all_of([each.other for each in rivals]) if len(rivals) < 4 else f"{len(rivals)} others"
        tested = any(each.p_value is not None for each in rivals)
        why = "is within the spread of the seeds" if tested else "may be chance: too few common seeds to test it"
        doubt = f"its lead over {over} {why}"
    lead = doubt or "its lead is larger than the spread of the seeds"
    after = number(settings[second].mean, decimals)
    return Best(name, figure, doubt, f"{sentence}; next {second}, {after}. I{lead[1:]}.")


def _all_of(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " * (len(names) > 1) + names[-1]


def _cells(everything: Sequence[Record], factors: Sequence[str], metric: str) -> dict[Setting, Cells]:
    """Return each setting's figures by seed and case: the values of the nuisances. No two runs share all three."""
    pair_by, keys = nuisances(everything, factors), [*factors, *further(everything, factors)]
    cells: dict[Setting, Cells] = {}
    for record in everything:
        by_cell = cells.setdefault(setting(record, keys), {})
        by_cell[record.keys.get(SEED), setting(record, pair_by)] = record.figures[metric]
    return cells


def _cases(cells: Mapping[Setting, Cells]) -> frozenset[Setting]:
    return frozenset(case for each in cells.values() for _, case in each)


def _by_seed(cells: Cells, cases: frozenset[Setting]) -> dict[object, float]:
    """Return each seed's mean over all `cases`; if no seed has all, its mean over those that it has."""
    seeds = dict.fromkeys(seed for seed, _ in cells)
    there = {seed: [value for (other, _), value in cells.items() if other == seed] for seed in seeds}
    whole = {seed: values for seed, values in there.items() if len(values) == len(cases)}
    return {seed: sum(values) / len(values) for seed, values in (whole or there).items()}


def _paired(one: Cells, other: Cells) -> list[float]:
    """Return for each seed the mean difference between runs of the same case, over the same cases for every seed.

    Each seed has a set of cases that both settings share; choose the set that gives the most pairs of runs.
    """
    common: dict[object, set[Setting]] = {}
    for seed, case in one.keys() & other.keys():
        common.setdefault(seed, set()).add(case)
    having = {frozenset(cases): [seed for seed in common if common[seed] >= cases] for cases in common.values()}
    if not having:
        return []
    cases = max(having, key=lambda each: (len(each) * len(having[each]), sorted(map(str, each))))
    seeds = sorted(having[cases], key=str)
    means = [[sum(each[seed, case] for case in cases) / len(cases) for seed in seeds] for each in (one, other)]
    return paired_differences(*means)


def _ranked(estimates: Mapping[str, Estimate], *, higher: bool) -> dict[str, Estimate]:
    return dict(sorted(estimates.items(), key=lambda item: item[1].mean, reverse=higher))


def _sentence(d: Difference, metric: str, estimates: Mapping[str, Estimate], *, higher: bool) -> str:
    if d.p_value is None or d.low is None or d.high is None:
        why = "no two of their runs have the same seed and other keys" if d.pairs == 0 else "one common seed"
        return f"{d.one} and {d.other}: {d.mean:+.4g} {metric}, but {why}: that supports no conclusion."
    some = d.pairs < max(estimates[d.one].count, estimates[d.other].count)
    where = f" over the {d.pairs} seeds that both have" if some else ""
    if d.low == d.high == 0:
        return f"{d.one} and {d.other} have the same {metric} for every seed{where}."
    size = f"{abs(d.mean):.4g}{where} ({_interval(d)})"
    if d.claimed:
        first, second = (d.one, d.other) if (d.mean > 0) == higher else (d.other, d.one)
        return f"{first} is better than {second}: {metric} differs by {size}, corrected p = {d.p_value:.2g}."
    more = "" if d.needed is None else max(0, d.needed - d.pairs)
    settle = (
        f"about {more} more {'seed' if more == 1 else 'seeds'} would settle a difference of this size"
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
    return f"95 % interval {interval(low, high)}"
