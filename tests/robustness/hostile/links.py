"""Links out of a run or a report: what is written, cut, renamed and deleted by dlexp is its own."""

import json
from collections.abc import Callable
from pathlib import Path

from robustness.hostile import RUN, Attack, both

GOING_ON = (["resume", RUN], ["evaluate", RUN], ["list", "runs"], ["report"])
Make = Callable[[Path], object]
FILES = (  # what a run going on writes
    *("metrics.csv", "gradients.csv", "status.json", "result.json", "environment.json", "config.yaml", "lock"),
    *(
        "predictions.csv",
        "confusion_matrix.csv",
        "calibration.csv",
        "curves.png",
        "checkpoints/step_000000008.pt",
        "checkpoints/best.pt",
    ),
)
OUTSIDE = "outside/precious"


def link(path: str, to: str = OUTSIDE) -> Make:
    """Return what puts a link in a file's place, `to` a file or folder beside the working directory."""

    def lay_out(work: Path) -> None:
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).unlink(missing_ok=True)
        (work / path).symlink_to(work.parent / to)

    return lay_out


def folder_link(path: str, to: str = "outside") -> Make:
    """Return what moves a folder away and puts a link in its place."""

    def lay_out(work: Path) -> None:
        if (work / path).exists():
            (work / path).rename(work / "outputs" / "moved")
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).symlink_to(work.parent / to)

    return lay_out


def report_before(content: object, name: str = ".drawn.json") -> Make:
    """Return what makes a report's folder with notes of an earlier report."""

    def lay_out(work: Path) -> None:
        folder = work / "outputs" / "report"
        (folder / "figures").mkdir(parents=True)
        (folder / ".lock").touch()
        (folder / name).write_text(json.dumps(content))

    return lay_out


def attacks() -> list[Attack]:
    """Return links in the place of each file and folder that is written, and notes that name files elsewhere."""
    fresh = (["train", "epochs=1"], ["train", "-m", "seed=5", "epochs=1"])
    up = "../../../../outside/precious"
    partial = [f"{name}.part" for name in FILES if name not in ("lock", "metrics.csv", "gradients.csv")]
    return [
        *(Attack(f"link: {name}", GOING_ON, link(f"{RUN}/{name}"), codes=(0, 1, 2)) for name in (*FILES, *partial)),
        *(Attack(f"link to nothing: {name}", GOING_ON, link(f"{RUN}/{name}", "outside/new"), codes=(0, 1, 2))
          for name in FILES),
        Attack("link: checkpoints", GOING_ON, folder_link(f"{RUN}/checkpoints", "outside/folder"), codes=(0, 1, 2)),
        Attack("link: a folder in the run", GOING_ON, link(f"{RUN}/x", "outside"), codes=(0,)),
        Attack("link: a .part folder", GOING_ON, link(f"{RUN}/x.part", "outside"), codes=(0, 1, 2)),
        Attack("link: a file of .part's name", GOING_ON, lambda work: (work / RUN / "x.part").mkdir(), codes=(0, 1, 2)),
        Attack("link: a folder in the study, then a new run", fresh, link("outputs/iris_mlp/x", "outside/folder"),
               codes=(0,)),
        Attack("link: a claim of a job", fresh, link("outputs/.jobs", "outside/folder"), codes=(0, 1, 2)),
        *(Attack(f"link: report/{name}", (["report"],), both(link("outputs/report/.lock", "outside/new"),
                                                             link(f"outputs/report/{name}")), codes=(0, 2))
          for name in ("index.html.part", "summary.csv", ".cache.json", ".cache.json.part", "report.md.part")),
        Attack("link: report/.lock", (["report"],), link("outputs/report/.lock"), codes=(0, 2)),
        Attack("link: report/.lock to nothing", (["report"],), link("outputs/report/.lock", "outside/new"),
               codes=(0, 2)),
        Attack("link: report/figures", (["report"],), both(report_before({}), remove("outputs/report/figures"),
               folder_link("outputs/report/figures", "outside/folder")), codes=(0, 2)),
        *(Attack(f"an earlier report: {what}", (["report"],), report_before(content), codes=(0, 2))
          for what, content in {
              "pictures elsewhere": {"x": {"digest": "", "pictures": [up, f"{up}.part"]}},
              "pictures that are none": {"iris_mlp": {"digest": "", "pictures": [1, None, [up]]}},
              "studies that are none": {"iris_mlp": 7, "x": []},
              "a list": [["a", 1]],
          }.items()),
        *(Attack(f"an earlier report's cache: {what}", (["report"],), report_before(content, ".cache.json"),
                 codes=(0, 2))
          for what, content in {
              "runs that are none": {"version": 1, "runs": {"x": 1}},
              "a list": {"version": 1, "runs": [1, 2]},
          }.items()),
        Attack("an earlier report's cache: facts that are none", (["report"],), cached, codes=(0, 2)),
    ]  # fmt: skip


def remove(path: str) -> Make:
    return lambda work: (work / path).rmdir()


def cached(work: Path) -> None:
    """Every run is known already, with facts of the wrong kinds."""
    runs = {str((work / RUN).resolve()): {"stamp": [], "facts": {"status": 1}},
            str((work / RUN).with_name("other").resolve()): {"facts": []}}  # fmt: skip
    report_before({"version": 1, "runs": runs}, ".cache.json")(work)
