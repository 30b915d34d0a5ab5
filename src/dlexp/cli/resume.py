"""The verb `resume`."""

import shlex
from collections.abc import Sequence

from dlexp.cli.arguments import parser_of
from dlexp.cli.sweeps import conclude
from dlexp.config.schema import path
from dlexp.report import figures
from dlexp.training import loop
from dlexp.training.process.state import unchanged
from dlexp.training.resume import resumed_config
from dlexp.training.run import Run


def resume(arguments: Sequence[str]) -> int:
    """Resume a stopped, killed or failed run from its newest checkpoint, with the same bits.

    dlexp resume outputs/dl_hw3/ex07_iris/2026-01-31_12-00-00
    dlexp resume outputs/dl_hw3/ex07_iris/2026-01-31_12-00-00 epochs=3000
    """
    parser = parser_of(resume)
    parser.add_argument("run", type=path, help="the run directory")
    parser.add_argument("overrides", nargs="*", help="epochs=, device= and others that change no bits")
    options = parser.parse_intermixed_args(arguments)

    run = Run(options.run)
    config = resumed_config(run.directory, options.overrides)
    if run.status["status"] == "finished" and config.epochs <= run.config.epochs:
        figures.draw(run.directory, anew=False)
        print(f"{run.path} is finished. `dlexp resume {shlex.quote(str(run.path))} epochs=…` extends it.")
        return 0

    with unchanged():
        resumed = loop.train(config, run.directory)
    return conclude(resumed)
