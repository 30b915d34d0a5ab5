"""The verb `plan`."""

import argparse
from collections.abc import Sequence

from dlexp.cli import sweeps
from dlexp.cli.arguments import OVERRIDES, parser_of


def plan(arguments: Sequence[str]) -> int:
    """Estimate a command's jobs: their number, parameters, memory and time, from a few measured batches.

    dlexp plan -m experiment=is_hw4/ex02a_activation 'seed=range(3)'
    dlexp plan model=cifar_cnn epochs=20
    """
    parser = parser_of(plan)
    parser.add_argument("overrides", nargs="*", help=OVERRIDES)
    parser.add_argument("-m", "--multirun", action="store_true", help="ignored; train's arguments work unchanged")
    for flag in ("--dry-run", "--fresh", "--retry-failed", "--fail-fast"):
        parser.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args(arguments)

    return sweeps.plan(options.overrides)
