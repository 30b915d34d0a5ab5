"""The optional tables of a run: evaluations and units."""

import csv
import resource

import numpy as np
import pytest
import torch
from small_runs import SMALL_CNN, assert_same_end, resume, train

from dlexp import load_run
from dlexp.config.config import load_config
from dlexp.models.layers import ACTIVATIONS
from dlexp.runs.directory import RunDirectory
from dlexp.training.build import build, check


def rows(run: RunDirectory, name: str) -> list[dict[str, str]]:
    with (run.path / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_evaluations_come_every_n_steps_and_change_nothing() -> None:
    config = ["batch_size=32", "model.dropout=0.2", "model.batch_norm=true", "dataset.validation_fraction=0.2"]
    plain = train(*config, "name=plain")
    watched = train(*config, "name=watched", "evaluate_every_n_steps=2")
    assert_same_end(plain, watched)
    found = rows(watched, "evaluations.csv")
    assert [int(row["step"]) for row in found] == [2, 4, 6, 8]
    assert [int(row["epoch"]) for row in found] == [1, 1, 2, 2]
    last = watched.read_table("metrics.csv")[-1]
    for key in ("validation/loss", "test/loss", "test/accuracy"):  # step 8 is the last of epoch 2
        assert float(found[-1][key]) == last[key]


def test_peak_memory_is_that_of_the_job() -> None:
    """A process that trains several jobs must not give one the peak of those before it."""
    largest = np.ones(2**27)  # a gigabyte, more than a small job needs
    del largest
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert train("epochs=1").read_json("result.json")["peak_memory_bytes"] < before - 2**28


def test_evaluations_and_units_survive_a_stop() -> None:
    config = ["batch_size=32", "evaluate_every_n_steps=3", "log_units=true", "epochs=3"]
    whole, stopped = train(*config, "name=whole"), train(*config, "name=stopped", "stop_at=1")
    resumed = resume(stopped)
    assert_same_end(whole, resumed)
    for name in ("evaluations.csv", "units.csv"):
        assert (whole.path / name).read_bytes() == (resumed.path / name).read_bytes()


def test_dead_and_saturated_units_are_counted() -> None:
    """Two units never fire and one fires for all samples; a sigmoid is far out on its tail."""
    init = "{weight: {explicit: [[[1],[1],[1]], [[0,0,1]], [[1]]]}, bias: {explicit: [[-100,-100,100], [50], [0]]}}"
    run = train(
        "dataset=inline", "dataset.inputs=[[1],[2]]", "dataset.targets=[0,1]", "model.hidden_sizes=[3,1]",
        "model.activation=[relu,sigmoid]", f"model.init={init}", "loss=binary_cross_entropy", "epochs=1",
        "optimizer.lr=1e-6", "log_units=true",
    )  # fmt: skip
    relu, sigmoid = rows(run, "units.csv")
    assert (relu["module"], relu["units"]) == ("1 ReLU", "3") and sigmoid["module"] == "3 Sigmoid"
    assert float(relu["dead"]) == pytest.approx(2 / 3) and float(relu["saturated"]) == pytest.approx(2 / 3)
    assert float(sigmoid["dead"]) == 0 and float(sigmoid["saturated"]) == 1


def test_units_of_images_are_channels() -> None:
    run = train("dataset=digits", "dataset.train_size=50", *SMALL_CNN, "log_units=true", "epochs=1")
    assert [(row["module"], row["units"]) for row in rows(run, "units.csv")] == [("2 ReLU", "4"), ("6 ReLU", "16")]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_has_its_saturation_measured(name: str) -> None:
    if name == "identity":
        return
    trainable = name not in ("step", "is_zero")  # these pass nothing on, but the layer after them learns
    run = train(f"model.activation={name}", "log_units=true", "epochs=1")
    (row,) = rows(run, "units.csv")
    assert 0 <= float(row["saturated"]) <= 1 and (trainable or float(row["saturated"]) == 1)


def test_without_shuffling_samples_keep_their_order() -> None:
    job = build(check(load_config(["shuffle=false", "dataset=digits"])))
    inputs, targets = next(job.batches.serve_train(16, None, 0))
    whole = next(job.batches.serve("train", 10_000))
    assert torch.equal(inputs, whole[0][:16]) and torch.equal(targets, whole[1][:16])
    config = ["dataset=inline", "model.hidden_sizes=[2]", "loss=binary_cross_entropy", "batch_size=1", "trace_steps=8"]
    ordered, shuffled = train(*config, "shuffle=false", "name=ordered"), train(*config, "name=shuffled")

    def served(run: RunDirectory) -> list[str]:
        return [row["value"] for row in rows(run, "trace.csv") if row["what"] == "input"]

    assert served(ordered) == ["0.0", "0.0", "0.0", "1.0", "1.0", "0.0", "1.0", "1.0"] * 2
    assert served(shuffled) != served(ordered) and sorted(served(shuffled)) == sorted(served(ordered))


def test_a_run_of_no_epochs_evaluates_the_initial_weights_and_can_be_extended() -> None:
    start = train("epochs=0")
    result = load_run(str(start.path)).result
    assert start.status()["status"] == "finished" and result["steps"] == 0
    assert load_run(str(start.path)).metrics.empty and result["final"]["test"]["accuracy"] >= 0
    assert_same_end(train("epochs=3", "name=whole"), resume(start, "epochs=3"))
