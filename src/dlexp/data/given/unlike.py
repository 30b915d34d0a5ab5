"""Say in which ways given samples are unlike those that a run was trained on."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dlexp.data.given.collection import listed
from dlexp.data.preprocessing import Preprocessing


def unlike_train(inputs: np.ndarray, names: Sequence[Any], preprocessing: Preprocessing) -> Iterator[str]:
    """Yield a line about pictures (N, H, W, C) of one shade, and one about values far outside train's range.

    Far outside is farther from train's smallest or largest value of a feature than these are from each other.
    """
    if not len(inputs):
        return
    images = inputs.ndim == 4
    if images:
        shades = inputs.reshape(len(inputs), -1, inputs.shape[3])
        flat = [names[i] for i in np.flatnonzero((shades == shades[:, :1]).all((1, 2))).tolist()]
        if flat:
            yield listed("picture", flat, "of one colour all over")
    low, high = preprocessing.minimum, preprocessing.maximum
    if low is None or high is None:  # a run of a version that did not keep them
        return
    channel = inputs.ndim - 1 if images else 1
    whole = inputs.ndim == 2
    values = inputs if whole else np.moveaxis(inputs, channel, 1).reshape(len(inputs), inputs.shape[channel], -1)
    smallest, largest = (values, values) if whole else (values.min(2), values.max(2))
    far = np.maximum(low - (high - low) - smallest, largest - high - (high - low))  # (N, features); above 0: outside
    if not (far > 0).any():
        return
    samples = np.flatnonzero((far > 0).any(1)).tolist()
    worst = samples[0]
    i = int(far[worst].argmax())
    value = smallest[worst, i] if smallest[worst, i] < low[i] else largest[worst, i]
    what = "channel" if not whole else "column"
    seen = f"{low[i]:g} to {high[i]:g} in train"
    said = f"far outside what train had, as {value:g} in {what} {i} of {names[worst]} ({seen})"
    yield listed("sample", [names[j] for j in samples], said)
