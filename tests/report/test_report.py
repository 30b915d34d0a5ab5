"""The report's files, for runs in any state."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_runs import resume, train

from dlexp.cli.main import main
from dlexp.config.config import load_config
from dlexp.report import collect, paper, studies
from dlexp.report.write import write
from dlexp.runs.directory import RunDirectory, find_runs
from dlexp.training import loop
from dlexp.training.build import check

REPORT = Path("outputs/report")
HOSTILE = "<script>alert(1)</script>"


DRAW = paper.draw


@pytest.fixture(autouse=True)
def sketches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make figures without rendering them, which takes half a second each; one test renders them."""

    def sketch(way: Callable[[], object], stem: Path) -> None:
        way()
        for ending in ("png", "svg"):
            stem.with_name(f"{stem.name}.{ending}").touch()

    monkeypatch.setattr(paper, "draw", sketch)


def runs() -> list[RunDirectory]:
    return find_runs(Path("outputs"))


def study(**changes: object) -> list[RunDirectory]:
    """Two activations, three seeds, three epochs."""
    return [
        train(f"model.activation={activation}", f"seed={seed}", "epochs=3", "name=study", "log_gradients=true",
              *(f"{key}={value}" for key, value in changes.items()))
        for activation in ("relu", "tanh") for seed in range(3)
    ]  # fmt: skip


