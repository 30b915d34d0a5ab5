"""A job: everything one training needs, built and on its device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlexp.components.losses import Loss
from dlexp.components.metrics import Metric
from dlexp.components.regularizers import Penalty
from dlexp.components.schedulers import Schedule
from dlexp.config.config import Config
from dlexp.config.lazy import torch
from dlexp.data.batches import evaluation_batch_size
from dlexp.data.preprocessing import Preprocessing
from dlexp.data.source import Source
from dlexp.models.freezing import Freezing
from dlexp.training.setup.step import Step

if TYPE_CHECKING:
    import torch

    from dlexp.data.batches import Batches


@dataclass(frozen=True)
class Job:
    """Everything one training needs, on its device; `config` has its device and threads resolved."""

    config: Config
    device: torch.device
    model: torch.nn.Module
    freezing: Freezing
    batches: Batches
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    loss: Loss
    metrics: Mapping[str, Metric]  # by name, in the order of the columns
    final_metrics: Mapping[str, Metric]  # of the final weights on the held-out splits
    penalty: Penalty | None
    step: Step
    source: Source
    preprocessing: Preprocessing
    batch_size: int
    hashes: dict[str, str]  # of the data, the split and the initial weights
    notes: Sequence[str] = ()  # on what the model starts from, for warnings

    def higher_is_better(self, column: str) -> bool:
        """Return whether higher is better for a column of metrics.csv, `split/name`; for losses, lower is better."""
        name = column.partition("/")[2]
        return name in self.metrics and self.metrics[name].higher_is_better

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in the train split."""
        return -(-self.batches.size("train") // self.batch_size)

    def evaluation_batches(self, split: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Return the batches of a split in its own order; their size is for evaluation only."""
        return self.batches.serve(split, evaluation_batch_size(self.source.input_shape))

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of a forward pass."""
        return autocast(self.config, self.device)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of inputs, weights and the sums of an epoch."""
        return dtype_of(self.config)


def autocast(config: Config, device: torch.device) -> AbstractContextManager[object]:
    """Return the context of a forward pass: an empty one without bfloat16, because autocast costs 10 µs a step."""
    return torch.autocast(device.type, torch.bfloat16) if config.precision == "bfloat16" else nullcontext()


def dtype_of(config: Config) -> torch.dtype:
    """Return the dtype of inputs, weights and the sums of an epoch."""
    return torch.float64 if config.precision == "float64" else torch.float32
