"""Dropout as an ensemble (dl_hw3 ex05; Goodfellow, Bengio and Courville, 2016, section 7.12)."""

from __future__ import annotations

from typing import Annotated

from dlexp.config.lazy import torch
from dlexp.config.schema import Count, Interval, Seed
from dlexp.demonstrations.sides import Demonstration, Sides


def dropout_ensemble(inputs: Annotated[int, Interval(1, 12)] = 10, classes: Count = 4, seed: Seed = 0) -> Demonstration:
    """Compare softmax regression under all 2ⁿ masks of its inputs with one pass with halved weights."""
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(classes, inputs, generator=generator, dtype=torch.float64)
    b, x = (torch.randn(n, generator=generator, dtype=torch.float64) for n in (classes, inputs))
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * inputs).view(-1, inputs)
    log_p = ((masks * x) @ w.T + b).log_softmax(1)
    geometric = log_p.mean(0).exp()
    halved = (w @ x / 2 + b).softmax(0)
    arithmetic = log_p.exp().mean(0)
    return Demonstration(
        [
            Sides(
                f"renormalized geometric mean over {len(masks)} masks = halved weights",
                geometric / geometric.sum(),
                halved,
            ),
            Sides("the arithmetic mean is near it, not equal", arithmetic, halved, relation="≈"),
        ]
    )
