"""Runs that earlier versions left in golden/: this version goes on with them, evaluates and reports them.

`python -m robustness.golden NAME`, from tests/, keeps runs of this version as golden/NAME, beside those that are there.
In each folder `run` is a run directory, stopped or finished, and `end.pt` the weights that it comes to undisturbed.
"""

import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from robustness.forks import Child, Trial, dlexp, prepare
from small_runs import TABULAR

import dlexp as package
from dlexp.cli.main import main
from dlexp.report import text
from dlexp.runs.directory import GRADIENTS, METRICS, RunDirectory, find_runs
from dlexp.training import checkpoint

KEPT = Path(__file__).parent / "golden"
NOWHERE = Path("/var/tmp/dlexp_golden")  # config.yaml and environment.json tell where they were written
DIGITS = ["dataset=digits", "dataset.train_size=200", "dataset.test_size=100", "model.hidden_sizes=[8]"]
JOBS = {
    "stopped": [
        *TABULAR,
        "scheduler=exponential",
        "early_stopping.patience=50",
        "epochs=6",
        "stop_at=3",
        "checkpoint.every_epochs=1",
    ],
    "images": [*DIGITS, "epochs=3", "log_gradients=true", "dataset.validation_fraction=0.2"],
    "by_hand": ["experiment=is_hw4/ex01_backprop"],
}
MORE = {"stopped": [], "images": ["epochs=5"], "by_hand": []}  # of what `resume` is asked
TOLERANCE = 1e-3  # of another machine or build, in a figure
# In a weight: the gradient of a bias before batch normalization is rounding alone, which Adam makes steps of lr out of.
WEIGHT_TOLERANCE = 1e-2


def trained(*overrides: str) -> RunDirectory:
    """Train where nothing is, as anybody would."""
    shutil.rmtree(NOWHERE, ignore_errors=True)

    def work() -> int:
        sys.argv = ["dlexp", "train", *overrides, "threads=1"]
        return main(sys.argv[1:])

    code, said = Child(NOWHERE, work).wait()
    assert code == 0, said
    return find_runs(NOWHERE)[0]


def keep(name: str) -> None:
    """Train this version's jobs, and keep them."""
    prepare()
    for job, overrides in JOBS.items():
        whole = trained(*(o for o in overrides if not o.startswith("stop_at")), *MORE[job])
        end = checkpoint.load(whole.checkpoints()[0])["model"]
        shutil.copytree(trained(*overrides).path, KEPT / name / job / "run", ignore=shutil.ignore_patterns("lock"))
        torch.save(end, KEPT / name / job / "end.pt")
    shutil.rmtree(NOWHERE)


def going_on(kept: Path, run: RunDirectory) -> str:
    """Resume; say what became of the rows that were there, or what the weights have not come to."""
    rows = {name: (run.path / name).read_bytes() for name in (METRICS, GRADIENTS) if (run.path / name).exists()}
    code, said = dlexp(run.path.parent, "resume", run.path, *MORE[kept.name])
    if code or "Traceback" in said or run.status()["status"] != "finished":
        return f"{code}: {said[-400:]}"
    if cut := [name for name, content in rows.items() if not (run.path / name).read_bytes().startswith(content)]:
        return f"{cut} have other rows"
    exact = "not bit-exact" not in said and run.read_json("environment.json")["platform"] == platform.platform()
    found, end = checkpoint.load(run.checkpoints()[0])["model"], torch.load(kept / "end.pt", weights_only=True)
    if found.keys() != end.keys():
        return f"weights {found.keys()}"
    close = torch.equal if exact else lambda one, other: torch.allclose(one, other, 0, WEIGHT_TOLERANCE)
    return ", ".join(name for name in end if not close(found[name], end[name]))


def evaluated(kept: Path, run: RunDirectory) -> str:
    """Evaluate; say what is not what result.json says."""
    code, said = dlexp(run.path.parent, "evaluate", run.path)
    stored = text.scores(run.read_json("result.json")["final"])
    before, now = ([float(number) for number in re.findall(r" (\d+\.\d{4})\b", each)] for each in (stored, said))
    # An older version stored fewer metrics than are computed now; they come first.
    near = len(before) <= len(now) and all(abs(a - b) <= TOLERANCE for a, b in zip(before, now, strict=False))
    return "" if code == 0 and near else f"{code}: {said[-400:]}, was {before}"


def looked_at(kept: Path, run: RunDirectory) -> str:
    """Every verb that looks, and a run in Python; say what is not there."""
    figures, folder = run.figures(), run.path.parent
    test = next(value for name, value in figures.items() if name.startswith("test/") and name != "test/loss")
    verbs: list[tuple[list[str | Path], str]] = [
        (["list", "runs", "--output-dir", folder], f"{test:.4f}"),
        (["diff", run.path, run.path], "Nothing differs"),
        (["report", folder, "--to", folder / "page"], "1 run in 1 study"),
    ]
    if kept.name == "images":
        other = ["train", *JOBS["images"], "batch_size=32"]
        verbs += [(other, ""), (["compare", folder, "--by", "batch_size"], f"{test:.4f}")]
    for verb, shown in verbs:
        code, said = dlexp(folder, *verb)
        if code or "Traceback" in said or shown not in said:
            return f"{verb}: {code}: {said[-400:]}"
    if str(test) not in (folder / "page" / "summary.csv").read_text():
        return "summary.csv lacks its figures"
    found = package.load_run(str(run.path))
    whole = len(found.metrics) == run.status()["epoch"] and found.result["final"] and found.config.name
    return "" if whole and not found.load_model().training else "cannot be loaded"


def trials(*, short: bool) -> Iterator[Trial]:
    """Everything that can be done with every kept run."""
    prepare()
    for kept in sorted(KEPT.glob("*/*/")):
        for what in (going_on, evaluated, looked_at):
            with tempfile.TemporaryDirectory() as place:
                run = RunDirectory(Path(shutil.copytree(kept / "run", Path(place) / "run")))
                yield Trial(f"{kept.parent.name}, {kept.name}: {what.__name__}", what(kept, run))


if __name__ == "__main__":
    keep(sys.argv[1])
