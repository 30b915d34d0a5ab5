"""The verbs of the command line. Only those that train import torch, and only then."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dlexp.errors import UserError, did_you_mean
from dlexp.launch import conclude, sweep, work_of

OVERRIDES = "key=value or group=option, as `dlexp list` shows them: epochs=50 model=mlp model.hidden_sizes=[64,32]"


def train(arguments: Sequence[str]) -> int:
    """Train what the config says, and leave a run directory.

    dlexp train
    dlexp train model=cifar_cnn optimizer=sgd optimizer.lr=0.001 optimizer.momentum=0.9
    dlexp train experiment=dl_hw3/ex07_iris stop_at=1000
    dlexp train -m batch_size=32,64,256 model.activation=relu,sigmoid,tanh
    dlexp train --config outputs/iris_mlp/2026-01-31_12-00-00/config.yaml seed=1
    """
    parser = _parser(train)
    parser.add_argument("overrides", nargs="*", help=OVERRIDES)
    parser.add_argument("--config", type=Path, metavar="FILE", help="start from a run's config.yaml, not the groups")
    parser.add_argument("-m", "--multirun", action="store_true", help="a run for every combination of the values given")
    parser.add_argument("--dry-run", action="store_true", help="with -m: say which jobs are done and which to run")
    parser.add_argument("--fresh", action="store_true", help="with -m: run every job anew, done or not")
    parser.add_argument("--retry-failed", action="store_true", help="with -m: run the jobs that failed, and no others")
    parser.add_argument("--fail-fast", action="store_true", help="with -m: start no more jobs once one has failed")
    options = parser.parse_intermixed_args(arguments)

    from dlexp.build import check
    from dlexp.config import load_config

    flags = {name: getattr(options, name) for name in ("dry_run", "fresh", "retry_failed", "fail_fast")}
    if options.multirun and options.config:
        raise UserError("-m expands what the groups compose, and cannot start from --config.")
    if options.multirun:
        return sweep(options.overrides, **flags)
    if given := [name for name, on in flags.items() if on]:
        raise UserError(f"--{given[0].replace('_', '-')} is about the jobs of a sweep: dlexp train -m.")
    config = check(load_config(options.overrides, file=options.config))

    return conclude(work_of(config)(config))


def resume(arguments: Sequence[str]) -> int:
    """Go on with a stopped, killed or failed run from its newest checkpoint, to the same bits.

    dlexp resume outputs/dl_hw3/ex07_iris/2026-01-31_12-00-00
    dlexp resume outputs/dl_hw3/ex07_iris/2026-01-31_12-00-00 epochs=3000
    """
    parser = _parser(resume)
    parser.add_argument("run", type=Path, help="the run directory")
    parser.add_argument("overrides", nargs="*", help="epochs=, stop_at=, device=, threads=, checkpoint.…=, data_dir=")
    options = parser.parse_intermixed_args(arguments)

    from dlexp.resumption import resumed_config
    from dlexp.run import Run

    run = Run(options.run)
    config = resumed_config(run.directory, options.overrides)
    if run.status["status"] == "finished" and config.epochs <= run.config.epochs:
        if not (run.path / "curves.png").exists():  # interrupted between its last step and its pictures
            from dlexp.report import figures

            figures.draw(run.directory)
        print(f"{run.path} is finished. `dlexp resume {run.path} epochs=…` extends it.")
        return 0

    from dlexp import loop

    return conclude(loop.train(config, run.directory))


def evaluate(arguments: Sequence[str]) -> int:
    """Compute a run's metrics on every split anew, from its checkpoint.

    dlexp evaluate outputs/iris_mlp/2026-01-31_12-00-00
    dlexp evaluate outputs/iris_mlp/2026-01-31_12-00-00 --best
    """
    parser = _parser(evaluate)
    parser.add_argument("run", type=Path, help="the run directory")
    parser.add_argument("--best", action="store_true", help="the weights that validation chose, not the last ones")
    options = parser.parse_args(arguments)

    from dlexp.run import Run

    run = Run(options.run)

    from dlexp.build import build, check
    from dlexp.finish import evaluate_splits
    from dlexp.report import text
    from dlexp.resumption import check_same_ground

    job = build(check(run.config))
    for difference in check_same_ground(job, run.directory):
        print(f"Not the ground it was trained on: {difference}.", file=sys.stderr)
    job.model.load_state_dict(run.load_model(best=options.best).state_dict())
    print(text.scores(evaluate_splits(job)[0]))
    return 0


def summary(arguments: Sequence[str]) -> int:
    """Print a model's layers with their output shapes and parameters. Needs no data.

    dlexp summary model=cifar_cnn
    dlexp summary dataset=mnist model=mlp model.hidden_sizes=[256,128]
    """
    parser = _parser(summary)
    parser.add_argument("overrides", nargs="*", help=OVERRIDES)
    options = parser.parse_args(arguments)

    from dlexp import data
    from dlexp.build import build_model, check
    from dlexp.config import load_config

    config = check(load_config(options.overrides))

    from dlexp.registry import import_modules
    from dlexp.report import text
    from dlexp.summary import summarize

    imports = import_modules(config.imports)
    model, source = build_model(config, imports), data.source_of(config.dataset, imports)
    layers = summarize(model, source.input_shape)
    rows = [(f"{row.name} {row.kind}", " × ".join(map(str, row.output_shape)), row.parameters) for row in layers]
    print(
        text.table(["layer", "output", "parameters"], [("input", " × ".join(map(str, source.input_shape)), 0), *rows])
    )
    total = sum(p.numel() for p in model.parameters())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    print(f"\n{total:,} parameters, {trainable:,} of them trained; {total * 4 / 2**20:.2f} MiB in float32.")
    return 0


def list_(arguments: Sequence[str]) -> int:
    """List the groups, the options of one, the experiments, or the runs.

    dlexp list
    dlexp list model
    dlexp list experiments
    dlexp list runs
    """
    from dlexp.composition import GROUPS, options

    parser = _parser(list_)
    parser.add_argument("what", nargs="?", help=f"runs, or one of {', '.join(GROUPS)}")
    parser.add_argument(
        "--output-dir", type=Path, default=Path("outputs"), help="where the runs are (default: outputs)"
    )
    chosen = parser.parse_args(arguments)

    from dlexp.report import text

    if chosen.what is None:
        print("\n".join(f"{group}: {', '.join(options(group))}" for group in GROUPS))
        return 0
    if chosen.what in ("runs", "run"):
        from dlexp.rundir import find_runs

        print(text.runs(find_runs(chosen.output_dir)))
        return 0
    group = chosen.what if chosen.what in GROUPS else chosen.what.removesuffix("s")
    if group not in GROUPS:
        raise UserError(f"There is no group {chosen.what}.{did_you_mean(chosen.what, [*GROUPS, 'runs'])}")
    print("\n".join(f"{name:24} {_first_comment(path)}".rstrip() for name, path in options(group).items()))
    return 0


def data(arguments: Sequence[str]) -> int:
    """List the datasets and whether they are here; fetch one; verify one's files.

    dlexp data list
    dlexp data fetch cifar10
    dlexp data verify cifar10
    """
    parser = _parser(data)
    parser.add_argument("action", choices=("list", "fetch", "verify"))
    parser.add_argument("name", nargs="?", help="the dataset")
    parser.add_argument("--data-dir", type=Path, help="default: DLEXP_DATA_DIR, else data")
    options = parser.parse_args(arguments)

    from dlexp.config import load_config
    from dlexp.data import DATASETS, store
    from dlexp.report import text

    data_dir = options.data_dir or Path(load_config([]).data_dir)
    if options.action == "list":
        rows = []
        for name, builder in DATASETS.builders.items():
            source = builder()
            here = source.embedded is not None or store.is_complete(data_dir / name)
            shape = " × ".join(map(str, source.input_shape))
            rows.append(
                [name, shape, len(source.class_names) or "values", "here" if here else "not fetched", source.origin]
            )
        print(text.table(["dataset", "input", "classes", "", "origin"], rows))
        return 0
    if options.name is None:
        raise UserError(f"dlexp data {options.action} needs a name: {', '.join(DATASETS.builders)}.")
    source = DATASETS.find(options.name)()
    if source.embedded is not None:
        print(f"{options.name} comes with scikit-learn: nothing to {options.action}.")
        return 0
    (store.fetch if options.action == "fetch" else store.verify)(options.name, source, data_dir)
    print(f"{options.name} is whole, in {data_dir / options.name}.")
    return 0


def compare(arguments: Sequence[str]) -> int:
    """Say what a factor did, over seeds, and whether anything else differed.

    dlexp compare outputs/is_hw4/ex02a_activation --by model.activation
    dlexp compare outputs --by optimizer --by batch_size --metric test/loss
    dlexp compare outputs/iris_mlp --by model.hidden_sizes --markdown
    """
    parser = _parser(compare)
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("outputs")], help="runs, or folders of runs")
    parser.add_argument("--by", action="append", required=True, metavar="KEY", help="the factor; again for another")
    parser.add_argument("--metric", default="test/accuracy", help="default: test/accuracy; or test/loss, …")
    parser.add_argument("--pairs", action="store_true", help="the table of all paired differences too")
    formats = parser.add_mutually_exclusive_group()
    for name in ("markdown", "latex", "csv", "json"):
        formats.add_argument(f"--{name}", dest="format", action="store_const", const=name)
    options = parser.parse_args(arguments)

    from dlexp.compare import comparison, tables
    from dlexp.rundir import find_runs

    if missing := [path for path in options.paths if not path.exists()]:
        raise UserError(f"{missing[0]} does not exist.")
    runs = [run for path in options.paths for run in find_runs(path)]
    found = comparison.compare(runs, options.by, options.metric)
    print(tables.FORMATS[options.format](found) if options.format else tables.terminal(found))
    for effect in found.effects if options.pairs else ():
        print(f"\n{tables.differences(effect)}")
    return 0


VERBS: dict[str, Callable[[Sequence[str]], int]] = {
    "train": train,
    "resume": resume,
    "evaluate": evaluate,
    "summary": summary,
    "compare": compare,
    "list": list_,
    "data": data,
}


def _parser(verb: Callable[..., int]) -> argparse.ArgumentParser:
    name = verb.__name__.rstrip("_")
    what, _, examples = (verb.__doc__ or "").partition("\n\n")
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    return argparse.ArgumentParser(
        prog=f"dlexp {name}",
        usage=argparse.SUPPRESS,
        description="\n".join([*(f"  {line}" for line in lines), "", what]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _first_comment(path: Path) -> str:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ")
    return ""
