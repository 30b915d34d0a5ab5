"""`dlexp compare`: its statistics, its sentences and its formats."""

import csv
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from small_runs import train

from dlexp.cli.main import main
from dlexp.compare import comparison, groups, tables
from dlexp.compare.groups import record
from dlexp.compare.statistics import (
    FEWEST_TO_RESAMPLE,
    estimate,
    holm,
    paired_differences,
    paired_interval,
    paired_p_value,
    pairs_needed,
)
from dlexp.errors import UserError
from dlexp.runs.directory import RunDirectory, find_runs
from dlexp.runs.formatting import decimals_of, interval, number, table

FIVE = [0.9, 0.93, 0.91, 0.95, 0.92]


def fake(name: str, accuracy: float, *, hashes: dict[str, str] | None = None, **changes: object) -> RunDirectory:
    """Write the files of a finished run of one epoch, with the figures given."""
    run = RunDirectory.create(Path("outputs"), name)
    config: dict[str, object] = {
        "name": name,
        "dataset": {"name": "iris", "split_seed": 0},
        "model": {"name": "mlp", "activation": "relu"},
        "optimizer": {"name": "adam", "lr": 0.001},
        "batch_size": 32,
        "threads": 1,
        "seed": 0,
    }
    for key, value in changes.items():
        group, _, option = key.partition("__")
        config[group] = {**config[group], option: value} if option else value  # type: ignore[dict-item]
    run.write_config(config)
    ground = dict.fromkeys((*groups.PROVENANCE, groups.WEIGHTS), "same") | {groups.WEIGHTS: str(config["seed"])}
    run.write_json("environment.json", {**ground, **(hashes or {})})
    final = {split: {"loss": 1 - accuracy, "accuracy": accuracy} for split in ("train", "test")}
    run.write_json("result.json", {"status": "finished", "final": final, "training_seconds": 1.0})
    return run


def factor(offsets: dict[str, float], seeds: int, spread: float = 0.01, **changes: object) -> None:
    """Write runs of each activation: a figure for each seed, plus the activation's offset and noise."""
    generator = np.random.default_rng(0)
    for seed in range(seeds):
        level = 0.8 + 0.05 * generator.normal()
        for activation, offset in offsets.items():
            accuracy = level + offset + spread * generator.normal()
            fake("study", accuracy, seed=seed, model__activation=activation, **changes)


def compare(*by: str, metric: str = "test/accuracy") -> comparison.Comparison:
    return comparison.compare(map(record, find_runs(Path("outputs"))), by, metric)


# --- The statistics, against scipy and by simulation.


def test_rounding_makes_no_difference() -> None:
    ends = [1e-16, -1e-16, 1e-16, 3e-16, 1e-16]
    noise = paired_differences([0.9 + each for each in ends], [0.9] * 5)
    assert paired_p_value(noise) == 1.0 and paired_interval(noise) == (0.0, 0.0) and pairs_needed(noise) is None
    assert estimate([0.9 + each for each in ends]).deviation == 0.0


@pytest.mark.parametrize("unit", [1.0, 1e-14, 1e-100, 1e100])
def test_the_unit_of_the_figures_makes_no_difference(unit: float) -> None:
    one, other = np.array(FIVE), np.array([0.88, 0.9, 0.92, 0.9, 0.91])
    differences = paired_differences(one * unit, other * unit)
    assert paired_p_value(differences) == pytest.approx(stats.ttest_rel(one, other).pvalue)
    assert np.divide(paired_interval(differences), unit) == pytest.approx(paired_interval(one - other))
    assert estimate(list(one * unit)).deviation == pytest.approx(np.std(one, ddof=1) * unit, rel=1e-9)


def test_an_estimate_agrees_with_scipy() -> None:
    found = estimate(FIVE)
    low, high = stats.t.interval(0.95, 4, np.mean(FIVE), stats.sem(FIVE))
    assert (found.count, found.mean, found.deviation) == (
        5,
        pytest.approx(np.mean(FIVE)),
        pytest.approx(np.std(FIVE, ddof=1)),
    )
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert estimate([0.5]).deviation is None


def test_a_paired_test_agrees_with_scipy() -> None:
    other = np.array([0.88, 0.9, 0.92, 0.9, 0.91])
    assert paired_p_value(np.array(FIVE) - other) == pytest.approx(stats.ttest_rel(FIVE, other).pvalue)
    assert paired_p_value([0.0, 0.0]) == 1.0 and paired_p_value([0.1, 0.1]) == 0.25


def test_holm_agrees_with_the_textbook() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]


