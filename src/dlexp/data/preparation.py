"""A dataset's way from files to splits, and to the numbers that normalize its inputs."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from dlexp.config import schema
from dlexp.config.component import Dataset, Preparation
from dlexp.data import augmentation, store
from dlexp.data.datasets import DATASETS
from dlexp.data.source import Samples, Source, verified
from dlexp.data.splits import split, statistics
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


def bind(dataset: Dataset, imports: Sequence[ModuleType] = ()) -> Dataset:
    """Check a dataset's own options and its augmentations. Raises UserError."""
    known = [*schema.configurable(Preparation), *schema.configurable(DATASETS.find(dataset.name, imports))]
    for key in dataset.options:
        if key not in known:
            raise UserError(f"There is no dataset.{key}.{did_you_mean(key, known)}")
    augmentation.check(dataset.preparation.augmentation)
    return DATASETS.bind(dataset, imports)


def source_of(dataset: Dataset, imports: Sequence[ModuleType] = ()) -> Source:
    """The facts of a bound dataset; reads nothing."""
    source = DATASETS.build(dataset, imports)
    if (positive := dataset.preparation.positive_class) is None:
        return source
    if positive not in source.class_names:
        raise UserError(
            f"dataset.positive_class={positive}: no such class.{did_you_mean(positive, source.class_names)}"
        )
    return dataclasses.replace(source, class_names=(f"not {positive}", positive))


def sha256_of(dataset: Dataset, data_dir: Path, imports: Sequence[ModuleType] = ()) -> str:
    """The hash of a dataset's samples, before any split; reads or fetches them, and raises, as `prepare` does."""
    return store.read(dataset.name, DATASETS.build(dataset, imports), data_dir)[1]


def prepare(dataset: Dataset, data_dir: Path, imports: Sequence[ModuleType] = ()) -> Prepared:
    """Read (or fetch), verify, split and measure a bound dataset.

    Raises UserError for a split that the data cannot give, or a damaged file; JobError where it cannot be fetched.
    """
    preparation, source = dataset.preparation, source_of(dataset, imports)
    original = DATASETS.build(dataset, imports)
    published, data_sha256 = store.read(dataset.name, original, data_dir)
    published = verified(dataset.name, published, original)
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
