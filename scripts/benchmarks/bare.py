"""The bare loop that dlexp is measured against, as a careful person writes it for one experiment.

Its tensors are in memory, already normalized. It shuffles indices, sums the loss, and evaluates loss and accuracy on
the test split after each epoch. It has no files, no checks and no state to resume from.
"""

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass
class Work:
    """One experiment as plain objects."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    batch_size: int
    evaluation_batch_size: int


def run(work: Work, epochs: int) -> float:
    """Train the model; return the seconds that it takes."""
    model, optimizer = work.model, work.optimizer
    (inputs, targets), (test_inputs, test_targets) = work.train, work.test
    started = time.perf_counter()
    for _ in range(epochs):
        model.train()
        total = 0.0
        full = work.batch_size >= len(targets)
        batches = [slice(None)] if full else torch.randperm(len(targets)).split(work.batch_size)
        for chosen in batches:
            x, y = inputs[chosen], targets[chosen]
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        model.eval()
        with torch.inference_mode():
            size = work.evaluation_batch_size
            outputs = torch.cat([model(x) for x in test_inputs.split(size)])
            F.cross_entropy(outputs, test_targets).item()
            (outputs.argmax(1) == test_targets).float().mean().item()
    return time.perf_counter() - started