def test_intervals_cover_the_true_difference_about_95_times_in_100() -> None:
    generator = np.random.default_rng(1)
    for n in (3, FEWEST_TO_RESAMPLE, 10):
        for draw in (lambda n: generator.normal(0.3, 1, n), lambda n: 0.3 + generator.exponential(1, n) - 1):
            intervals = [paired_interval(draw(n)) for _ in range(300)]
            covered = np.mean([low <= 0.3 <= high for low, high in intervals])
            assert covered > (0.9 if n >= FEWEST_TO_RESAMPLE else 0.84), (
                n,
                covered,
            )  # three skewed values: Student's 0.88


def test_without_a_difference_at_most_5_in_100_studies_claim_one() -> None:
    generator = np.random.default_rng(2)
    claims = 0
    for _ in range(600):
        results = generator.normal(0, 1, (4, 5)) + generator.normal(0, 2, 5)  # four settings, five seeds in common
        pairs = [(i, j) for i in range(4) for j in range(i)]
        claims += min(holm([paired_p_value(results[i] - results[j]) for i, j in pairs])) <= 0.05
    assert claims / 600 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 600)


def test_the_number_of_pairs_needed_detects_the_difference() -> None:
    generator = np.random.default_rng(3)
    pilot = generator.normal(0.5, 1, 200)
    pilot = (pilot - pilot.mean()) / pilot.std(ddof=1) + 0.5  # an effect of exactly half a deviation
    needed = pairs_needed(pilot)
    assert needed == pytest.approx(34, abs=1)  # Cohen's table: 34 pairs for d = 0.5, power 0.8
    found = [paired_p_value(generator.normal(0.5, 1, needed or 2)) <= 0.05 for _ in range(400)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)
    assert pairs_needed([1.0, -1.0]) is None


# --- The comparison.


def test_a_clear_winner_is_named_and_equal_settings_are_not_told_apart() -> None:
    factor({"relu": 0.1, "tanh": 0.0, "sigmoid": 0.0}, seeds=6)
    (effect,) = compare("model.activation").effects
    assert next(iter(effect.settings)) == "relu" and effect.settings["relu"].count == 6 and not effect.confounders
    said = " ".join(effect.sentences)
    assert "relu is better than tanh" in said and "relu is better than sigmoid" in said
    assert "The data do not tell" in said and "more seeds" in said
    by_pair = {(d.one, d.other): d for d in effect.differences}
    clear = by_pair["relu", "tanh"] if ("relu", "tanh") in by_pair else by_pair["relu", "sigmoid"]
    assert clear.low is not None and clear.high is not None and clear.low < 0.1 < clear.high


def test_a_difference_whose_interval_includes_0_is_not_claimed() -> None:
    found = comparison.Difference("a", "b", 10, 0.05, low=-0.01, high=0.1, p_value=0.04)
    assert "do not tell a from b" in comparison._sentence(
        found, "test/accuracy", dict.fromkeys("ab", estimate([0.1] * 10)), higher=True
    )


def test_only_runs_with_the_same_other_keys_are_paired() -> None:
    """Each seed has another learning rate in the other group, so no two runs can be paired."""
    for seed in range(6):
        for activation, lr in (("relu", (0.01, 0.1)), ("tanh", (0.1, 0.01))):
            fake("crossed", 0.9 - (lr[seed % 2]), seed=seed, model__activation=activation, optimizer__lr=lr[seed % 2])
    (effect,) = compare("model.activation").effects
    assert effect.differences[0].pairs == 0 and "supports no conclusion" in effect.sentences[0]
    assert any("optimizer.lr: never the same" in each for each in effect.confounders)


def test_a_difference_is_over_the_cells_that_both_settings_have() -> None:
    """In an unfinished grid only one of tanh's seeds has the slow learning rate, so it counts in no pair."""
    for seed in range(5):
        for lr, level in ((0.1, 0.8), (0.001, 0.2)):
            fake("half", level + seed / 100, seed=seed, optimizer__lr=lr)
            if lr == 0.1 or seed == 0:
                tanh = level - 0.1 + seed / 100 + seed % 2 / 1000
                fake("half", tanh, seed=seed, optimizer__lr=lr, model__activation="tanh")
    found = compare("model.activation")
    (difference,) = found.effects[0].differences
    assert difference.pairs == 5 and abs(difference.mean) == pytest.approx(0.1 - 0.0004)
    assert any("Some combinations of" in note for note in found.notes)


