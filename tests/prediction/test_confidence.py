"""Calibration and rejection agree with scikit-learn and with counts by brute force."""

import csv
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss
from small_runs import train

from dlexp import load_run
from dlexp.cli.main import main
from dlexp.training.build import build, check
from dlexp.training.evaluation import evaluate_splits
from dlexp.training.prediction.calibration import confidence_facts, fitted_temperature
from dlexp.training.prediction.rejection import lowest_threshold
from dlexp.training.run import Run

KINDS = {
    "classes": ["dataset=digits", "dataset.train_size=300", "model.hidden_sizes=[32]", "epochs=30"],
    "one node": ["dataset=breast_cancer", "loss=binary_cross_entropy", "dataset.normalization=standard", "epochs=30"],
    "log-probabilities": [
        "dataset=iris", "model=layers", "model.layers=[{linear: 8}, relu, {linear: 3}, log_softmax]", "loss=nll",
        "epochs=8",
    ],
    "probabilities": [
        "dataset=iris", "model=layers", "model.layers=[{linear: 8}, relu, {linear: 3}, softmax]", "epochs=30",
        "loss=half_squared_error",
    ],
}  # fmt: skip


def outputs_of(run: Run) -> tuple[dict[str, torch.Tensor], dict[str, np.ndarray]]:
    """Return the logits of every class, and the targets, by split."""
    job = build(check(run.config, kept=True))
    job.model.load_state_dict(run.load_model().state_dict())
    outputs = evaluate_splits(job)[1]
    both = {k: z if z.shape[1] > 1 else torch.cat([torch.zeros_like(z), z], 1) for k, z in outputs.items()}
    if run.config.loss.name == "half_squared_error":
        both = {k: p.log() for k, p in both.items()}
    return {k: z.double() for k, z in both.items()}, {k: job.batches.targets(k).numpy() for k in outputs}


@pytest.mark.parametrize("kind", KINDS)
def test_calibration_agrees_with_scikit_learn_and_a_grid_of_temperatures(kind: str) -> None:
    run = load_run(str(train(*KINDS[kind], "dataset.validation_fraction=0.3").path))
    z, targets = outputs_of(run)
    found = run.result["calibration"]
    grid = np.geomspace(0.05, 20, 600)
    of_validation, classes = targets["validation"], range(z["test"].shape[1])
    losses = [log_loss(of_validation, (z["validation"] / t).softmax(1).numpy(), labels=classes) for t in grid]
    best = int(np.argmin(losses))
    assert 0 < best < len(grid) - 1 and found["temperature"] == pytest.approx(grid[best], rel=0.01)
    with (run.path / "calibration.csv").open() as file:
        rows = list(csv.DictReader(file))
    for split, (key, scale) in itertools.product(
        ("validation", "test"), {"error": 1.0, "calibrated_error": found["temperature"]}.items()
    ):
        p = (z[split] / scale).softmax(1)
        confidence, right = p.amax(1).numpy(), (p.argmax(1).numpy() == targets[split])
        accuracies, means = calibration_curve(right, confidence, n_bins=15)
        counts, _ = np.histogram(confidence, np.linspace(0, 1, 16))
        expected = (counts[counts > 0] / counts.sum() * np.abs(accuracies - means)).sum()
        assert found[split][key] == pytest.approx(expected, abs=1e-6)
        mine = [r for r in rows if r["split"] == split and (r["probabilities"] == "as given") is (key == "error")]
        assert [float(r["accuracy"]) for r in mine] == pytest.approx(accuracies)
        assert [float(r["confidence"]) for r in mine] == pytest.approx(means, abs=1e-6)
        assert [int(r["samples"]) for r in mine] == counts[counts > 0].tolist()


def test_a_count_by_hand() -> None:
    p = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.35, 0.65], [0.3, 0.7]], dtype=torch.float64)
    facts, rows = confidence_facts({"test": p.log()}, {"test": torch.tensor([0, 1, 1, 1])}, None)
    assert facts["calibration"]["temperature"] is None  # there is no validation split
    # (0.6, 0.667] holds 0.65, right; (0.667, 0.733] holds 0.7, right; (0.867, 0.933] holds two of 0.9, one right.
    assert facts["calibration"]["test"]["error"] == pytest.approx((0.35 + 0.3 + 2 * 0.4) / 4)
    assert [row[4] for row in rows] == [1, 1, 2]


