"""Which runs of a comparison are one setting, and which are the newest of a job."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_compare import compare, fake

from dlexp.cli.main import main
from dlexp.compare import comparison, groups
from dlexp.compare.groups import Record

METRIC = "test/accuracy"


def test_runs_that_differ_in_more_than_the_factor_are_settings_of_their_own() -> None:
    for optimizer, epochs, accuracy in (("adam", 300, 0.9), ("adam", 5, 0.32), ("sgd", 5, 0.3), ("adam", 301, 1.0)):
        fake("study", accuracy, optimizer={"name": optimizer}, epochs=epochs)
    (effect,) = compare("optimizer").effects
    assert {name: (each.count, each.mean) for name, each in effect.settings.items()} == {
        "adam, epochs=301": (1, 1.0),
        "adam, epochs=300": (1, 0.9),
        "adam, epochs=5": (1, 0.32),
        "sgd, epochs=5": (1, 0.3),
    }
    assert {(each.one, each.other): each.pairs for each in effect.differences}["adam, epochs=5", "sgd, epochs=5"] == 1
    assert effect.confounders == [
        "epochs: adam has 300 and 301 and 5, sgd has 5; each value is a setting of its own",
    ]


@pytest.mark.parametrize(
    ("changes", "hashes", "name"),
    [
        ({"optimizer__lr": 0.1}, {}, "relu, optimizer.lr=0.1"),
        ({"model__name": "cnn", "model__width": 3}, {}, "relu, model=cnn"),
        ({}, {"data_sha256": "a" * 64}, "relu, data_sha256=" + "a" * 12),
        ({}, {"code_sha256": "b" * 64}, "relu, code_sha256=" + "b" * 12),
        ({}, {"numerics": "2"}, "relu, numerics=2"),
    ],
)
def test_whatever_makes_another_job_makes_a_setting(
    changes: dict[str, object], hashes: dict[str, str], name: str
) -> None:
    """Of a model's options that follow from its name, only the name is shown."""
    for seed in range(3):
        fake("study", 0.9, seed=seed)
        fake("study", 0.5, seed=seed, **changes, hashes=hashes)
        fake("study", 0.8, seed=seed, model__activation="tanh")
    found = compare("model.activation")
    estimates = {setting: (each.count, each.mean) for setting, each in found.effects[0].settings.items()}
    assert len(estimates) == 3 and estimates[name] == (3, 0.5) and not found.notes


@pytest.mark.parametrize("factor", ["loss.name", "loss.label_smoothing", "batch_size"])
def test_losses_of_several_units_are_not_compared(factor: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither as the factor nor as what else varies."""
    for seed, size, smoothing in itertools.product(range(2), (32, 64), (0.0, 0.2)):
        name = "cross_entropy" if smoothing else "mse"
        loss = {"name": name if factor != "loss.label_smoothing" else "mse", "label_smoothing": smoothing}
        fake("study", 0.5 + seed / 10, seed=seed, batch_size=size, loss=loss)
    assert main(["compare", "--by", factor, "--metric", "test/loss"]) == 2
    said = capsys.readouterr().err
    assert "each has its own unit" in said and "--metric test/accuracy" in said
    assert main(["compare", "--by", factor]) == 0, "accuracies have one unit"


def test_a_seed_that_goes_with_the_runs_seed_is_no_case() -> None:
    for seed in range(4):
        for activation, gain in (("relu", 0.1), ("tanh", 0.0)):
            fake("study", 0.5 + gain + seed / 1000, seed=seed, model__activation=activation, dataset__split_seed=seed)
    found = compare("model.activation")
    (difference,) = found.effects[0].differences
    assert difference.pairs == 4 and difference.mean == pytest.approx(0.1) and not found.notes


def test_every_run_counts_or_is_named() -> None:
    """In sets of runs drawn at random, another figure of any run gives another table, unless a note leaves it out."""
    generator = np.random.default_rng(0)
    values = {"optimizer.name": ["adam", "sgd"], "seed": [0, 1], "epochs": [5, 300], "batch_size": [8, 16]}
    everything = [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]
    ground = dict.fromkeys((*groups.PROVENANCE, groups.WEIGHTS), "same")
    for _ in range(60):
        chosen = generator.choice(len(everything), generator.integers(2, 10), replace=False)
        runs = [Record("", everything[i], ground, {METRIC: generator.random()}, {}) for i in chosen]
        if len({run.keys["optimizer.name"] for run in runs}) < 2:
            continue
        before = comparison.compare(runs, ["optimizer"], METRIC)
        for i, run in enumerate(runs):
            others = [*runs[:i], replace(run, figures={METRIC: 2.0}), *runs[i + 1 :]]
            after = comparison.compare(others, ["optimizer"], METRIC)
            assert after.effects[0].settings != before.effects[0].settings or after.notes, run


def test_the_newest_run_of_a_job_is_the_latest_instant_not_the_latest_local_time() -> None:
    """A run of Tokyo's noon is older than one of Los Angeles' morning of the same day."""
    tokyo, angeles, other = (fake("study", each) for each in (0.1, 0.9, 0.5))
    tokyo.write_json("status.json", {"status": "finished", "epoch": 1, "time": "2026-01-31T12:00:00+09:00"})
    angeles.write_json("status.json", {"status": "finished", "epoch": 1, "time": "2026-01-31T06:00:00-08:00"})
    tokyo.path.rename(Path("outputs/study/2026-01-31_12-00-00"))
    angeles.path.rename(Path("outputs/study/2026-01-31_06-00-00"))
    other.write_config({**other.read_config(), "batch_size": 64})
    found = compare("batch_size")
    assert found.effects[0].settings["32"].mean == 0.9
    assert found.notes == [
        "outputs/study/2026-01-31_12-00-00 is left out: outputs/study/2026-01-31_06-00-00 is the same job, run anew."
    ]
