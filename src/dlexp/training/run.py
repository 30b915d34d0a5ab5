"""A finished or stopped run, as a Python object."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlexp.config import schema
from dlexp.config.config import Config, load_config
from dlexp.config.keys import KEYS, role
from dlexp.config.lazy import pandas
from dlexp.config.registry import import_modules
from dlexp.errors import UserError
from dlexp.runs.directory import METRICS, RunDirectory
from dlexp.runs.provenance import config_hashes
from dlexp.training import checkpoint
from dlexp.training.build import build_model, check
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
