"""The loop's weights agree with loops written here, and its files are complete."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix
from small_runs import train

from dlexp import load_run
from dlexp.cli.main import main
from dlexp.config.config import load_config
from dlexp.config.lazy import F
from dlexp.data.batches import shuffled
from dlexp.errors import JobError
from dlexp.training.build import build, check


@pytest.mark.parametrize("penalty", ["none", "l1", "l2"])
def test_the_weights_equal_those_of_a_bare_loop(penalty: str) -> None:
    overrides = [
        "batch_size=32",
        "optimizer=sgd",
        "optimizer.lr=0.05",
        "scheduler=exponential",
        f"regularizer={penalty}",
    ]
    run = train(*overrides, "epochs=3")

    job = build(check(load_config([*overrides, "epochs=3"])))
    ((inputs, targets),) = job.batches.serve("train", 125)
    rows = []
    for epoch in range(3):
        losses, penalties, correct = 0.0, [], 0
        order = shuffled(125, 0, epoch, job.device)
        for chosen in order.split(32):
            outputs = job.model(inputs[chosen])
            loss = F.cross_entropy(outputs, targets[chosen])
            weights = [module.weight for module in job.model if hasattr(module, "weight")]
            extra = {"l1": sum(w.abs().sum() for w in weights), "l2": sum((w**2).sum() for w in weights)}.get(
                penalty, 0
            )
            gradients = torch.autograd.grad(loss + 0.001 * extra, list(job.model.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(job.model.parameters(), gradients, strict=True):
                    parameter -= 0.05 * 0.9**epoch * gradient
            losses += loss.item() * len(chosen)
            penalties.append(0.001 * float(torch.as_tensor(extra).detach()))
            correct += (outputs.argmax(1) == targets[chosen]).sum().item()
        rows.append((losses / 125, correct / 125, float(np.mean(penalties)), 0.05 * 0.9**epoch))
    trained = load_run(str(run.path)).load_model().state_dict()
    for name, tensor in job.model.state_dict().items():
        torch.testing.assert_close(trained[name], tensor, rtol=1e-4, atol=1e-6)
    for row, (loss, accuracy, mean_penalty, lr) in zip(run.read_table("metrics.csv"), rows, strict=True):
        assert row["train/loss"] == pytest.approx(loss, rel=1e-5)
        assert row["train/accuracy"] == accuracy
        assert row["lr"] == pytest.approx(lr)
        assert row.get("train/penalty", 0) == pytest.approx(mean_penalty, rel=1e-4)


def test_the_result_is_of_the_final_weights_and_agrees_with_scikit_learn() -> None:
    run = load_run(str(train("dataset=digits", "epochs=3", "dataset.validation_fraction=0.1").path))
    job = build(check(run.config))
    model = run.load_model()
    for split in ("train", "validation", "test"):
        ((inputs, targets),) = job.batches.serve(split, 10_000)
        with torch.no_grad():
            outputs = model(inputs)
        final = run.result["final"][split]
        assert final["loss"] == pytest.approx(F.cross_entropy(outputs, targets).item(), rel=1e-5)
        assert final["accuracy"] == accuracy_score(targets, outputs.argmax(1))
    expected = sklearn_confusion_matrix(targets, outputs.argmax(1))
    with (run.path / "confusion_matrix.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header[1:] == [str(digit) for digit in range(10)] == [row[0] for row in rows]
    assert np.array_equal(expected, [[int(n) for n in row[1:]] for row in rows])
    with (run.path / "predictions.csv").open() as file:
        predictions = list(csv.DictReader(file))
    assert [int(row["target"]) for row in predictions] == targets.tolist()
    assert [int(row["prediction"]) for row in predictions] == outputs.argmax(1).tolist()
    confidences = [float(row["confidence"]) for row in predictions]
    assert confidences == pytest.approx(outputs.softmax(1).amax(1).tolist(), rel=1e-5)


def test_the_most_confidently_wrong_images_keep_their_pixels() -> None:
    run = train("dataset=digits", "epochs=1")
    predictions = [row for row in run.read_rows("predictions.csv") if row["target"] != row["prediction"]]
    worst = sorted(predictions, key=lambda row: -float(row["confidence"]))[:16]
    wrong = run.read_rows("wrong.csv")
    assert [row["confidence"] for row in wrong] == [row["confidence"] for row in worst]
    assert {row["index"] for row in wrong} == {row["index"] for row in worst}
    with Image.open(run.path / "wrong_images.png") as strip:
        pixels = np.asarray(strip)
    job = build(check(load_run(str(run.path)).config))
    images = job.batches.images("test", torch.tensor([int(row["index"]) for row in wrong]))
    assert np.array_equal(pixels, np.concatenate([*images[..., 0]], 1) * 255.0 // 16), "digits have 16 greys"


def test_a_run_directory_has_all_files_and_strict_json() -> None:
    assert main(["train", "epochs=4", "batch_size=64", "log_every_n_steps=1", "log_gradients=true"]) == 0
    (path,) = Path("outputs/iris_mlp").iterdir()
    names = {file.name for file in path.iterdir()} - {"lock"}
    tables = {"metrics.csv", "steps.csv", "gradients.csv", "confusion_matrix.csv", "predictions.csv", "calibration.csv"}
    assert names == {
        *tables,
        "config.yaml",
        "environment.json",
        "preprocessing.json",
        "status.json",
        "result.json",
        "curves.png",
        "confusion_matrix.png",
        "calibration.png",
        "steps.png",
        "checkpoints",
    }
    for file in path.glob("*.json"):
        json.loads(file.read_text(), parse_constant=pytest.fail)
    for picture in path.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")
    metrics = load_run(str(path)).metrics
    assert list(metrics.columns) == [
        *("epoch", "step", "train/loss", "train/accuracy", "test/loss", "test/accuracy"),
        *("lr", "seconds", "samples_per_second"),
    ]
    assert list(metrics["epoch"]) == [1, 2, 3, 4] and list(metrics["step"]) == [2, 4, 6, 8]
    steps = list(csv.DictReader((path / "steps.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in steps] == list(range(1, 9))
    mean = (64 * float(steps[0]["train/loss"]) + 61 * float(steps[1]["train/loss"])) / 125
    assert metrics["train/loss"][0] == pytest.approx(mean)


def test_gradient_norms_are_those_of_the_last_step() -> None:
    run = train("epochs=1", "batch_size=full", "log_gradients=true")
    job = build(check(load_config(["epochs=1", "batch_size=full"])))
    ((inputs, targets),) = job.batches.serve("train", 125)
    F.cross_entropy(job.model(inputs), targets).backward()
    rows = list(csv.DictReader((run.path / "gradients.csv").read_text().splitlines()))
    weights = [module.weight for module in job.model if hasattr(module, "weight")]
    assert len(rows) == len(weights) == 2
    for number, (row, weight) in enumerate(zip(rows, weights, strict=True), 1):
        assert int(row["layer"]) == number
        assert float(row["l1"]) == pytest.approx(torch.linalg.vector_norm(weight.grad, 1).item(), rel=1e-5)
        assert float(row["l2"]) == pytest.approx(torch.linalg.vector_norm(weight.grad, 2).item(), rel=1e-5)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([1.0] * 6 + [math.nan] * 9)
    cross_entropy = F.cross_entropy

    def sometimes_nan(outputs: Any, targets: Any, **options: Any) -> Any:
        return cross_entropy(outputs, targets, **options) * (next(losses) if outputs.requires_grad else 1)

    monkeypatch.setattr(F, "cross_entropy", sometimes_nan)
    with pytest.raises(JobError, match="epoch 4, step 7"):
        train("epochs=20", "batch_size=64", "checkpoint.every_epochs=1")
    (path,) = Path("outputs/iris_mlp").iterdir()
    run = load_run(str(path))
    assert run.status["status"] == "failed" and "epoch 4, step 7" in run.status["error"]
    assert run.status["epoch"] == 3
    assert all(parameter.isfinite().all() for parameter in run.load_model().parameters())


def test_an_operation_that_does_not_repeat_its_bits_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my_puts.py").write_text(
        "import torch\nfrom torch import nn\n\n"
        "class Puts(nn.Linear):\n"
        "    def forward(self, x):\n"
        "        y = super().forward(x)\n"
        "        return y if not self.training else y.put(torch.tensor([0]), torch.zeros(1))\n\n"
        "def puts(*, num_classes):\n"
        "    return Puts(4, num_classes)\n"
    )
    chosen = ["imports=[my_puts]", "model=custom", "model.name=puts", "epochs=1"]
    assert main(["train", *chosen]) == 1
    errors = capsys.readouterr().err
    assert "Set deterministic=false" in errors and "Traceback" not in errors
    assert main(["train", *chosen, "deterministic=false"]) == 0


def test_a_learning_rate_that_explodes_gives_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "optimizer=sgd", "optimizer.lr=1e30", "model.hidden_sizes=[64,64]", "epochs=50"]) == 1
    errors = capsys.readouterr().err
    assert "not a finite number, in epoch" in errors and "Traceback" not in errors


def test_early_stopping_monitors_validation_and_keeps_the_best() -> None:
    overrides = ["dataset.validation_fraction=0.2", "early_stopping.patience=3", "optimizer.lr=0.05", "epochs=400"]
    run = load_run(str(train(*overrides).path))
    losses = list(run.metrics["validation/loss"])
    best = int(np.argmin(losses)) + 1
    assert run.status["status"] == "finished" and run.result["stopped_early"]
    assert len(losses) == best + 3 < 400
    assert run.result["selected"]["epoch"] == best
    assert run.result["selected"]["test/accuracy"] == run.metrics["test/accuracy"][best - 1]
    job = build(check(run.config))
    ((inputs, targets),) = job.batches.serve("validation", 1000)
    with torch.no_grad():
        loss = F.cross_entropy(run.load_model(best=True)(inputs), targets).item()
    assert loss == pytest.approx(losses[best - 1], rel=1e-5)


def test_checkpoints_come_by_epochs_and_two_are_kept() -> None:
    run = train("epochs=7", "batch_size=64", "checkpoint.every_epochs=2", "checkpoint.every_seconds=null")
    assert [file.name for file in run.checkpoints()] == ["step_000000014.pt", "step_000000012.pt"]


def test_a_short_run_saves_once() -> None:
    assert len(train("epochs=50").checkpoints()) == 1


def test_only_the_seed_decides_the_weights() -> None:
    one, same, other = train("name=a"), train("name=b", "log_every_n_steps=1"), train("name=c", "seed=1")
    final = [run.read_json("result.json")["final"] for run in (one, same, other)]
    assert final[0] == final[1] != final[2]
    hashes = [run.read_json("environment.json") for run in (one, other)]
    assert hashes[0]["split_sha256"] == hashes[1]["split_sha256"]
    assert hashes[0]["initial_weights_sha256"] != hashes[1]["initial_weights_sha256"]


def test_runs_at_the_same_time_get_directories_of_their_own() -> None:
    assert len({train("epochs=1").path for _ in range(5)}) == 5


def test_python_trains_resumes_and_reads() -> None:
    import dlexp

    run = dlexp.train(["dataset=iris", "model=mlp", "epochs=4", "stop_at=2"])
    assert run.status["status"] == "stopped" and len(run.metrics) == 2
    run = dlexp.resume(str(run.path))
    assert run.result["epochs"] == 4 and run.config.epochs == 4
    assert dlexp.load_run(str(run.path)).load_model()(torch.zeros(1, 4)).shape == (1, 3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_agrees_with_the_cpu() -> None:
    results = [train("epochs=5", f"device={device}").read_json("result.json")["final"] for device in ("cpu", "cuda")]
    assert results[0]["test"]["loss"] == pytest.approx(results[1]["test"]["loss"], rel=1e-3)
