"""The verb `list`."""

from collections.abc import Sequence
from pathlib import Path

from dlexp.cli.arguments import parser_of
from dlexp.config.composition import GROUPS, options
from dlexp.config.renamed import refuse_former
from dlexp.config.schema import path
from dlexp.errors import UserError, did_you_mean
from dlexp.report import text
from dlexp.runs.directory import find_runs
from dlexp.runs.queries import select


def list_(arguments: Sequence[str]) -> int:
    """List the groups, the options of one group, the experiments, or the runs.

    dlexp list
    dlexp list model
    dlexp list experiments
    dlexp list runs
    dlexp list runs status=failed optimizer=adam
    """
    parser = parser_of(list_)
    parser.add_argument("what", nargs="?", help=f"runs, or one of {', '.join(GROUPS)}")
    parser.add_argument("filters", nargs="*", help="for runs: key=value, where key is a config key, a group or status")
    parser.add_argument(
        "--output-dir", type=path, default=Path("outputs"), help="the folder of the runs (default: outputs)"
    )
    chosen = parser.parse_args(arguments)

    if chosen.what is None:
        print("\n".join(f"{group}: {', '.join(options(group))}" for group in GROUPS))
        return 0
    if chosen.what in ("runs", "run"):
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


def _first_comment(path: Path) -> str:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ")
    return ""
