"""The verb `export`."""

from collections.abc import Sequence
from pathlib import Path

from dlexp.cli.arguments import parser_of
from dlexp.config.schema import path
from dlexp.errors import UserError, did_you_mean
from dlexp.training.export import FORMATS
from dlexp.training.run import Run


def export(arguments: Sequence[str]) -> int:
    """Write runs for other programs: the net with its preprocessing and names, for PyTorch or for ONNX Runtime.

    dlexp export torch outputs/mnist_mlp/2026-01-31_12-00-00
    dlexp export onnx outputs/mnist_mlp/2026-01-31_12-00-00 --best --to digits.onnx
    """
    parser = parser_of(export)
    parser.add_argument("format", help=" or ".join(FORMATS))
    parser.add_argument("runs", nargs="+", type=path, metavar="run", help="run directories")
    parser.add_argument(
        "--to", type=path, metavar="FILE", help="the file, or a folder (default: here, named as the run)"
    )
    parser.add_argument("--best", action="store_true", help="use the weights that validation chose")
    options = parser.parse_intermixed_args(arguments)

    if options.format not in FORMATS:
        raise UserError(f"There is no format {options.format}.{did_you_mean(options.format, FORMATS)}")
    if len(options.runs) > 1 and options.to and not options.to.is_dir():
        raise UserError(f"--to {options.to} is one file for {len(options.runs)} runs: name a folder that exists.")
    for run in map(Run, options.runs):
        name = run.config.name.rpartition("/")[2] + (f"_{run.path.name}" if len(options.runs) > 1 else "")
        to = Path(name) if options.to is None else options.to / name if options.to.is_dir() else options.to
        for line in FORMATS[options.format](run, to, options.best):
            print(line)
    return 0
