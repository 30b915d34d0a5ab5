"""Expand the command of a sweep to the overrides of its jobs."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from dlexp.config.composition import grid
from dlexp.config.keys import makes_a_job
from dlexp.config.overrides import parse, parse_last, text
from dlexp.errors import UserError

MOST = 100_000  # jobs of a sweep; composing and checking so many takes hours


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each job: every combination of the values given, the last key varying fastest.

    Values come from the command line (`batch_size=32,64`, `seed=range(5)`) and from the grid that an experiment
    declares; the command line may replace or fix any key of that grid. If a key is given twice, the last one counts.
    Raises UserError for a wrong key or value.
    """
    parsed = parse_last(overrides)
    fixed = [text(override) for override in parsed if not override.is_sweep_override()]
    typed = {override.key_or_group for override in parsed}
    declared = parse([f"{key}={values}" for key, values in grid(fixed).items() if key not in typed])
    swept = [override for override in parsed if override.is_sweep_override()]
    for override in swept:
        if override.key_or_group == "experiment":  # each has a grid of its own
            others = [text(each) for each in parsed if each is not override]
            return [job for value in _values(override) for job in expand([value, *others])]
        if not makes_a_job(override.key_or_group):
            raise UserError(
                f"{text(override)}: this key does not make another job: a job does not depend on its place or its "
                "observations. "
                "Give one value, or start a sweep under another name= for each."
            )
    factors = [_values(override) for override in [*declared, *swept]]
    if (count := math.prod(map(len, factors))) > MOST:
        raise UserError(f"That would be {count:,} jobs; at most {MOST:,} are allowed: give fewer values.")
    return [[*fixed, *combination] for combination in itertools.product(*factors)]


def varied(jobs: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Return, for each job, its values of the keys in which the jobs differ."""
    values = [{o.key_or_group: o.value() for o in parse(job)} for job in jobs]
    keys = dict.fromkeys(key for job in values for key in job)
    differing = [key for key in keys if any(job.get(key) != values[0].get(key) for job in values)]
    return [{key: job.get(key) for key in differing} for job in values]


def _values(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [text(override)]
    if isinstance(override.value(), Glob):
        raise UserError(f"{text(override)}: glob is not supported; name the options, as `dlexp list` shows them.")
    try:
        several = itertools.islice(override.sweep_string_iterator(), MOST + 1)
        added = "++" if override.is_force_add() else "+" if override.is_add() else ""
        values = [f"{added}{override.key_or_group}={value}" for value in several]
    except (HydraException, OmegaConfBaseException, ValueError, TypeError) as error:
        raise UserError(f"{text(override)} cannot be swept: {error}") from None
    if len(values) > MOST:
        raise UserError(f"{text(override)} gives more than {MOST:,} values, the maximum of a sweep.")
    if not values:
        raise UserError(f"{text(override)} gives no value at all.")
    return values
