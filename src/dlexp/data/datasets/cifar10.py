"""CIFAR-10 (Krizhevsky, 2009): colour photographs of 32 × 32 in ten classes."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from dlexp.config.lazy import torchvision_datasets
from dlexp.data import store
from dlexp.data.source import Samples, Source
from dlexp.storage.untrusted import load_pickled_arrays


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
    store.download(
        torchvision_datasets.CIFAR10.url,
        folder / torchvision_datasets.CIFAR10.filename,
        torchvision_datasets.CIFAR10.tgz_md5,
    )
    splits = {}
    with tarfile.open(folder / torchvision_datasets.CIFAR10.filename) as archive:
        for split, batches in (
            ("train", torchvision_datasets.CIFAR10.train_list),
            ("test", torchvision_datasets.CIFAR10.test_list),
        ):
            read = [_read(archive, f"{torchvision_datasets.CIFAR10.base_folder}/{name}", md5) for name, md5 in batches]
            pixels = np.concatenate([batch["data"] for batch in read]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
            labels = np.array([label for batch in read for label in batch["labels"]], np.int64)
            splits[split] = Samples(np.ascontiguousarray(pixels), labels)
    return splits


def _read(archive: tarfile.TarFile, name: str, md5: str) -> dict[str, Any]:
    """Return a batch from the archive without unpacking it to the disk; raise RuntimeError if it is not CIFAR-10's."""
    try:
        file = archive.extractfile(name)
        content = file.read() if file else b""
        if hashlib.md5(content).hexdigest() != md5:
            raise ValueError("its MD5 is different")
        batch: dict[str, Any] = load_pickled_arrays(content)
    except (KeyError, ValueError) as error:
        raise RuntimeError(f"{name} in {archive.name!r} is not a file of CIFAR-10: {error}") from None
    return batch
