"""Renamed top-level keys: saved configs are read under the new name, and a typed old name is refused with a hint."""

from collections.abc import Mapping
from typing import Any

from dlexp.errors import UserError

RENAMED = {"identity": "demonstration"}


def renamed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of an earlier version under today's keys."""
    return {RENAMED.get(str(key), str(key)): value for key, value in config.items()}


def refuse_former(key: str, typed: str, where: str = "") -> None:
    """Raise UserError if `key` ('identity', 'identity.seed') was renamed; show `typed` with the new name."""
    former = key.split(".")[0]
    if former in RENAMED:
        today = RENAMED[former]
        raise UserError(f"{where}{former} is now called {today}: {typed.replace(former, today, 1)}")