def test_no_temperature_is_made_up_if_every_prediction_is_right() -> None:
    z = np.array([[3.0, 0, 0], [0, 2, 0], [0, 0, 0.1]])
    assert fitted_temperature(z, np.array([0, 1, 2])) is None
    assert fitted_temperature(-z, np.array([0, 1, 2])) is None  # wrong all over: the loss falls towards even chances
    assert fitted_temperature(np.zeros((3, 3)), np.array([0, 1, 2])) is None
    wide = np.random.default_rng(0).normal(size=(500, 4)) * 1e4
    assert fitted_temperature(wide, wide.argmax(1)) is None


def test_the_threshold_is_the_lowest_that_reaches_the_precision() -> None:
    generator = np.random.default_rng(0)
    for size, precision in itertools.product((1, 5, 60), (0.3, 0.75, 0.9, 1.0)):
        confidence = generator.integers(1, 20, size) / 20  # with equal ones
        right = generator.random(size) < confidence
        candidates = [t for t in np.unique(confidence) if right[confidence >= t].mean() >= precision]
        assert lowest_threshold(confidence, right, precision) == (min(candidates) if candidates else None)


def test_a_run_says_not_found_below_the_threshold_that_validation_chose(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = [*KINDS["classes"], "dataset.validation_fraction=0.3", "predict.precision=0.99"]
    assert main(["train", *chosen]) == 0
    out = capsys.readouterr().out
    (path,) = Path("outputs").rglob("config.yaml")
    run = load_run(str(path.parent))
    z, targets = outputs_of(run)
    found = run.result["rejection"]
    for split in ("validation", "test"):
        p = z[split].float().softmax(1)
        kept = p.amax(1).double().numpy() >= found["threshold"]
        right = (p.argmax(1).numpy() == targets[split])[kept]
        assert found[split] == {"coverage": kept.mean(), "precision": right.mean()}
    assert found["validation"]["precision"] >= 0.99 and found["validation"]["coverage"] < 1
    assert f'Below a confidence of {found["threshold"]:.4f} a prediction is "not found"' in out

    x = build(check(run.config, kept=True)).batches.images("test", torch.arange(kept.size))
    predicted = run.predict(x)
    assert predicted["prediction"].notna().tolist() == kept.tolist()
    assert run.predict(x, reject_below=0)["prediction"].notna().all()
    calibrated = run.predict(x, calibrated=True)
    assert calibrated["prediction"].notna().tolist() == kept.tolist()
    shares = (z["test"] / run.result["calibration"]["temperature"]).softmax(1)
    np.testing.assert_allclose(calibrated.iloc[:, 2:].to_numpy(dtype=float), shares.numpy(), atol=1e-9)
    capsys.readouterr()
    assert run.predict(x, best=True)["prediction"].notna().all()
    assert "was chosen for the last weights" in capsys.readouterr().err

    i = int(np.flatnonzero(~kept)[0])
    np.save("one.npy", x[i : i + 1])
    assert main(["predict", str(run.path), "one.npy"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1:3] == ["not", "found"]
    assert main(["predict", str(run.path), "one.npy", "--reject-below", "0", "--csv"]) == 0
    assert pd.read_csv(pd.io.common.StringIO(capsys.readouterr().out))["prediction"].notna().all()
    for arguments, complaint in (
        (["--reject-below", "2"], "a number from 0 to 1"),
        (["--best", "--calibrated"], "exclude each other"),
    ):
        assert main(["predict", str(run.path), "one.npy", *arguments]) == 2
        assert complaint in capsys.readouterr().err


def test_a_precision_out_of_reach_is_said_and_a_missing_validation_split_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = ["dataset=iris", "epochs=0", "predict.precision=1", "dataset.stratified=false"]
    assert main(["train", *chosen]) == 2
    assert "predict.precision needs a validation split" in capsys.readouterr().err
    assert main(["train", "dataset=diabetes", "loss=mse", *chosen[1:], "dataset.validation_fraction=0.2"]) == 2
    assert "predict.precision=1 is for predictions of classes" in capsys.readouterr().err
    facts, _ = confidence_facts(
        {split: torch.tensor([[1.0, 0], [2, 0]]) for split in ("validation", "test")},
        {split: torch.tensor([0, 1]) for split in ("validation", "test")},
        0.9,
    )
    assert facts["rejection"] == {"wanted_precision": 0.9, "threshold": None}
