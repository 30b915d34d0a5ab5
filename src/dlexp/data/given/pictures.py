"""Decode pictures of any kind to bytes; cut them to a size. What a model does with them is decided elsewhere."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dlexp.config.lazy import Image, ImageOps

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # not EPS, for which Pillow starts Ghostscript
LARGEST = 2**26  # pixels, as 8192 × 8192: decoded, they take 0.3 GB
DEPTH = 257  # 16 bits to 8: 65535 becomes 255
FAULTS = (OSError, ValueError, SyntaxError, struct.error, zlib.error, EOFError, LookupError, TypeError)


class Picture(NamedTuple):
    """`pixels` is uint8 (H, W, channels); `coloured` says whether the file's pixels are more than grey."""

    pixels: np.ndarray
    coloured: bool


def decode(content: bytes, channels: int) -> Picture:
    """Return the picture in a file's content, upright, in grey (1 channel) or colour (3), over white.

    The first frame of several. Raises ValueError with the reason if it cannot be decoded, or has too many pixels.
    """
    if not content:
        raise ValueError("it is empty.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, which change no pixel
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
                if opened.width * opened.height > LARGEST:
                    size = f"{opened.width:,} × {opened.height:,}"
                    raise _TooLargeError(f"it has {size} pixels; at most {LARGEST:,} are decoded.")
                opened.load()
                plain = _plain(ImageOps.exif_transpose(opened))
    except _TooLargeError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ValueError(f"it claims more pixels than the {LARGEST:,} that are decoded.") from None
    except FAULTS as error:
        if type(error).__name__ == "UnidentifiedImageError":
            raise ValueError(f"it is no picture ({', '.join(FORMATS)}).") from None
        raise ValueError(f"it cannot be decoded: {str(error) or type(error).__name__}.") from None
    shades = np.asarray(plain)
    coloured = shades.ndim == 3 and bool((shades != shades[..., :1]).any())
    pixels = np.asarray(plain.convert("L" if channels == 1 else "RGB"))
    return Picture(pixels[..., None] if pixels.ndim == 2 else pixels, coloured)


class _TooLargeError(ValueError):
    pass


def _plain(picture: Image.Image) -> Image.Image:
    """Return a picture in mode L or RGB: palettes resolved, transparent parts over white, 16 bits as 8."""
    if picture.mode == "F":
        raise ValueError("its pixels are floating-point numbers of an unknown range: save it with 8 or 16 bits")
    if picture.mode.startswith("I"):
        values = np.asarray(picture.convert("I"))
        if values.min() < 0 or values.max() > 255 * DEPTH:
            raise ValueError("its pixels have more than 16 bits: save it with 8 or 16")
        return Image.fromarray(np.rint(values / DEPTH).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        above = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert("RGB")
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")


def fitted(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a picture uint8 (H, W, channels) at another size: its shorter side is scaled, and its middle is kept.

    Bilinear, over all pixels that become one, as in Pillow and torchvision.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    tall, wide = pixels.shape[:2]
    scale = min(tall / height, wide / width)  # of the two, so that the part that is kept lies inside
    down, across = (tall - scale * height) / 2, (wide - scale * width) / 2
    box = (max(0.0, across), max(0.0, down), min(float(wide), wide - across), min(float(tall), tall - down))
    channels = (Image.fromarray(np.ascontiguousarray(each)) for each in np.moveaxis(pixels, 2, 0))
    way = Image.Resampling.BILINEAR
    return np.stack([np.asarray(each.resize((width, height), way, box=box)) for each in channels], axis=2)
