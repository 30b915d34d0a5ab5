"""Components of a config are typed, and each group is written as one flat mapping."""

from pathlib import Path

import pytest

from dlexp.config.component import Component, Dataset, Preparation
from dlexp.config.config import load_config
from dlexp.errors import UserError
from dlexp.runs.directory import RunDirectory
from dlexp.training.build import check


def test_a_written_config_is_read_back_unchanged() -> None:
    config = check(load_config(["dataset=linear_map", "dataset.mean=0.5", "optimizer=sgd", "model.hidden_sizes=[3,4]"]))
    run = RunDirectory.create(Path("outputs"), "a")
    run.write_config(config.to_mapping())
    assert check(load_config([], file=run.path / "config.yaml")) == config


def test_a_dataset_is_written_with_its_own_options_and_its_preparation_in_one_mapping() -> None:
    dataset = Dataset.of({"name": "noise", "classes": 3, "split_seed": 7}, "dataset")
    assert dataset == Dataset("noise", {"classes": 3}, Preparation(split_seed=7))
    assert dataset.to_mapping().items() >= {"name": "noise", "classes": 3, "split_seed": 7, "train_size": None}.items()


@pytest.mark.parametrize(
    ("mapping", "message"), [(3, "model=3 must be a mapping"), ({"depth": 3}, "model.name=null must be text")]
)
def test_a_group_without_a_name_is_refused(mapping: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Component.of(mapping, "model")
