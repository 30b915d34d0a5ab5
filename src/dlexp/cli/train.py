"""The verb `train`."""

from collections.abc import Sequence

from dlexp.cli.arguments import OVERRIDES, parser_of
from dlexp.cli.sweeps import conclude, sweep
from dlexp.config.config import load_config
from dlexp.config.schema import path
from dlexp.errors import UserError
from dlexp.training.build import check
from dlexp.training.loop import work_of
from dlexp.training.process.state import unchanged


def train(arguments: Sequence[str]) -> int:
    """Train the model that the config describes, and write a run directory.

    dlexp train
    dlexp train model=cifar_cnn optimizer=sgd optimizer.lr=0.001 optimizer.momentum=0.9
    dlexp train experiment=dl_hw3/ex07_iris stop_at=1000
    dlexp train -m batch_size=32,64,256 model.activation=relu,sigmoid,tanh
    dlexp train --config outputs/iris_mlp/2026-01-31_12-00-00/config.yaml seed=1
    """
    parser = parser_of(train)
    parser.add_argument("overrides", nargs="*", help=OVERRIDES)
    parser.add_argument("--config", type=path, metavar="FILE", help="start from a run's config.yaml, not the groups")
    parser.add_argument("-m", "--multirun", action="store_true", help="train every combination of the values given")
    parser.add_argument("--dry-run", action="store_true", help="with -m: list the jobs that are done and those to run")
    parser.add_argument("--fresh", action="store_true", help="with -m: run every job again, even if it is done")
    parser.add_argument("--retry-failed", action="store_true", help="with -m: run only the jobs that failed")
    parser.add_argument("--fail-fast", action="store_true", help="with -m: start no more jobs after one fails")
    options = parser.parse_intermixed_args(arguments)

    flags = {name: getattr(options, name) for name in ("dry_run", "fresh", "retry_failed", "fail_fast")}
    if options.multirun and options.config:
        raise UserError("-m sweeps a config composed from the groups, and cannot start from --config.")
    if options.multirun:
        return sweep(options.overrides, **flags)
    if given := [name for name, on in flags.items() if on]:
        raise UserError(f"--{given[0].replace('_', '-')} needs a sweep: dlexp train -m.")
    config = check(load_config(options.overrides, file=options.config, anew=True))

    with unchanged():
        run = work_of(config)(config)
    return conclude(run)
