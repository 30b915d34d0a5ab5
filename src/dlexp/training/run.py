"""A finished or stopped run, as a Python object."""

from __future__ import annotations

import dataclasses
import io
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from dlexp.config import schema
from dlexp.config.config import Config, load_config
from dlexp.config.keys import KEYS, role
from dlexp.config.lazy import pandas
from dlexp.config.registry import import_modules
from dlexp.data import preparation
from dlexp.data.given.collection import collected
from dlexp.data.given.unlike import unlike_train
from dlexp.data.preprocessing import Preprocessing
from dlexp.data.source import Source
from dlexp.errors import JobError, UserError
from dlexp.runs.directory import METRICS, PREPROCESSING, RunDirectory
from dlexp.runs.provenance import config_hashes
from dlexp.training import checkpoint
from dlexp.training.build import build_model, check
from dlexp.training.prediction.doubt import doubt_of
from dlexp.training.prediction.prediction import Predictions, normalizable, outputs_of, tabulate
from dlexp.training.process.state import unchanged
from dlexp.training.resume import refuse_other_code

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch


Inputs: TypeAlias = "np.ndarray | pd.DataFrame | str | Path | Sequence[str | Path]"


class Run:
    """The content of a run directory, read on access.

    `overrides` say where it is evaluated, for example data_dir and device. Raises UserError if there is no run, or for
    an override of another key.
    """

    def __init__(self, path: Path, overrides: Sequence[str] = ()):
        self.path = schema.path(path).absolute()  # the working directory may change
        self.directory = RunDirectory.open(self.path)
        for override in overrides:
            if role(override.split("=")[0]) != "place":
                raise UserError(f"{override}: a run keeps its own; only {', '.join(KEYS['place'])} may be given.")
        self._overrides = overrides

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @cached_property
    def config(self) -> Config:
        """The resolved config. Raises UserError if config.yaml was edited or is damaged."""
        self.directory.read_config()
        return load_config(self._overrides, file=self.path / "config.yaml")

    @property
    def status(self) -> dict[str, Any]:
        """status.json: running, interrupted, stopped, finished or failed, and the epoch and step."""
        return self.directory.status()

    @property
    def result(self) -> dict[str, Any]:
        """result.json: final and best metrics, time, memory, parameters."""
        return self.directory.read_json("result.json")

    @property
    def metrics(self) -> pd.DataFrame:
        """metrics.csv: a row for each epoch."""
        if not (self.path / METRICS).exists():
            raise UserError(f"{self.path} has no {METRICS}: it has trained nothing.")
        return pandas.read_csv(io.BytesIO(self.directory.read_bytes(METRICS)))

    @unchanged()
    def load_model(self, *, best: bool = False) -> torch.nn.Module:
        """Return the model in evaluation mode with the last weights, or the best ones by validation.

        Raises UserError if there is no such checkpoint, none is whole, or the code of `imports` has changed.
        """

        def check_origin(path: Path, state: dict[str, Any]) -> None:
            checkpoint.check_experiment(path, state, config_hashes(self.directory.read_config()))

        if best:
            if not (self.path / "checkpoints" / "best.pt").exists():
                raise UserError(
                    f"{self.path} has no best.pt: a run without a validation split has no best epoch. "
                    "dataset.validation_fraction=0.1 makes such a split."
                )
            state = checkpoint.load(self.path / "checkpoints" / "best.pt")
            check_origin(self.path / "checkpoints" / "best.pt", state)
        else:
            newest, warnings = checkpoint.latest(self.directory, check_origin)
            for warning in warnings:
                print(warning, file=sys.stderr)
            if newest is None:
                raise UserError(f"{self.path} has no checkpoint yet.")
            state = newest
        config = check(self.config, kept=True)
        refuse_other_code(self.directory, config, self._overrides)
        model = build_model(config, import_modules(config.imports))
        try:
            model.load_state_dict(state["model"])
        except (RuntimeError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"The checkpoint in {self.path} does not fit this config: {error}") from error
        return model.eval()

    @property
    def source(self) -> Source:
        """The facts of the run's dataset: its shape, its classes or values. Reads no data."""
        config = check(self.config, kept=True)
        return preparation.source_of(config.dataset, import_modules(config.imports))

    @property
    def published_source(self) -> Source:
        """The facts of the dataset's samples as they are published, before any resizing."""
        config = check(self.config, kept=True)
        return preparation.published_source_of(config.dataset, import_modules(config.imports))

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to raw inputs before the model takes them, from preprocessing.json.

        A run of a version that wrote none has it computed from its data, if they are here and the same. Raises
        UserError if they are not, or if the file is damaged.
        """
        if (self.path / PREPROCESSING).exists():
            try:
                found = Preprocessing.of(self.directory.read_json(PREPROCESSING))
                if found.mean.shape != (channels := self.source.input_shape[0],):
                    raise ValueError(f"it has means of shape {found.mean.shape}, not {channels}")
            except (ValueError, TypeError, AttributeError) as error:
                raise UserError(f"{self.path / PREPROCESSING} is damaged: {error}.") from None
            return found
        why = f"{self.path} was trained by a version that kept no {PREPROCESSING}, which its data would replace"
        config = check(self.config, kept=True)
        try:
            prepared = preparation.prepare(config.dataset, Path(config.data_dir), import_modules(config.imports))
        except JobError as error:
            raise UserError(f"{why}: {error}") from error
        then = self.directory.read_json("environment.json")
        if (prepared.data_sha256, prepared.split_sha256) != (then.get("data_sha256"), then.get("split_sha256")):
            raise UserError(f"{why}, but those in data_dir={config.data_dir} are others now.")
        return prepared.preprocessing

    def predict(
        self, inputs: Inputs, *, best: bool = False, reject_below: float | None = None, calibrated: bool = False
    ) -> pd.DataFrame:
        """Return a row for each sample: `prediction`, `confidence` and each class's probability, or its values.

        `inputs` are raw, as the dataset publishes its own: an array (N, …), a DataFrame, or files as `dlexp predict`
        takes them; the index has their row numbers, or files. A prediction is missing if its confidence is below
        `reject_below`, by default the threshold that `predict.precision` chose. `calibrated` divides log-odds by the
        temperature that was fitted on validation. Samples that cannot be used are named on standard error, and have no
        row. Raises UserError if none can be used, or if an option has no meaning for the run.
        """
        found = self.predictions(inputs, best=best, reject_below=reject_below, calibrated=calibrated)
        said = [f"{name}{': ' if name else ''}{reason}" for name, reason in found.refused]
        if not len(found.table):
            raise UserError("\n".join(said) or "There is no sample to predict.")
        for line in [*found.remarks, *said]:
            print(line, file=sys.stderr)
        return found.table

    @unchanged()
    def predictions(
        self, inputs: Inputs, *, best: bool = False, reject_below: float | None = None, calibrated: bool = False
    ) -> Predictions:
        """Do what `predict` does, and return the refused samples and the remarks too, instead of printing them."""
        if self.config.is_demonstration:
            raise UserError(f"{self.path} demonstrated something, and trained nothing: there is no model to predict.")
        config = check(self.config, kept=True)
        source, result = self.source, self.result if self.directory.has_result() else {}
        doubt, said = doubt_of(
            result, classes=bool(source.class_names), best=best, reject_below=reject_below, calibrated=calibrated
        )
        preprocessing, model = self.preprocessing, self.load_model(best=best)
        given = collected(inputs, self.published_source, preprocessing)
        preprocessing = dataclasses.replace(preprocessing, image_size=None, resize=None)  # they have their size now
        usable, names, too_large = normalizable(given.inputs, given.names, preprocessing, config)
        remarks = [*said, *given.remarks, *unlike_train(usable, names, preprocessing)]
        refused = [*given.refused, *too_large]
        if not names:
            return Predictions(pandas.DataFrame(), [], refused, remarks)
        outputs = outputs_of(model, config, source, preprocessing, usable)
        table, scores = tabulate(outputs, names, source, doubt)
        return Predictions(table, scores, refused, remarks)
