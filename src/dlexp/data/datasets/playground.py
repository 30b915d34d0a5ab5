"""Four sets of points in the plane, as in the TensorFlow Playground (Smilkov et al., 2017)."""

from typing import Literal

import numpy as np

from dlexp.config.schema import Count, Fraction, Seed
from dlexp.data.source import Samples, Source

RADIUS = 5.0  # half the side of the square that holds all points but a few of the noisy Gaussians and the spiral


def playground(
    pattern: Literal["circle", "xor", "gaussians", "spiral"] = "circle",
    samples: Count = 400,
    noise: Fraction = 0.1,
    seed: Seed = 0,
) -> Source:
    """`samples` points, half of each class (xor draws the quadrants instead); `noise` blurs the boundary."""

    def read() -> dict[str, Samples]:
        points, targets = _DRAW[pattern](np.random.default_rng(seed), samples, noise)
        return {"all": Samples(points.astype(np.float32), targets.astype(np.int64))}

    return Source(input_shape=(2,), class_names=("orange", "blue"), embedded=read, origin="drawn from a seed")


Points = tuple[np.ndarray, np.ndarray]


def _circle(generator: np.random.Generator, samples: int, noise: float) -> Points:
    """A disc inside a ring; noise moves a point before its distance decides its class."""
    inside = np.arange(samples) % 2 == 1
    radius = np.where(inside, generator.uniform(0, RADIUS / 2, samples), generator.uniform(0.7, 1, samples) * RADIUS)
    points = _at_angle(radius, generator.uniform(0, 2 * np.pi, samples))
    moved = points + generator.uniform(-RADIUS, RADIUS, (samples, 2)) * noise
    return points, np.hypot(*moved.T) < RADIUS / 2


def _xor(generator: np.random.Generator, samples: int, noise: float) -> Points:
    """Opposite quadrants have the same class, with a gap along the axes."""
    points = generator.uniform(-RADIUS, RADIUS, (samples, 2))
    points += np.where(points > 0, 0.3, -0.3)
    moved = points + generator.uniform(-RADIUS, RADIUS, (samples, 2)) * noise
    return points, moved[:, 0] * moved[:, 1] >= 0


def _gaussians(generator: np.random.Generator, samples: int, noise: float) -> Points:
    """Two clouds around (2, 2) and (−2, −2), of variance 0.5 without noise and 4 with noise 0.5."""
    targets = np.arange(samples) % 2
    spread = np.sqrt(0.5 + 7 * noise)
    return generator.normal(size=(samples, 2)) * spread + np.where(targets == 1, 2.0, -2.0)[:, None], targets


def _spiral(generator: np.random.Generator, samples: int, noise: float) -> Points:
    """Two arms of 1¾ turns."""
    targets = np.arange(samples) % 2
    along = (np.arange(samples) // 2) / (samples / 2)
    points = _at_angle(RADIUS * along, 1.75 * along * 2 * np.pi + np.pi * targets)
    return points + generator.uniform(-1, 1, (samples, 2)) * noise, targets


def _at_angle(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    return np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)


_DRAW = {"circle": _circle, "xor": _xor, "gaussians": _gaussians, "spiral": _spiral}
