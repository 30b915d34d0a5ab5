"""The pictures that filters are shown on: scikit-learn's two photographs, or a file of the user's, in grey levels."""

import numpy as np

from dlexp.config.lazy import Image, cv2, sklearn_datasets
from dlexp.config.schema import path
from dlexp.data.given.pictures import decode
from dlexp.errors import UserError, did_you_mean
from dlexp.storage.untrusted import read_bytes

PHOTOGRAPHS = ("china", "flower")  # of scikit-learn, 640 × 427
LONGEST, SHORTEST = 640, 16  # pixels of a side: a larger picture is shrunk, a smaller one refused


def grey_picture(picture: str) -> np.ndarray:
    """Return a photograph's or a file's grey levels, uint8 (height, width), by the weights of ITU-R BT.601.

    Raises UserError if there is no such picture, it cannot be read, or is too small.
    """
    if picture in PHOTOGRAPHS:
        grey = Image.fromarray(sklearn_datasets.load_sample_image(f"{picture}.jpg")).convert("L")
    else:
        grey = _of_file(picture)
    grey.thumbnail((LONGEST, LONGEST))  # keeps the ratio of the sides, and enlarges nothing
    if min(grey.size) < SHORTEST:
        raise UserError(
            f"demonstration.picture={picture} is too small: {grey.width} × {grey.height} pixels (a longer side than "
            f"{LONGEST} is shrunk to it), and each side needs {SHORTEST}. Choose a larger picture, or china or flower."
        )
    return np.array(grey)


def _of_file(picture: str) -> Image.Image:
    key, file = f"demonstration.picture={picture}", path(picture, "demonstration.picture=")
    if file.is_dir():
        raise UserError(f"{key} is a folder: name a picture in it.")
    if not file.is_file():
        raise UserError(f"{key}: there is no such photograph, and no such file.{did_you_mean(picture, PHOTOGRAPHS)}")
    try:
        return Image.fromarray(decode(read_bytes(file.resolve()), 1).pixels[..., 0])
    except (ValueError, OSError) as error:
        raise UserError(f"{key} cannot be used: {error} Choose another picture, or china or flower.") from None


def need_opencv(demonstration: str) -> None:
    """Raise UserError if OpenCV, which is an extra, cannot be imported."""
    try:
        _ = cv2.__version__
    except ImportError as error:
        raise UserError(
            f"demonstration.name={demonstration} compares with OpenCV, which cannot be imported ({error}): "
            "pip install 'dlexp[images]', or '.[images]' in a copy of dlexp."
        ) from None


def as_grey(values: np.ndarray) -> np.ndarray:
    """Return values rounded to the nearest grey level, uint8; those beyond 0 or 255 become 0 or 255."""
    levels: np.ndarray = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return levels


def outline(left: int, top: int, width: int, height: int) -> list[tuple[float, float]]:
    """Return the corners of a rectangle of pixels, from its upper left one around and back, as a panel's curve."""
    right, bottom = left + width - 1, top + height - 1
    return [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
