"""The verb `report`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlexp.cli.arguments import parser_of
from dlexp.config.schema import path
from dlexp.errors import UserError
from dlexp.report.write import follow, write
from dlexp.runs.directory import RunDirectory, find_runs

if TYPE_CHECKING:
    from dlexp.report.studies import Study


def report(arguments: Sequence[str]) -> int:
    """Write a page of the runs that opens from disk in any browser, with pictures, report.md and summary.csv.

    dlexp report
    dlexp report outputs/is_hw4 outputs/depth --to handed_in
    dlexp report --live
    """
    parser = parser_of(report)
    parser.add_argument("paths", nargs="*", type=path, default=[Path("outputs")], help="runs, or folders of runs")
    parser.add_argument("--to", type=path, default=Path("outputs/report"), metavar="FOLDER", help="the report's folder")
    parser.add_argument("--live", action="store_true", help="update the page while runs train, until Ctrl-C")
    options = parser.parse_args(arguments)

    for folder in options.paths:
        if not folder.is_dir():
            raise UserError(f"{folder} {'is not a folder' if folder.exists() else 'does not exist'}.")

    def find() -> list[RunDirectory]:
        return find_runs(*options.paths)

    def tell(studies: "list[Study]") -> None:
        runs, count = sum(len(study.runs) for study in studies), sum(not study.single for study in studies)
        numbers = f"{runs} run{'s' * (runs != 1)} in {count} {'study' if count == 1 else 'studies'}"
        if single := len(studies) - count:
            numbers = f"{numbers} and {single} single" if count else f"{runs} single run{'s' * (runs != 1)}"
        print(f"{numbers}: {options.to / 'index.html'}", flush=True)

    if not options.live and not find():
        raise UserError(f"There is no run in {' or '.join(map(str, options.paths))}: dlexp train makes one.")
    if options.live:
        follow(find, options.to, tell)
    tell(write(find, options.to))
    return 0
