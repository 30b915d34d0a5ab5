"""What is done to a sample's raw inputs before a model takes them, fitted on train and kept with the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dlexp.config.lazy import torch, torchvision_functional
from dlexp.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Preprocessing:
    """Inputs become (x − mean) / deviation, per feature or channel; targets likewise, if their statistics are given.

    Before that, images (N, H, W, C) are resized until their shorter side has `resize` pixels, and a square of
    `image_size` is cropped from their middle, if these are given. `minimum`, `maximum` and `dtype` describe train's raw
    inputs: other inputs are compared with them and read alike.
    """

    mean: np.ndarray  # (channels,) or (features,), in raw units
    deviation: np.ndarray
    target_mean: np.ndarray | None = None  # (values,); None: targets stay as they are
    target_deviation: np.ndarray | None = None
    minimum: np.ndarray | None = None  # (channels,) or (features,); None: not known
    maximum: np.ndarray | None = None
    dtype: str = "float32"
    resize: int | None = None
    image_size: int | None = None
    interpolation: str = "bilinear"

    @classmethod
    def of(cls, mapping: Mapping[str, Any]) -> Preprocessing:
        """Return what `to_mapping` gave. Raises ValueError or TypeError if it gave something else."""
        read: dict[str, Any] = {
            key: np.asarray(value, float) if isinstance(value, list) else value for key, value in mapping.items()
        }
        preprocessing = cls(**read)
        mean, deviation = preprocessing.mean, preprocessing.deviation
        extremes = [each for each in (preprocessing.minimum, preprocessing.maximum) if each is not None]
        shapes = {each.shape for each in extremes}  # grey images that become colours have one channel, and three means
        fit = deviation.shape == mean.shape and len(shapes) <= 1 and shapes <= {mean.shape, (1,)}
        if not fit or not (deviation > 0).all():
            raise ValueError("its statistics do not fit together")
        np.dtype(preprocessing.dtype)
        return preprocessing

    def to_mapping(self) -> dict[str, Any]:
        """Return plain lists; a float's shortest decimal form reads back as the same float."""
        return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in asdict(self).items()}

    def affine(self, dimensions: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return scale and shift, so that x · scale + shift normalizes inputs (N, …) of so many dimensions.

        Raises UserError naming the feature or channel whose statistics are too large or too small for `dtype`.
        """
        mean, deviation = self._aligned(dimensions)
        scale = torch.tensor(1 / deviation, dtype=dtype, device=device)
        shift = torch.tensor(-mean / deviation, dtype=dtype, device=device)
        usable = scale.isfinite() & (scale > 0) & shift.isfinite()
        if not bool(usable.all()):
            i = int((~usable).flatten().nonzero()[0])
            raise UserError(
                f"dataset.normalization: feature or channel {i} has mean {mean.ravel()[i]:g} and deviation "
                f"{deviation.ravel()[i]:g}, which {str(dtype).removeprefix('torch.')} cannot use to normalize. "
                "Leave it out, scale it, or take precision=float64."
            )
        return scale, shift

    def resized(self, images: Tensor) -> Tensor:
        """Return uint8 images (N, C, H, W) of the size that the model takes, as torchvision resizes and crops them."""
        if self.image_size is None:
            return images
        mode = torchvision_functional.InterpolationMode(self.interpolation)
        larger = torchvision_functional.resize(images, [self.resize or self.image_size], mode, antialias=True)
        return torchvision_functional.center_crop(larger, [self.image_size, self.image_size])

    def normalize(self, inputs: np.ndarray) -> np.ndarray:
        """Return inputs (N, …) that are no images, normalized in float64."""
        mean, deviation = self._aligned(inputs.ndim)
        return np.asarray((inputs - mean) / deviation)

    def normalize_targets(self, targets: np.ndarray) -> np.ndarray:
        """Return targets (N,) or (N, values) as the model learns them."""
        return targets if self.target_mean is None else (targets - self.target_mean) / self.target_deviation

    def of_targets(self, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor] | None:
        """Return mean and deviation of the targets as tensors; None if the model learns targets as they are."""
        if self.target_mean is None or self.target_deviation is None:
            return None
        mean, deviation = (
            torch.tensor(x, dtype=dtype, device=device) for x in (self.target_mean, self.target_deviation)
        )
        return mean, deviation

    def _aligned(self, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
        shape = (-1,) + (1,) * (dimensions - 2)
        return self.mean.reshape(shape), self.deviation.reshape(shape)
