"""What a dataset is: facts known before anything is read, and how its samples are read."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Samples(NamedTuple):
    """`inputs` is uint8 (N, H, W, C) or float32 (N, *input_shape); `targets` int64 (N,), or float32 (N, values)."""

    inputs: np.ndarray
    targets: np.ndarray


Splits = Mapping[str, Samples]  # 'train' and 'test' as published, or 'all' where nobody published a split


@dataclass(frozen=True)
class Source:
    """A dataset's facts, and one of two ways to its samples.

    `embedded()` returns what comes with a library. `convert(folder)` gets the published files into the data
    directory's folder of this name (verified, resumable), and returns them as arrays for `store` to keep.
    """

    input_shape: tuple[int, ...]  # (features,), (channels, length) or (channels, height, width)
    class_names: tuple[str, ...] = ()
    value_names: tuple[str, ...] = ()  # of regression targets, where there are no classes
    test_is_train: bool = False  # the samples serve as both, so they cannot be split anew
    largest: float = 255.0  # raw value that the unit interval's 1 stands for, in images
    embedded: Callable[[], Splits] | None = None
    convert: Callable[[Path], Splits] | None = None
    sizes: tuple[int, int] = (0, 0)  # of train and test, where there are files
    origin: str = "scikit-learn (embedded)"
    content: str | None = None  # `content_digest` of the whole, for files that somebody else laid out


def content_digest(splits: Splits) -> str:
    """Hash the samples whatever their order: per split the sum of each sample's SHA-256, modulo 2²⁵⁶."""
    sums = []
    for samples in splits.values():
        labels = samples.targets.astype(np.uint8)[:, None]
        rows = np.concatenate([samples.inputs.reshape(len(labels), -1), labels], axis=1)
        sums.append(sum(int.from_bytes(hashlib.sha256(row).digest()) for row in rows) % 2**256)
    return hashlib.sha256(repr(sums).encode()).hexdigest()
