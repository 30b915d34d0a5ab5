"""Diagnostics: each writes one table about the inside of a run. `DIAGNOSTICS` registers them by name."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from dlexp.config.config import Config
from dlexp.config.registry import Registry
from dlexp.errors import UserError
from dlexp.training.diagnostics.diagnostic import Diagnostic
from dlexp.training.diagnostics.evaluations import evaluations
from dlexp.training.diagnostics.gradients import gradients
from dlexp.training.diagnostics.steps import steps
from dlexp.training.diagnostics.trace import trace
from dlexp.training.diagnostics.units import units

DIAGNOSTICS: Registry[Diagnostic] = Registry(
    "diagnostic", {f.__name__: f for f in (steps, evaluations, gradients, units, trace)}
)


def chosen(config: Config) -> list[Any]:
    """Return the diagnostics that a config asks for, by their own keys or in its list `diagnostics`."""
    asked_for: dict[str, Any] = {
        "steps": config.log_every_n_steps,
        "evaluations": config.evaluate_every_n_steps,
        "gradients": config.log_gradients,
        "units": config.log_units,
        "trace": config.trace_steps,
    }
    by_key = [name if value is True else {name: value} for name, value in asked_for.items() if value]
    return [*by_key, *config.diagnostics]


def build(config: Config, imports: Sequence[ModuleType] = ()) -> list[Diagnostic]:
    """Build the diagnostics that a config asks for. Raises UserError if two write the same table."""
    found: dict[str, Diagnostic] = {}
    for choice in chosen(config):
        bound = DIAGNOSTICS.bind_choice(choice, imports)
        diagnostic = DIAGNOSTICS.build(bound, imports)
        if not isinstance(diagnostic, Diagnostic):
            raise UserError(f"diagnostics=[{bound.name}]: {bound.name}() returns {diagnostic!r}, not a Diagnostic.")
        if diagnostic.table in found:
            raise UserError(f"diagnostics=[{bound.name}]: another diagnostic already writes {diagnostic.table}.")
        found[diagnostic.table] = diagnostic
    return list(found.values())