def test_the_report_has_a_page_pictures_a_table_and_a_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper, "draw", DRAW)
    made = study()
    assert main(["report"]) == 0
    assert "6 runs in 1 study: outputs/report/index.html" in capsys.readouterr().out
    drawn = {path.name for path in (REPORT / "figures").iterdir()}
    assert drawn == {f"study_{what}.{end}" for what in ("curves", "factors", "confusion_matrix", "gradients")
                     for end in ("png", "svg")}  # fmt: skip
    rows = list(csv.DictReader((REPORT / "summary.csv").read_text().splitlines()))
    by_run = {row["run"]: row for row in rows}
    for run in made:
        row, result = by_run[str(run.path)], run.read_json("result.json")
        assert float(row["test/accuracy"]) == result["final"]["test"]["accuracy"]
        assert row["model.activation"] == run.read_config()["model"]["activation"] and row["status"] == "finished"
    text = (REPORT / "report.md").read_text()
    assert "## study" in text and "| relu | 3 |" in text and "figures/study_curves.png" in text
    compared = subprocess.run(
        [sys.executable, "-m", "dlexp.cli", "compare", "outputs", "--by", "model.activation", "--markdown"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert compared.strip() in text


def test_the_report_does_not_import_torch() -> None:
    train("epochs=1")
    program = (
        "import sys; from dlexp.cli.main import main; assert main(['report']) == 0; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_unchanged_runs_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    study()
    write(runs, REPORT)
    page, pictures = (REPORT / "index.html").read_text(), {p: p.stat().st_mtime_ns for p in REPORT.rglob("*.png")}
    read: list[str] = []
    whole = collect.read
    monkeypatch.setattr(collect, "read", lambda run: (read.append(str(run.path)), whole(run))[1])
    with monkeypatch.context() as patch:
        patch.setattr(paper, "figures", lambda study: pytest.fail("drawn again"))
        write(runs, REPORT)
    assert not read and {p: p.stat().st_mtime_ns for p in REPORT.rglob("*.png")} == pictures
    assert len((REPORT / "index.html").read_text()) == len(page)
    changed = train("seed=7", "name=study")
    write(runs, REPORT)
    assert read == [str(changed.path)]
    (REPORT / ".cache.json").write_text("{broken")
    write(runs, REPORT)
    assert len(read) == 8, "what is no cache is read anew"


def test_runs_in_any_state_are_shown_with_their_status() -> None:
    whole, failed, killed, cut, empty, no_object = (train(f"seed={seed}", "name=states") for seed in range(6))
    failed.write_status("failed", epoch=1, error="The loss became nan")
    (killed.path / "result.json").unlink()
    killed.write_status("running", epoch=1)
    with (killed.path / "metrics.csv").open("a") as file:
        file.write("3,6,0.1,0.9")  # a row under way
    (cut.path / "result.json").write_text('{"final": {"te')
    (empty.path / "config.yaml").write_text("")
    (no_object.path / "result.json").write_text('{"final": {"test": null}, "status": "finished"}')
    (found,) = [s for s in studies.studies(collect.collect(runs(), REPORT / ".cache.json")) if s.name == "states"]
    states = {run["path"]: run["status"] for run in found.runs}
    assert states == {
        str(whole.path): "finished",
        str(failed.path): "failed",
        str(killed.path): "interrupted",
        str(cut.path): "damaged",
        str(empty.path): "damaged",
        str(no_object.path): "damaged",
    }
    by_path = {run["path"]: run for run in found.runs}
    assert by_path[str(failed.path)]["error"] == "The loss became nan"
    assert by_path[str(killed.path)]["curves"]["epoch"] == [1, 2], "the row that is not whole is left out"
    assert main(["report"]) == 0


def test_a_run_that_is_training_is_shown_as_running() -> None:
    run = train("name=going")
    with run.locked():
        run.write_status("running", epoch=1)
        (found,) = studies.studies(collect.collect(runs(), REPORT / ".cache.json"))
    assert found.runs[0]["status"] == "running"


def test_a_key_that_follows_from_another_is_no_factor() -> None:
    for optimizer in ("adam", "sgd"):
        for seed in (0, 1):
            train(f"optimizer={optimizer}", f"seed={seed}", "name=optimizers")
    (found,) = studies.studies(collect.collect(runs(), REPORT / ".cache.json"))
    assert list(found.varied) == ["optimizer", "seed"] and list(found.factors) == ["optimizer"]
    assert "optimizer.lr" in found.differing
    (effect,) = found.comparisons["test/accuracy"].effects
    assert any("optimizer.lr" in each for each in effect.confounders), "and compare says that it differs"


def test_runs_that_nothing_joins_are_single() -> None:
    """A sweep or a name joins runs; the automatic name of a dataset and a model does not."""
    for changes in (["epochs=1", "threads=2"], ["batch_size=16"], ["optimizer=sgd"]):
        train(*changes)
    jobs = [loop.train(check(load_config(["epochs=1", f"seed={i}"])), command=["dlexp", "train"]) for i in (0, 1)]
    for changes in (["batch_size=16"], ["batch_size=32", "optimizer=sgd"]):
        train("name=mine", *changes)
    found = studies.studies(collect.collect(runs(), REPORT / ".cache.json"))
    assert [(study.name, study.single, len(study.runs)) for study in found[:2]] == [
        ("iris_mlp", False, 2),
        ("mine", False, 2),
    ]
    assert [run["path"] for run in found[0].runs] == [str(run.path) for run in jobs]
    assert len(found) == 5 and all(study.single and len(study.runs) == 1 and not study.factors for study in found[2:])
    assert {"batch_size", "optimizer"} <= {*found[1].columns} and "optimizer.lr" not in found[1].columns
    write(runs, REPORT)
    rows = list(csv.DictReader((REPORT / "summary.csv").read_text().splitlines()))
    assert {row["batch_size"] for row in rows if row["study"] == "iris_mlp"} == {"16"}, "no cell with a value is blank"
    header = (REPORT / "summary.csv").read_text().splitlines()[0].split(",")
    assert len(set(header)) == len(header) and str(jobs[0].path) in (REPORT / "report.md").read_text()


def test_thinning_keeps_the_ends_and_the_extremes() -> None:
    spikes = {3_000: 9.0, 70_001: -5.0}
    columns = {
        "step": [float(i) for i in range(100_000)],
        "loss": [spikes.get(i, 1 + i % 7 / 10) for i in range(100_000)],
    }
    thin = collect.thinned(columns, 300)
    assert len(thin["step"]) <= 320 and {9.0, -5.0} <= set(thin["loss"])
    assert thin["step"][0] == 0 and thin["step"][-1] == 99_999 and thin["step"] == sorted(thin["step"])
    assert all(columns["loss"][int(step)] == loss for step, loss in zip(thin["step"], thin["loss"], strict=True))


def test_a_mean_curve_is_of_all_rows_of_all_runs() -> None:
    """Curves are thinned for the page, each on its own grid, but a mean needs the same epochs of every run."""
    generator, names = np.random.default_rng(0), [f"{split}/{name}" for split in ("train", "test") for name in "ab"]
    tables = []
    for seed, level in enumerate((1.0, 3.0)):
        run, values = train(f"seed={seed}", "epochs=1", "name=long"), level + generator.normal(size=(1000, 4))
        run.write_table("metrics.csv", ["epoch", *names], ([i + 1, *row] for i, row in enumerate(values)))
        run.write_status("finished", epoch=1000)
        tables.append(values)
    (found,) = studies.studies(collect.collect(runs(), REPORT / ".cache.json"))
    a, b, *_ = paper.curves(found).axes
    for axes, column in ((a, 2), (b, 3)):
        assert axes.lines[0].get_ydata() == pytest.approx(np.mean(tables, 0)[:, column])


def test_names_with_slashes_and_markup_stay_text() -> None:
    """In file names, in report.md and in the page's data."""
    run = train("name=study")
    config = run.read_config()
    config["name"] = f"../../{HOSTILE}|$x${{script}}{{plotly}}{{data}}"
    run.write_config(config)
    write(runs, REPORT)
    assert {path.parent for path in Path().rglob("*.svg")} == {REPORT / "figures"}
    assert HOSTILE not in (REPORT / "report.md").read_text()
    page = (REPORT / "index.html").read_text()
    data = page.split('id="data">')[1].split("</script>")[0]
    assert "<" not in data and json.loads(data)["studies"][0]["name"] == config["name"]
    assert page.count("<script>alert") == 0


def test_settings_of_any_kind_are_drawn() -> None:
    for sizes in ("[16,8]", "[8,4]", "[16]"):
        train(f"model.hidden_sizes={sizes}", "name=sizes")
    assert main(["report"]) == 0
    assert (REPORT / "figures" / "sizes_factors.png").exists()


def test_the_cells_of_a_heat_map_are_found_by_their_settings() -> None:
    """A text that joins the settings is ambiguous: `a, b` with `c` is not `a` with `b, c`."""
    runs = [
        {"keys": {"x": x, "y": y}, "figures": {"test/accuracy": value}}
        for x, y, value in (("a, b", "c", 0.1), ("a", "b, c", 0.9), ("a, b", "b, c", 0.2), ("a", "c", 0.3))
    ]
    found = studies.Study("s", runs, *[["x", "y"]] * 4, ["test/accuracy"], {}, {}, {})
    texts = [text.get_text() for text in paper.heat_map(found).axes[0].texts]
    assert texts == ["0.100", "0.200", "0.300", "0.900"]


def test_a_killed_run_does_not_stay_running() -> None:
    run = train("name=going")
    with run.locked():
        run.write_status("running", epoch=1)
        assert collect.collect([run], REPORT / ".cache.json")[0]["status"] == "running"
    assert collect.collect([run], REPORT / ".cache.json")[0]["status"] == "interrupted"


def test_pictures_of_a_study_are_deleted_with_its_runs() -> None:
    short, long = train("name=iris"), train("name=iris_mlp")
    write(runs, REPORT)
    text = (REPORT / "report.md").read_text()
    assert "iris_mlp_" not in text.split("## iris_mlp")[0] and "iris_curves" in text
    write(lambda: [short], REPORT)
    assert not list((REPORT / "figures").glob("iris_mlp_*")) and long.path.exists()


def test_an_edited_table_is_named_and_not_shown() -> None:
    run, other = train("name=edited"), train("name=whole")
    table = run.path / "metrics.csv"
    table.write_text(table.read_text().replace("\n2,", "\n2.,"))
    write(runs, REPORT)
    said = "metrics.csv was edited, or is damaged: it is not as it was when the run ended."
    assert [each["status"] for each in collect.collect(runs(), REPORT / ".cache.json")] == ["damaged", "finished"]
    assert all(said in (REPORT / name).read_text() for name in ("index.html", "report.md"))
    resume(other, f"epochs={other.status()['epoch'] + 1}")
    assert collect.read(other)["status"] == "finished"


def test_a_folder_that_no_report_wrote_is_not_changed(capsys: pytest.CaptureFixture[str]) -> None:
    train("epochs=1")
    Path("homework").mkdir()
    Path("homework/report.md").write_text("mine")
    assert main(["report", "--to", "homework"]) == 2
    assert "report.md exists, and no report wrote it" in capsys.readouterr().err
    assert Path("homework/report.md").read_text() == "mine"
    Path("a_file").touch()
    assert main(["report", "--to", "a_file"]) == 2 and main(["report", "a_file"]) == 2


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two_runs")
    one, other = (
        train("dataset=playground", f"name={name}", "epochs=1", "log_gradients=true", f"output_dir={folder}")
        for name in ("broken", "whole")
    )
    one.path.rename(one.path.with_name("1"))
    other.path.rename(other.path.with_name("2"))
    return folder


@pytest.mark.parametrize("name", ["boundary.csv", "points.csv", "metrics.csv", "confusion_matrix.csv", "result.json",
                                  "status.json", "gradients.csv", "config.yaml", "environment.json"])  # fmt: skip
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "binary", "a folder"])
def test_a_damaged_file_affects_at_most_one_run(name: str, damage: str, two_runs: Path) -> None:
    shutil.copytree(two_runs, "outputs")
    run, whole = runs()
    content = (run.path / name).read_bytes()
    (run.path / name).unlink()
    if damage == "a folder":
        (run.path / name).mkdir()
    elif damage != "gone":
        damaged = {"empty": b"", "cut": content[: len(content) // 2], "binary": b"\x00\xff\xfe" * 40}
        (run.path / name).write_bytes(damaged[damage])
    found = write(runs, REPORT)
    assert any(each["path"] == str(whole.path) and each["status"] == "finished" for s in found for each in s.runs)


def test_class_names_of_hoda_are_persian_digits() -> None:
    assert collect.class_names(["0", "9"], "hoda_full") == ["۰", "۹"] and collect.class_names(["0"], "mnist") == ["0"]


def test_a_missing_path_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "nowhere"]) == 2
    assert "nowhere does not exist" in capsys.readouterr().err