def test_a_sentence_names_the_number_of_common_seeds() -> None:
    for seed in range(10):
        fake("uneven", 0.95 - 0.03 * seed, seed=seed)
        if seed > 6:
            fake("uneven", 1.05 - 0.03 * seed + seed % 2 / 1000, seed=seed, model__activation="tanh")
    (effect,) = compare("model.activation").effects
    assert next(iter(effect.settings)) == "relu", "which has the easy seeds too"
    assert (
        "tanh is better than relu: test/accuracy differs by 0.1007 over the 3 seeds that both have"
        in effect.sentences[0]
    )


def test_settings_that_look_alike_stay_apart_and_runs_without_a_finite_figure_are_left_out() -> None:
    for seed in range(3):
        for sizes in ([16], 16, "16"):
            fake("alike", 0.9, seed=seed, model__hidden_sizes=sizes)
    fake("alike", float("nan"), seed=3, model__hidden_sizes=[16])
    found = compare("model.hidden_sizes")
    assert set(found.effects[0].settings) == {"[16]", "16", '"16"'}
    assert "1 runs are left out: their test/accuracy is missing or not finite." in found.notes
    assert "have the same test/accuracy for every seed" in found.effects[0].sentences[0]


def test_two_seeds_that_agree_claim_nothing() -> None:
    """On a small test set differences are often the same to the bit; Student's test would call that certain."""
    generator = np.random.default_rng(0)
    claims = 0
    for _ in range(300):
        one, other = generator.binomial(25, 0.95, (2, 2)) / 25
        claims += paired_p_value(paired_differences(one, other)) <= 0.05
    assert claims <= 0.05 * 300


