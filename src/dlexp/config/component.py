"""Components: a config chooses a builder and its options in each group; a dataset also has a preparation."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from dlexp.config import schema
from dlexp.config.schema import Count, Fraction, Positive, Seed


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


@dataclass(frozen=True)
class Dataset(Component):
    """A dataset's builder with its own options, and how its samples are prepared."""

    preparation: Preparation = Preparation()

    @classmethod
    def of(cls, mapping: Any, group: str) -> Self:
        """Read the group and check its common keys. Raises UserError if one is wrong, or the group has no name."""
        whole, common = Component.of(mapping, group), schema.configurable(Preparation)
        shared = {key: value for key, value in whole.options.items() if key in common}
        own = {key: value for key, value in whole.options.items() if key not in common}
        return cls(whole.name, own, Preparation(**schema.bind(Preparation, shared, f"{group}.")))

    def to_mapping(self) -> dict[str, Any]:
        """Return the dataset as config.yaml holds it: the name, its own options and the common keys in one mapping."""
        return super().to_mapping() | asdict(self.preparation)
