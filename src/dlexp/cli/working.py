"""The verbs that work on runs. They import torch only where they train or evaluate, and only then."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dlexp.cli.arguments import OVERRIDES, parser_of
from dlexp.cli.sweeps import conclude, sweep
from dlexp.errors import UserError


def train(arguments: Sequence[str]) -> int:
    """Train what the config says, and leave a run directory.

    dlexp train
    dlexp train model=cifar_cnn optimizer=sgd optimizer.lr=0.001 optimizer.momentum=0.9
    dlexp train experiment=dl_hw3/ex07_iris stop_at=1000
    dlexp train -m batch_size=32,64,256 model.activation=relu,sigmoid,tanh
    dlexp train --config outputs/iris_mlp/2026-01-31_12-00-00/config.yaml seed=1
    """
    parser = parser_of(train)
    parser.add_argument("overrides", nargs="*", help=OVERRIDES)
    parser.add_argument("--config", type=Path, metavar="FILE", help="start from a run's config.yaml, not the groups")
    parser.add_argument("-m", "--multirun", action="store_true", help="a run for every combination of the values given")
    parser.add_argument("--dry-run", action="store_true", help="with -m: say which jobs are done and which to run")
    parser.add_argument("--fresh", action="store_true", help="with -m: run every job anew, done or not")
    parser.add_argument("--retry-failed", action="store_true", help="with -m: run the jobs that failed, and no others")
    parser.add_argument("--fail-fast", action="store_true", help="with -m: start no more jobs once one has failed")
    options = parser.parse_intermixed_args(arguments)

    from dlexp.config.config import load_config
    from dlexp.training.build import check

    flags = {name: getattr(options, name) for name in ("dry_run", "fresh", "retry_failed", "fail_fast")}
    if options.multirun and options.config:
        raise UserError("-m expands what the groups compose, and cannot start from --config.")
    if options.multirun:
        return sweep(options.overrides, **flags)
    if given := [name for name, on in flags.items() if on]:
        raise UserError(f"--{given[0].replace('_', '-')} is about the jobs of a sweep: dlexp train -m.")
    config = check(load_config(options.overrides, file=options.config))

    from dlexp.training.loop import work_of

    return conclude(work_of(config)(config))


def plan(arguments: Sequence[str]) -> int:
    """Say how many jobs a command would run, and their parameters, memory and time, from a few measured batches.

    dlexp plan -m experiment=is_hw4/ex02a_activation seed=range(3)
    dlexp plan model=cifar_cnn epochs=20
    """
    parser = parser_of(plan)
    parser.add_argument("overrides", nargs="*", help=OVERRIDES)
    parser.add_argument("-m", "--multirun", action="store_true", help="accepted, so that train's arguments can stay")
    for flag in ("--dry-run", "--fresh", "--retry-failed", "--fail-fast"):
        parser.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_intermixed_args(arguments)

    from dlexp.cli import sweeps as launch

    return launch.plan(options.overrides)


def resume(arguments: Sequence[str]) -> int:
    """Go on with a stopped, killed or failed run from its newest checkpoint, to the same bits.

    dlexp resume outputs/dl_hw3/ex07_iris/2026-01-31_12-00-00
    dlexp resume outputs/dl_hw3/ex07_iris/2026-01-31_12-00-00 epochs=3000
    """
    parser = parser_of(resume)
    parser.add_argument("run", type=Path, help="the run directory")
    parser.add_argument("overrides", nargs="*", help="epochs=, device= and others that change no bits")
    options = parser.parse_intermixed_args(arguments)

    from dlexp.training.resume import resumed_config
    from dlexp.training.run import Run

    run = Run(options.run)
    config = resumed_config(run.directory, options.overrides)
    if run.status["status"] == "finished" and config.epochs <= run.config.epochs:
        from dlexp.report import figures

        figures.draw(run.directory, anew=False)
        print(f"{run.path} is finished. `dlexp resume {run.path} epochs=…` extends it.")
        return 0

    from dlexp.training import loop

    return conclude(loop.train(config, run.directory))


def evaluate(arguments: Sequence[str]) -> int:
    """Compute a run's metrics on every split anew, from its checkpoint.

    dlexp evaluate outputs/iris_mlp/2026-01-31_12-00-00
    dlexp evaluate outputs/iris_mlp/2026-01-31_12-00-00 --best
    """
    parser = parser_of(evaluate)
    parser.add_argument("run", type=Path, help="the run directory")
    parser.add_argument("--best", action="store_true", help="the weights that validation chose, not the last ones")
    options = parser.parse_args(arguments)

    from dlexp.training.run import Run

    run = Run(options.run)
    if run.config.works_out_identity:
        raise UserError(f"{run.path} worked out an identity: there is no model to evaluate.")

    from dlexp.report import text
    from dlexp.training.build import build, check
    from dlexp.training.results import evaluate_splits
    from dlexp.training.resume import check_same_ground

    job = build(check(run.config))
    for difference in check_same_ground(job, run.directory):
        print(f"Not the ground it was trained on: {difference}.", file=sys.stderr)
    job.model.load_state_dict(run.load_model(best=options.best).state_dict())
    print(text.scores(evaluate_splits(job)[0]))
    return 0
