"""How far a run's predictions of classes are believed: what its user asks for, and what validation chose."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlexp.errors import UserError


@dataclass(frozen=True)
class Doubt:
    """A temperature that divides log-odds (None: they stay), and what a confidence must reach.

    A prediction is missing if its confidence is below `reject_below`, or, without the temperature, below `threshold`.
    """

    temperature: float | None = None
    reject_below: float | None = None
    threshold: float | None = None


def doubt_of(
    result: Mapping[str, Any], *, classes: bool, best: bool, reject_below: float | None, calibrated: bool
) -> tuple[Doubt, list[str]]:
    """Return the doubt that the options of `predict` and a run's `result` give, and remarks for the user.

    What validation chose, it chose for the last weights, not for the `best`. Raises UserError for an option that has no
    meaning for this run.
    """
    if reject_below is not None and not 0 <= reject_below <= 1:
        raise UserError(f"reject_below={reject_below:g}: a confidence is a number from 0 to 1.")
    if not classes:
        if reject_below is not None or calibrated:
            raise UserError("The run predicts values, which have no confidence to reject or to calibrate.")
        return Doubt(), []
    temperature = result.get("calibration", {}).get("temperature")
    threshold = None if reject_below is not None else result.get("rejection", {}).get("threshold")
    if calibrated and best:
        raise UserError("The temperature was fitted to the last weights: calibrated and best exclude each other.")
    if calibrated and temperature is None:
        raise UserError(
            "The run has no temperature: that needs a validation split (dataset.validation_fraction=0.1) whose "
            "predictions are not all right."
        )
    if best and threshold is not None:
        said = f"Nothing is rejected: the threshold {threshold:.4f} was chosen for the last weights, not for the best."
        return Doubt(None, reject_below), [said]
    return Doubt(temperature if calibrated else None, reject_below, threshold), []
