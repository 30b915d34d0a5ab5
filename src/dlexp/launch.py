"""Starts what a config asks for, one run or many, and shows what they came to."""

import sys
from collections.abc import Callable, Sequence

from dlexp.config import Config, load_config
from dlexp.errors import DlexpError, JobError
from dlexp.rundir import RunDirectory


def work_of(config: Config) -> Callable[[Config], RunDirectory]:
    """What a config asks for: a net to be trained, or an identity to be worked out."""
    if config.identity["name"] != "none":
        from dlexp.identity import work_out

        return work_out

    from dlexp import loop

    return loop.train


def sweep(overrides: Sequence[str]) -> int:
    """Run every job of a sweep, after all have been checked; a failed one is shown and does not stop the others."""
    from dlexp.build import check
    from dlexp.sweep import expand

    jobs = expand(overrides)
    configs = [check(load_config(job)) for job in jobs]

    code, done = 0, list[tuple[Sequence[str], RunDirectory]]()
    for number, (job, config) in enumerate(zip(jobs, configs, strict=True), 1):
        print(f"\n{number}/{len(jobs)}  {' '.join(job)}", flush=True)
        try:
            run = work_of(config)(config)
            code = max(code, conclude(run))
        except DlexpError as error:
            print(f"dlexp: {error}", file=sys.stderr)
            code = JobError.exit_code
            continue
        if code > 128:
            return code
        done.append((job, run))
    _conclude_sweep(done)
    return code


def _conclude_sweep(done: Sequence[tuple[Sequence[str], RunDirectory]]) -> None:
    """Print a line for each run of a sweep, and draw what is to be seen of them together."""
    from dlexp.report import sweeps
    from dlexp.sweep import varied

    runs = list(zip(varied([job for job, _ in done]), (run for _, run in done), strict=True))
    trained = [(values, run) for values, run in runs if not (run.path / "identity.csv").exists()]
    if len(trained) < 2:
        return
    print("\n" + sweeps.results(trained))
    for path in sweeps.draw(trained, done[0][1].path):
        print(path)


def conclude(run: RunDirectory) -> int:
    """Draw and print what a run came to; a signal wanted it to end at once."""
    from dlexp.report import figures, text

    status = run.status()
    if signal := status.get("signal"):
        print(f"Stopped after epoch {status['epoch']}, step {status['step']}. Go on with: dlexp resume {run.path}")
        return 128 + int(signal)
    figures.draw(run)
    print(text.identity(run) if (run.path / "identity.csv").exists() else text.result(run))
    if status["status"] == "stopped":
        print(f"Stopped at epoch {status['epoch']}. Go on with: dlexp resume {run.path}")
    return 0
