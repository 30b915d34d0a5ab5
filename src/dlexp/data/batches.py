"""A dataset's splits as tensors on the device, and the batches that a model takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlexp.config.lazy import torch
from dlexp.data.preprocessing import Preprocessing
from dlexp.data.source import Samples, refuse_not_finite

if TYPE_CHECKING:
    from torch import Tensor

# Batches are gathered and normalized several at once: one pass over half a million values costs a third of ten passes
# over fifty thousand, as each pass wakes the threads.
VALUES_AT_ONCE = 2**19
FEWEST = 32  # samples in a batch of evaluation: large images one by one would take longer than they need


class Batches:
    """Serves batches of normalized inputs, of `dtype`, (B, *input_shape), and targets, int64 (B,) or (B, values).

    Images stay uint8 in memory (shared between processes if they are memory-mapped) and are normalized a batch at a
    time on the device; tabular inputs are normalized once.
    """

    def __init__(
        self,
        splits: Mapping[str, Samples],
        preprocessing: Preprocessing,
        device: torch.device,
        dtype: torch.dtype,
        augment: Callable[[Tensor], Tensor] | None = None,
    ):
        """Raise UserError if inputs, targets or their statistics are too large or too small for `dtype`."""
        self._augment, self._dtype, self._preprocessing = augment, dtype, preprocessing
        self._of_targets = preprocessing.of_targets(dtype, device)
        dimensions = next(iter(splits.values())).inputs.ndim
        self._scale, self._shift = preprocessing.affine(dimensions, dtype, device)
        self._splits: dict[str, tuple[Tensor, Tensor]] = {}
        self._features: dict[str, Tensor] = {}
        self._published = {name: torch.from_numpy(samples.targets) for name, samples in splits.items()}
        for name, (inputs, targets) in splits.items():
            kept = torch.from_numpy(inputs if inputs.ndim == 4 else preprocessing.normalize(inputs))
            labels = torch.from_numpy(preprocessing.normalize_targets(targets))
            kept, labels = (t.to(dtype) if t.is_floating_point() else t for t in (kept, labels))
            for what, tensor in (("inputs", kept), ("targets", labels)):
                precision = str(dtype).removeprefix("torch.")
                way_out = f"It is too large for {precision}: scale it (dataset.normalization), or leave it out."
                refuse_not_finite(tensor.numpy(), f"The {name} split's {what}, normalized", way_out)
            self._splits[name] = kept.to(device), labels.to(device)

    def replace_inputs(self, features: Mapping[str, Tensor]) -> None:
        """Serve features (N, F) of each split's samples in place of its images, which `images` still returns."""
        self._features = dict(features)

    def size(self, split: str) -> int:
        """Number of samples."""
        return len(self._splits[split][1])

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits: train, validation if it is configured, test."""
        return tuple(self._splits)

    def targets(self, split: str) -> Tensor:
        """The targets (N,), or (N, values), in the split's own order."""
        return self._splits[split][1]

    def published_targets(self, split: str) -> Tensor:
        """The targets (N,), or (N, values), as published, on the CPU."""
        return self._published[split]

    def in_units(self, values: Tensor) -> Tensor:
        """Return outputs (N, values) in the units of the published targets, if `targets` are normalized."""
        if self._of_targets is None:
            return values
        mean, deviation = self._of_targets
        return values * deviation + mean

    def raw(self, split: str) -> Tensor:
        """The inputs (N, features) of tabular data in their own units, in the split's own order."""
        return (self._splits[split][0] - self._shift) / self._scale

    @property
    def has_images(self) -> bool:
        """Whether inputs are stored as uint8 images."""
        return self._splits["train"][0].dtype == torch.uint8

    def images(self, split: str, indices: Tensor) -> np.ndarray:
        """The chosen images of a split, uint8 (N, H, W, C), as stored."""
        return self._splits[split][0][indices].cpu().numpy()

    def normalized(self, raw: Tensor) -> Tensor:
        """Normalize inputs (N, features) given in their own units, as the model takes them."""
        return raw * self._scale + self._shift

    def serve(
        self, split: str, batch_size: int, order: Tensor | None = None, start: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches from number `start` on, in the given order of samples or in the split's own."""
        inputs, targets = self._splits[split]
        inputs = self._features.get(split, inputs)
        if batch_size >= len(targets):  # the order inside a full batch changes nothing but the last bits
            if start == 0:
                yield self._normalize(inputs), targets
            return
        size = self._preprocessing.image_size
        values = size**2 * len(self._scale) if size and inputs.dtype == torch.uint8 else inputs[0].numel()
        together = batch_size * max(1, VALUES_AT_ONCE // (batch_size * values))
        for first in range(start * batch_size, len(targets), together):
            if order is None:
                several, their_targets = inputs[first : first + together], targets[first : first + together]
            else:
                chosen = order[first : first + together]
                several, their_targets = inputs.index_select(0, chosen), targets.index_select(0, chosen)
            yield from zip(self._normalize(several).split(batch_size), their_targets.split(batch_size), strict=True)

    def serve_train(self, batch_size: int, order: Tensor | None, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield train's batches as `serve` does, augmented.

        Each batch draws only when it is requested, so that a stop before it leaves the generator as a resume needs it.
        """
        for inputs, targets in self.serve("train", batch_size, order, start):
            if self._augment is None:
                yield inputs, targets
            else:
                yield self._augment(inputs - self._shift).add_(self._shift), targets  # black is 0 in between

    def _normalize(self, inputs: Tensor) -> Tensor:
        if inputs.dtype != torch.uint8:
            return inputs
        images = self._preprocessing.resized(inputs.permute(0, 3, 1, 2))
        images = images.to(self._dtype, memory_format=torch.contiguous_format)
        if images.shape[1] < len(self._scale):  # grey images for a net of colours
            images = images.repeat(1, len(self._scale), 1, 1)
        return images.mul_(self._scale).add_(self._shift)


def evaluation_batch_size(input_shape: Sequence[int]) -> int:
    """Return how many samples are evaluated at once: another number could change an output's last bits."""
    return max(FEWEST, VALUES_AT_ONCE // math.prod(input_shape))


def shuffled(size: int, seed: int, epoch: int, device: torch.device) -> Tensor:
    """Return the order of an epoch's samples, which depends on seed and epoch alone: a resumed epoch is the same."""
    return torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(size)).to(device)
