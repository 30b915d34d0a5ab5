"""A run's net from raw inputs to probabilities or values in units, as one module that needs nothing of dlexp."""

from __future__ import annotations

import dataclasses
import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlexp.config.lazy import nn, torch
from dlexp.data.preprocessing import Preprocessing
from dlexp.data.source import Source
from dlexp.errors import JobError, UserError
from dlexp.training import evaluation
from dlexp.training.build import check
from dlexp.training.prediction.prediction import outputs_of
from dlexp.training.run import Run
from dlexp.training.setup.job import dtype_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SAMPLES = 5  # are drawn to check an export
TOLERANCE = {"float64": 1e-6, "float32": 1e-4, "bfloat16": 5e-2}  # relative to the largest output if that is above 1


def whole_net(run: Run, *, best: bool) -> tuple[nn.Module, Tensor]:
    """Return the net in evaluation mode, and a few raw inputs: uint8 (N, H, W, channels), or numbers (N, …).

    Raises UserError if the run trained nothing, or has no such weights.
    """
    if run.config.is_demonstration:
        raise UserError(f"{run.path} demonstrated something, and trained nothing: there is no model to export.")
    source, preprocessing, dtype = run.published_source, run.preprocessing, dtype_of(check(run.config, kept=True))
    model: Any = run.load_model(best=best)
    if hasattr(model, "takes_features"):  # a `Backbone`, which serves samples by sixteens for the sake of their bits
        model = nn.Sequential(model.backbone, model.head)
    net = _with_preprocessing(model, source, preprocessing, dtype).eval()
    return net.requires_grad_(False), _samples(source, preprocessing, dtype)


def _with_preprocessing(
    model: nn.Module, source: Source, preprocessing: Preprocessing, dtype: torch.dtype
) -> nn.Module:
    images, classes, cpu = len(source.input_shape) == 3, bool(source.class_names), torch.device("cpu")
    scale, shift = preprocessing.affine(len(source.input_shape) + 1, dtype, cpu)
    aligned = (-1,) + (1,) * (len(source.input_shape) - 1)
    mean, deviation = (torch.from_numpy(x.reshape(aligned)) for x in (preprocessing.mean, preprocessing.deviation))
    of_targets, to_logits = preprocessing.of_targets(dtype, cpu), evaluation.gives_probabilities(model)

    class Whole(nn.Module):
        """Raw inputs → probabilities (N, classes), or values (N, values) in units."""

        scale: Tensor
        shift: Tensor
        mean: Tensor
        deviation: Tensor
        target_mean: Tensor
        target_deviation: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.model = model
            constants = {"scale": scale, "shift": shift} if images else {"mean": mean, "deviation": deviation}
            if of_targets is not None:
                constants |= dict(zip(("target_mean", "target_deviation"), of_targets, strict=True))
            for name, tensor in constants.items():
                self.register_buffer(name, tensor)

        def forward(self, inputs: Tensor) -> Tensor:
            if images:
                x = preprocessing.resized(inputs.permute(0, 3, 1, 2)).to(dtype).contiguous() * self.scale + self.shift
            else:
                x = ((inputs.double() - self.mean) / self.deviation).to(dtype)  # as `Preprocessing.normalize` does
            outputs = self.model(x)
            if not classes:
                return (outputs if of_targets is None else outputs * self.target_deviation + self.target_mean).flatten(
                    1
                )
            if to_logits:
                outputs = outputs.clamp_min(torch.finfo(dtype).tiny).log()
            if outputs.shape[1] == 1:
                outputs = torch.cat([torch.zeros_like(outputs), outputs], 1)
            return outputs.softmax(1)

    return Whole()


def _samples(source: Source, preprocessing: Preprocessing, dtype: torch.dtype) -> Tensor:
    """Return raw inputs drawn uniformly between train's smallest and largest values, from a seed."""
    channels, *rest = source.input_shape
    low, high = preprocessing.minimum, preprocessing.maximum
    low, high = (np.zeros(channels) if low is None else low), (np.ones(channels) if high is None else high)
    drawn = np.random.default_rng(0).uniform(size=(SAMPLES, *rest, channels)) * (high - low) + low
    if len(rest) == 2:
        return torch.from_numpy(np.rint(drawn).astype(np.uint8))
    return torch.from_numpy(np.moveaxis(drawn, -1, 1).copy()).to(dtype)


def largest_difference(run: Run, inputs: Tensor, found: np.ndarray, *, best: bool) -> float:
    """Return the largest difference of an export's outputs (N, …) from the run's own on the CPU.

    Raises JobError if it is more than rounding.
    """
    config = dataclasses.replace(check(run.config, kept=True), device="cpu")
    outputs = outputs_of(run.load_model(best=best), config, run.source, run.preprocessing, inputs.numpy())
    expected = (evaluation.classify(outputs)[1] if run.source.class_names else outputs).double().numpy()
    difference = float(np.abs(expected - found).max()) if found.shape == expected.shape else float("inf")
    if not difference <= TOLERANCE[config.precision] * max(1.0, float(np.abs(expected).max())):
        raise JobError(
            f"The export gives other outputs than {run.path}: they differ by {difference:g}. Nothing is kept."
        )
    return difference


def notes(run: Run) -> dict[str, str]:
    """Return what an export carries beside the net, each a JSON text: the classes or values, and where it is from."""
    source = run.source
    facts = {
        "class_names": list(source.class_names),
        "value_names": list(source.value_names),
        "input_shape": list(source.input_shape),
        "preprocessing": run.preprocessing.to_mapping(),
        "run": f"{run.config.name}/{run.path.name}",
        "dlexp": version("dlexp"),
    }
    return {key: json.dumps(value, ensure_ascii=False) for key, value in facts.items()}


def place(to: Path, suffix: str) -> Path:
    """Return the file of an export, which ends in `suffix`; raise UserError if it exists, or its folder does not."""
    file = to if to.name.endswith(suffix) else to.with_name(to.name + suffix)
    if file.exists():
        raise UserError(f"{file} exists already: delete it, or name another file with --to.")
    if not file.parent.is_dir():
        raise UserError(f"--to {file}: the folder {file.parent} does not exist.")
    return file


def exported(net: nn.Module, inputs: Tensor) -> torch.export.ExportedProgram:
    """Return the net as torch.export traces it, for any number of samples. Raises JobError if that is not possible."""
    try:
        return torch.export.export(net, (inputs,), dynamic_shapes=({0: torch.export.Dim("samples")},))
    except Exception as error:  # whatever a user's own model does
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise JobError(f"torch.export cannot trace this model for any number of samples: {reason}") from error
