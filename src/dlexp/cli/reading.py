"""The verbs that look: at runs, at models, at data and at what there is to choose from."""

from collections.abc import Sequence
from pathlib import Path

from dlexp.cli.arguments import OVERRIDES, parser_of
from dlexp.errors import UserError, did_you_mean


def summary(arguments: Sequence[str]) -> int:
    """Print a model's layers with their output shapes and parameters. Needs no data.

    dlexp summary model=cifar_cnn
    dlexp summary dataset=mnist model=mlp model.hidden_sizes=[256,128]
    """
    parser = parser_of(summary)
    parser.add_argument("overrides", nargs="*", help=OVERRIDES)
    options = parser.parse_args(arguments)

    from dlexp.config.config import load_config
    from dlexp.data import preparation as data
    from dlexp.training.build import build_model, check

    config = check(load_config(options.overrides))

    from dlexp.config.registry import import_modules
    from dlexp.models.summary import summarize
    from dlexp.runs.formatting import table

    imports = import_modules(config.imports)
    model, source = build_model(config, imports), data.source_of(config.dataset, imports)
    layers = summarize(model, source.input_shape)
    rows = [(f"{row.name} {row.kind}", " × ".join(map(str, row.output_shape)), row.parameters) for row in layers]
    print(table(["layer", "output", "parameters"], [("input", " × ".join(map(str, source.input_shape)), 0), *rows]))
    total = sum(p.numel() for p in model.parameters())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    print(f"\n{total:,} parameters, {trainable:,} of them trained; {total * 4 / 2**20:.2f} MiB in float32.")
    return 0


def compare(arguments: Sequence[str]) -> int:
    """Say what a factor did, over seeds, and whether anything else differed.

    dlexp compare outputs/is_hw4/ex02a_activation --by model.activation
    dlexp compare outputs --by optimizer --by batch_size --metric test/loss
    dlexp compare outputs/iris_mlp --by model.hidden_sizes --markdown
    """
    parser = parser_of(compare)
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("outputs")], help="runs, or folders of runs")
    parser.add_argument("--by", action="append", required=True, metavar="KEY", help="the factor; again for another")
    parser.add_argument("--metric", default="test/accuracy", help="default: test/accuracy; or test/loss, …")
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--pairs", action="store_true", help="a table of all paired differences too")
    for name in ("markdown", "latex", "csv", "json"):
        formats.add_argument(f"--{name}", dest="format", action="store_const", const=name)
    options = parser.parse_args(arguments)

    from dlexp.compare import comparison, tables
    from dlexp.compare.groups import record
    from dlexp.runs.directory import find_runs

    if missing := [path for path in options.paths if not path.exists()]:
        raise UserError(f"{missing[0]} does not exist.")
    runs = {run.path.resolve(): run for path in options.paths for run in find_runs(path)}.values()
    found = comparison.compare(map(record, runs), options.by, options.metric)
    print(tables.FORMATS[options.format](found) if options.format else tables.terminal(found))
    for effect in found.effects if options.pairs else ():
        print(f"\n{tables.differences(effect)}")
    return 0


def diff(arguments: Sequence[str]) -> int:
    """Show what differs between two runs: config, environment, data, results.

    dlexp diff outputs/iris_mlp/2026-01-31_12-00-00 outputs/iris_mlp/2026-01-31_12-05-00
    """
    parser = parser_of(diff)
    parser.add_argument("one", type=Path, help="a run directory")
    parser.add_argument("other", type=Path, help="another")
    options = parser.parse_args(arguments)

    from dlexp.runs.directory import RunDirectory
    from dlexp.runs.queries import difference

    print(difference(RunDirectory.open(options.one), RunDirectory.open(options.other)))
    return 0


def list_(arguments: Sequence[str]) -> int:
    """List the groups, the options of one, the experiments, or the runs.

    dlexp list
    dlexp list model
    dlexp list experiments
    dlexp list runs
    dlexp list runs status=failed optimizer=adam
    """
    from dlexp.config.composition import GROUPS, options
    from dlexp.config.renamed import refuse_former

    parser = parser_of(list_)
    parser.add_argument("what", nargs="?", help=f"runs, or one of {', '.join(GROUPS)}")
    parser.add_argument("filters", nargs="*", help="of runs: key=value, a config key, a group or status")
    parser.add_argument(
        "--output-dir", type=Path, default=Path("outputs"), help="where the runs are (default: outputs)"
    )
    chosen = parser.parse_args(arguments)

    from dlexp.report import text

    if chosen.what is None:
        print("\n".join(f"{group}: {', '.join(options(group))}" for group in GROUPS))
        return 0
    if chosen.what in ("runs", "run"):
        from dlexp.runs.directory import find_runs
        from dlexp.runs.queries import select

        if chosen.output_dir != Path("outputs") and not chosen.output_dir.exists():
            raise UserError(f"--output-dir {chosen.output_dir} does not exist.")
        print(text.runs(select(find_runs(chosen.output_dir), chosen.filters)))
        return 0
    if chosen.filters:
        raise UserError(f"{chosen.filters[0]}: only runs can be filtered.")
    group = chosen.what if chosen.what in GROUPS else chosen.what.removesuffix("s")
    refuse_former(group, group)
    if group not in GROUPS:
        raise UserError(f"There is no group {chosen.what}.{did_you_mean(chosen.what, [*GROUPS, 'runs'])}")
    found = options(group)
    width = max(map(len, found), default=0)
    print("\n".join(f"{name:{width}}  {_first_comment(path)}".rstrip() for name, path in found.items()))
    return 0


def data(arguments: Sequence[str]) -> int:
    """List the datasets and whether they are here; fetch one; verify one's files.

    dlexp data list
    dlexp data fetch cifar10
    dlexp data verify cifar10
    """
    parser = parser_of(data)
    parser.add_argument("action", choices=("list", "fetch", "verify"))
    parser.add_argument("name", nargs="?", help="the dataset")
    parser.add_argument("--data-dir", type=Path, help="default: DLEXP_DATA_DIR, else data")
    options = parser.parse_args(arguments)

    from dlexp.config.config import load_config
    from dlexp.data import store
    from dlexp.data.datasets import DATASETS
    from dlexp.runs.formatting import table

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
        print(table(["dataset", "input", "classes", "", "origin"], rows))
        return 0
    if options.name is None:
        raise UserError(f"dlexp data {options.action} needs a name: {', '.join(DATASETS.builders)}.")
    source = DATASETS.find(options.name)()
    if source.embedded is not None:
        print(f"{options.name} has no files ({source.origin}): nothing to {options.action}.")
        return 0
    (store.fetch if options.action == "fetch" else store.verify)(options.name, source, data_dir)
    print(f"{options.name} is whole, in {data_dir / options.name}.")
    return 0


def _first_comment(path: Path) -> str:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ")
    return ""
