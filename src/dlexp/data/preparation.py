"""Prepare a dataset: read its files, split its samples, and fit its preprocessing on train."""

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
from dlexp.data.preprocessing import Preprocessing
from dlexp.data.source import Samples, Source, verified
from dlexp.data.splits import extremes, split, statistics, target_statistics
from dlexp.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Prepared:
    """A dataset's splits as raw arrays, and the preprocessing that is fitted on train."""

    splits: Mapping[str, Samples]  # train, validation (if configured), test
    preprocessing: Preprocessing
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
    """Return the facts of a bound dataset; read no file."""
    source = _of_size(DATASETS.build(dataset, imports), dataset.preparation)
    if len(source.class_names) == 1:
        raise UserError(
            f"dataset={dataset.name} has one class, {source.class_names[0]}: there is nothing to tell apart."
        )
    if (positive := dataset.preparation.positive_class) is None:
        return source
    if positive not in source.class_names:
        raise UserError(
            f"dataset.positive_class={positive}: no such class.{did_you_mean(positive, source.class_names)}"
        )
    return dataclasses.replace(source, class_names=(f"not {positive}", positive))


def _of_size(source: Source, preparation: Preparation) -> Source:
    """Return the source with the shape of its inputs as the model takes them, resized and in as many channels."""
    size, mean = preparation.image_size, preparation.mean
    if preparation.preprocessing == "weights" and len(source.input_shape) != 3:
        raise UserError(f"dataset.preprocessing=weights is for images; here an input is {source.input_shape}.")
    for key in ("resize", "image_size", "interpolation"):
        if (value := getattr(preparation, key)) is not None and len(source.input_shape) != 3:
            raise UserError(f"dataset.{key}={value} is for images; here an input is {source.input_shape}.")
        if value is not None and size is None:
            raise UserError(f"dataset.{key}={value} needs dataset.image_size, the side of what is cropped then.")
    if preparation.resize is not None and size is not None and preparation.resize < size:
        raise UserError(f"dataset.resize={preparation.resize} is smaller than dataset.image_size={size}.")
    if len(source.input_shape) != 3:
        return source
    channels, height, width = source.input_shape
    if channels == 1 and preparation.normalization == "given" and isinstance(mean, tuple) and len(mean) == 3:
        channels = 3
    return dataclasses.replace(source, input_shape=(channels, size or height, size or width))


def published_source_of(dataset: Dataset, imports: Sequence[ModuleType] = ()) -> Source:
    """Return the facts of a bound dataset's samples as they are published, before any resizing."""
    return DATASETS.build(dataset, imports)


def sha256_of(dataset: Dataset, data_dir: Path, imports: Sequence[ModuleType] = ()) -> str:
    """Return the SHA-256 of a dataset's samples before any split; read, fetch and raise as `prepare` does."""
    return store.read(dataset.name, DATASETS.build(dataset, imports), data_dir)[1]


def prepare(dataset: Dataset, data_dir: Path, imports: Sequence[ModuleType] = ()) -> Prepared:
    """Read (or fetch), verify, split and measure a bound dataset.

    Raises UserError if the samples do not allow the split, or a file is damaged; JobError if it cannot be fetched.
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
            f"dataset.test_to_train_ratio={preparation.test_to_train_ratio:g}: train and test have the "
            "same samples. Set it to null; dataset.test_inputs gives other test samples."
        )
    splits, indices = split(published, preparation)
    digest = hashlib.sha256(repr({name: chosen.tolist() for name, chosen in indices.items()}).encode())
    inputs, targets = splits["train"]
    preprocessing = Preprocessing(
        *statistics(inputs, preparation, source),
        *target_statistics(targets, preparation, source),
        *extremes(inputs),
        dtype=str(inputs.dtype),
        resize=preparation.resize,
        image_size=preparation.image_size,
        interpolation=preparation.interpolation or "bilinear",
    )
    return Prepared(splits, preprocessing, source, data_sha256, digest.hexdigest())
