"""The schema: each annotation accepts its values, and refuses others with a message that states what it needs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

from dlexp.config.schema import (
    Count,
    Fraction,
    Interval,
    Natural,
    NonNegative,
    Positive,
    Ratio,
    Seed,
    bind,
    check,
    configurable,
    name_and_arguments,
)
from dlexp.errors import UserError


@dataclass(frozen=True)
class Stop:
    patience: Count | None
    monitor: str = "loss"


def same(value: str) -> None:
    if value != "same":
        raise ValueError("must be the same")


@pytest.mark.parametrize(
    ("annotation", "value", "checked"),
    [
        (int, 3, 3),
        (float, 3, 3.0),
        (float, 0.5, 0.5),
        (bool, True, True),
        (str, "x", "x"),
        (str, 3, "3"),  # a name that YAML reads as a number
        (Any, {"a": [1]}, {"a": [1]}),
        (Literal["a", 1], 1, 1),
        (int | None, None, None),
        (Count | Literal["full"], "full", "full"),
        (Count | Literal["full"], 8, 8),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, ...], [], ()),
        (tuple[float, float], [1, 2], (1.0, 2.0)),
        (Mapping[str, Any], {"a": 1}, {"a": 1}),
        (Stop, {"patience": 3}, Stop(3)),
        (Annotated[str, same], "same", "same"),
    ],
)
def test_a_value_of_the_annotated_type_is_taken(annotation: Any, value: object, checked: object) -> None:
    result = check(annotation, value, "key")
    assert result == checked and type(result) is type(checked)


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (int, 1.0, "key=1.0 must be an integer."),
        (int, True, "key=true must be an integer."),
        (int, None, "key=null must be an integer."),
        (float, "fast", "key=fast must be a finite number."),
        (float, True, "key=true must be a finite number."),
        (float, math.inf, "key=inf must be a finite number."),
        (float, math.nan, "key=nan must be a finite number."),
        (float, 1e39, "key=1e+39: must be within ±3.4e+38, the range of float32."),
        (bool, 1, "key=1 must be true or false."),
        (str, [1], "key=[1] must be text."),
        (str, True, "key=true must be text."),
        (Literal["sgd", "adam"], "adm", "key=adm is not one of sgd, adam. Did you mean adam?"),
        (Literal[1, "x"], True, "key=true is not one of 1, x. Known: 1, x."),
        (int | None, "x", "key=x must be an integer."),
        (Count | Literal["full"], "ful", "key=ful must be an integer or full."),
        (Count | Literal["full"], 0, "key=0: must be at least 1."),
        (tuple[int, ...], 3, "key=3 must be a list, each an integer."),
        (tuple[int, ...], [1, "x"], "key[1]=x must be an integer."),
        (tuple[float, float], [1], "key=[1] must be 2 values."),
        (Mapping[str, Any], [1], "key=[1] must be a mapping."),
        (Stop, 3, "key=3 must be a mapping."),
        (Stop, {}, "key.patience is not set, and has no default."),
        (Stop, {"patience": 0}, "key.patience=0: must be at least 1."),
        (Stop, {"patiense": 1}, "There is no key.patiense. Did you mean patience?"),
        (Annotated[str, same], "other", "key=other: must be the same."),
        (int, "x" * 999, f"key={'x' * 199}… must be an integer."),
    ],
)
def test_the_message_about_a_wrong_value_names_it_and_the_type_needed(
    annotation: Any, value: object, message: str
) -> None:
    with pytest.raises(UserError) as refused:
        check(annotation, value, "key")
    assert str(refused.value) == message


def test_an_integer_too_long_to_print_is_named_by_its_size() -> None:
    with pytest.raises(UserError, match=r"^key=an integer of 100000 bits: must be at most 9223372036854775807\.$"):
        check(Count, 1 << 99_999, "key")


@pytest.mark.parametrize(
    ("annotation", "inside", "outside"),
    [
        (Count, [1, 2**63 - 1], [0, 2**63]),
        (Natural, [0], [-1]),
        (Seed, [0, 2**32 - 1], [-1, 2**32]),
        (Positive, [1e-30], [0, -1.0]),
        (NonNegative, [0], [-1e-9]),
        (Fraction, [0, 0.999], [1, -0.1]),
        (Ratio, [0, 1], [1.001, -0.001]),
        (Annotated[int, Interval(2, 4, without_low=True, without_high=True)], [3], [2, 4]),
    ],
)
def test_intervals_include_and_exclude_their_ends(annotation: Any, inside: list, outside: list) -> None:
    for value in inside:
        assert check(annotation, value, "key") == value
    for value in outside:
        with pytest.raises(UserError, match=r"must be (above|below|at least|at most)"):
            check(annotation, value, "key")


def test_a_signature_is_bound_with_its_defaults_but_without_the_facts_of_the_run() -> None:
    def builder(lr: float, betas: tuple[float, float] = (0.9, 0.99), free=None, *, classes: int = 0) -> None: ...  # type: ignore[no-untyped-def]

    assert list(configurable(builder)) == ["lr", "betas", "free"]
    assert bind(builder, {"lr": 1}, "o.") == {"lr": 1.0, "betas": (0.9, 0.99), "free": None}
    assert bind(builder, {"lr": 1, "free": {"a": 1}}, "o.")["free"] == {"a": 1}
    for options, message in (({}, r"o\.lr is not set"), ({"lr": 1, "classes": 2}, r"There is no o\.classes")):
        with pytest.raises(UserError, match=message):
            bind(builder, options, "o.")


def test_annotations_given_as_text_are_evaluated_in_their_module() -> None:
    scope: dict[str, Any] = {}
    exec("from __future__ import annotations\nWide = int\ndef builder(width: Wide): ...", scope)
    assert bind(scope["builder"], {"width": 3}, "") == {"width": 3}
    with pytest.raises(UserError, match="width=x must be an integer"):
        bind(scope["builder"], {"width": "x"}, "")


@pytest.mark.parametrize(
    ("choice", "split"),
    [("relu", ("relu", {})), ({"relu": None}, ("relu", {})), ({"linear": 64}, ("linear", 64)), ({7: [1]}, ("7", [1]))],
)
def test_a_choice_is_split_into_name_and_arguments(choice: object, split: tuple) -> None:
    assert name_and_arguments(choice, "key") == split


@pytest.mark.parametrize("choice", [3, None, [], {}, {"a": 1, "b": 2}])
def test_a_value_that_is_not_a_choice_is_refused(choice: object) -> None:
    with pytest.raises(UserError, match=r"^key: .* is neither a name nor one 'name: arguments'\.$"):
        name_and_arguments(choice, "key")
