"""Split published samples into train, validation and test, and compute the statistics that normalize inputs."""

from __future__ import annotations

import numpy as np

from dlexp.config.component import Preparation
from dlexp.config.lazy import model_selection
from dlexp.data.source import Samples, Source, Splits
from dlexp.errors import UserError


def split(published: Splits, preparation: Preparation) -> tuple[dict[str, Samples], dict[str, np.ndarray]]:
    """Return the samples of train, validation (if configured) and test, and their indices in the published samples.

    Train and test are as published, or, with `test_to_train_ratio` r, n·r / (1 + r) of all n samples are test.
    Then `train_size` and `test_size` cut them, and validation comes from train. The same `split_seed` gives the same
    splits. Raises UserError if the samples do not allow a size.
    """
    pools = dict(published)
    ratio = preparation.test_to_train_ratio
    if ratio is None and "all" in pools:
        raise UserError("dataset.test_to_train_ratio=null: this dataset has no published split; take for example 0.2.")
    if ratio is not None:
        parts = pools.values()
        pool = Samples(np.concatenate([p.inputs for p in parts]), np.concatenate([p.targets for p in parts]))
        everything = np.arange(len(pool.targets))
        size = round(len(everything) * ratio / (1 + ratio))
        train, test = _part(everything, pool.targets, size, preparation, "test_to_train_ratio", ratio)
        pools = {"train": pool, "test": pool}
    else:
        train, test = (np.arange(len(pools[name].targets)) for name in ("train", "test"))

    train = _cut(train, pools["train"].targets, preparation.train_size, preparation, "train_size")
    test = _cut(test, pools["test"].targets, preparation.test_size, preparation, "test_size")
    indices = {"train": train, "test": test}
    if preparation.validation_fraction > 0:
        fraction = preparation.validation_fraction
        size = max(1, round(len(train) * fraction))
        train, validation = _part(train, pools["train"].targets, size, preparation, "validation_fraction", fraction)
        indices = {"train": train, "validation": validation, "test": test}
    splits = {}
    for name, chosen in indices.items():
        pool = pools["test" if name == "test" else "train"]
        whole = len(chosen) == len(pool.targets)  # the whole stays memory-mapped
        splits[name] = pool if whole else Samples(pool.inputs[chosen], pool.targets[chosen])
    return splits, indices


def statistics(train: np.ndarray, preparation: Preparation, source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and deviation, float64 (channels,) or (features,), that normalize inputs: (x − mean) / deviation.

    They come from train alone. For images, `given` ones refer to inputs in the unit interval. Constant features are
    only centred. Raises UserError if `given` lacks its numbers or has too many.
    """
    size = source.input_shape[0]  # of what the model takes: three if grey images become colours
    train = train if train.ndim == 4 else np.moveaxis(train, 1, -1)  # channels last, as images are
    images = len(source.input_shape) == 3
    unit = source.largest if images else 1.0
    zeros, ones = np.zeros(size), np.ones(size)
    if preparation.normalization == "given":
        return unit * _given(preparation.mean, "mean", size), unit * _given(preparation.deviation, "deviation", size)
    for key in ("mean", "deviation"):
        if getattr(preparation, key) is not None:
            raise UserError(f"dataset.{key} needs dataset.normalization=given; set it so, or {key}=null.")
    if preparation.normalization == "none":
        return zeros, ones
    if preparation.normalization == "unit" and images:
        return zeros, unit * ones
    columns = train.reshape(-1, size)
    if preparation.normalization == "unit":
        low, high = columns.min(0), columns.max(0)
        with np.errstate(over="ignore"):
            return low.astype(float), np.where(high > low, high - low, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):  # `Batches` refuses values that are not finite
        mean, deviation = columns.mean(0, dtype=np.float64), columns.std(0, dtype=np.float64)
    varies = columns.max(0) > columns.min(0)  # rounding may give a constant a deviation of 1e-17
    return mean, np.where(varies & (deviation > 0), deviation, 1.0)


def extremes(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return train's smallest and largest raw value, float64 (channels,) or (features,)."""
    low, high = train.min(0), train.max(0)  # over samples first: that is one fast pass over the memory
    if train.ndim == 4:
        return low.min((0, 1)).astype(float), high.max((0, 1)).astype(float)
    others = tuple(range(1, low.ndim))
    return low.min(others).astype(float), high.max(others).astype(float)


def target_statistics(
    train: np.ndarray, preparation: Preparation, source: Source
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the mean and deviation, float64 (values,), of train's targets, if these are to be normalized.

    Raises UserError if the targets are not values.
    """
    if preparation.target_normalization == "none":
        return None, None
    if source.kind != "values":
        raise UserError(
            f"dataset.target_normalization={preparation.target_normalization} is for targets that are values; here "
            f"they are {source.kind}."
        )
    mean, deviation = train.mean(0, dtype=np.float64), train.std(0, dtype=np.float64)
    return mean, np.where(train.max(0) > train.min(0), deviation, 1.0)


def _part(
    indices: np.ndarray, targets: np.ndarray, size: int, preparation: Preparation, key: str, value: float
) -> tuple[np.ndarray, np.ndarray]:
    stratify = targets[indices] if preparation.stratified and targets.ndim == 1 else None  # values have no strata
    try:
        rest, part = model_selection.train_test_split(
            indices, test_size=size, stratify=stratify, random_state=preparation.split_seed
        )
    except ValueError as error:
        raise UserError(f"dataset.{key}={value:g} is impossible: {error} (dataset.stratified=false may help)") from None
    return np.sort(rest), np.sort(part)


def _cut(indices: np.ndarray, targets: np.ndarray, size: int | None, preparation: Preparation, key: str) -> np.ndarray:
    if size is None or size == len(indices):
        return indices
    if size > len(indices):
        raise UserError(f"dataset.{key}={size}: there are only {len(indices)} samples.")
    labels = targets[indices]
    classes = len(np.unique(labels))
    if preparation.stratified and targets.ndim == 1 and size >= classes > len(indices) - size:
        return _stratified(indices, labels, size, preparation.split_seed)
    return _part(indices, targets, size, preparation, key, size)[1]


def _stratified(indices: np.ndarray, labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Choose `size` of the indices, of each class its share, rounded by largest remainder.

    scikit-learn refuses if fewer samples are left out than there are classes.
    """
    generator = np.random.default_rng(seed)
    classes, counts = np.unique(labels, return_counts=True)
    quota, rest = np.divmod(counts * size, len(labels))
    order = np.lexsort((generator.permutation(len(classes)), -rest))  # chance decides between equal remainders
    quota[order[: size - quota.sum()]] += 1
    chosen = [
        generator.choice(indices[labels == label], count, replace=False)
        for label, count in zip(classes, quota, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def _given(value: float | tuple[float, ...] | None, key: str, size: int) -> np.ndarray:
    if value is None:
        raise UserError(f"dataset.{key} is not set, but dataset.normalization=given needs it.")
    values = np.atleast_1d(np.asarray(value, float))
    if values.size not in (1, size):
        raise UserError(f"dataset.{key}={value}: needs 1 number or {size}, one for each channel or feature.")
    return np.broadcast_to(values, (size,)).copy()
