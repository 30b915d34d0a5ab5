"""Sinks take the rows of a run's tables. The CSV files come first, and resume reads only them."""

from dlexp.config.registry import Registry
from dlexp.training.sinks.json_lines import json_lines
from dlexp.training.sinks.sink import Sink

SINKS: Registry[Sink] = Registry("sink", {"json_lines": json_lines})
