"""The course's page agrees with the experiments and with their measured results."""

import csv
from pathlib import Path

import pytest

from dlexp.cli.main import main
from dlexp.config.composition import options
from scripts.course import __main__ as course
from scripts.course.page import page

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_agrees_with_the_experiments() -> None:
    with (DOCS / "course_measured.csv").open(newline="") as file:
        expected = page(list(csv.DictReader(file)))
    assert (DOCS / "course.md").read_text() == expected, "run `python -m scripts.course page`"


def test_every_experiment_has_been_run_to_the_end() -> None:
    with (DOCS / "course_measured.csv").open(newline="") as file:
        measured = {row["experiment"] for row in csv.DictReader(file)}
    assert measured == set(options("experiment"))


def test_collected_runs_name_their_reductions(capsys: pytest.CaptureFixture[str]) -> None:
    cut = ["epochs=1", "dataset.train_size=60", "seed=0,1", "model.init=zeros,uniform"]
    assert main(["train", "-m", "experiment=nn_hw2/ex02b_initialization", *cut]) == 0
    assert main(["train", "experiment=nn_theory/ex05_deltas"]) == 0
    *runs, proved = course.collect(Path("outputs"))
    assert len(runs) == 4 and {row["seed"] for row in runs} == {0, 1}
    assert {row["reduced"] for row in runs} == {"60 samples, 1 of 100 epochs"}
    assert len({row["setting"] for row in runs}) == 2 and all(row["measure"] == "accuracy" for row in runs)
    assert proved["experiment"] == "nn_theory/ex05_deltas" and proved["test"] < 1e-10
    rows = [*runs, proved]
    text = page([{key: str(row.get(key, "")) for key in course.COLUMNS} for row in rows])
    assert "Measured in a reduced form: 60 samples, 1 of 100 epochs." in text
