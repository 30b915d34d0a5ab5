"""Renamed keys: a typed old name is refused with the new one, and a saved old name is read as the new one."""

from pathlib import Path

import pytest
from small_runs import only_run, train

from dlexp.cli.main import main
from dlexp.config.config import load_config
from dlexp.runs.directory import RunDirectory
from dlexp.runs.queries import difference


def as_0_1_0_wrote_it(run: RunDirectory) -> None:
    config = run.read_config()
    run.write_config({"identity" if key == "demonstration" else key: value for key, value in config.items()})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "identity=deep_linear"], "identity is now called demonstration: demonstration=deep_linear"),
        (["train", "-m", "identity.seed=1,2"], "identity is now called demonstration: demonstration.seed=1,2"),
        (["list", "identity"], "identity is now called demonstration"),
        (["train", "experiment=group"], "group.yaml: identity is now called demonstration: override /demonstration"),
        (["train", "experiment=key"], "key.yaml: identity is now called demonstration: demonstration"),
    ],
)
def test_a_former_name_is_refused_with_the_new_one(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiments = tmp_path / "conf" / "experiment"
    experiments.mkdir(parents=True)
    (experiments / "group.yaml").write_text("# @package _global_\ndefaults: [override /identity: deep_linear]\n")
    (experiments / "key.yaml").write_text("# @package _global_\nidentity: {seed: 3}\n")
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_demonstration_of_an_earlier_version_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "demonstration=deep_linear", "demonstration.seed=3"]) == 0
    run = only_run()
    as_0_1_0_wrote_it(run)
    (run.path / "demonstration.csv").rename(run.path / "identity.csv")
    assert load_config([], file=run.path / "config.yaml").demonstration.options["seed"] == 3
    assert main(["list", "runs", "demonstration=deep_linear"]) == 0
    assert str(run.path) in capsys.readouterr().out
    assert main(["evaluate", str(run.path)]) == main(["resume", str(run.path)]) == 2
    assert capsys.readouterr().err.count("demonstrated something, and trained nothing") == 2
    assert main(["report"]) == 0
    assert main(["train", "--config", str(run.path / "config.yaml")]) == 0
    assert "demonstration" in max(Path("outputs").rglob("config.yaml")).read_text()


def test_a_renamed_key_is_not_a_difference_between_runs() -> None:
    old, new = train("epochs=1"), train("epochs=1")
    as_0_1_0_wrote_it(old)
    assert "config" not in difference(old, new)
