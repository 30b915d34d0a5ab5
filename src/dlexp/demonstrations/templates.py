"""Template matching: six methods look for a patch of a photograph, by OpenCV and by formula (dl_hw3 ex11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from dlexp.config.lazy import cv2
from dlexp.config.schema import Interval, Natural, Seed
from dlexp.demonstrations.photographs import as_grey, grey_picture, need_opencv, outline
from dlexp.demonstrations.sides import Demonstration, Panel, Sides, Table
from dlexp.errors import UserError

Noise = Annotated[float, Interval(0, 255)]
Box = tuple[Natural, Natural, Natural, Natural]

METHODS = {  # to OpenCV's names
    "squared difference": "TM_SQDIFF",
    "normalized squared difference": "TM_SQDIFF_NORMED",
    "cross correlation": "TM_CCORR",
    "normalized cross correlation": "TM_CCORR_NORMED",
    "correlation coefficient": "TM_CCOEFF",
    "normalized correlation coefficient": "TM_CCOEFF_NORMED",
}
SURE = [name for name in METHODS if name not in ("cross correlation", "correlation coefficient")]  # that find a patch
LEAST_SIDE, LEAST_DEVIATION = (
    4,
    4.0,
)  # pixels, levels: a smaller patch is like many places, a flatter one mostly rounding
TOLERANCE = 1e-3  # OpenCV multiplies in float32
AS_CUT = "the photograph"


def template_matching(
    picture: str = "flower", patch: Box = (300, 120, 90, 70), noise: Noise = 25.0, seed: Seed = 0
) -> Demonstration:
    """Cut a patch out of a picture, and look for it in the picture, in a darker and in a noisy one, by six methods.

    `picture` is flower, china, or a file's path; `patch` is the template's left, top, width and height in pixels;
    `noise` is a standard deviation in grey levels. The best place is that of the least squared difference, or of the
    largest correlation. Raises UserError without OpenCV, if there is no such picture, or if the patch is tiny, flat or
    not in it.
    """
    need_opencv("template_matching")
    grey = grey_picture(picture)
    left, top = patch[:2]
    template = _cut(grey, patch, picture)
    draws = np.random.default_rng(seed).normal(0, noise, grey.shape)
    pictures = {AS_CUT: grey, "half as bright": as_grey(grey * 0.5), "with noise": as_grey(grey + draws)}
    found = {name: {method: _match(each, template, method) for method in METHODS} for name, each in pictures.items()}
    matches = found[AS_CUT]
    at_places = [_below(template, grey, matches[method].place) for method in SURE]
    sides = [
        *(_agreement(name, each, template, found[name]) for name, each in pictures.items()),
        Sides(
            f"squared difference from the template at the place found by {len(SURE)} methods = 0",
            [((below - template) ** 2).sum() for below in at_places],
            [0.0] * len(SURE),
        ),
        Sides(
            "at the patch: normalized squared difference 0, cross correlation and correlation coefficient 1",
            [match.response[top, left] for method, match in matches.items() if "normalized" in method],
            [0.0, 1.0, 1.0],
            TOLERANCE,
        ),
    ]
    return Demonstration(
        sides,
        {f"The best place of each method; the patch was cut at ({left}, {top})": _table(found)},
        _panels(pictures, template, patch, matches),
        _findings(found, (left, top), template, grey),
    )


@dataclass(frozen=True)
class _Match:
    """A method's response for each place of the template's upper left corner, and the best place, (left, top)."""

    response: np.ndarray
    place: tuple[int, int]


def _cut(grey: np.ndarray, patch: Box, picture: str) -> np.ndarray:
    """Return the patch of a picture. Raises UserError if it is tiny, leaves the picture, or is flat."""
    left, top, width, height = patch
    key = f"demonstration.patch={list(patch)}"
    bottom_of, right_of = grey.shape
    if min(width, height) < LEAST_SIDE or left + width > right_of or top + height > bottom_of:
        raise UserError(
            f"{key}: left, top, width and height must give a patch of {LEAST_SIDE} × {LEAST_SIDE} pixels at least "
            f"within {picture}: left + width ≤ {right_of} and top + height ≤ {bottom_of}."
        )
    template = grey[top : top + height, left : left + width]
    if template.std() < LEAST_DEVIATION:
        raise UserError(
            f"{key} is flat: its grey levels deviate by {template.std():.2g}, and a correlation needs at least "
            f"{LEAST_DEVIATION:g}. Take a patch with an edge in it."
        )
    return template


def _match(picture: np.ndarray, template: np.ndarray, method: str) -> _Match:
    """Return OpenCV's response, float32 (height − template's + 1, width − template's + 1), and the best place."""
    response = cv2.matchTemplate(picture, template, getattr(cv2, METHODS[method]))
    best = response.argmin() if "difference" in method else response.argmax()
    top, left = np.unravel_index(best, response.shape)
    return _Match(response, (int(left), int(top)))


def _agreement(name: str, picture: np.ndarray, template: np.ndarray, matches: dict[str, _Match]) -> Sides:
    """Return how far OpenCV's responses are from the formulas, in units of Σ T² if they are not normalized.

    Flat parts of the picture are left out: their deviations are as small as the rounding, by which OpenCV divides.
    """
    formulas, deviation = _responses(picture, template)
    unit, clear = (template.astype(float) ** 2).sum(), deviation * template.std() >= LEAST_DEVIATION**2
    differences = [
        np.abs(match.response - formulas[method]).max(initial=0, where=clear) / (1 if "normalized" in method else unit)
        for method, match in matches.items()
    ]
    statement = f"{name}: largest |OpenCV − formula| of each method, of Σ T² if not normalized, = 0"
    return Sides(statement, differences, [0.0] * len(matches), TOLERANCE)


