"""python -m robustness [ROW], from tests/: every trial, or a row of them; writes the counts to docs/robustness.md.

With --short or --part (a row may have but one, '') a row prints a line of JSON for each trial, and writes nothing.
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

from small_runs import KINDS

FAILED = 3  # the exit code where trials failed; 1 is of a row that broke off
PAGE = Path(__file__).parents[2] / "docs" / "robustness.md"
ROWS = {  # each a module beside this one, and the parts in which it is done
    "kills": ("",),
    "interruptions": ("",),
    "faults": (*KINDS, "disks"),
    "power": ("tabular", "images"),
    "damage": ("bytes", "checkpoints", "files"),
    "stops": ("",),
    "concurrency": ("",),
    "soak": ("",),
    "indifference": ("",),
    "odd_numbers": ("",),
    "hostile": ("checkpoints", "code", "configs", "names", "secrets", "files", "links", "downloads", "labels"),
    "fuzz": ("",),
    "combinations": ("",),
    "golden": ("",),
}


def one_row(row: str, part: str, *, short: bool) -> int:
    """Print each trial of a row, in this process, and how many there were; return the exit code."""
    chosen, tried, failed = {"part": part} if part else {}, 0, 0
    for trial in importlib.import_module(f"robustness.{row}").trials(short=short, **chosen):
        print(json.dumps(asdict(trial)), flush=True)
        tried, failed = tried + 1, failed + bool(trial.wrong)
    print(f"{row} {part}: {tried:,} tried, {failed:,} failed", file=sys.stderr)
    return FAILED if failed else 0


def counts(row: str, part: str) -> tuple[int, int]:
    """Do a row's long form in a process of its own; show what failed, return how many were tried and failed."""
    command = [sys.executable, "-m", "robustness", row, "--part", part]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode in (0, FAILED), f"{row} {part} broke off"
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = [trial for trial in trials if trial["wrong"]]
    print(*wrong, sep="\n", flush=True)
    return len(trials), len(wrong)


def main() -> int:
    """Do a row, or all of them, its parts side by side, and fill in the page; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m robustness")
    parser.add_argument("row", nargs="?", choices=ROWS)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--part")
    options = parser.parse_args()
    if options.short or options.part is not None:
        return one_row(options.row, options.part or "", short=options.short)
    rows, failed = {options.row: ROWS[options.row]} if options.row else ROWS, 0
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = {row: [pool.submit(counts, row, part) for part in parts] for row, parts in rows.items()}
        for row, futures in found.items():
            failed += fill_in(row, *map(sum, zip(*(future.result() for future in futures), strict=True)))
    return int(failed > 0)


def fill_in(row: str, tried: int, failed: int) -> int:
    """Write a row's counts into the page: | what | `row` | tried | failed at first | what was changed | fail now |."""
    page = PAGE.read_text(encoding="utf-8")
    cells = rf"(\| `{row}` \|) [\d,–]+ (\|.*\|) [\d,–]+ \|\n"
    page, found = re.subn(cells, rf"\1 {tried:,} \2 {failed:,} |\n", page)
    assert found == 1, f"{PAGE} has no row {row}"
    PAGE.write_text(page, encoding="utf-8")
    return failed


if __name__ == "__main__":
    sys.exit(main())
