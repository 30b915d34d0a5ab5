"""Runs for other programs: a table of formats, each a function of its own file."""

from collections.abc import Callable, Iterator
from pathlib import Path

from dlexp.training.export.onnx_format import onnx_format
from dlexp.training.export.torch_format import torch_format
from dlexp.training.run import Run

# A format exports a run, with its best weights or its last, and yields lines for the user. A format that writes a file
# adds its own ending to the name.
Format = Callable[[Run, Path, bool], Iterator[str]]

FORMATS: dict[str, Format] = {"torch": torch_format, "onnx": onnx_format}
