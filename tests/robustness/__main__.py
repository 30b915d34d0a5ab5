"""python -m robustness, from tests/: every trial; writes how many there were and failed to docs/robustness.md.

python -m robustness ROW [--short] [--part PART] does one row of them, and prints a line of JSON for each trial.
"""

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from test_resume import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "robustness.md"
ROWS = {  # each a module beside this one, and the parts in which it is done
    "faults": tuple(KINDS),
    "combinations": ("",),
    "indifference": ("",),
    "soak": ("",),
}


def one_row(row: str, part: str, *, short: bool) -> None:
    """Print each trial of a row, in this process."""
    chosen = {"part": part} if part else {}
    for trial in importlib.import_module(f"robustness.{row}").trials(short=short, **chosen):
        print(json.dumps(asdict(trial)), flush=True)


def counts(row: str, part: str) -> tuple[int, int]:
    """Do a row's long form in a process of its own; show what failed, return how many were tried and failed."""
    command = [sys.executable, "-m", "robustness", row, *(["--part", part] if part else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = [trial for trial in trials if trial["wrong"]]
    print(f"{row} {part}: {len(trials)} tried, {len(wrong)} failed", *wrong, sep="\n  ", flush=True)
    return len(trials), len(wrong)


def main() -> int:
    """Do one row, or all of them side by side and fill in the page; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m robustness")
    parser.add_argument("row", nargs="?", choices=ROWS)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--part", default="")
    options = parser.parse_args()
    if options.row:
        one_row(options.row, options.part, short=options.short)
        return 0
    jobs = [(row, part) for row, parts in ROWS.items() for part in parts]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = dict(zip(jobs, pool.map(lambda job: counts(*job), jobs), strict=True))
    page = PAGE.read_text(encoding="utf-8")
    for row, parts in ROWS.items():
        tried, failed = (sum(found[row, part][i] for part in parts) for i in (0, 1))
        # | what | `row` | tried | failed at first | what was changed | fail now |
        page, cells = re.subn(rf"(\| `{row}` \|) [\d,–]+ (\|.*\|) [\d,–]+ \|\n", rf"\1 {tried:,} \2 {failed} |\n", page)
        assert cells == 1, f"{PAGE} has no row {row}"
    PAGE.write_text(page, encoding="utf-8")
    return int(any(failed for _, failed in found.values()))


if __name__ == "__main__":
    sys.exit(main())
