"""Iris (Fisher, 1936): sepal and petal length and width in cm."""

from __future__ import annotations

from dlexp.config.lazy import sklearn_datasets
from dlexp.data.source import Samples, Source


def iris() -> Source:
    """The samples in scikit-learn, in its order."""
    return Source(input_shape=(4,), class_names=("setosa", "versicolor", "virginica"), embedded=_read)


def _read() -> dict[str, Samples]:
    bunch = sklearn_datasets.load_iris()
    return {"all": Samples(bunch.data.astype("float32"), bunch.target.astype("int64"))}