def _below(template: np.ndarray, picture: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """Return the picture's levels below the template at a place, (left, top), float64."""
    (left, top), (height, width) = place, template.shape
    return picture[top : top + height, left : left + width].astype(float)


def _responses(picture: np.ndarray, template: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the six responses by formula, float64, and the standard deviation of the picture below the template.

    With sums over the template's n pixels, T its levels and I the picture's below it: Σ(T − I)², Σ T I, and
    Σ(T − mean T)(I − mean I). Normalized, they are divided by √(Σ T² Σ I²) or by that of the deviations; OpenCV then
    cuts them off at 1, which a squared difference may exceed.
    """
    t, i = template.astype(float), picture.astype(float)
    n = t.size
    cross = np.rint(_correlated(i, t))  # of whole numbers: exact
    total, squares = _sums(i, t.shape), _sums(i**2, t.shape)
    difference = squares - 2 * cross + (t**2).sum()
    coefficient = cross - total * t.sum() / n
    deviations = np.maximum(squares - total**2 / n, 0)
    norm, deviation_norm = np.sqrt(squares * (t**2).sum()), np.sqrt(deviations * n) * t.std()
    responses = {
        "squared difference": difference,
        "normalized squared difference": np.minimum(_ratio(difference, norm, 1), 1),
        "cross correlation": cross,
        "normalized cross correlation": _ratio(cross, norm, 0),
        "correlation coefficient": coefficient,
        "normalized correlation coefficient": _ratio(coefficient, deviation_norm, 0),
    }
    return responses, np.sqrt(deviations / n)


def _correlated(picture: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Return Σ T I for each place of the template, by a Fourier transform: a large kernel takes a convolution long."""
    product = np.fft.rfft2(picture) * np.conj(np.fft.rfft2(template, picture.shape))
    rows, columns = (size - its + 1 for size, its in zip(picture.shape, template.shape, strict=True))
    sums: np.ndarray = np.fft.irfft2(product, picture.shape)[:rows, :columns]
    return sums


def _sums(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the sum of the picture's whole numbers in each window of this shape."""
    below = np.pad(picture.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows, columns = shape
    down = below[rows:] - below[:-rows]
    sums: np.ndarray = down[:, columns:] - down[:, :-columns]
    return sums


def _ratio(numerator: np.ndarray, denominator: np.ndarray, otherwise: float) -> np.ndarray:
    """Return the ratio, and `otherwise` if the denominator is 0."""
    ratio: np.ndarray = np.divide(
        numerator, denominator, out=np.full(numerator.shape, float(otherwise)), where=denominator > 0
    )
    return ratio


def _table(found: dict[str, dict[str, _Match]]) -> Table:
    columns = ["method", "best is the", *found]
    rows = [
        (
            method,
            "least" if "difference" in method else "largest",
            *(f"({matches[method].place[0]}, {matches[method].place[1]})" for matches in found.values()),
        )
        for method in METHODS
    ]
    return Table(columns, rows)


def _panels(
    pictures: dict[str, np.ndarray], template: np.ndarray, patch: Box, found: dict[str, _Match]
) -> dict[str, Panel]:
    left, top, width, height = patch
    sentences = (f"The patch is cut at ({left}, {top}).", "Every level halved.", "Normal noise is added.")
    panels = {
        name: Panel({"patch": outline(*patch)} if name == AS_CUT else {}, image=each, sentence=sentence)
        for (name, each), sentence in zip(pictures.items(), sentences, strict=True)
    }
    panels["the template"] = Panel({}, image=template, sentence=f"{width} × {height} pixels.")
    for method, match in found.items():
        right = "where it was cut" if match.place == (left, top) else "not where it was cut"
        low, high = match.response.min(), match.response.max()
        shown = as_grey(255 * (match.response - low) / max(high - low, 1e-12))
        best = "darkest" if "difference" in method else "brightest"
        panels[method] = Panel(
            {"place": outline(*match.place, width, height)}, image=pictures[AS_CUT], sentence=f"{match.place}: {right}."
        )
        panels[f"{method}: response"] = Panel(
            {"place": [match.place]}, image=shown, sentence=f"From {low:.3g} to {high:.3g}; the {best} counts."
        )
    return panels


def _findings(
    found: dict[str, dict[str, _Match]], cut: tuple[int, int], template: np.ndarray, grey: np.ndarray
) -> list[str]:
    findings = []
    for name, matches in found.items():
        wrong = [method for method, match in matches.items() if match.place != cut]
        which = f"{len(METHODS) - len(wrong)} of 6 methods find the patch" + "; not " * bool(wrong) + ", ".join(wrong)
        findings.append(f"{name[0].upper()}{name[1:]}: {which}.")
    levels, deviations = (
        _below(template, grey, found[AS_CUT][method].place)
        for method in ("cross correlation", "correlation coefficient")
    )
    return [
        *findings,
        f"Cross correlation, Σ T I, grows with the brightness of the picture: at its best place the mean level is "
        f"{levels.mean():.0f}, in the template {template.mean():.0f}. The correlation coefficient takes the means off, "
        f"and grows with the contrast: there the levels deviate by {deviations.std():.0f}, in the template by "
        f"{template.std():.0f}.",
        "Normalized, both are at most 1, which only a picture like the template reaches. A squared difference compares "
        "the levels themselves, so that noise misleads it less than another brightness does.",
    ]
