"""Train one MNIST epoch as the homework does: a DataLoader over PIL images transforms one sample at a time."""

import time

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from scripts.benchmarks.bare import Work


class Images(Dataset[tuple[Tensor, int]]):
    """Serve images as torchvision's MNIST does: each sample is a PIL image, transformed when it is read."""

    def __init__(self, images: Tensor, targets: Tensor):
        self._images, self._targets = images, targets
        self._to_pil = transforms.ToPILImage()
        self._transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(self._to_pil(self._images[index])), int(self._targets[index])


def run(work: Work) -> float:
    """Train for one epoch and evaluate, as `bare.run` does; return the seconds."""
    # Undo the normalization to get pixels: uint8 (N, 1, 28, 28).
    pixels = [((x * 0.3081 + 0.1307) * 255).round().to(torch.uint8) for x, _ in (work.train, work.test)]
    train = DataLoader(Images(pixels[0], work.train[1]), batch_size=work.batch_size, shuffle=True)
    test = DataLoader(Images(pixels[1], work.test[1]), batch_size=work.batch_size)
    started = time.perf_counter()
    work.model.train()
    for inputs, targets in train:
        loss = F.cross_entropy(work.model(inputs), targets)
        work.optimizer.zero_grad()
        loss.backward()
        work.optimizer.step()
    work.model.eval()
    with torch.no_grad():
        for inputs, targets in test:
            outputs = work.model(inputs)
            F.cross_entropy(outputs, targets).item()
            (outputs.argmax(1) == targets).float().mean().item()
    return time.perf_counter() - started
