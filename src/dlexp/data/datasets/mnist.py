"""MNIST (LeCun et al., 1998): handwritten digits of 28 × 28 in the IDX format."""

from __future__ import annotations

import gzip
from pathlib import Path
from urllib.error import URLError

import numpy as np

from dlexp.config.lazy import torchvision_datasets
from dlexp.data import store
from dlexp.data.source import Samples, Source
from dlexp.storage.untrusted import read_at_most

LARGEST = 16 + 60_000 * 28 * 28  # bytes of a file, unpacked


def mnist() -> Source:
    """60,000 train and 10,000 test images, from torchvision's mirrors, MD5 checked."""
    return Source(
        input_shape=(1, 28, 28),
        class_names=tuple("0123456789"),
        convert=_convert,
        sizes=(60_000, 10_000),
        origin="the four files {train,t10k}-{images-idx3,labels-idx1}-ubyte.gz (as MNIST/raw/…)",
    )


def _convert(folder: Path) -> dict[str, Samples]:
    raw = folder / "MNIST" / "raw"  # torchvision's folder, so that both share one download
    for name, md5 in torchvision_datasets.MNIST.resources:
        _download(torchvision_datasets.MNIST.mirrors, raw, name, md5)
    return {
        split: Samples(
            _idx(raw / f"{prefix}-images-idx3-ubyte.gz")[..., None],
            _idx(raw / f"{prefix}-labels-idx1-ubyte.gz").astype(np.int64),
        )
        for split, prefix in (("train", "train"), ("test", "t10k"))
    }


def _download(mirrors: list[str], folder: Path, name: str, md5: str) -> None:
    for mirror in mirrors[:-1]:
        try:
            return store.download(mirror + name, folder / name, md5)
        except (URLError, RuntimeError):
            continue  # try the next mirror; the user gets the last one's error
    return store.download(mirrors[-1] + name, folder / name, md5)


def _idx(path: Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes: two zeros, type 8, number of dimensions, sizes (big-endian), values."""
    try:
        with gzip.open(path) as file:
            content = read_at_most(file, LARGEST)
        if content[:3] != b"\0\0\x08":
            raise ValueError("it does not begin like an IDX file of unsigned bytes.")
        dimensions = content[3]
        shape = np.frombuffer(content, ">i4", dimensions, offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except ValueError as error:
        raise RuntimeError(f"{path} is not a file of MNIST: {error}") from None
