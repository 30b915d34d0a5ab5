"""Measure time and size of a report of 10, 200 and 1000 runs of 100 epochs: python -m scripts.benchmarks.report.

The runs are copies of one trained run with other settings and seeds, since a report reads only files.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dlexp.runs.directory import RunDirectory, find_runs

SIZES = (10, 200, 1000)
ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "gelu")


def main() -> None:
    """Print a Markdown table."""
    print("# The report: time and size\n\nRuns of 100 epochs in one study; two cores, all in one run of this script.\n")
    print("| runs | dlexp report, first | again, nothing changed | again, one run new | page | page opens | a filter |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            print("| " + " | ".join(measure(Path(folder) / str(size), size)) + " |", flush=True)


def measure(folder: Path, size: int) -> list[str]:
    """Return a row: runs, seconds of three reports, the page's megabytes, its seconds to open and to filter."""
    train = ["train", "dataset=digits", "epochs=100", "name=study", f"output_dir={folder}"]
    subprocess.run([sys.executable, "-m", "dlexp.cli", *train], check=True, capture_output=True)
    (first,) = find_runs(folder)
    for i in range(1, size):
        copy_of(first, i)
    report = [sys.executable, "-m", "dlexp.cli", "report", str(folder), "--to", str(folder / "report")]
    cold, again = timed(report), timed(report)
    copy_of(first, size)
    changed = timed(report)
    page = folder / "report" / "index.html"
    opened, filtered = in_browser(page)
    megabytes = f"{page.stat().st_size / 1e6:.1f} MB"
    return [str(size), *(f"{seconds:.1f} s" for seconds in (cold, again, changed)), megabytes, opened, filtered]


def copy_of(run: RunDirectory, number: int) -> None:
    """Copy a run under another activation and seed."""
    target = run.path.with_name(f"{run.path.name}_{number:04}")
    shutil.copytree(run.path, target, ignore=shutil.ignore_patterns("*.pt", "lock"))
    copy = RunDirectory(target)
    config = copy.read_config()
    config["seed"], config["model"]["activation"] = number // len(ACTIVATIONS), ACTIVATIONS[number % len(ACTIVATIONS)]
    copy.write_config(config)


def timed(command: list[str]) -> float:
    """Return the wall-clock seconds of a command that must succeed."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def in_browser(page: Path) -> tuple[str, str]:
    """Return how long the browser takes to draw the page, and to redraw it after a filter; '–' without Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return "–", "–"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1300, "height": 900})
        started = time.perf_counter()
        tab.goto(page.absolute().as_uri())
        tab.wait_for_selector("#runs")
        tab.evaluate("() => new Promise(requestAnimationFrame)")
        opened = time.perf_counter() - started
        started = time.perf_counter()
        tab.locator("#runs").get_by_label("model.activation").select_option("tanh")
        tab.evaluate("() => new Promise(requestAnimationFrame)")
        filtered = time.perf_counter() - started
        browser.close()
    return f"{opened:.1f} s", f"{filtered:.1f} s"


if __name__ == "__main__":
    main()