@pytest.mark.parametrize("damage", ["", "[1, 2]", "{a: [", "\x00\xff"])
def test_a_damaged_run_is_left_out_and_stops_no_verb(damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    factor({"relu": 0.1, "tanh": 0.0}, seeds=3)
    broken = fake("study", 0.5, seed=7)
    (broken.path / "config.yaml").write_text(damage)
    assert (
        "1 runs are left out: they are not finished or not whole, or trained nothing."
        in compare("model.activation").notes
    )
    assert main(["list", "runs", "seed=1"]) == 0
    assert "study" in capsys.readouterr().out
    broken.write_json("result.json", {"status": "finished", "final": {"test": None}})
    assert main(["list", "runs"]) == 0


def test_a_smaller_loss_is_better() -> None:
    factor({"relu": 0.1, "tanh": 0.0}, seeds=4)
    (effect,) = compare("model.activation", metric="test/loss").effects
    assert next(iter(effect.settings)) == "relu" and "relu is better than tanh" in effect.sentences[0]


def test_pairing_by_seed_finds_a_difference_that_unpaired_intervals_hide() -> None:
    factor({"relu": 0.02, "tanh": 0.0}, seeds=6, spread=0.002)  # the seeds differ by 0.05
    (effect,) = compare("model.activation").effects
    relu, tanh = effect.settings["relu"], effect.settings["tanh"]
    assert relu.low is not None and tanh.high is not None and relu.low < tanh.high, "the intervals overlap"
    assert "relu is better than tanh" in effect.sentences[0]


def test_one_seed_supports_no_conclusion() -> None:
    factor({"relu": 0.1, "tanh": 0.0}, seeds=1)
    (effect,) = compare("model.activation").effects
    assert "supports no conclusion" in effect.sentences[0]


def test_two_common_seeds_have_an_interval_and_one_is_no_test() -> None:
    """A pair with one common seed supports nothing, and counts for nothing in Holm's correction."""
    factor({"relu": 0.1, "tanh": 0.0}, seeds=3)
    fake("study", 0.5, seed=0, model__activation="elu")
    (effect,) = compare("model.activation").effects
    found = {(each.one, each.other): each for each in effect.differences}
    both = found["relu", "tanh"]
    shown = [record(run) for run in find_runs(Path("outputs"))]
    values = {(each.keys["model.activation"], each.keys["seed"]): each.figures["test/accuracy"] for each in shown}
    by_seed = [values["relu", seed] - values["tanh", seed] for seed in range(3)]
    assert both.p_value == pytest.approx(stats.ttest_1samp(by_seed, 0).pvalue)
    assert found["relu", "elu"].pairs == 1 and found["relu", "elu"].p_value is None
    assert not found["relu", "elu"].claimed
    factor({"selu": 0.2, "gelu": 0.0}, seeds=2)
    (effect,) = compare("model.activation").effects
    two = next(each for each in effect.differences if {each.one, each.other} == {"selu", "gelu"})
    assert two.pairs == 2 and two.low is not None


def test_a_difference_is_claimed_only_with_an_interval_and_a_p_value() -> None:
    whole = comparison.Difference("a", "b", 5, 0.5, low=0.1, high=0.9, p_value=0.01)
    assert whole.claimed
    for part in ({"p_value": None}, {"p_value": 0.06}, {"low": -0.1}, {"low": None, "high": None}):
        assert dataclasses.replace(whole, **part).claimed is False  # type: ignore[arg-type]


def test_settings_without_a_common_seed_are_not_said_to_differ_otherwise() -> None:
    for seed in range(3):
        fake("study", 0.9, seed=seed)
        fake("study", 0.8, seed=seed + 10, model__activation="tanh")
    (effect,) = compare("model.activation").effects
    assert not any("never the same" in each for each in effect.confounders)


def test_two_factors_have_main_effects_and_a_best_combination() -> None:
    for size, gain in ((32, 0.0), (64, 0.05)):
        factor({"relu": 0.1 + gain, "tanh": gain}, seeds=5, batch_size=size)
    found = compare("model.activation", "batch_size")
    activation, size = found.effects
    assert activation.settings["relu"].count == 5, "averaged over batch sizes, a seed is one value"
    assert "relu is better than tanh" in activation.sentences[0] and "64 is better than 32" in size.sentences[0]
    assert not activation.confounders and not size.confounders
    assert next(iter(found.combinations)) == "model.activation=relu, batch_size=64"
    assert len(found.combinations) == 4


@pytest.mark.parametrize(
    ("changes", "hashes", "named"),
    [
        ({"optimizer__lr": 0.1}, {}, "optimizer.lr: relu has 0.001, tanh has 0.1"),
        ({"dataset__split_seed": 1}, {"split_sha256": "other"}, "dataset.split_seed"),
        ({}, {"split_sha256": "other"}, "split_sha256"),
        ({}, {"data_sha256": "other"}, "data_sha256"),
        ({}, {"code_sha256": "other"}, "code_sha256"),
        ({}, {"numerics": "2"}, "numerics"),
        ({}, {"torch": "2.8"}, "torch: relu has same, tanh has 2.8"),
        ({}, {"threads": "2"}, "threads"),
    ],
)
def test_every_other_difference_is_a_confounder(
    changes: dict[str, object], hashes: dict[str, str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        fake("study", 0.9, seed=seed)
        fake("study", 0.8 + 0.001 * seed, seed=seed, model__activation="tanh", **changes, hashes=hashes)
    (effect,) = compare("model.activation").effects
    assert any(each.startswith(named) for each in effect.confounders), effect.confounders
    assert main(["compare", "--by", "model.activation"]) == 0
    assert "NOT CONTROLLED" in capsys.readouterr().out


def test_other_initial_weights_for_the_same_seed_are_a_confounder() -> None:
    for seed in range(3):
        fake("study", 0.9, seed=seed)
        fake("study", 0.8, seed=seed, batch_size=64, hashes={groups.WEIGHTS: f"other {seed}"})
    assert "initial weights" in compare("batch_size").effects[0].confounders[0]


def test_an_option_that_only_one_choice_has_is_no_confounder() -> None:
    for seed in range(3):
        fake("study", 0.9, seed=seed, optimizer={"name": "adam", "lr": 0.01, "betas": [0.9, 0.999]})
        fake("study", 0.8, seed=seed, optimizer={"name": "sgd", "lr": 0.01, "momentum": 0.9})
    assert compare("optimizer").effects[0].confounders == []


def test_notes_name_the_runs_left_out() -> None:
    factor({"relu": 0.1, "tanh": 0.0}, seeds=2)
    twin = fake("study", 0.5, seed=0)
    (find_runs(Path("outputs"))[-1].path / "result.json").unlink()
    older = fake("study", 0.6, seed=1)
    notes = " ".join(compare("model.activation").notes)
    assert "1 runs are left out" in notes and "run anew" in notes
    assert twin.path != older.path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "model.activatoin"], "Did you mean model.activation"),
        (["--by", "seed"], "average"),
        (["--by", "batch_size"], "nothing to compare"),
        (["--by", "threads"], "it is no factor"),
        (["--by", "model.activation", "--metric", "test/acuracy"], "Did you mean test/accuracy"),
        (["nowhere", "--by", "seed"], "nowhere does not exist"),
    ],
)
def test_mistakes_are_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    factor({"relu": 0.1, "tanh": 0.0}, seeds=2)
    assert main(["compare", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_having_nothing_to_compare_is_a_user_error() -> None:
    with pytest.raises(UserError, match="no finished run"):
        comparison.compare([], ["seed"], "test/accuracy")


def test_small_losses_are_told_apart_in_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    """Losses near 1e-10 and differences near 1e-14 are as real as others."""
    for seed in range(3):
        for batch_size, loss in ((8, 9.6e-14), (16, 2.8e-14)):
            run = fake("study", 0.5, seed=seed, batch_size=batch_size)
            final = {split: {"loss": loss * (1 + seed / 1000)} for split in ("train", "test")}
            run.write_json("result.json", {"status": "finished", "final": final})
    mean = [np.mean([loss * (1 + seed / 1000) for seed in range(3)]) for loss in (9.6e-14, 2.8e-14)]
    found = compare("batch_size", metric="test/loss")
    assert "16 is better than 8: test/loss differs by 6.807e-14" in found.effects[0].sentences[0]
    printed = tables.terminal(found), tables.markdown(found)
    assert all(f"{each:.2e}" in text for each in mean for text in printed)
    assert "$9.61 \\times 10^{-14} \\pm 9.60 \\times 10^{-17}$" in tables.latex(found)
    assert "0.0000" not in "".join(printed)
    assert interval(0.50000012, 0.50000034) == "0.50000012 to 0.50000034" and interval(-1e-9, 2e-9) == "-1e-09 to 2e-09"


def test_every_format_has_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    factor({"relu": 0.1, "tanh": 0.0}, seeds=3)
    printed = {}
    for name in tables.FORMATS:
        assert main(["compare", "--by", "model.activation", f"--{name}"]) == 0
        printed[name] = capsys.readouterr().out
    rows = list(csv.DictReader(io.StringIO(printed["csv"])))
    mean = float(rows[0]["mean"])
    assert json.loads(printed["json"])["effects"][0]["settings"]["relu"]["mean"] == mean
    assert f"{mean:.4f}" in printed["markdown"] and f"${mean:.4f} \\pm" in printed["latex"]
    assert "\\_" not in tables.latex(compare("model.activation")).split("\n")[0]
    assert rows[0]["controlled"] == "True"


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([9.6e-10, 2.8e-11], ["9.60e-10", "2.80e-11"]),
        ([0.50000012, 0.50000034], ["0.500000120", "0.500000340"]),
        ([25.0, 3.0e-14, 2.0e-14], ["25.0000", "3.00e-14", "2.00e-14"]),
        ([0.1, 0.50000012, 0.50000034], ["0.1000000", "0.5000001", "0.5000003"]),
        ([0.00042, 0.9], ["0.000420", "0.9000"]),
        ([-0.0, 0.9764], ["0.0000", "0.9764"]),
        ([123456.7], ["123456.7000"]),
    ],
)
def test_figures_keep_what_distinguishes_them(values: list[float], texts: list[str]) -> None:
    decimals = decimals_of(values)
    assert [number(value, decimals) for value in values] == texts
    assert [line.strip() for line in table(["x"], [[value] for value in values]).splitlines()[1:]] == texts


