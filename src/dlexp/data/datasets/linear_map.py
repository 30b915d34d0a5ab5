"""A seeded linear map with noise, y = A x + noise, to measure what linear nets can learn."""

import numpy as np

from dlexp.config.schema import Count, NonNegative, Seed
from dlexp.data.source import Samples, Source
from dlexp.errors import UserError


def linear_map(
    inputs: Count = 5,
    outputs: Count = 5,
    rank: Count = 5,
    noise: NonNegative = 0.1,
    samples: Count = 240,
    seed: Seed = 0,
) -> Source:
    """Inputs from Normal(0, 1); A (outputs × inputs) of the given rank, its singular values 1, 2, … rank."""
    if rank > min(inputs, outputs):
        raise UserError(f"dataset.rank={rank} is too large for a map from {inputs} to {outputs} values.")

    def read() -> dict[str, Samples]:
        generator = np.random.default_rng(seed)
        left, right = (np.linalg.qr(generator.normal(size=(n, n)))[0][:, :rank] for n in (outputs, inputs))
        x = generator.normal(size=(samples, inputs))
        y = x @ (left * np.arange(1, rank + 1) @ right.T).T + noise * generator.normal(size=(samples, outputs))
        return {"all": Samples(x.astype(np.float32), y.astype(np.float32))}

    names = tuple(f"value {i + 1}" for i in range(outputs))
    return Source(input_shape=(inputs,), value_names=names, embedded=read, origin="drawn from a seed")
