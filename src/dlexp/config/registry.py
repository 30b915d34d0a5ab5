"""Name → builder. The builder's ordinary parameters are the schema of its YAML (see `schema`).

A builder's module imports torch when the builder runs, so that checking a config does not wait for the import.
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from dlexp.config import schema
from dlexp.config.code import forget_changed
from dlexp.config.component import Component
from dlexp.errors import UserError, did_you_mean, one_line

Product = TypeVar("Product")
Chosen = TypeVar("Chosen", bound=Component)


@dataclass(frozen=True)
class Registry(Generic[Product]):
    """The builders of one config group; a user's module adds its own functions by their names."""

    group: str
    builders: Mapping[str, Callable[..., Product]]
    product: Callable[[], Any] | None = None  # returns the type that builders return, or several
    example: str = ""  # the lines of a right builder, shown if one returns another type

    def find(self, name: str, imports: Sequence[ModuleType] = ()) -> Callable[..., Product]:
        """Return the builder called `name`: one of dlexp's, else a function or class in one of `imports`."""
        found = self.builders.get(name) or next(filter(None, (_builder(m, name) for m in imports)), None)
        if found is None:
            where = f" or in {', '.join(m.__name__ for m in imports)}" if imports else ""
            raise UserError(
                f"{self.group}.name={name}: there is no such {self.group}{where}.{did_you_mean(name, self.builders)}"
            )
        return found

    def bind(self, chosen: Chosen, imports: Sequence[ModuleType] = ()) -> Chosen:
        """Check the component's options against the builder's signature, and fill in its defaults."""
        options = schema.bind(self.find(chosen.name, imports), chosen.options, f"{self.group}.")
        return replace(chosen, options=options)

    def bind_choice(self, choice: Any, imports: Sequence[ModuleType] = ()) -> Component:
        """Bind a choice: a name, or one 'name: arguments', where arguments are a mapping, a list or one value."""
        name, arguments = schema.name_and_arguments(choice, self.group)
        if not isinstance(arguments, dict):
            parameters = schema.configurable(self.find(name, imports))
            whole = not isinstance(arguments, list) or len(parameters) == 1  # one list for the only parameter
            values = [arguments] if whole else arguments
            if len(values) > len(parameters):
                raise UserError(f"{self.group}: {name} takes {len(parameters)} values, not {len(values)}.")
            arguments = dict(zip(parameters, values, strict=False))
        return self.bind(Component(name, arguments), imports)

    def build(self, chosen: Component, imports: Sequence[ModuleType] = (), **facts: Any) -> Product:
        """Call the builder with the bound options and those of the run's `facts` that it names."""
        builder = self.find(chosen.name, imports)
        wanted = inspect.signature(builder).parameters
        required = [n for n, p in wanted.items() if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
        if unknown := [name for name in required if name not in facts]:
            raise UserError(
                f"{self.group}.name={chosen.name}: {chosen.name} asks for {unknown[0]} after its *, where only "
                f"facts of the run stand ({', '.join(facts) or 'here none'}): put it before the *, or give a default."
            )
        built = builder(**chosen.options, **{name: fact for name, fact in facts.items() if name in wanted})
        if self.product is not None and not isinstance(built, self.product()):
            raise UserError(
                f"{self.group}.name={chosen.name}: {chosen.name}() returns {one_line(repr(built))}. "
                f"These lines would be right:\n{self.example}"
            )
        return built


def _builder(module: ModuleType, name: str) -> Any:
    """Return a function or class of a module; None if it has none, or it is Python's own, for example `system`."""
    found = vars(module).get(name)
    origin = (found.__module__ or "") if inspect.isroutine(found) or isinstance(found, type) else ""
    return found if callable(found) and origin.split(".")[0] not in sys.stdlib_module_names else None


def import_modules(names: Sequence[str]) -> list[ModuleType]:
    """Import the user's own modules (config key `imports`), from the working directory or installed.

    Raises UserError if there is no such module; an error inside it gives the user its traceback.
    """
    if names and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # a console script has its own folder there instead
    for name in names:
        if not all(part.isidentifier() for part in name.split(".")):
            raise UserError(f"imports=[{name}]: this is not the name of a module.")
        if name == "__main__":
            raise UserError("imports=[__main__]: put the code of a notebook or script into a file of its own, mine.py.")
        if name.split(".")[0] in sys.stdlib_module_names:
            raise UserError(f"imports=[{name}]: this is Python's own module, not one of yours.")
    forget_changed(names)
    modules = []
    for name in names:
        try:
            modules.append(importlib.import_module(name))
        except ModuleNotFoundError as error:
            if error.name != name.split(".")[0] and error.name != name:
                raise
            raise UserError(f"imports=[{name}]: no module {name} in {Path.cwd()} or installed.") from None
    return modules