def test_real_runs_are_compared() -> None:
    for seed in range(2):
        for activation in ("relu", "tanh"):
            train(f"seed={seed}", f"model.activation={activation}", "epochs=3", "batch_size=16")
    (effect,) = compare("model.activation").effects
    assert effect.confounders == [] and {e.count for e in effect.settings.values()} == {2}


def test_runs_are_listed_by_any_key(capsys: pytest.CaptureFixture[str]) -> None:
    factor({"relu": 0.1, "tanh": 0.0}, seeds=2)
    for filters, count in (([], 4), (["model.activation=relu"], 2), (["seed=1", "optimizer=adam"], 2), (["seed=7"], 0)):
        assert main(["list", "runs", *filters]) == 0
        assert capsys.readouterr().out.count("outputs/study") == count
    assert main(["list", "runs", "model.activaton=relu"]) == 2
    assert "Did you mean model.activation" in capsys.readouterr().err
    assert main(["list", "runs", "relu"]) == 2 and main(["list", "model", "a=b"]) == 2


def test_two_runs_differ_in_what_was_changed(capsys: pytest.CaptureFixture[str]) -> None:
    one = fake("study", 0.9)
    other = fake("study", 0.8, optimizer__lr=0.1, hashes={"data_sha256": "another"})
    assert main(["diff", str(one.path), str(other.path)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert ["config", "optimizer.lr", "0.001", "0.1"] in rows and ["result", "test/accuracy", "0.9", "0.8"] in rows
    assert ["environment", "data_sha256", "same", "another"] in rows and len(rows) == 6
    assert main(["diff", str(one.path), str(one.path)]) == 0
    assert "Nothing differs" in capsys.readouterr().out
    assert main(["diff", str(one.path), "nowhere"]) == 2
