"""The course's pages agree with the experiments, their measured results, and their pictures."""

import json
import re
from pathlib import Path

import pytest
import yaml

from dlexp.cli.main import main
from dlexp.config.composition import options
from scripts.course import collect, page


def words() -> str:
    return "".join(path.read_text() for path in page.WORDS.glob("*.md"))


def test_the_pages_agree_with_the_experiments() -> None:
    for path, text in page.pages().items():
        assert path.read_text() == text, "run `python -m scripts.course page`"


def test_a_page_shows_every_experiment_once_and_measured() -> None:
    shown = page.EXPERIMENT.findall(words())
    assert sorted(shown) == sorted(options("experiment"))
    assert json.loads(page.MEASURED.read_text()).keys() == set(shown)


def test_the_pages_show_every_picture_that_is_kept() -> None:
    named = {page.COURSE / name for name in page.PICTURE.findall(words())}
    assert named == {*page.COURSE.rglob("*.png")}
    pages = [path.read_text() for path in page.WORDS.glob("*.md") if path.name != "course.md"]
    assert all(text.count("![") >= 2 for text in pages)


def test_every_slip_names_an_experiment() -> None:
    for row in yaml.safe_load((page.WORDS / "slips.yaml").read_text()):
        assert re.fullmatch(r"(-m )?experiment=(\S+)", row["show"])[2] in options("experiment")


def test_collected_runs_name_their_reductions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = ["experiment=nn_hw2/ex04_hoda", "dataset=iris", "epochs=1", "dataset.train_size=60", "seed=0,1"]
    assert main(["train", "-m", *cut]) == 0
    assert main(["train", "experiment=nn_theory/ex02_sigmoid_is_softmax"]) == 0
    words, folder = tmp_path / "words", tmp_path / "course"
    words.mkdir()
    folder.mkdir()
    (words / "slips.yaml").write_text("[]")
    (words / "a.md").write_text(
        "{{ nn_hw2/ex04_hoda }}\n\n{{ nn_theory/ex02_sigmoid_is_softmax }}\n\n"
        "![All](pictures/nn_hw2/ex04_hoda/study_factors.png)\n\n"
        "![One](pictures/nn_hw2/ex04_hoda/hidden_sizes_15/confusion_matrix.png)\n"
    )
    for module in (page, collect):
        monkeypatch.setattr(module, "COURSE", folder)
        monkeypatch.setattr(module, "MEASURED", folder / "measured.json")
    monkeypatch.setattr(page, "WORDS", words)
    collect.collect(Path("outputs"))
    rows = json.loads(page.MEASURED.read_text())["nn_hw2/ex04_hoda"]["runs"]
    assert len(rows) == 6 and {row["seed"] for row in rows} == {0, 1}
    assert {row["reduced"] for row in rows} == {"60 samples, 1 of 100 epochs"}
    assert len([*folder.rglob("*.png")]) == 2
    (text,) = page.pages().values()
    assert "Measured in a reduced form: 60 samples, 1 of 100 epochs." in text
    assert "| softmax₂(W x + b) = σ((w₂ − w₁) x + b₂ − b₁) | 0." in text
