"""A finished or stopped run, as a Python object."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlexp.config import schema
from dlexp.config.config import Config, load_config
from dlexp.config.keys import KEYS, role
from dlexp.config.lazy import pandas
from dlexp.config.registry import import_modules
from dlexp.data import preparation
from dlexp.data.given.collection import Collection
from dlexp.data.given.unlike import unlike_train
from dlexp.data.preprocessing import Preprocessing
from dlexp.errors import JobError, UserError
from dlexp.runs.directory import METRICS, PREPROCESSING, RunDirectory
from dlexp.runs.provenance import config_hashes
from dlexp.training import checkpoint
from dlexp.training.build import build_model, check
from dlexp.training.prediction.prediction import Predictions, normalizable, outputs_of, tabulate
from dlexp.training.process.state import unchanged
from dlexp.training.resume import refuse_other_code

if TYPE_CHECKING:
    import pandas as pd
    import torch


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
    def preprocessing(self) -> Preprocessing:
        """What is done to raw inputs before the model takes them, from preprocessing.json.

        A run of a version that wrote none has it computed from its data, if they are here and the same. Raises
        UserError if they are not, or if the file is damaged.
        """
        config = self.config
        imports = import_modules(config.imports)
        channels = preparation.source_of(check(config, kept=True).dataset, imports).input_shape[0]
        if (self.path / PREPROCESSING).exists():
            try:
                found = Preprocessing.of(self.directory.read_json(PREPROCESSING))
                if found.mean.shape != (channels,):
                    raise ValueError(f"it has {found.mean.shape} means, not {channels}")
            except (ValueError, TypeError) as error:
                raise UserError(f"{self.path / PREPROCESSING} is damaged: {error}.") from None
            return found
        why = f"{self.path} was trained by a version that kept no {PREPROCESSING}, which its data would replace"
        try:
            prepared = preparation.prepare(check(config, kept=True).dataset, Path(config.data_dir), imports)
        except JobError as error:
            raise UserError(f"{why}: {error}") from error
        then = self.directory.read_json("environment.json")
        if (prepared.data_sha256, prepared.split_sha256) != (then.get("data_sha256"), then.get("split_sha256")):
            raise UserError(f"{why}, but those in data_dir={config.data_dir} are others now.")
        return prepared.preprocessing

    def predict(
        self, inputs: np.ndarray | pd.DataFrame | str | Path | Sequence[str | Path], *, best: bool = False
    ) -> pd.DataFrame:
        """Return a row for each sample: `prediction`, `confidence` and each class's probability, or its values.

        `inputs` are raw, as the dataset publishes its own: an array (N, …), a DataFrame, or files as `dlexp predict`
        takes them; the index has their row numbers, or files. Samples that cannot be used are named on standard error,
        and have no row. Raises UserError if none can be used.
        """
        found = self.predictions(inputs, best=best)
        said = [f"{name}{': ' if name else ''}{reason}" for name, reason in found.refused]
        if not len(found.table):
            raise UserError("\n".join(said) or "There is no sample to predict.")
        for line in [*found.remarks, *said]:
            print(line, file=sys.stderr)
        return found.table

    @unchanged()
    def predictions(
        self, inputs: np.ndarray | pd.DataFrame | str | Path | Sequence[str | Path], *, best: bool = False
    ) -> Predictions:
        """Do what `predict` does, and return the refused samples and the remarks too, instead of printing them."""
        if self.config.is_demonstration:
            raise UserError(f"{self.path} demonstrated something, and trained nothing: there is no model to predict.")
        config = check(self.config, kept=True)
        source, preprocessing = (
            preparation.source_of(config.dataset, import_modules(config.imports)),
            self.preprocessing,
        )
        model, collection = self.load_model(best=best), Collection(source, preprocessing.dtype)
        if isinstance(inputs, str | Path):
            collection.paths([inputs])
        elif isinstance(inputs, pandas.DataFrame):
            collection.frame(inputs)
        elif isinstance(inputs, Sequence) and all(isinstance(each, str | Path) for each in inputs):
            collection.paths(inputs)
        else:
            try:
                collection.array(np.asarray(inputs))
            except ValueError as error:
                raise UserError(f"run.predict: {error}") from None
        given = collection.given()
        usable, names, too_large = normalizable(given.inputs, given.names, preprocessing, config)
        remarks, refused = [*given.remarks, *unlike_train(usable, names, preprocessing)], [*given.refused, *too_large]
        if not names:
            return Predictions(pandas.DataFrame(), [], refused, remarks)
        outputs = outputs_of(model, config, source, preprocessing, usable)
        table, scores = tabulate(outputs, names, source)
        return Predictions(table, scores, refused, remarks)
