"""Components: a config chooses a builder and its options in each group; a dataset also has a preparation."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, TypeVar

from dlexp.config import schema
from dlexp.config.schema import Count, Fraction, Positive, Seed

Common = TypeVar("Common")


@dataclass(frozen=True)
class Component:
    """A builder's name and its options, which `Registry.bind` checks."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, mapping: Any, group: str) -> Self:
        """Read a group of a composed config, or of a saved one. Raises UserError if it has no name."""
        options = dict(schema.check(Mapping, mapping, group))
        return cls(schema.check(str, options.pop("name", None), f"{group}.name"), options)

    def to_mapping(self) -> dict[str, Any]:
        """Return the component as config.yaml holds it: the name, then the options."""
        return {"name": self.name, **self.options}


Interpolation = Literal["bilinear", "bicubic", "nearest"]


@dataclass(frozen=True)
class Preparation:
    """The keys that every dataset has beside its own: how it is split, cut and normalized."""

    test_to_train_ratio: Positive | None = None
    stratified: bool = True
    split_seed: Seed = 0
    validation_fraction: Fraction = 0.0
    normalization: Literal["none", "unit", "standard", "given"] = "none"
    mean: float | tuple[float, ...] | None = None
    deviation: Positive | tuple[Positive, ...] | None = None
    train_size: Count | None = None
    test_size: Count | None = None
    target_normalization: Literal["none", "standard"] = "none"
    positive_class: str | None = None
    augmentation: tuple[Any, ...] = ()  # `data.augmentation` checks their names and arguments
    preprocessing: Literal["weights"] | None = None
    resize: Count | None = None
    image_size: Count | None = None
    interpolation: Interpolation | None = None


@dataclass(frozen=True)
class Transfer:
    """The keys that every model has beside its own: what it starts from, and what of it is trained."""

    init_from: str | None = None
    freeze: Literal["backbone"] | Count | tuple[str, ...] | None = None
    unfreeze_at: Count | None = None


@dataclass(frozen=True)
class Rates:
    """The key that every optimizer has beside its own."""

    backbone_lr_ratio: Positive | None = None


# Keys that an earlier version did not have: at null they are left out, so that a job's hash stays what it was.
LATER: Mapping[str, tuple[str, ...]] = {
    "dataset": ("preprocessing", "resize", "image_size", "interpolation"),
    "model": tuple(schema.configurable(Transfer)),
    "optimizer": tuple(schema.configurable(Rates)),
}


def _parted(mapping: Any, group: str, common: Callable[..., Common]) -> tuple[str, dict[str, Any], Common]:
    """Return a group's name, its component's own options, and the checked keys that all its components have."""
    whole, keys = Component.of(mapping, group), schema.configurable(common)
    shared = {key: value for key, value in whole.options.items() if key in keys}
    own = {key: value for key, value in whole.options.items() if key not in keys}
    return whole.name, own, common(**schema.bind(common, shared, f"{group}."))


def _kept(common: Any, group: str) -> dict[str, Any]:
    return {key: value for key, value in asdict(common).items() if value is not None or key not in LATER[group]}


@dataclass(frozen=True)
class Model(Component):
    """A model's builder with its own options, and how its weights begin and which are trained."""

    transfer: Transfer = Transfer()

    @classmethod
    def of(cls, mapping: Any, group: str) -> Self:
        """Read the group and check its common keys. Raises UserError if one is wrong, or the group has no name."""
        return cls(*_parted(mapping, group, Transfer))

    def to_mapping(self) -> dict[str, Any]:
        """Return the model as config.yaml holds it."""
        return super().to_mapping() | _kept(self.transfer, "model")


@dataclass(frozen=True)
class Optimizer(Component):
    """An optimizer's builder with its own options, and the rates of parts of the model."""

    rates: Rates = Rates()

    @classmethod
    def of(cls, mapping: Any, group: str) -> Self:
        """Read the group and check its common key. Raises UserError if it is wrong, or the group has no name."""
        return cls(*_parted(mapping, group, Rates))

    def to_mapping(self) -> dict[str, Any]:
        """Return the optimizer as config.yaml holds it."""
        return super().to_mapping() | _kept(self.rates, "optimizer")


@dataclass(frozen=True)
class Dataset(Component):
    """A dataset's builder with its own options, and how its samples are prepared."""

    preparation: Preparation = Preparation()

    @classmethod
    def of(cls, mapping: Any, group: str) -> Self:
        """Read the group and check its common keys. Raises UserError if one is wrong, or the group has no name."""
        return cls(*_parted(mapping, group, Preparation))

    def to_mapping(self) -> dict[str, Any]:
        """Return the dataset as config.yaml holds it: the name, its own options and the common keys in one mapping."""
        return super().to_mapping() | _kept(self.preparation, "dataset")
