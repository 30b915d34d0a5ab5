"""The sentence that names the best setting, of one study and of several."""

from pathlib import Path

import pytest
from test_compare import compare, factor, fake

from dlexp.cli.main import main
from dlexp.compare import studies
from dlexp.compare.groups import record
from dlexp.runs.directory import find_runs


@pytest.mark.parametrize(
    ("offsets", "seeds", "lead"),
    [
        ({"relu": 0.0, "tanh": 0.2, "sigmoid": -0.2}, 5, "Its lead is larger than the spread of the seeds."),
        ({"relu": 0.0, "tanh": 0.001, "sigmoid": -0.2}, 5, "Its lead over relu is within the spread of the seeds."),
        ({"relu": 0.0, "tanh": 0.2}, 1, "Its lead over relu may be chance: too few common seeds to test it."),
    ],
)
def test_the_best_setting_is_named_with_how_sure_it_is(offsets: dict[str, float], seeds: int, lead: str) -> None:
    factor(offsets, seeds)
    found = {name: [] for name in offsets}
    for run in find_runs(Path("outputs")):
        found[run.keys()["model.activation"]].append(run.figures()["test/accuracy"])
    means = {name: sum(values) / seeds for name, values in found.items()}
    over = f" (mean of {seeds} seeds)" if seeds > 1 else ""
    expected = f"Best: model.activation=tanh, test accuracy {means['tanh']:.4f}{over}; next relu, {means['relu']:.4f}."
    assert max(means, key=means.__getitem__) == "tanh"
    best = compare("model.activation").best
    assert best and best.sentence == f"{expected} {lead}"
    by_loss = compare("model.activation", metric="test/loss").best
    assert by_loss and by_loss.setting == "model.activation=tanh", "a lower loss is better"


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        ([0.9, 0.9, 0.9], "model.activation=a, b and c, test accuracy 0.9000; no other setting is worse."),
        ([0.9, 0.8, 0.9], "model.activation=a and c, test accuracy 0.9000; next b, 0.8000. Its lead over b may be"),
    ],
)
def test_settings_that_are_level_share_the_place(figures: list[float], sentence: str) -> None:
    for name, figure in zip("abc", figures, strict=True):
        fake("s", figure, model__activation=name)
    best = compare("model.activation").best
    assert best and best.sentence.startswith(f"Best: {sentence}")


def test_the_best_combination_is_named() -> None:
    for seed in range(4):
        for activation, of_activation in (("relu", 0.1), ("tanh", 0.0)):
            for size, of_size in ((16, 0.0), (32, 0.2)):
                noise = 0.001 * (seed * (size + len(activation)) % 3)
                fake(
                    "s", 0.5 + of_activation + of_size + noise, seed=seed, model__activation=activation, batch_size=size
                )
    best = compare("model.activation", "batch_size").best
    assert best and best.sentence.startswith("Best: model.activation=relu, batch_size=32, test accuracy 0.8")
    assert "; next model.activation=tanh, batch_size=32, 0.7" in best.sentence
    assert best.sentence.endswith("Its lead is larger than the spread of the seeds.")


def test_settings_are_compared_on_the_same_data_only() -> None:
    for pattern, best in (("circle", "relu"), ("spiral", "tanh")):
        for activation in ("relu", "tanh"):
            fake("play", 0.9 if activation == best else 0.8, dataset__pattern=pattern, model__activation=activation,
                 hashes={"data_sha256": pattern})  # fmt: skip
    found = studies.by_data(map(record, find_runs(Path("outputs"))))
    assert {data: each.best and each.best.setting for data, each in found.items()} == {
        "dataset.pattern=circle": "model.activation=relu",
        "dataset.pattern=spiral": "model.activation=tanh",
    }


def test_several_studies_end_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for size, accuracy in ((32, 0.46), (256, 0.41)):
        fake("sizes", accuracy, batch_size=size)
        fake("rates", accuracy, optimizer__lr=size / 1000)
    assert main(["compare", "outputs"]) == 0
    *_, last = capsys.readouterr().out.split("\n\n")
    assert last.startswith("Best setting of each study: ")
    assert "batch_size=32 (0.4600; its lead over 256 may be chance" in last and "optimizer.lr=0.032 (0.4600;" in last
    assert main(["compare", "outputs", "--json"]) == 2
    assert "--by KEY" in capsys.readouterr().err
    assert main(["compare", "outputs/sizes", "--metric", "test/f2"]) == 2
