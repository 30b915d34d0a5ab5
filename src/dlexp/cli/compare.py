"""The verb `compare`."""

from collections.abc import Sequence
from pathlib import Path

from dlexp.cli.arguments import parser_of
from dlexp.compare import comparison, studies, tables
from dlexp.compare.groups import record
from dlexp.config.schema import path
from dlexp.errors import UserError
from dlexp.runs.directory import find_runs


def compare(arguments: Sequence[str]) -> int:
    """Compare runs by a factor, paired over seeds, and list whatever else differs between them.

    dlexp compare outputs/is_hw4/ex02a_activation --by model.activation
    dlexp compare outputs --by optimizer --by batch_size --metric test/loss
    dlexp compare outputs/iris_mlp --by model.hidden_sizes --markdown
    dlexp compare outputs/is_hw4     # each study by the keys that vary in it, and the best setting of each
    """
    parser = parser_of(compare)
    parser.add_argument("paths", nargs="*", type=path, default=[Path("outputs")], help="runs, or folders of runs")
    parser.add_argument("--by", action="append", metavar="KEY", help="a factor; repeat --by for several")
    parser.add_argument("--metric", help="for example test/f1; default: the first metric of the runs' test split")
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--pairs", action="store_true", help="also print a table of all paired differences")
    for name in ("markdown", "latex", "csv", "json"):
        formats.add_argument(f"--{name}", dest="format", action="store_const", const=name)
    options = parser.parse_args(arguments)

    if missing := [path for path in options.paths if not path.exists()]:
        raise UserError(f"{missing[0]} does not exist.")
    if not options.by:
        if options.format or options.pairs:
            raise UserError("--by KEY is needed for this format: it names the factor.")
        print(studies.text(map(record, find_runs(*options.paths)), options.metric))
        return 0
    found = comparison.compare(map(record, find_runs(*options.paths)), options.by, options.metric)
    print(tables.FORMATS[options.format](found) if options.format else tables.terminal(found))
    for effect in found.effects if options.pairs else ():
        print(f"\n{tables.differences(effect)}")
    return 0
