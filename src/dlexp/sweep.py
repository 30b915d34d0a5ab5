"""One command, many runs: what a sweep expands to."""

import itertools
from collections.abc import Sequence

from dlexp.composition import grid, parse, text


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each job: every combination of the values given, the last key varying fastest.

    Values come from the command line (`batch_size=32,64`, `seed=range(5)`) and from the grid that an experiment
    declares, of which the command line may replace or fix any key. Raises UserError for a key or value that is wrong.
    """
    parsed = parse(overrides)
    fixed = [text(override) for override in parsed if not override.is_sweep_override()]
    typed = {override.key_or_group for override in parsed}
    declared = parse([f"{key}={values}" for key, values in grid(fixed).items() if key not in typed])
    factors = [
        [f"{override.key_or_group}={value}" for value in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [text(override)]
        for override in [*declared, *(override for override in parsed if override.is_sweep_override())]
    ]
    return [[*fixed, *combination] for combination in itertools.product(*factors)]
