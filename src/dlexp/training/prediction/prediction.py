"""Raw inputs of any origin → a table of predictions, to the bits of an evaluation of the same samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dlexp.config.config import Config
from dlexp.config.lazy import nn, pandas
from dlexp.data.batches import Batches, evaluation_batch_size
from dlexp.data.given.rows import Refused, column
from dlexp.data.preprocessing import Preprocessing
from dlexp.data.source import Samples, Source
from dlexp.training import evaluation
from dlexp.training.build import configure_torch
from dlexp.training.prediction.calibration import scaled
from dlexp.training.prediction.doubt import Doubt
from dlexp.training.setup.job import autocast, dtype_of

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor


@dataclass(frozen=True)
class Predictions:
    """A table with a row for each usable sample, the refused samples, and remarks for the user."""

    table: pd.DataFrame
    scores: list[str]  # the columns of probabilities by class, or of values
    refused: list[Refused]
    remarks: list[str]


def outputs_of(
    model: nn.Module, config: Config, source: Source, preprocessing: Preprocessing, inputs: np.ndarray
) -> Tensor:
    """Return a model's logits, or values in their units, (N, …) for raw inputs (N, …); N is 1 or more.

    The batches are those of an evaluation, so that the bits are too. Sets PyTorch's process-wide switches.
    """
    config, device = configure_torch(config)
    targets = (
        np.zeros(len(inputs), np.int64) if source.class_names else np.zeros((len(inputs), len(source.value_names)))
    )
    batches = Batches({"given": Samples(inputs, targets)}, preprocessing, device, dtype_of(config))
    served = batches.serve("given", evaluation_batch_size(source.input_shape))
    outputs = evaluation.predict(model.to(device), served, autocast(config, device))
    assert outputs is not None  # nothing stops it
    if source.class_names:
        return evaluation.as_logits(model, outputs)
    return batches.in_units(outputs).flatten(1)


def normalizable(
    inputs: np.ndarray, names: Sequence[Any], preprocessing: Preprocessing, config: Config
) -> tuple[np.ndarray, list[Any], list[Refused]]:
    """Return the raw inputs (N, …) that are finite once they are normalized, their names, and the refused ones."""
    if inputs.ndim == 4 or not len(inputs):
        return inputs, list(names), []
    largest = np.finfo("float64" if config.precision == "float64" else "float32").max
    with np.errstate(over="ignore", invalid="ignore"):
        fits = (np.abs(preprocessing.normalize(inputs)) <= largest).reshape(len(inputs), -1)
    called = [f"row {name}" if isinstance(name, int) else str(name) for name in names]
    refused = [
        Refused(
            called[i],
            f"{column(int((~fits[i]).argmax()))}: too large for precision={config.precision}.",
        )
        for i in np.flatnonzero(~fits.all(1)).tolist()
    ]
    usable = np.flatnonzero(fits.all(1)).tolist()
    return inputs[usable], [names[i] for i in usable], refused


def tabulate(outputs: Tensor, names: Sequence[Any], source: Source, doubt: Doubt) -> tuple[pd.DataFrame, list[str]]:
    """Return a table of outputs (N, …), indexed by the samples' names, and its columns of probabilities or values.

    For classes it has `prediction`, `confidence`, and each class's probability under its name.
    """
    index = pandas.Index(names, name="row" if all(isinstance(name, int) for name in names) else "file")
    if not source.class_names:
        columns = list(source.value_names) or [f"output {i + 1}" for i in range(outputs.shape[1])]
        return pandas.DataFrame(outputs.cpu().tolist(), index, columns, dtype=float), columns
    predicted, probabilities = evaluation.classify(outputs)
    shares = probabilities.cpu().double().numpy()
    rejected = shares.max(1) < (doubt.threshold or 0)
    if doubt.temperature is not None:
        shares = scaled(outputs, doubt.temperature).cpu().numpy()
    rejected |= shares.max(1) < (doubt.reject_below or 0)
    taken = ("prediction", "confidence")
    columns = [f"probability of {name}" if name in taken else name for name in source.class_names]
    table = pandas.DataFrame(shares, index, columns)
    found = pandas.Series([source.class_names[k] for k in predicted.tolist()], index)
    table.insert(0, "prediction", found.mask(rejected))
    table.insert(1, "confidence", shares.max(1))
    return table, columns
