"""Every experiment of the course runs a few steps on a few samples, and states its sources."""

import pytest

from dlexp.config.composition import options
from dlexp.config.config import load_config
from dlexp.data.datasets import DATASETS
from dlexp.sweep.expansion import expand
from dlexp.training.build import check
from dlexp.training.loop import work_of

EXPERIMENTS = options("experiment")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs(name: str, request: pytest.FixtureRequest) -> None:
    for job in expand([f"experiment={name}"]):
        config = check(load_config(job))
    if "dlexp[images]" in EXPERIMENTS[name].read_text():
        pytest.importorskip("cv2", reason="OpenCV is an extra: pip install '.[images]'")
    small = [f"epochs={min(config.epochs, 1)}", "stop_at=null"]
    if config.dataset.name != "inline":
        small += ["dataset.train_size=60", "dataset.test_size=20"]
    if DATASETS.find(config.dataset.name)().embedded is None:
        small.append(f"data_dir={request.getfixturevalue('data_dir')}")
    if config.dataset.preparation.validation_fraction:
        small.append("dataset.validation_fraction=0.25")
    run = work_of(config)(check(load_config([*job, *small])))
    assert run.status()["status"] == "finished"
    assert run.path.is_relative_to(f"outputs/{name}"), "an experiment is found under its own name"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_states_its_exercise_and_choices(name: str) -> None:
    lines = EXPERIMENTS[name].read_text().splitlines()
    assert lines[0] == "# @package _global_"
    comment = " ".join(line.lstrip("# ") for line in lines[1:] if line.startswith("#"))
    homework, _, exercise = name.partition("/")
    assert comment.startswith(f"{homework} {exercise.split('_')[0]}")
    for word in ("Stated", "Not stated"):
        assert word in comment, f"{name} does not say what was {word.lower()}"


def test_every_reference_has_a_figure() -> None:
    for name in EXPERIMENTS:
        for row in load_config([f"experiment={name}"]).reference:
            assert any("/" in key or key == "parameters" for key in row), (name, row)
