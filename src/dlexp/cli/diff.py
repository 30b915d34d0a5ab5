"""The verb `diff`."""

from collections.abc import Sequence

from dlexp.cli.arguments import parser_of
from dlexp.config.schema import path
from dlexp.runs.directory import RunDirectory
from dlexp.runs.queries import difference


def diff(arguments: Sequence[str]) -> int:
    """Show what differs between two runs: config, environment, data, results.

    dlexp diff outputs/iris_mlp/2026-01-31_12-00-00 outputs/iris_mlp/2026-01-31_12-05-00
    """
    parser = parser_of(diff)
    parser.add_argument("one", type=path, help="the first run directory")
    parser.add_argument("other", type=path, help="the second run directory")
    options = parser.parse_args(arguments)

    print(difference(RunDirectory.open(options.one), RunDirectory.open(options.other)))
    return 0
