"""Demonstrations: both sides of every statement are equal, a command shows them, and a wrong statement fails."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import yaml
from small_runs import only_run

import dlexp
from dlexp.cli.main import main
from dlexp.config.component import Component
from dlexp.config.composition import options
from dlexp.demonstrations import DEMONSTRATIONS
from dlexp.demonstrations.sides import Demonstration, Sides
from dlexp.errors import JobError, UserError
from dlexp.report import collect, figures, text

NAMES = [name for name in DEMONSTRATIONS.builders if name != "none"]
NEED_OPENCV = ("image_filters", "canny_and_bilateral", "template_matching")
SEEDED = [name for name in NAMES if "seed" in yaml.safe_load(options("demonstration")[name].read_text())]


def demonstration(**options: object) -> Demonstration:
    if options["name"] in NEED_OPENCV and not importlib.util.find_spec("cv2"):
        pytest.skip("OpenCV is an extra: pip install '.[images]'")
    result = DEMONSTRATIONS.build(DEMONSTRATIONS.bind(Component.of(options, "demonstration")))
    assert result is not None
    return result


@pytest.mark.parametrize("name", NAMES)
def test_both_sides_of_every_statement_are_equal(name: str) -> None:
    sides = demonstration(name=name).sides
    assert any(pair.relation != "≈" for pair in sides)
    for pair in sides:
        left, right = pair.numbers()
        assert np.isfinite(left).all() and np.isfinite(right).all()
        assert pair.holds, pair.statement


@pytest.mark.parametrize("name", SEEDED)
def test_the_sides_are_equal_for_other_numbers_too(name: str) -> None:
    first, other = demonstration(name=name).sides, demonstration(name=name, seed=7).sides
    assert all(pair.holds for pair in other)
    assert any((a.numbers()[0] != b.numbers()[0]).any() for a, b in zip(first, other, strict=True)), (
        "no new numbers were drawn"
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_shows_every_demonstration(name: str) -> None:
    assert any(f"override /demonstration: {name}\n" in path.read_text() for path in options("experiment").values())


def test_the_command_prints_both_sides_and_leaves_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "experiment=dl_hw3/ex12_alexnet"]) == 0
    printed = capsys.readouterr().out
    assert "all parameters" in printed and printed.count("61,788,520") == 2
    run = only_run()
    assert run.status()["status"] == "finished"
    assert run.read_json("result.json")["sides"][0]["difference"] == 0
    assert main(["list", "runs"]) == 0
    assert "finished" in capsys.readouterr().out
    assert main(["resume", str(run.path)]) == 2
    assert "nothing to resume" in capsys.readouterr().err
    assert main(["train", "--config", str(run.path / "config.yaml")]) == 0


def test_a_figure_is_drawn() -> None:
    run = dlexp.train(["experiment=dl_hw3/ex13_early_stopping_is_l2"])
    assert (run.path / "figure.png").read_bytes().startswith(b"\x89PNG")
    with (run.path / "figure.csv").open() as file:
        curves = [row["curve"] for row in csv.DictReader(file)]
    assert curves.count("gradient descent, 30 steps") == 2 * 31


def test_descent_is_near_weight_decay_as_the_book_states() -> None:
    """If all λ are small against 1 / (τ ε), α = 1 / (τ ε): the relative difference falls with the eigenvalues."""
    relative = []
    for scale in (1.0, 0.1, 0.01):
        near = demonstration(name="early_stopping_is_l2", eigenvalues=[scale, scale / 5]).sides[4]
        relative.append(near.difference / np.abs(near.numbers()[0]).max())
    assert relative[0] > 3 * relative[1] > 9 * relative[2] and relative[2] < 0.01


@pytest.mark.parametrize("shape", [(1, 8, 3, 1, 1), (2, 7, 2, 0, 2), (3, 8, 3, 2, 3), (2, 5, 1, 1, 2), (3, 4, 3, 1, 2)])
def test_the_matrix_of_a_convolution_is_right_for_any_shape(shape: tuple[int, ...]) -> None:
    names = ("channels", "length", "kernel_size", "padding", "stride")
    shown = demonstration(name="transposed_convolution", **dict(zip(names, shape, strict=True)))
    assert all(pair.holds for pair in shown.sides)
    c, transposed, _ = list(shown.tables.values())[:3]
    assert [row[1:] for row in transposed.rows] == [list(column) for column in list(zip(*c.rows, strict=True))[1:]]
    if shape[4] == 1 and shape[3] == 1:
        assert transposed.rows[0][1:3] == ["w2", "w1"]


def test_a_statement_that_does_not_hold_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "half_proofs.py").write_text(
        "from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table\n"
        "def half_is_third(n: int = 1):\n"
        "    sides = [Sides('1/2 = 1/3', n / 2, n / 3), Sides('1/2 < 1/3', n / 2, n / 3, relation='<')]\n"
        "    table, panel = Table(['part', 'value'], [['half', 0.5]]), Panel({'x': [(1, 1), (10, 3)]}, 'n', 'm', 'x')\n"
        "    return Demonstration(sides, {'Parts': table}, {'Lines': panel}, ['Both are parts.'])\n"
    )
    (tmp_path / "conf" / "demonstration").mkdir(parents=True)
    (tmp_path / "conf" / "demonstration" / "mine.yaml").write_text("name: half_is_third\nn: 1\n")
    assert main(["train", "imports=[half_proofs]", "demonstration=mine"]) == JobError.exit_code
    error = capsys.readouterr().err
    assert "1/2 = 1/3: the sides differ by 0.17" in error and "2 of 2 statements do not hold" in error
    assert "1/2 < 1/3: it does not hold" in error
    run = only_run()
    assert run.status()["status"] == "failed"
    figures.draw(run)
    facts = collect.read(run)
    assert facts["findings"] == ["Both are parts."] and facts["figure"]
    printed = text.demonstration(run)
    assert printed.startswith("Parts\n\npart   value\nhalf  0.5000\n") and "Both are parts." in printed


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["demonstration=dropout_ensemble", "demonstration.inputs=13"], "demonstration.inputs=13: must be at most 12"),
        (["demonstration=early_stopping_is_l2", "demonstration.learning_rate=2"], "demonstration.learning_rate=2"),
        (["demonstration=dropout"], "there is no such demonstration. Did you mean dropout_ensemble"),
        (["demonstration=early_stopping_is_l2", "demonstration.eigenvalues=[1]"], "must be 2 values"),
        (["demonstration=deep_linear", "demonstration.sizes=[]"], "needs two sizes or more"),
        (["demonstration=several_labels", "demonstration.labels_on=7"], "demonstration.labels_on=7 is more than"),
        (["demonstration=transposed_convolution", "demonstration.kernel_size=20"], "kernel_size=20 is larger"),
        (["demonstration=composed_convolution", "demonstration.side=1"], "demonstration.kernel_size=3 is larger"),
        (["demonstration=layer_norm", "demonstration.samples=2"], "demonstration.samples=2: must be at least 3"),
        (["demonstration=layer_table", "demonstration.layers=[batch_norm1d]"], "no formula for batch_norm1d"),
        (["demonstration=layer_table", "demonstration.layers=[{linear: {out_features: 3}}]"], "no formula for linear"),
    ],
)
def test_wrong_options_are_named(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        dlexp.train(overrides)
    assert message in str(error.value) and not Path("outputs").exists()


def test_sides_of_different_shapes_are_refused() -> None:
    with pytest.raises(AssertionError):
        _ = Sides("", [1, 2], [1]).difference


def test_the_slips_of_one_update_are_as_large_as_stated() -> None:
    shown = demonstration(name="one_update_slips")
    slope = shown.sides[-1]
    assert (round(slope.left.item(), 6), round(slope.right.item(), 4)) == (2.4e-5, 3.9e-3)
    (table,) = shown.tables.values()
    moves = {row[0]: (row[5] - row[1], row[6] - row[1]) for row in table.rows}  # by Adam, and without | |
    assert {name: [round(move, 6) for move in both] for name, both in moves.items()} == {
        f"w{i}": [0.1 if i in (2, 4, 6) else -0.1, -0.1] for i in range(1, 9)
    }


def test_pooling_passes_half_to_each_or_all_to_the_larger() -> None:
    sides = {pair.statement: pair.numbers()[1].tolist() for pair in demonstration(name="pooling_gradients").sides}
    assert sides["average, 1/2 to each: ∂y₂/∂z of Data1"] == [0, 0.5, 0.5]
    assert sides["maximum, all to the larger: ∂y₁/∂z of Data2"] == [1, 0, 0]
    assert sides["∂E/∂z of Data2, maximum"] == pytest.approx([1.4, -1.4, 0])
