"""Check plain values from a config against the annotations of a function or a dataclass.

A signature is the schema: the ordinary parameters of a builder are the keys of its YAML; its keyword-only parameters
are facts of the run (number of classes, input shape) that no config can set.
"""

import inspect
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from dlexp.errors import UserError, did_you_mean, one_line

LARGEST_FLOAT32 = 3.4e38  # the largest number in float32, which every kernel must be able to hold


@dataclass(frozen=True)
class Interval:
    """A constraint for `Annotated`: the numbers from `low` to `high`, ends included by default."""

    low: float = -math.inf
    high: float = math.inf
    without_low: bool = False
    without_high: bool = False

    def __call__(self, value: float) -> None:
        """Raise ValueError if the value lies outside."""
        if value < self.low or (self.without_low and value == self.low):
            raise ValueError(f"must be {'above' if self.without_low else 'at least'} {exact(self.low)}")
        if value > self.high or (self.without_high and value == self.high):
            raise ValueError(f"must be {'below' if self.without_high else 'at most'} {exact(self.high)}")


def exact(number: float) -> str:
    """Return a bound as a message shows it: a whole number with all its digits."""
    return str(int(number)) if float(number).is_integer() else f"{number:g}"


Count = Annotated[int, Interval(1, 2**63 - 1)]
Natural = Annotated[int, Interval(0, 2**63 - 1)]
Seed = Annotated[int, Interval(0, 2**32 - 1)]  # the seeds that every generator takes
Threads = Annotated[int, Interval(1, 1024)]  # OpenMP crashes with some tens of thousands
Positive = Annotated[float, Interval(0, without_low=True)]
NonNegative = Annotated[float, Interval(0)]
Fraction = Annotated[float, Interval(0, 1, without_high=True)]
Ratio = Annotated[float, Interval(0, 1)]


def bind(target: Callable[..., Any], options: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return every configurable argument of `target`: the checked `options`, and its defaults for the rest.

    Raises UserError if an option is unknown, missing or of the wrong type; `prefix` ('optimizer.') precedes its name.
    """
    parameters = configurable(target)
    for key in options:
        if key not in parameters:
            raise UserError(f"There is no {prefix}{key}.{did_you_mean(str(key), parameters)}")
    bound = {}
    for key, parameter in parameters.items():
        if key in options:
            bound[key] = check(_annotation(target, parameter), options[key], prefix + key)
        elif parameter.default is parameter.empty:
            raise UserError(f"{prefix}{key} is not set, and has no default.")
        else:
            bound[key] = parameter.default
    return bound


def configurable(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of `target` that a config may set: all but the keyword-only ones."""
    parameters = inspect.signature(target).parameters
    return {name: p for name, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD}


def check(annotation: Any, value: Any, key: str) -> Any:
    """Return `value` as the annotated type (an int is accepted for a float, a list for a tuple).

    Raises UserError naming `key`, `value` and the type that is needed.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        value = check(arguments[0], value, key)
        for constraint in arguments[1:]:
            try:
                constraint(value)
            except ValueError as error:
                complaint = str(error)
                raise UserError(f"{key}={_shown(value)}: {complaint}{'' if complaint[-1] in '.?' else '.'}") from None
        return value
    if origin in (Union, types.UnionType):
        return _check_any_of(arguments, annotation, value, key)
    if origin is Literal:
        if value in arguments and type(value) in map(type, arguments):
            return value
        hint = did_you_mean(str(value), map(str, arguments))
        raise UserError(f"{key}={_shown(value)} is not one of {', '.join(map(str, arguments))}.{hint}")
    if origin is tuple and isinstance(value, list | tuple):
        if arguments[-1] is not Ellipsis and len(value) != len(arguments):
            raise UserError(f"{key}={_shown(value)} must be {len(arguments)} values.")
        return tuple(check(arguments[0], item, f"{key}[{i}]") for i, item in enumerate(value))
    if isinstance(annotation, type) and is_dataclass(annotation) and isinstance(value, Mapping):
        return annotation(**bind(annotation, value, key + "."))
    if annotation is Any:
        return value
    if annotation is float and isinstance(value, int | float) and not isinstance(value, bool):
        if abs(value) <= LARGEST_FLOAT32:
            return float(value)
        if abs(value) < math.inf:
            raise UserError(f"{key}={_shown(value)}: must be within ±{LARGEST_FLOAT32:g}, the range of float32.")
    elif annotation is str and type(value) is int:
        return str(value)
    elif annotation is str and type(value) is float:  # it may have been typed as 1.10
        raise UserError(
            f"{key}={_shown(value)} must be text: put it in quotes, '{key}=\"…\"' in a command, "
            f"{key.rpartition('.')[2]}: '…' in a YAML file."
        )
    elif isinstance(value, origin or annotation) and not (isinstance(value, bool) and annotation is int):
        return value
    raise UserError(f"{key}={_shown(value)} must be {_described(annotation)}.")


def path(text: str | Path, key: str = "") -> Path:
    """Return the path with ~ and ~user as the folders that they mean. Raises UserError if there is no such user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UserError(f"{key}{text}: there is no such user; ./{text} is a folder of that name.") from None


def name_and_arguments(choice: Any, key: str) -> tuple[str, Any]:
    """Split a choice, a name or one 'name: arguments': `relu`, `{linear: 64}`, `{uniform: [-1, 1]}`.

    Raises UserError naming `key` if it is neither.
    """
    if isinstance(choice, str):
        return choice, {}
    if isinstance(choice, dict) and len(choice) == 1:
        ((name, arguments),) = choice.items()
        return str(name), {} if arguments is None else arguments
    raise UserError(f"{key}: {choice} is neither a name nor one 'name: arguments'.")


def _check_any_of(choices: tuple[Any, ...], annotation: Any, value: Any, key: str) -> Any:
    if value is None and type(None) in choices:
        return None
    choices = tuple(choice for choice in choices if choice is not type(None))
    complaints = []
    for choice in choices:
        try:
            return check(choice, value, key)
        except UserError as error:
            complaints.append(str(error))
    of_the_right_type = [complaint for complaint in complaints if complaint.startswith(f"{key}={_shown(value)}: ")]
    if of_the_right_type or len(complaints) == 1:
        raise UserError((of_the_right_type or complaints)[0])
    raise UserError(f"{key}={_shown(value)} must be {_described(annotation)}.")


def _annotation(target: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    if isinstance(parameter.annotation, str):  # a user's module with `from __future__ import annotations`
        return eval(parameter.annotation, getattr(target, "__globals__", {}))
    return Any if parameter.annotation is parameter.empty else parameter.annotation


def _described(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _described(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(_described(choice) for choice in arguments)
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin is tuple:
        return f"a list, each {_described(arguments[0])}" if arguments[0] is not Any else "a list"
    names = {int: "an integer", float: "a finite number", bool: "true or false", str: "text", type(None): "null"}
    return names.get(annotation, "a mapping")


def _shown(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > 1000:  # Python prints at most 4,300 digits
        return f"an integer of {value.bit_length()} bits"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else one_line(str(value))
