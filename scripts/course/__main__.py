"""python -m scripts.course run [NAME…] | collect [FOLDER…] | page.

`run` trains all experiments, or those whose names begin with a NAME, into outputs/course; `collect` takes what the
pages show of these runs, or of those in each FOLDER, into docs/course/measured.json and docs/course/pictures; `page`
writes docs/course from scripts/course/pages, the experiments, and these measurements.
"""

import subprocess
import sys
from pathlib import Path

import yaml

from dlexp.config.composition import options
from scripts.course.collect import collect
from scripts.course.page import write

RUNS = Path("outputs/course")


def run(beginnings: list[str]) -> int:
    """Train every experiment in a process of its own; return how many failed."""
    reduced = yaml.safe_load((Path(__file__).parent / "reduced.yaml").read_text())
    failed = 0
    for name in options("experiment"):
        if beginnings and not any(name.startswith(beginning) for beginning in beginnings):
            continue
        plan = reduced.get(name, {"seeds": 3, "overrides": []})
        seeds = ",".join(map(str, range(plan["seeds"])))
        demonstration = "override /demonstration" in options("experiment")[name].read_text()
        repeated = [] if demonstration else [f"seed={seeds}"]
        command = [sys.executable, "-m", "dlexp.cli", "train", "-m", f"experiment={name}", *plan["overrides"]]
        failed += subprocess.run([*command, *repeated, f"output_dir={RUNS}"], check=False).returncode != 0
    return failed


def main() -> int:
    """Run the action that the first argument names."""
    action, arguments = (sys.argv[1:] or ["page"])[0], sys.argv[2:]
    if action == "run":
        return run(arguments)
    if action == "collect":
        collect(*map(Path, arguments or [str(RUNS)]))
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
