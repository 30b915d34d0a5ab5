"""Samples written in the config, for examples small enough to work by hand."""

from typing import Any

import numpy as np

from dlexp.data.source import Samples, Source
from dlexp.errors import UserError, did_you_mean


def inline(
    inputs: tuple[Any, ...] = ([0, 0], [0, 1], [1, 0], [1, 1]),
    targets: tuple[Any, ...] | None = (0, 1, 1, 0),
    class_names: tuple[str, ...] | None = ("0", "1"),
    test_inputs: tuple[Any, ...] | None = None,
    test_targets: tuple[Any, ...] | None = None,
) -> Source:
    """`inputs` holds for each sample a list of numbers, or a list of equally long lists (channels × length).

    `targets` holds for each sample a number, a list of numbers, or, with `class_names`, one of these names; null means
    that there are none. Without `test_inputs` the samples are the test split too. Raises UserError if lists are uneven,
    a sample has no target, or there are fewer than two classes.
    """
    names = tuple(class_names or ())
    if names and (targets is None or len(names) < 2 or len(set(names)) < len(names)):
        raise UserError(
            f"dataset.class_names={list(names)}: give two classes or more, each once, and "
            "dataset.targets; null means that there are no classes."
        )
    if test_inputs is None and test_targets is not None:
        raise UserError("dataset.test_targets needs dataset.test_inputs, which is null.")
    train = _samples(inputs, targets, names, "")
    test = train if test_inputs is None else _samples(test_inputs, test_targets, names, "test_")
    if test.inputs.shape[1:] != train.inputs.shape[1:] or test.targets.shape[1:] != train.targets.shape[1:]:
        raise UserError("dataset.test_inputs and dataset.test_targets must have the shapes of those of train.")
    values = train.targets.shape[1] if train.targets.ndim == 2 else 0
    return Source(
        input_shape=train.inputs.shape[1:],
        class_names=names,
        value_names=("value",) if values == 1 else tuple(f"value {i + 1}" for i in range(values)),
        test_is_train=test_inputs is None,
        embedded=lambda: {"train": train, "test": test},
        origin="the config",
    )


def _samples(
    inputs: tuple[Any, ...], targets: tuple[Any, ...] | None, class_names: tuple[str, ...], prefix: str
) -> Samples:
    x = _numbers(inputs, f"dataset.{prefix}inputs")
    if x.ndim not in (2, 3) or x.size == 0:
        raise UserError(f"dataset.{prefix}inputs must be a list of samples, each a list of numbers, or of such lists.")
    if targets is None:
        return Samples(x, np.zeros((len(x), 0), np.float32))
    if len(targets) != len(x):
        raise UserError(f"dataset.{prefix}targets: there are {len(targets)} for {len(x)} samples.")
    if not class_names:
        values = _numbers(targets, f"dataset.{prefix}targets")
        if values.ndim > 2:
            raise UserError(f"dataset.{prefix}targets must be a number, or a list of numbers, for each sample.")
        return Samples(x, values.reshape(len(x), -1))
    for target in map(str, targets):
        if target not in class_names:
            raise UserError(
                f"dataset.{prefix}targets: {target} is not in class_names.{did_you_mean(target, class_names)}"
            )
    return Samples(x, np.array([class_names.index(str(target)) for target in targets], np.int64))


def _numbers(values: tuple[Any, ...], key: str) -> np.ndarray:
    try:
        array = np.array(values, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise UserError(f"{key} must be numbers, in lists of equal lengths.") from None
    if not np.isfinite(array).all():
        raise UserError(f"{key} must be finite numbers.")
    return array
