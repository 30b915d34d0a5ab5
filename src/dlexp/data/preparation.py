"""A dataset's way from files to splits, and to the numbers that normalize its inputs."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from dlexp.config import schema
from dlexp.data import store
from dlexp.data.datasets import DATASETS
from dlexp.data.source import Samples, Source, verified
from dlexp.data.splits import Preparation, split, statistics
from dlexp.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Prepared:
    """A dataset's splits as raw arrays, and what turns them into a model's inputs: (x − mean) / deviation."""

    splits: Mapping[str, Samples]  # train, validation (where asked for), test
    mean: np.ndarray  # (channels,) or (features,), in raw units
    deviation: np.ndarray
    source: Source
    data_sha256: str
    split_sha256: str


def bind(options: Mapping[str, Any], imports: Sequence[ModuleType] = ()) -> dict[str, Any]:
    """Check a dataset's keys: the builder's own and those of `Preparation`. Raises UserError."""
    common = schema.configurable(Preparation)
    own = DATASETS.find(schema.check(str, options.get("name"), "dataset.name"), imports)
    for key in options:
        if key not in {*common, *schema.configurable(own), "name"}:
            raise UserError(f"There is no dataset.{key}.{did_you_mean(key, [*common, *schema.configurable(own)])}")
    bound = DATASETS.bind({key: value for key, value in options.items() if key not in common}, imports)
    return bound | schema.bind(Preparation, {k: v for k, v in options.items() if k in common}, "dataset.")


def source_of(options: Mapping[str, Any], imports: Sequence[ModuleType] = ()) -> Source:
    """The facts of a dataset with bound `options`; reads nothing."""
    common = schema.configurable(Preparation)
    source = DATASETS.build({key: value for key, value in options.items() if key not in common}, imports)
    if (positive := options["positive_class"]) is None:
        return source
    if positive not in source.class_names:
        raise UserError(
            f"dataset.positive_class={positive}: no such class.{did_you_mean(positive, source.class_names)}"
        )
    return dataclasses.replace(source, class_names=(f"not {positive}", positive))


def sha256_of(options: Mapping[str, Any], data_dir: Path, imports: Sequence[ModuleType] = ()) -> str:
    """The hash of a dataset's samples, before any split; reads or fetches them, and raises, as `prepare` does."""
    return store.read(options["name"], source_of({**options, "positive_class": None}, imports), data_dir)[1]


def prepare(options: Mapping[str, Any], data_dir: Path, imports: Sequence[ModuleType] = ()) -> Prepared:
    """Read (or fetch), verify, split and measure a dataset with bound `options`.

    Raises UserError for a split that the data cannot give, or a damaged file; JobError where it cannot be fetched.
    """
    preparation = Preparation(**{key: options[key] for key in schema.configurable(Preparation)})
    source = source_of(options, imports)
    original = source_of({**options, "positive_class": None}, imports)
    published, data_sha256 = store.read(options["name"], original, data_dir)
    published = verified(options["name"], published, original)
    if preparation.positive_class is not None:
        positive = original.class_names.index(preparation.positive_class)
        published = {k: Samples(x, (t == positive).astype(np.int64)) for k, (x, t) in published.items()}
    if source.test_is_train and preparation.test_to_train_ratio is not None:
        raise UserError(
            f"dataset.test_to_train_ratio={preparation.test_to_train_ratio:g}: these samples are train and "
            "test already. Set it to null; dataset.test_inputs gives others to test on."
        )
    splits, indices = split(published, preparation)
    digest = hashlib.sha256(repr({name: chosen.tolist() for name, chosen in indices.items()}).encode())
    mean, deviation = statistics(splits["train"].inputs, preparation, source)
    return Prepared(splits, mean, deviation, source, data_sha256, digest.hexdigest())
