"""Random changes to whole batches of training images, on their device.

Each takes and returns float images (B, C, H, W) in which black is 0. It draws from torch's global generator. Every
checkpoint holds the generator's state, so a resumed run sees the same changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from dlexp.config.lazy import F, torch
from dlexp.config.registry import Registry
from dlexp.config.schema import Count, Interval, Ratio
from dlexp.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

Augmentation = Callable[["Tensor"], "Tensor"]
Share = Annotated[float, Interval(0, 1, without_low=True)]


def horizontal_flip(probability: Ratio = 0.5) -> Augmentation:
    """Mirror each image left to right with the given probability."""

    def change(images: Tensor) -> Tensor:
        chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < probability
        return torch.where(chosen, images.flip(3), images)

    return change


def rotate90() -> Augmentation:
    """Turn each image by 0, 90, 180 or 270 degrees, equally often. Square images only."""

    def change(images: Tensor) -> Tensor:
        turns = torch.randint(4, (len(images), 1, 1, 1), device=images.device)
        turned = images
        for number in (1, 2, 3):
            turned = torch.where(turns == number, images.rot90(number, (2, 3)), turned)
        return turned

    return change


def shift(pixels: Count = 4) -> Augmentation:
    """Move each image by up to `pixels` up or down and left or right; the uncovered part is black."""

    def change(images: Tensor) -> Tensor:
        count, _, height, width = images.shape
        padded = F.pad(images, (pixels, pixels, pixels, pixels))
        down, right = torch.randint(2 * pixels + 1, (2, count, 1), device=images.device)
        rows = down + torch.arange(height, device=images.device)
        columns = right + torch.arange(width, device=images.device)
        image = torch.arange(count, device=images.device)[:, None, None]
        return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()

    return change


def brightness(strength: Ratio = 0.2) -> Augmentation:
    """Multiply each image by a factor from Uniform(1 − strength, 1 + strength)."""

    def change(images: Tensor) -> Tensor:
        factors = torch.rand(len(images), 1, 1, 1, device=images.device)
        return images * (1 + strength * (2 * factors - 1))

    return change


def random_resized_crop(smallest: Share = 0.5, stretch: Annotated[float, Interval(1)] = 1.33) -> Augmentation:
    """Cut out a part of each image and resize it to the whole, bilinearly (Szegedy et al., 2015).

    The part's area is Uniform(smallest, 1) of the image's; the ratio of its sides is log-uniform from 1 / stretch to
    stretch, or as far as a part of that area fits into the image.
    """

    def change(images: Tensor) -> Tensor:
        area, ratio, x, y = torch.rand(4, len(images), device=images.device)
        area = smallest + (1 - smallest) * area
        root = (1 / area).clamp(max=stretch) ** (ratio - 0.5)  # √(width / height), both at most 1
        width, height = area.sqrt() * root, area.sqrt() / root
        maps = torch.zeros(len(images), 2, 3, dtype=images.dtype, device=images.device)
        maps[:, 0, 0], maps[:, 1, 1] = width, height
        maps[:, 0, 2], maps[:, 1, 2] = (2 * x - 1) * (1 - width), (2 * y - 1) * (1 - height)
        grid = F.affine_grid(maps, list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)

    return change


def cutout(size: Count = 8) -> Augmentation:
    """Black out a square of `size` pixels around a random one of each image (DeVries and Taylor, 2017)."""

    def change(images: Tensor) -> Tensor:
        count, _, height, width = images.shape
        top = torch.randint(height, (count, 1), device=images.device) - size // 2
        left = torch.randint(width, (count, 1), device=images.device) - size // 2
        row, column = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
        rows, columns = (row >= top) & (row < top + size), (column >= left) & (column < left + size)
        return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)

    return change


AUGMENTATIONS: Registry[Augmentation] = Registry(
    "dataset.augmentation",
    {
        "horizontal_flip": horizontal_flip,
        "rotate90": rotate90,
        "shift": shift,
        "brightness": brightness,
        "random_resized_crop": random_resized_crop,
        "cutout": cutout,
    },
)


def check(choices: tuple[Any, ...]) -> None:
    """Raise UserError if a choice is not an augmentation, or has a wrong argument."""
    for choice in choices:
        AUGMENTATIONS.bind_choice(choice)


def build(choices: tuple[Any, ...], input_shape: tuple[int, ...]) -> Augmentation | None:
    """Return one function that applies the chosen augmentations in order, None if there are none.

    Raises UserError if a choice does not fit the inputs.
    """
    if not choices:
        return None
    if len(input_shape) != 3:
        raise UserError("dataset.augmentation is for images; this dataset has none: take dataset.augmentation=[].")
    changes = []
    for choice in choices:
        bound = AUGMENTATIONS.bind_choice(choice)
        if bound.name == "rotate90" and input_shape[1] != input_shape[2]:
            raise UserError(
                f"dataset.augmentation=rotate90 needs square images, not {input_shape[1]} × {input_shape[2]}."
            )
        changes.append(AUGMENTATIONS.build(bound))

    def change(images: Tensor) -> Tensor:
        for each in changes:
            images = each(images)
        return images

    return change
