"""Seeded noise with random labels, to time a model or to summarize it."""

import numpy as np

from dlexp.config.schema import Count
from dlexp.data.source import Samples, Source
from dlexp.errors import UserError


def noise(shape: tuple[Count, ...] = (3, 227, 227), classes: Count = 1000, samples: Count = 64) -> Source:
    """`samples` images of `shape` (channels, height, width), uniform over 0 to 255, and uniform labels."""
    if len(shape) != 3:
        raise UserError(f"dataset.shape={list(shape)} must be channels, height and width.")
    channels, height, width = shape

    def read() -> dict[str, Samples]:
        generator = np.random.default_rng(0)
        images = generator.integers(0, 256, (samples, height, width, channels), np.uint8)
        return {"all": Samples(images, generator.integers(0, classes, samples))}

    return Source(input_shape=shape, class_names=tuple(map(str, range(classes))), embedded=read)
