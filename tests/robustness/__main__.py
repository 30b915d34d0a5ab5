"""python -m robustness, from tests/: the long form of the fault trials; writes docs/robustness.md."""

import json
import subprocess
import sys
from pathlib import Path

from robustness.faults import WAYS
from test_resume import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "robustness.md"
WORDS = {
    "exit": "the process ends before the call",
    "torn": "the process ends in the middle of a write",
    "ENOSPC": "no space left, once",
    "ENOSPC lasting": "no space left, from then on",
    "EIO": "an input/output error, once",
    "EIO lasting": "an input/output error, from then on",
    "short": "a write takes half of what it was given",
}


def main() -> int:
    """Run every trial; return how many failed."""
    rows, failed = [], 0
    for how in WAYS:
        trials = []
        for kind in KINDS:
            command = [sys.executable, "-m", "robustness.faults", kind, how, "1", "1"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            trials += [{"kind": kind, **json.loads(line)} for line in done.stdout.splitlines()[1:]]
        wrong = [trial for trial in trials if trial["wrong"]]
        failed += len(wrong)
        for trial in wrong:
            print(f"{how}: {trial}", flush=True)
        rows.append(f"| {WORDS[how]} | {len(trials)} | {len(wrong)} |")
        print(rows[-1], flush=True)
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition("<!-- faults -->\n")
    _, _, after = rest.partition("<!-- end -->\n")
    table = "\n".join(["| at every call to the disk | tried | failed now |", "|---|---|---|", *rows])
    PAGE.write_text(f"{before}<!-- faults -->\n{table}\n<!-- end -->\n{after}", encoding="utf-8")
    return failed


if __name__ == "__main__":
    sys.exit(main() > 0)
