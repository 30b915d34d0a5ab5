"""XNOR in NumPy with the backward pass by hand, and in PyTorch from the same start (nn_hw2 ex05)."""

from __future__ import annotations

import numpy as np

from dlexp.config.lazy import F, torch
from dlexp.config.schema import Natural, Positive, Seed
from dlexp.demonstrations.sides import Demonstration, Sides

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
TARGETS = np.array([1, 0, 0, 1], float)


def xnor_in_numpy(epochs: Natural = 500, learning_rate: Positive = 0.1, seed: Seed = 0) -> Demonstration:
    """Train 2 → 3 (ReLU) → 1 (sigmoid) from Uniform(0, 1) with binary cross-entropy, one sample at a time, in order."""
    generator = np.random.default_rng(seed)
    start = [generator.uniform(size=shape) for shape in ((3, 2), (3,), (1, 3), (1,))]
    ours, theirs = _in_numpy(start, epochs, learning_rate), _in_torch(start, epochs, learning_rate)
    names = ("hidden weights", "hidden biases", "output weights", "output bias")
    return Demonstration(
        [
            Sides(
                "predictions of 00, 01, 10, 11 before", _predict(start), _predict(_in_torch(start, 0, learning_rate))
            ),
            Sides(f"predictions after {epochs} epochs", _predict(ours), _predict(theirs)),
            *(Sides(name, mine, other) for name, mine, other in zip(names, ours, theirs, strict=True)),
        ]
    )


def _in_numpy(start: list[np.ndarray], epochs: int, learning_rate: float) -> list[np.ndarray]:
    v, a, w, b = (part.copy() for part in start)
    for _ in range(epochs):
        for x, t in zip(INPUTS, TARGETS, strict=True):
            g = v @ x + a
            h = np.maximum(g, 0)
            y = 1 / (1 + np.exp(-(w @ h + b)))
            d_z = y - t  # the gradient of binary cross-entropy after the sigmoid
            d_g = (w.T @ d_z) * (g > 0)
            w -= learning_rate * np.outer(d_z, h)
            b -= learning_rate * d_z
            v -= learning_rate * np.outer(d_g, x)
            a -= learning_rate * d_g
    return [v, a, w, b]


def _in_torch(start: list[np.ndarray], epochs: int, learning_rate: float) -> list[np.ndarray]:
    parameters = [torch.tensor(part, requires_grad=True) for part in start]
    v, a, w, b = parameters
    optimizer = torch.optim.SGD(parameters, lr=learning_rate)
    for _ in range(epochs):
        for x, t in zip(torch.from_numpy(INPUTS), torch.from_numpy(TARGETS), strict=True):
            optimizer.zero_grad()
            z = F.linear(F.linear(x, v, a).relu(), w, b)[0]
            F.binary_cross_entropy_with_logits(z, t).backward()
            optimizer.step()
    return [parameter.detach().numpy() for parameter in parameters]


def _predict(parameters: list[np.ndarray]) -> np.ndarray:
    v, a, w, b = parameters
    return 1 / (1 + np.exp(-(np.maximum(INPUTS @ v.T + a, 0) @ w.T + b)))[:, 0]
