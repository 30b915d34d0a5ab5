"""Text that looks like a number stays text: in a config, a run directory, filters and tables."""

from pathlib import Path

import pytest

import dlexp
from dlexp.cli.main import main
from dlexp.config.component import Preparation, Transfer
from dlexp.config.composition import compose
from dlexp.config.config import Config, EarlyStopping
from dlexp.config.keys import TEXT
from dlexp.config.overrides import parse
from dlexp.config.schema import check, configurable
from dlexp.data.datasets import DATASETS
from dlexp.errors import UserError
from dlexp.runs.directory import find_runs
from dlexp.runs.queries import select
from dlexp.storage.sealed import read_yaml, write_yaml
from dlexp.sweep.expansion import expand
from dlexp.training.build import REGISTRIES

NUMBERS = ["1.10", "1e3", "007", "1_000", "+5", ".5", "1.", "inf", "NaN", "true", "0x1f", "۱۰", "½", "2024-01-31"]


@pytest.mark.parametrize("text", NUMBERS)
def test_a_name_is_as_typed(text: str, tmp_path: Path) -> None:
    assert compose([f"name={text}"])["name"] == text
    assert compose([f"dataset.positive_class={text}"])["dataset"]["positive_class"] == text
    assert compose(["dataset=inline", f"dataset.class_names=[a, {text}]"])["dataset"]["class_names"] == ["a", text]
    (one, other) = (parse(job)[0].value() for job in expand([f"name={text},b"]))
    assert (one, other) == (text, "b")
    write_yaml(tmp_path / "config.yaml", {"name": text, "names": [text]}, "")
    assert read_yaml(tmp_path / "config.yaml") == {"name": text, "names": [text]}


def test_other_values_are_what_they_were() -> None:
    assert compose(["optimizer.lr=1e-3", "name='a, 1.10'", "dataset.positive_class=null"])["name"] == "a, 1.10"
    assert compose(["dataset.positive_class=null"])["dataset"]["positive_class"] is None
    with pytest.raises(UserError, match=r"name=1\.1 must be text: put it in quotes"):
        check(str, 1.1, "name")


def test_every_key_of_text_is_declared() -> None:
    owners = [("", Config), ("early_stopping.", EarlyStopping), ("dataset.", Preparation), ("model.", Transfer)]
    for group, registry in {**REGISTRIES, "dataset": DATASETS}.items():
        owners += [(f"{group}.", builder) for builder in registry.builders.values()]
    found = {prefix + key for prefix, owner in owners for key in _of_text(owner)}
    assert found - {"model.freeze"} == set(TEXT)  # a number is a number of layers there


def _of_text(owner: object) -> list[str]:
    free = {key: str(p.annotation) for key, p in configurable(owner).items()}  # type: ignore[arg-type]
    return [key for key, annotation in free.items() if "str" in annotation and "dict" not in annotation]


def test_runs_are_found_by_a_name_that_looks_like_a_number() -> None:
    for name in ("1.10", "2024"):
        dlexp.train([f"name={name}", "epochs=0"])
    assert (Path("outputs") / "1.10").exists()
    runs = find_runs(Path("outputs"))
    for filters, count in ((["name=1.10"], 1), (["name=1.1"], 0), (["name=2024"], 1), (["epochs=0"], 2)):
        assert len(select(runs, filters)) == count, filters


def test_class_names_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["dataset=inline", "dataset.class_names=[007,²,۱۰]", "dataset.inputs=[[0],[1],[2]]"]
    assert main(["train", *chosen, 'dataset.targets=["007","²","۱۰"]', "epochs=0"]) == 0
    printed = [line.split()[-3] for line in capsys.readouterr().out.splitlines()[1:4]]
    assert printed == ["007", "²", "۱۰"]


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HOME", str(Path("home").absolute()))
    monkeypatch.setenv("DLEXP_DATA_DIR", "~/data")
    run = dlexp.train(["output_dir=~/runs", "name=one", "epochs=0"])
    assert run.path.parent == Path("home/runs/one").absolute()
    assert run.config.data_dir == str(Path("home/data").absolute())
    assert dlexp.load_run(f"~/runs/one/{run.path.name}").path == run.path
    assert main(["list", "runs", "--output-dir=~/runs"]) == 0
    assert str(run.path) in capsys.readouterr().out
    for wrong in ("train output_dir=~nobody_here/runs", "train data_dir=~nobody_here", "report ~nobody_here"):
        assert main(wrong.split()) == 2
        assert "~nobody_here" in (errors := capsys.readouterr().err) and "there is no such user" in errors
    assert not Path("~").exists()
