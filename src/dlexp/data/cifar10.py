"""CIFAR-10 (Krizhevsky, 2009): colour photographs of 32 × 32 in ten classes."""

from pathlib import Path

import numpy as np

from dlexp.data.source import Samples, Source


def cifar10() -> Source:
    """50,000 train and 10,000 test images, from torchvision's archive, MD5 checked."""
    return Source(
        input_shape=(3, 32, 32),
        class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        convert=_convert,
        sizes=(50_000, 10_000),
        origin="cifar-10-python.tar.gz (https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz)",
        content="7ac8ed2ab9b31e6bf53597820d3a5a10365ec11f0d3390173a436f11ffeb9b2b",
    )


def _convert(folder: Path) -> dict[str, Samples]:
    from torchvision.datasets import CIFAR10

    splits = {}
    for split in ("train", "test"):
        dataset = CIFAR10(folder, train=split == "train", download=True)
        splits[split] = Samples(dataset.data, np.array(dataset.targets, np.int64))
    return splits
