"""The verb `evaluate`."""

import sys
from collections.abc import Sequence

from dlexp.cli.arguments import parser_of
from dlexp.config.schema import path
from dlexp.errors import UserError
from dlexp.report import text
from dlexp.training.build import build, check
from dlexp.training.evaluation import evaluate_splits
from dlexp.training.resume import check_provenance
from dlexp.training.run import Run


def evaluate(arguments: Sequence[str]) -> int:
    """Compute a run's metrics on every split again, from its newest checkpoint.

    dlexp evaluate outputs/iris_mlp/2026-01-31_12-00-00
    dlexp evaluate outputs/iris_mlp/2026-01-31_12-00-00 --best device=cpu
    """
    parser = parser_of(evaluate)
    parser.add_argument("run", type=path, help="the run directory")
    parser.add_argument("--best", action="store_true", help="use the weights that validation chose, not the last ones")
    parser.add_argument("overrides", nargs="*", help="data_dir=, device=, threads= or imports=, if they changed")
    options = parser.parse_intermixed_args(arguments)

    run = Run(options.run, options.overrides)
    if run.config.is_demonstration:
        raise UserError(f"{run.path} demonstrated something, and trained nothing: there is no model to evaluate.")

    weights = run.load_model(best=options.best).state_dict()
    job = build(check(run.config, kept=True), begun=True)
    for difference in check_provenance(job, run.directory):
        print(f"Not as when it was trained: {difference}.", file=sys.stderr)
    job.model.load_state_dict(weights)
    print(text.scores(evaluate_splits(job)[0]))
    return 0
