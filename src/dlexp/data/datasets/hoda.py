"""Hoda (Khosravi and Kabir, 2007): 60,000 Persian digits, images of varying size with the values 0 and 255.

The labels are the digits' values; Persian text writes them ۰ ۱ ۲ ۳ ۴ ۵ ۶ ۷ ۸ ۹.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from dlexp.config.lazy import F, model_selection, scipy_io, torch
from dlexp.data import store
from dlexp.data.source import Samples, Source

URL = "https://github.com/Alireza-Akhavan/SRU-deeplearning-workshop/raw/master/dataset/Data_hoda_full.mat"
FILE = "Data_hoda_full.mat"
MD5 = "170d18b711632c4621df36c439e7340b"
SHA256 = "39629eb751892b39fc5d1e987b472d441e4dffcbe8218931b73f466d8b2f3ce2"
ORIGIN = f"{FILE} ({URL})"


def hoda() -> Source:
    """The homework's subset (nn_hw2 ex04): 5 × 5 pixels, the first 1000 digits for train, the next 200 for test."""
    return Source(
        input_shape=(1, 5, 5), class_names=tuple("0123456789"), convert=_homework, sizes=(1000, 200), origin=ORIGIN
    )


def hoda_full() -> Source:
    """All 60,000 digits at 32 × 32, shrunk to fit but never stretched, centred; 50,000 / 10,000 stratified, seed 0."""
    return Source(
        input_shape=(1, 32, 32), class_names=tuple("0123456789"), convert=_full, sizes=(50_000, 10_000), origin=ORIGIN
    )


def _homework(folder: Path) -> dict[str, Samples]:
    images, labels = _read(folder)
    small = np.stack([_resize(image, 5, 5, antialias=False) for image in images[:1200]])
    return {"train": Samples(small[:1000], labels[:1000]), "test": Samples(small[1000:], labels[1000:1200])}


def _full(folder: Path) -> dict[str, Samples]:
    images, labels = _read(folder.parent / "hoda")  # both datasets share one download
    fitted = np.stack([_fit(image, 32) for image in images])
    train, test = model_selection.train_test_split(
        np.arange(len(labels)), test_size=10_000, stratify=labels, random_state=0
    )
    return {"train": Samples(fitted[train], labels[train]), "test": Samples(fitted[test], labels[test])}


def _read(folder: Path) -> tuple[list[np.ndarray], np.ndarray]:
    from scipy.io.matlab import MatReadError

    store.download(URL, folder / FILE, MD5)
    if hashlib.sha256((folder / FILE).read_bytes()).hexdigest() != SHA256:
        raise RuntimeError(f"{folder / FILE} is not the published file")
    try:
        content = scipy_io.loadmat(folder / FILE)
        return list(content["Data"].ravel()), content["labels"].ravel().astype(np.int64)
    except (ValueError, TypeError, LookupError, NotImplementedError, MatReadError) as error:
        raise RuntimeError(f"{folder / FILE} is not a MATLAB file of digits: {error}") from None


def _resize(image: np.ndarray, height: int, width: int, *, antialias: bool) -> np.ndarray:
    """Resize bilinearly, pixel centres at ½ as in OpenCV, and round to uint8: (H, W) → (height, width, 1)."""
    pixels = torch.from_numpy(image)[None, None].float()
    resized = F.interpolate(pixels, (height, width), mode="bilinear", antialias=antialias)
    return resized.round().clamp(0, 255).to(torch.uint8).numpy()[0, 0, :, :, None]


def _fit(image: np.ndarray, side: int) -> np.ndarray:
    scale = min(1.0, side / max(image.shape))
    height, width = (max(1, round(size * scale)) for size in image.shape)
    if scale < 1:
        image = _resize(image, height, width, antialias=True)[..., 0]
    canvas = np.zeros((side, side, 1), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    canvas[top : top + height, left : left + width, 0] = image
    return canvas
