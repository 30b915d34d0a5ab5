"""Breast Cancer Wisconsin (diagnostic) (Street et al., 1993): measurements of cell nuclei."""

from __future__ import annotations

from dlexp.config.lazy import sklearn_datasets
from dlexp.data.source import Samples, Source


def breast_cancer() -> Source:
    """The samples in scikit-learn, in its order."""
    return Source(input_shape=(30,), class_names=("malignant", "benign"), embedded=_read)


def _read() -> dict[str, Samples]:
    bunch = sklearn_datasets.load_breast_cancer()
    return {"all": Samples(bunch.data.astype("float32"), bunch.target.astype("int64"))}
