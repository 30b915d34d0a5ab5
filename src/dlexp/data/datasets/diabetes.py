"""Diabetes (Efron et al., 2004): ten measurements of 442 patients, and the progression of the disease after a year."""

from __future__ import annotations

from dlexp.config.lazy import sklearn_datasets
from dlexp.data.source import Samples, Source


def diabetes() -> Source:
    """The samples in scikit-learn, in its order and as measured; regression."""
    return Source(input_shape=(10,), value_names=("progression",), embedded=_read)


def _read() -> dict[str, Samples]:
    bunch = sklearn_datasets.load_diabetes(scaled=False)
    return {"all": Samples(bunch.data.astype("float32"), bunch.target.astype("float32")[:, None])}
