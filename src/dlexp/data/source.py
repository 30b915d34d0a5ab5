"""A dataset's source: facts that are known before a file is read, and the function that reads its samples."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from dlexp.errors import UserError


class Samples(NamedTuple):
    """`inputs` is uint8 (N, H, W, C) or float32 (N, *input_shape); `targets` int64 (N,), or float32 (N, values)."""

    inputs: np.ndarray
    targets: np.ndarray


Splits = Mapping[str, Samples]  # 'train' and 'test' as published, or 'all' if no split was published


@dataclass(frozen=True)
class Source:
    """A dataset's facts, and one of two functions that return its samples.

    `embedded()` returns samples in a library. `convert(folder)` fetches the published files into the dataset's folder
    in the data directory (verified, resumable), and returns them as arrays, which `store` keeps.
    """

    input_shape: tuple[int, ...]  # (features,), (channels, length) or (channels, height, width)
    class_names: tuple[str, ...] = ()
    value_names: tuple[str, ...] = ()  # names of regression targets, if there are no classes
    test_is_train: bool = False  # train and test are the same samples, so they cannot be split again
    largest: float = 255.0  # the raw value of images that becomes 1 in the unit interval
    embedded: Callable[[], Splits] | None = None
    convert: Callable[[Path], Splits] | None = None
    sizes: tuple[int, int] = (0, 0)  # of train and test, if there are files
    origin: str = "scikit-learn (embedded)"
    content: str | None = None  # `content_digest` of all samples, to check files that another program wrote

    @property
    def kind(self) -> Literal["classes", "values", "nothing"]:
        """The kind of its targets."""
        return "classes" if self.class_names else "values" if self.value_names else "nothing"


def verified(dataset: str, splits: Splits, source: Source) -> dict[str, Samples]:
    """Check that the samples agree with the source's facts; return them, with classes as int64.

    Raises UserError naming the split, and the sample or class that does not agree.
    """
    channels, *size = source.input_shape
    images = len(size) == 2
    shape = (*size, channels) if images else source.input_shape
    checked = {}
    for split, (inputs, targets) in splits.items():
        where = f"dataset={dataset}: the {split} split's"
        if not len(inputs) or len(targets) != len(inputs):
            raise UserError(f"{where} inputs are {len(inputs)}, its targets {len(targets)}: give one for each.")
        if inputs.shape[1:] != shape or not (inputs.dtype == np.uint8 if images else inputs.dtype.kind in "fiub"):
            wanted = f"{'bytes' if images else 'numbers'} of shape {shape}"
            raise UserError(f"{where} inputs are {inputs.dtype}{inputs.shape[1:]} each, not {wanted}.")
        refuse_not_finite(inputs, f"{where} inputs")
        if not source.class_names:
            if targets.shape[1:] != (len(source.value_names),) or targets.dtype.kind not in "fiu":
                raise UserError(
                    f"{where} targets are {targets.dtype}{targets.shape[1:]}, not {source.value_names} each."
                )
            refuse_not_finite(targets, f"{where} targets")
            targets = targets if targets.dtype.kind == "f" else targets.astype(np.float64)
        elif targets.ndim != 1 or targets.dtype.kind not in "iub":
            raise UserError(f"{where} targets are {targets.dtype}{targets.shape[1:]} each, not the number of a class.")
        else:
            targets = targets if targets.dtype == np.int64 else targets.astype(np.int64)
            for label in (targets.min(), targets.max()):
                if not 0 <= label < len(source.class_names):
                    raise UserError(f"{where} targets have class {label}; there are {len(source.class_names)}, from 0.")
        checked[split] = Samples(inputs, targets)
    return checked


def refuse_not_finite(values: np.ndarray, what: str, way_out: str = "Correct it, or leave it out.") -> None:
    """Raise UserError naming the first sample of `values` (N, …) with a value that is not a finite number."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        place = tuple(np.argwhere(~np.isfinite(values))[0].tolist())
        feature = ", ".join(map(str, place[1:]))
        raise UserError(f"{what}: sample {place[0]}, feature {feature} is {values[place]}, not finite. {way_out}")


def content_digest(splits: Splits) -> str:
    """Hash the samples of each split independently of their order: the sum of their SHA-256, modulo 2²⁵⁶."""
    sums = []
    for samples in splits.values():
        labels = samples.targets.astype(np.uint8)[:, None]
        rows = np.concatenate([samples.inputs.reshape(len(labels), -1), labels], axis=1)
        sums.append(sum(int.from_bytes(hashlib.sha256(row).digest()) for row in rows) % 2**256)
    return hashlib.sha256(repr(sums).encode()).hexdigest()
