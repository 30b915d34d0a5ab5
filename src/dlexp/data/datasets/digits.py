"""Optical recognition of handwritten digits (Alpaydin and Kaynak, 1998): 8 × 8 images with values 0 to 16."""

from __future__ import annotations

from dlexp.config.lazy import sklearn_datasets
from dlexp.data.source import Samples, Source


def digits() -> Source:
    """The 1797 images in scikit-learn, in its order."""
    return Source(input_shape=(1, 8, 8), class_names=tuple("0123456789"), largest=16.0, embedded=_read)


def _read() -> dict[str, Samples]:
    bunch = sklearn_datasets.load_digits()
    return {"all": Samples(bunch.images.astype("uint8")[..., None], bunch.target.astype("int64"))}
